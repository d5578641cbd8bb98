//! Incidents that may be one, until a person decides; and alerts that become an incident of their own.

use kernel::DbError;

use super::Desk;
use super::join::candidate;
use super::life::{Beginning, begin};
use super::page::{Why, tell};
use crate::decide::group::{Link, outranks};
use crate::events::{self, IncidentData};
use crate::model::{Incident, Member, Role};
use crate::store;
use crate::store::candidate::Candidate;

/// Alerts of an incident among which a new root is sought.
const MAX_MEMBERS: i64 = 1_000;

impl Desk<'_> {
    /// Two incidents may be one: the new alert of the first is linked to the second.
    pub async fn propose(&mut self, first: &str, second: &str, link: &Link) -> Result<(), DbError> {
        let (Some(first), Some(second)) = (
            store::incident::get(self.tx, first).await?,
            store::incident::get(self.tx, second).await?,
        ) else {
            return Ok(());
        };
        if first.id == second.id {
            return Ok(());
        }
        let found = Candidate {
            incident: first.id.as_str().to_owned(),
            other: second.id.as_str().to_owned(),
            kind: link.kind.as_str().to_owned(),
            reason: self.reason(link).await?,
            at: self.tx.now(),
        };
        if !store::candidate::add(self.tx, &found).await? {
            return Ok(());
        }
        let text = format!(
            "Incident #{} may be the same as #{}: {}",
            first.number, second.number, found.reason
        );
        let data = IncidentData {
            other: Some(found.other),
            ..IncidentData::of(&first, text)
        };
        let seq = events::say(self.tx, &self.actor, events::CANDIDATE_FOUND, &data).await?;
        store::link::add(self.tx, second.id.as_str(), seq).await
    }

    /// A person says that the two are not one; nothing merges them any more but a person.
    pub async fn dismiss(
        &mut self,
        incident: &Incident,
        other: &Incident,
        note: Option<String>,
    ) -> Result<(), DbError> {
        let (name, now) = (self.actor.name.clone(), self.tx.now());
        let pair = (incident.id.as_str(), other.id.as_str());
        store::candidate::decide(self.tx, pair, "dismissed", &name, now).await?;
        let text = format!(
            "{name} decided that #{} and #{} are not the same",
            incident.number, other.number
        );
        let data = IncidentData {
            other: Some(other.id.as_str().to_owned()),
            note,
            ..IncidentData::of(incident, text)
        };
        let seq = events::say(self.tx, &self.actor, events::CANDIDATE_DISMISSED, &data).await?;
        store::link::add(self.tx, other.id.as_str(), seq).await
    }

    /// Makes these alerts an incident of their own. At least one alert stays behind.
    pub async fn split(
        &mut self,
        from: &mut Incident,
        mut alerts: Vec<Member>,
        note: Option<String>,
    ) -> Result<Incident, DbError> {
        let root = self.strongest(&alerts).cloned();
        let number = store::next_number(self.tx).await?;
        let mut severity = from.severity;
        let mut beginning = Beginning {
            title: from.title.clone(),
            summary: String::new(),
            severity,
            team: from.team.clone(),
            item: None,
            root_alert: None,
            is_declared: false,
        };
        if let Some(root) = &root {
            severity = alerts
                .iter()
                .map(|member| self.wanted_severity(member).0)
                .max()
                .unwrap_or(severity);
            beginning = Beginning {
                title: self.title_of(root).await?,
                summary: root.summary.clone(),
                severity,
                team: self.team_of(root).await?,
                item: root.item.clone(),
                root_alert: Some(root.alert.clone()),
                is_declared: false,
            };
        }
        let mut made = begin(beginning, number, self.tx.now());
        // What is wrong began with the first of its alerts: suspects are sought before that.
        if let Some(first) = alerts.iter().map(|member| member.fired_at).min() {
            made.opened_at = kernel::clock::from_micros(first).min(made.opened_at);
        }
        for member in &mut alerts {
            let is_root = made.root_alert.as_deref() == Some(&member.alert);
            member.incident = made.id.as_str().to_owned();
            member.role = if is_root { Role::Root } else { Role::Member };
            member.reason = format!("{} split it off from #{}.", self.actor.name, from.number);
            member.path = Vec::new();
            let now = self.tx.now().as_microsecond();
            store::member::save(self.tx, member, now).await?;
            let ways = (from.id.as_str(), made.id.as_str());
            store::link::copy_of(self.tx, ways, &member.alert).await?;
        }
        self.plan_reminder(&mut made);
        self.save(&mut made).await?;
        let seq = self.publish_split(from, &made, alerts.len(), note).await?;
        self.forget_root(from).await?;
        let (name, now) = (self.actor.name.clone(), self.tx.now());
        let pair = (from.id.as_str(), made.id.as_str());
        store::candidate::decide(self.tx, pair, "dismissed", &name, now).await?;
        tell(self, &mut made, Why::SplitFrom(from.number), seq).await?;
        self.settle(from).await?;
        self.settle(&mut made).await?;
        Ok(made)
    }

    async fn publish_split(
        &mut self,
        from: &Incident,
        made: &Incident,
        count: usize,
        note: Option<String>,
    ) -> Result<i64, DbError> {
        let alerts = if count == 1 { "alert" } else { "alerts" };
        let text = format!(
            "{} split {count} {alerts} off from #{} into #{}: {}",
            self.actor.name, from.number, made.number, made.title
        );
        let data = IncidentData {
            other: Some(from.id.as_str().to_owned()),
            note,
            ..IncidentData::of(made, text)
        };
        let seq = events::say(self.tx, &self.actor, events::SPLIT, &data).await?;
        store::link::add(self.tx, from.id.as_str(), seq).await?;
        Ok(seq)
    }

    /// The root has left: the strongest of those that stay, firing ones first, takes its place.
    async fn forget_root(&mut self, incident: &mut Incident) -> Result<(), DbError> {
        let members = store::member::of_incident(self.tx, incident.id.as_str(), MAX_MEMBERS).await?;
        let root = incident.root_alert.clone();
        if root.is_none_or(|root| members.iter().any(|member| member.alert == root)) {
            return self.save(incident).await;
        }
        let firing: Vec<Member> = members
            .iter()
            .filter(|member| member.resolved_at.is_none())
            .cloned()
            .collect();
        let best = self
            .strongest(&firing)
            .or_else(|| self.strongest(&members))
            .cloned();
        incident.root_alert = None;
        incident.item = None;
        match best {
            Some(best) => self.take_root(incident, &best, "the rest was split off").await,
            None => self.save(incident).await,
        }
    }

    fn strongest<'m>(&self, members: &'m [Member]) -> Option<&'m Member> {
        let mut best: Option<&Member> = None;
        for member in members {
            if best.is_none_or(|best| outranks(&candidate(member), &candidate(best), &self.terrain)) {
                best = Some(member);
            }
        }
        best
    }
}
