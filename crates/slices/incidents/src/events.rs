//! What incidents say on the timeline. Topics and payloads are a contract.

use kernel::{Actor, DbError, NewEvent, Tx};
use serde::{Deserialize, Serialize};

use crate::model::{Hop, Incident, Severity, State};
use crate::store;

pub const OPENED: &str = "incident.opened";
/// An alert has joined.
pub const GREW: &str = "incident.grew";
pub const RETITLED: &str = "incident.retitled";
pub const SEVERITY_CHANGED: &str = "incident.severity_changed";
pub const ACKNOWLEDGED: &str = "incident.acknowledged";
pub const MITIGATED: &str = "incident.mitigated";
pub const ASSIGNED: &str = "incident.assigned";
pub const COMMENTED: &str = "incident.commented";
pub const MERGED: &str = "incident.merged";
/// Another incident may be the same; a person decides.
pub const CANDIDATE_FOUND: &str = "incident.candidate_found";
/// A person has decided that the two are not one.
pub const CANDIDATE_DISMISSED: &str = "incident.candidate_dismissed";
/// Alerts have become an incident of their own.
pub const SPLIT: &str = "incident.split";
pub const RESOLVED: &str = "incident.resolved";
pub const REOPENED: &str = "incident.reopened";
pub const CLOSED: &str = "incident.closed";
pub const REMINDED: &str = "incident.reminded";

/// What every `incident.*` event carries: the incident as it is after it, and what has happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IncidentData {
    pub incident_id: String,
    pub number: i64,
    pub title: String,
    pub state: State,
    pub severity: Severity,
    pub item_id: Option<String>,
    pub team: Option<String>,
    pub lead: Option<String>,
    /// What happened, in a sentence.
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<AlertPart>,
    /// Before a change of title, severity or lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The other incident of a merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// Words of the person who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The alert that an event is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AlertPart {
    pub alert_id: String,
    pub name: String,
    pub reason: String,
    #[serde(default)]
    pub path: Vec<Hop>,
}

impl IncidentData {
    pub fn of(incident: &Incident, text: impl Into<String>) -> Self {
        Self {
            incident_id: incident.id.as_str().to_owned(),
            number: incident.number,
            title: incident.title.clone(),
            state: incident.state,
            severity: incident.severity,
            item_id: incident.item.clone(),
            team: incident.team.clone(),
            lead: incident.lead.clone(),
            text: text.into(),
            alert: None,
            before: None,
            other: None,
            note: None,
        }
    }
}

/// Appends an event and makes it a part of the incident's story.
pub async fn say(
    tx: &mut Tx,
    actor: &Actor,
    topic: &'static str,
    data: &IncidentData,
) -> Result<i64, DbError> {
    let seq = tx
        .append(actor, NewEvent::new(topic, &data.incident_id, data))
        .await?;
    store::link::add(tx, &data.incident_id, seq).await?;
    Ok(seq)
}
