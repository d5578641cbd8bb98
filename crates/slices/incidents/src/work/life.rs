//! Opening, resolving and reopening.

use jiff::SignedDuration;
use kernel::{DbError, Timestamp};

use super::Desk;
use super::page::{Why, tell};
use crate::events::{self, IncidentData};
use crate::model::{Incident, IncidentId, Severity, State};
use crate::store;

/// Reminders of one incident; each pause is twice the one before.
const MAX_REMINDERS: i64 = 4;

/// What a new incident starts from.
pub struct Beginning {
    pub title: String,
    pub summary: String,
    pub severity: Severity,
    pub team: Option<String>,
    pub item: Option<String>,
    pub root_alert: Option<String>,
    pub is_declared: bool,
}

pub fn begin(beginning: Beginning, number: i64, now: Timestamp) -> Incident {
    Incident {
        id: IncidentId::new(),
        number,
        title: beginning.title,
        title_is_manual: beginning.is_declared,
        summary: beginning.summary,
        state: State::Triggered,
        severity: beginning.severity,
        worst_seen: beginning.severity,
        team: beginning.team,
        item: beginning.item,
        root_alert: beginning.root_alert,
        is_declared: beginning.is_declared,
        lead: None,
        lead_name: None,
        opened_at: now,
        reopened_at: None,
        acknowledged_at: None,
        acknowledged_by: None,
        acknowledged_by_name: None,
        mitigated_at: None,
        resolved_at: None,
        resolved_by: None,
        resolved_by_name: None,
        resolution: None,
        closed_at: None,
        reopened: 0,
        merged_into: None,
        resolve_at: None,
        remind_at: None,
        reminded: 0,
        announce_at: None,
        announced_at: None,
        version: 0,
    }
}

impl Desk<'_> {
    /// Stores a new incident, says so and pages. Its first alert is stored by the caller before.
    pub async fn open_incident(&mut self, incident: &mut Incident) -> Result<(), DbError> {
        self.plan_reminder(incident);
        self.save(incident).await?;
        let text = format!("Incident #{} opened: {}", incident.number, incident.title);
        let data = IncidentData::of(incident, text);
        let seq = events::say(self.tx, &self.actor, events::OPENED, &data).await?;
        tell(self, incident, Why::Opened, seq).await
    }

    /// When people are paged again, should nobody acknowledge.
    pub fn plan_reminder(&self, incident: &mut Incident) {
        let first = i64::from(self.incidents.settings.remind_after_s);
        let is_wanted = first > 0
            && incident.severity >= Severity::Sev2
            && incident.state == State::Triggered
            && incident.reminded < MAX_REMINDERS;
        incident.remind_at = is_wanted.then(|| {
            let pause = SignedDuration::from_secs(first << incident.reminded);
            self.tx.now().saturating_add(pause).unwrap_or(self.tx.now())
        });
    }

    pub async fn remind(&mut self, incident: &mut Incident) -> Result<(), DbError> {
        incident.reminded += 1;
        self.plan_reminder(incident);
        self.save(incident).await?;
        let data = IncidentData::of(
            incident,
            format!(
                "Nobody has acknowledged incident #{}; paged again",
                incident.number
            ),
        );
        let seq = events::say(self.tx, &self.actor, events::REMINDED, &data).await?;
        tell(self, incident, Why::Reminder, seq).await
    }

    /// Resolves now, or notes when, after the last alert has ended.
    pub async fn settle(&mut self, incident: &mut Incident) -> Result<(), DbError> {
        let (all, _) = store::member::count(self.tx, incident.id.as_str()).await?;
        let is_held = store::member::is_held_open(self.tx, incident.id.as_str()).await?;
        if !incident.state.is_open() || incident.is_declared || is_held || all == 0 {
            return Ok(());
        }
        let settings = &self.incidents.settings;
        let mut hold_s = settings.resolve_hold_s;
        if store::member::has_flapping(self.tx, incident.id.as_str()).await? {
            // Told once, and again when it has been calm: not with each turn.
            hold_s = hold_s.max(settings.reopen_within_s);
        }
        let hold = SignedDuration::from_secs(i64::from(hold_s));
        let due = incident
            .resolve_at
            .unwrap_or_else(|| self.tx.now().saturating_add(hold).unwrap_or(self.tx.now()));
        if due > self.tx.now() {
            incident.resolve_at = Some(due);
            return self.save(incident).await;
        }
        let note = if all == 1 {
            "Its alert has ended.".to_owned()
        } else {
            format!("All its {all} alerts have ended.")
        };
        self.resolve(incident, Some(note), None).await
    }

    /// `note`: why it is over; `words`: what the person said who did it.
    pub async fn resolve(
        &mut self,
        incident: &mut Incident,
        note: Option<String>,
        words: Option<String>,
    ) -> Result<(), DbError> {
        incident.state = State::Resolved;
        incident.resolved_at = Some(self.tx.now());
        incident.resolved_by = Some(self.actor.id.clone());
        incident.resolved_by_name = Some(self.actor.name.clone());
        incident.resolution = words.clone().or(note.clone());
        incident.resolve_at = None;
        incident.remind_at = None;
        incident.announce_at = None;
        self.save(incident).await?;
        let text = match &note {
            Some(note) => format!("Incident #{} resolved. {note}", incident.number),
            None => format!("{} resolved incident #{}", self.actor.name, incident.number),
        };
        let data = IncidentData {
            note: words,
            ..IncidentData::of(incident, text)
        };
        let seq = events::say(self.tx, &self.actor, events::RESOLVED, &data).await?;
        tell(self, incident, Why::Resolved, seq).await
    }

    /// Pages again because a person has raised the severity.
    pub async fn tell_worse(&mut self, incident: &mut Incident, seq: i64) -> Result<(), DbError> {
        tell(self, incident, Why::Worse, seq).await
    }

    pub async fn reopen(&mut self, incident: &mut Incident, why: &str) -> Result<(), DbError> {
        incident.state = State::Triggered;
        incident.reopened_at = Some(self.tx.now());
        // What people did about the time before says nothing of this one.
        incident.acknowledged_at = None;
        incident.acknowledged_by = None;
        incident.acknowledged_by_name = None;
        incident.mitigated_at = None;
        incident.announce_at = None;
        incident.resolved_at = None;
        incident.resolved_by = None;
        incident.resolved_by_name = None;
        incident.resolution = None;
        incident.closed_at = None;
        incident.reopened += 1;
        incident.reminded = 0;
        self.plan_reminder(incident);
        self.save(incident).await?;
        let text = format!("Incident #{} opened again: {why}", incident.number);
        let data = IncidentData::of(incident, text);
        let seq = events::say(self.tx, &self.actor, events::REOPENED, &data).await?;
        tell(self, incident, Why::Reopened, seq).await
    }

    /// Raises the severity when an alert calls for more than any before it.
    pub async fn escalate(
        &mut self,
        incident: &mut Incident,
        wanted: Severity,
        why: &str,
    ) -> Result<(), DbError> {
        if wanted <= incident.worst_seen {
            return Ok(());
        }
        incident.worst_seen = wanted;
        if wanted <= incident.severity {
            return self.save(incident).await;
        }
        let before = incident.severity;
        incident.severity = wanted;
        self.plan_reminder(incident);
        self.save(incident).await?;
        let text = format!("Severity raised from {before} to {wanted}: {why}");
        let data = IncidentData {
            before: Some(before.as_str().to_owned()),
            ..IncidentData::of(incident, text)
        };
        let seq = events::say(self.tx, &self.actor, events::SEVERITY_CHANGED, &data).await?;
        tell(self, incident, Why::Worse, seq).await
    }
}
