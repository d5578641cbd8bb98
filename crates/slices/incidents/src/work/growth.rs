//! Alerts that join an incident: when people are notified of them. Acknowledged or not, each that is no symptom of what people
//! know already is in a notification after `growth_wait_s`, and within `growth_interval_s` of the one before when many come.

use jiff::SignedDuration;
use kernel::DbError;

use super::Desk;
use super::page::{Why, tell};
use crate::model::{Incident, Member, Role, Severity};
use crate::store;

/// Critical alerts do not wait longer than this for the next notification.
const CRITICAL_INTERVAL_S: i64 = 60;
/// An alert of the same fingerprint that comes back within this time is no news.
const KNOWN_FOR_US: i64 = 3_600_000_000;
/// What ended before people were notified, and lasted less than this, is not worth a notification.
const BRIEF_US: i64 = 60_000_000;

impl Desk<'_> {
    /// Must people be notified that this alert has joined? `member` is not stored yet.
    pub async fn is_news(
        &mut self,
        incident: &Incident,
        member: &Member,
        is_root: bool,
    ) -> Result<bool, DbError> {
        if member.role == Role::Symptom && !is_root {
            let is_explained = match member.path.last() {
                Some(hop) => {
                    let at = (incident.id.as_str(), hop.to.as_str());
                    store::member::explains(self.tx, at, member.severity).await?
                }
                None => true,
            };
            if is_explained {
                return Ok(false);
            }
        }
        let since = member.fired_at.saturating_sub(KNOWN_FOR_US);
        let key = (incident.id.as_str(), member.fingerprint.as_str());
        Ok(!store::member::is_known(self.tx, key, since).await?)
    }

    /// Plans the notification of what has joined, the sooner the worse it is.
    pub async fn plan_announcement(
        &mut self,
        incident: &mut Incident,
        wanted: Severity,
    ) -> Result<(), DbError> {
        let settings = &self.incidents.settings;
        let mut interval = i64::from(settings.growth_interval_s);
        if wanted >= Severity::Sev2 {
            interval = interval.min(CRITICAL_INTERVAL_S);
        }
        let now = self.tx.now();
        let after = |at: kernel::Timestamp, seconds| {
            at.saturating_add(SignedDuration::from_secs(seconds))
                .unwrap_or(at)
        };
        let mut due = after(now, i64::from(settings.growth_wait_s));
        if let Some(last) = incident.announced_at {
            // A clock that was set back leaves times in the future.
            due = due.max(after(last.min(now), interval));
        }
        if incident.announce_at.is_some_and(|planned| planned <= due) {
            return Ok(());
        }
        incident.announce_at = Some(due);
        self.save(incident).await
    }

    /// Notifies people of what has joined since the last notification.
    pub async fn announce(&mut self, incident: &mut Incident) -> Result<(), DbError> {
        incident.announce_at = None;
        let id = incident.id.as_str();
        let (news, count) = store::member::unannounced(self.tx, id, 50).await?;
        let is_brief = |member: &Member| {
            let lasted = member.resolved_at.map(|end| end.saturating_sub(member.fired_at));
            lasted.is_some_and(|lasted| lasted < BRIEF_US)
        };
        let is_worth_it = count > news.len() as i64 || !news.iter().all(is_brief);
        // A merge brings alerts, too; the newer of the two is the key of the page.
        let grew = store::link::latest(self.tx, id, crate::events::GREW).await?;
        let merged = store::link::latest(self.tx, id, crate::events::MERGED).await?;
        let cause = grew.max(merged);
        if let Some(cause) = cause.filter(|_| is_worth_it && incident.state.is_open()) {
            incident.announced_at = Some(self.tx.now());
            tell(self, incident, Why::Grew, cause).await?;
        }
        self.save(incident).await
    }
}
