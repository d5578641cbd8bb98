//! Which events may have led to an incident, which tell of what failed, and which are neither.

use kernel::{DbError, Event, Timestamp};
use serde_json::Value;
use sqlx::AnyConnection;

use super::{SLACK, Search};
use crate::store;

/// Attributes that say how a thing is, not what somebody did to it.
const STATES: [&str; 6] = ["running", "state", "status", "health", "not_after", "expires_at"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Suspect,
    /// It tells of the failure itself.
    Symptom,
    Neither,
}

/// When it happened: as the host says, when that is before the server learned of it.
pub fn occurred_at(event: &Event) -> Timestamp {
    let said = event.data.get("at").and_then(Value::as_str);
    let said = said.and_then(|text| text.parse::<Timestamp>().ok());
    said.map_or(event.at, |said| said.min(event.at))
}

pub async fn judge(
    connection: &mut AnyConnection,
    search: &Search<'_>,
    event: &Event,
) -> Result<Verdict, DbError> {
    let at = occurred_at(event);
    if is_symptom(search, event) {
        let latest = search.until.saturating_add(SLACK).unwrap_or(search.until);
        let is_then = at >= search.from && at <= latest;
        return Ok(if is_then {
            Verdict::Symptom
        } else {
            Verdict::Neither
        });
    }
    if at > search.until || at < search.from || is_first_look(event) || is_of_an_alert(search, event) {
        return Ok(Verdict::Neither);
    }
    if store::link::is_reaction(connection, event).await? || only_reads(connection, event).await? {
        return Ok(Verdict::Neither);
    }
    Ok(Verdict::Suspect)
}

/// A thing of the incident changed its state: that is what the alerts are about.
fn is_symptom(search: &Search<'_>, event: &Event) -> bool {
    let is_own = |id: &str| search.items.iter().any(|item| item == id);
    let text = |field: &str| event.data.get(field).and_then(Value::as_str).unwrap_or_default();
    match event.topic.as_str() {
        "service.changed" => is_own(text("item")) || is_own(&event.subject),
        "item.changed" => {
            STATES.contains(&text("attribute")) && !is_first_look(event) && is_own(&event.subject)
        }
        "item.retired" => is_own(&event.subject),
        _ => false,
    }
}

/// What was learnt when a thing was first looked at has not changed then: a boot, say, may be months old.
fn is_first_look(event: &Event) -> bool {
    event.topic == "item.changed" && event.data["before"].is_null()
}

/// What an alert asked for, what was done about this incident, and what only says what it would do.
fn is_of_an_alert(search: &Search<'_>, event: &Event) -> bool {
    let text = |field: &str| event.data.get(field).and_then(Value::as_str);
    text("source") == Some("alert")
        || text("alert_id").is_some()
        || text("incident_id") == Some(search.incident.id.as_str())
        || event.data.get("is_dry") == Some(&Value::Bool(true))
}

/// Is it a run of a runbook that changes nothing, or its change?
async fn only_reads(connection: &mut AnyConnection, event: &Event) -> Result<bool, DbError> {
    let run = match event.topic.as_str() {
        "run.started" | "run.finished" => match event.subject.parse() {
            Ok(id) => automation::store::run(connection, &id).await?,
            Err(_) => None,
        },
        "change.granted" => automation::store::run_of_change(connection, &event.subject).await?,
        _ => None,
    };
    Ok(run.is_some_and(|run| {
        run.is_dry || automation::parse_document(&run.text).is_ok_and(|document| document.is_read_only())
    }))
}
