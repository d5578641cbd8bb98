//! An incident as clients see it.

use kernel::{DbError, Timestamp};
use serde::Serialize;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use crate::model::{Incident, Severity, State};
use crate::{place, store};

/// Items that a list shows of an incident.
const LISTED_ITEMS: i64 = 5;

/// Somebody, or a part of the program.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Who {
    pub id: String,
    pub name: String,
}

/// An inventory item.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ItemRef {
    pub id: String,
    pub name: String,
    pub kind: String,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IncidentView {
    pub id: String,
    /// For people to say.
    pub number: i64,
    pub title: String,
    pub summary: String,
    pub state: State,
    pub severity: Severity,
    pub team: Option<String>,
    /// The person who leads the response.
    pub lead: Option<Who>,
    /// What its alerts are about, the root first; at most five.
    pub items: Vec<ItemRef>,
    /// All alerts that are or were in it.
    pub alert_count: i64,
    /// Those that still fire.
    pub firing_count: i64,
    /// A person has declared it.
    pub is_declared: bool,
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Timestamp,
    /// When it was last opened again: what is wrong now began then.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub reopened_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub acknowledged_at: Option<Timestamp>,
    pub acknowledged_by: Option<Who>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub mitigated_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resolved_at: Option<Timestamp>,
    pub resolved_by: Option<Who>,
    pub resolution: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub closed_at: Option<Timestamp>,
    /// How often it was opened again.
    pub reopened: i64,
    /// The incident that it is a part of now.
    pub merged_into: Option<String>,
    /// Counts the changes; send it as `If-Match`.
    pub version: i64,
}

fn who(id: &Option<String>, name: &Option<String>) -> Option<Who> {
    let id = id.clone()?;
    let name = name.clone().unwrap_or_else(|| id.clone());
    Some(Who { id, name })
}

pub async fn view(connection: &mut AnyConnection, incident: Incident) -> Result<IncidentView, DbError> {
    let (alert_count, firing_count) = store::member::count(connection, incident.id.as_str()).await?;
    let mut ids: Vec<String> = incident.item.clone().into_iter().collect();
    for item in store::member::items(connection, incident.id.as_str(), LISTED_ITEMS + 1).await? {
        if !ids.contains(&item) {
            ids.push(item);
        }
    }
    let mut items = Vec::new();
    for id in ids.into_iter().take(LISTED_ITEMS as usize) {
        if let Some(item) = place::item(connection, &id).await? {
            items.push(ItemRef {
                id,
                name: item.name,
                kind: item.kind,
            });
        }
    }
    Ok(IncidentView {
        id: incident.id.as_str().to_owned(),
        number: incident.number,
        summary: incident.summary,
        state: incident.state,
        severity: incident.severity,
        team: incident.team,
        lead: who(&incident.lead, &incident.lead_name),
        items,
        alert_count,
        firing_count,
        is_declared: incident.is_declared,
        opened_at: incident.opened_at,
        reopened_at: incident.reopened_at,
        acknowledged_at: incident.acknowledged_at,
        acknowledged_by: who(&incident.acknowledged_by, &incident.acknowledged_by_name),
        mitigated_at: incident.mitigated_at,
        resolved_at: incident.resolved_at,
        resolved_by: who(&incident.resolved_by, &incident.resolved_by_name),
        resolution: incident.resolution,
        closed_at: incident.closed_at,
        reopened: incident.reopened,
        merged_into: incident.merged_into,
        version: incident.version,
        title: incident.title,
    })
}
