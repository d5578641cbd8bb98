//! Making one incident of two: alerts, story and rank move, the emptied one points to the other.

use kernel::DbError;

use super::Desk;
use super::join::candidate;
use super::page::{Merged, Why, tell};
use crate::decide::group::outranks;
use crate::events::{self, IncidentData};
use crate::model::{Incident, Role, State};
use crate::store;
use crate::store::candidate::Candidate;

/// Alerts of the emptied incident that its page lists.
const LISTED: i64 = 10;

impl Desk<'_> {
    /// Both must be there and neither merged away before.
    pub async fn merge(
        &mut self,
        from: &mut Incident,
        into: &mut Incident,
        why: &str,
        words: Option<String>,
    ) -> Result<(), DbError> {
        let new_root = self.stronger_root(from, into).await?;
        let was_open = from.state.is_open();
        let members = store::member::of_incident(self.tx, from.id.as_str(), LISTED).await?;
        let (all, firing) = store::member::count(self.tx, from.id.as_str()).await?;
        store::member::move_all(self.tx, from.id.as_str(), into.id.as_str()).await?;
        store::link::copy_all(self.tx, from.id.as_str(), into.id.as_str()).await?;
        automation::store::hand_over_runs(self.tx, from.id.as_str(), into.id.as_str()).await?;
        let now = self.tx.now();
        from.state = State::Resolved;
        from.resolved_at = from.resolved_at.or(Some(now));
        from.resolved_by = Some(self.actor.id.clone());
        from.resolved_by_name = Some(self.actor.name.clone());
        from.resolution = Some(format!("Merged into #{} ({why}).", into.number));
        from.merged_into = Some(into.id.as_str().to_owned());
        from.resolve_at = None;
        from.remind_at = None;
        let is_unannounced = from.announce_at.take().is_some();
        self.save(from).await?;
        let text = format!("Incident #{} merged into #{}: {why}", from.number, into.number);
        let data = IncidentData {
            other: Some(into.id.as_str().to_owned()),
            note: words,
            ..IncidentData::of(from, text)
        };
        let seq = events::say(self.tx, &self.actor, events::MERGED, &data).await?;
        store::link::add(self.tx, into.id.as_str(), seq).await?;
        if into.lead.is_none() {
            into.lead = from.lead.clone();
            into.lead_name = from.lead_name.clone();
        }
        into.resolve_at = None;
        self.save(into).await?;
        if let Some(root) = new_root {
            self.take_root(into, &root, why).await?;
        }
        let is_new_severity = from.worst_seen > into.worst_seen;
        if is_new_severity {
            let why = format!("incident #{} was merged into it", from.number);
            self.escalate(into, from.worst_seen, &why).await?;
        }
        self.hand_over_candidates(from, into).await?;
        let is_for_others = was_open && from.team != into.team;
        if is_for_others {
            store::member::mark_unannounced(self.tx, into.id.as_str(), &members).await?;
        }
        if is_unannounced || is_for_others {
            self.plan_announcement(into, from.severity).await?;
        }
        if !was_open {
            return Ok(());
        }
        let merged = Merged {
            into,
            members: &members,
            all,
            firing,
        };
        tell(self, from, Why::MergedInto(&merged), seq).await
    }

    /// What may be the same as the emptied incident may be the same as the one that goes on.
    async fn hand_over_candidates(&mut self, from: &Incident, into: &Incident) -> Result<(), DbError> {
        let (name, now) = (self.actor.name.clone(), self.tx.now());
        let pair = (from.id.as_str(), into.id.as_str());
        for found in store::candidate::of_incident(self.tx, pair.0).await? {
            let other = found.counterpart(pair.0).to_owned();
            if other != pair.1 {
                let moved = Candidate {
                    incident: pair.1.to_owned(),
                    other,
                    ..found
                };
                store::candidate::add(self.tx, &moved).await?;
            }
        }
        store::candidate::decide(self.tx, pair, "confirmed", &name, now).await
    }

    /// The root of `from`, when it explains more than that of `into`.
    async fn stronger_root(
        &mut self,
        from: &Incident,
        into: &Incident,
    ) -> Result<Option<crate::model::Member>, DbError> {
        let Some(root) = &from.root_alert else {
            return Ok(None);
        };
        let Some(theirs) = store::member::get(self.tx, root).await? else {
            return Ok(None);
        };
        let ours = match &into.root_alert {
            Some(root) => store::member::get(self.tx, root).await?,
            None => None,
        };
        let is_stronger =
            ours.is_none_or(|ours| outranks(&candidate(&theirs), &candidate(&ours), &self.terrain));
        let moved = crate::model::Member {
            incident: into.id.as_str().to_owned(),
            role: Role::Root,
            ..theirs
        };
        Ok(is_stronger.then_some(moved))
    }
}
