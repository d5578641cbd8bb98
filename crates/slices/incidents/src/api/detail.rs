//! One incident with its evidence: alerts and why they are here, who feels it, what changed before, what may mend it.

use std::collections::HashMap;

use alerting::AlertView;
use axum::extract::State as Handle;
use inventory::RelationKind;
use kernel::http::{Json, Path};
use kernel::{Actor, DbError, Problem, Timestamp};
use serde::Serialize;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::related::{IncidentCandidate, candidates};
use super::sight;
use super::view::{IncidentView, view};
use crate::model::{Hop, Incident, Member, Role};
use crate::suspect::{self, Suspect};
use crate::{Incidents, store};

const MAX_ALERTS: i64 = 200;
const MAX_IMPACT: usize = 100;

/// An alert, and why it is in the incident.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentAlert {
    #[serde(flatten)]
    pub alert: AlertView,
    pub role: Role,
    /// In a sentence.
    pub reason: String,
    /// From the symptom to the cause.
    pub path: Vec<Hop>,
}

/// Something that suffers with the incident's item.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IncidentImpact)]
pub struct Impact {
    pub id: String,
    pub name: String,
    pub kind: String,
    /// Number of relations between it and the item.
    pub distance: usize,
    /// The last of them, in words.
    pub via: String,
}

/// A runbook that may help.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct IncidentRunbook {
    pub id: String,
    pub name: String,
    pub description: String,
    /// What attaches it: an alert's rule, or the runbook's own trigger.
    pub attached_by: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentDetail {
    #[serde(flatten)]
    pub incident: IncidentView,
    /// The root first, then what fires; at most 200.
    pub alerts: Vec<IncidentAlert>,
    /// What suffers with it, nearest first; at most 100.
    pub impact: Vec<Impact>,
    /// What changed before it began, likeliest first. Empty: no change was found from `suspects_from` on.
    pub suspects: Vec<Suspect>,
    /// What failed, and is no cause of itself; oldest first.
    pub symptoms: Vec<Suspect>,
    /// Changes were sought from then until the incident began, or began again.
    #[schema(value_type = String, format = DateTime)]
    pub suspects_from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub suspects_until: Timestamp,
    pub runbooks: Vec<IncidentRunbook>,
    /// Open incidents that may be the same; a person decides.
    pub candidates: Vec<IncidentCandidate>,
    /// Incidents that were merged into this one.
    pub merged: Vec<MergedIncident>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MergedIncident {
    pub id: String,
    pub number: i64,
    pub title: String,
}

/// One incident with its evidence
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "incidents", params(("id" = String, Path)),
    responses((status = 200, body = IncidentDetail), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_incident(
    Handle(incidents): Handle<Incidents>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<IncidentDetail>, Problem> {
    let mut reader = incidents.kernel.db.read().await?;
    let incident = sight::find(&mut reader, &actor, &id).await?;
    let terrain = incidents.map.terrain(&mut reader).await?;
    let members = store::member::of_incident(&mut reader, &id, MAX_ALERTS).await?;
    let alerts = alerts(&mut reader, members).await?;
    let merged = store::incident::merged_into(&mut reader, &id).await?;
    let found = suspect::find(&incidents, &mut reader, &actor, &incident, &terrain).await?;
    Ok(Json(IncidentDetail {
        suspects: found.suspects,
        symptoms: found.symptoms,
        suspects_from: found.from,
        suspects_until: found.until,
        impact: impact(&mut reader, &actor, &incident).await?,
        runbooks: runbooks(&mut reader, &alerts).await?,
        candidates: candidates(&mut reader, &actor, &incident).await?,
        alerts,
        merged: merged
            .into_iter()
            .map(|other| MergedIncident {
                id: other.id.as_str().to_owned(),
                number: other.number,
                title: other.title,
            })
            .collect(),
        incident: view(&mut reader, incident).await?,
    }))
}

/// The runbooks that may help with an incident
#[utoipa::path(get, path = "/api/v1/incidents/{id}/runbooks", tag = "incidents", params(("id" = String, Path)),
    responses((status = 200, body = Vec<IncidentRunbook>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_incident_runbooks(
    Handle(incidents): Handle<Incidents>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<Vec<IncidentRunbook>>, Problem> {
    let mut reader = incidents.kernel.db.read().await?;
    sight::find(&mut reader, &actor, &id).await?;
    let members = store::member::of_incident(&mut reader, &id, MAX_ALERTS).await?;
    let alerts = alerts(&mut reader, members).await?;
    Ok(Json(runbooks(&mut reader, &alerts).await?))
}

async fn alerts(connection: &mut AnyConnection, members: Vec<Member>) -> Result<Vec<IncidentAlert>, DbError> {
    let ids: Vec<&str> = members.iter().map(|member| member.alert.as_str()).collect();
    let mut known = alerting::store::alert::by_ids(connection, &ids).await?;
    Ok(members
        .into_iter()
        .filter_map(|member| {
            Some(IncidentAlert {
                alert: known.remove(&member.alert)?.into(),
                role: member.role,
                reason: member.reason,
                path: member.path,
            })
        })
        .collect())
}

async fn impact(
    connection: &mut AnyConnection,
    actor: &Actor,
    incident: &Incident,
) -> Result<Vec<Impact>, DbError> {
    let Some(root) = incident.item.as_deref().and_then(|id| id.parse().ok()) else {
        return Ok(Vec::new());
    };
    let affected = inventory::walk::impact(connection, &root).await?;
    let mut names: HashMap<String, String> = affected
        .iter()
        .map(|a| (a.item.id.as_str().to_owned(), a.item.name.clone()))
        .collect();
    if let Some(item) = inventory::store::item(connection, &root).await? {
        names.insert(root.as_str().to_owned(), item.name);
    }
    let name = |id: &inventory::ItemId| names.get(id.as_str()).cloned().unwrap_or_default();
    Ok(affected
        .into_iter()
        .filter(|a| actor.sees(a.item.team.as_deref(), &a.item.tags))
        .take(MAX_IMPACT)
        .map(|affected| Impact {
            via: affected.path.last().map_or_else(String::new, |step| {
                let verb = match step.kind {
                    RelationKind::RunsOn => "runs on",
                    RelationKind::DependsOn => "needs",
                    RelationKind::ConnectsTo => "talks to",
                    RelationKind::PartOf => "is part of",
                };
                format!("{} {verb} {}", name(&step.from), name(&step.to))
            }),
            id: affected.item.id.as_str().to_owned(),
            name: affected.item.name,
            kind: affected.item.kind,
            distance: affected.distance,
        })
        .collect())
}

/// Those that the rules of the alerts name, then those whose triggers match them.
async fn runbooks(
    connection: &mut AnyConnection,
    alerts: &[IncidentAlert],
) -> Result<Vec<IncidentRunbook>, DbError> {
    let known: Vec<(automation::Runbook, Option<automation::Document>)> =
        automation::store::enabled(connection)
            .await?
            .into_iter()
            .map(|runbook| {
                let document = automation::parse_document(&runbook.text).ok();
                (runbook, document)
            })
            .collect();
    let mut found: Vec<IncidentRunbook> = Vec::new();
    let mut add = |runbook: IncidentRunbook| {
        if !found.iter().any(|other| other.id == runbook.id) {
            found.push(runbook);
        }
    };
    for alert in alerts.iter().map(|member| &member.alert) {
        let Some(named) = alert.annotations.get("runbook").filter(|text| !text.is_empty()) else {
            continue;
        };
        let attached_by = format!("the rule of {}", alert.name);
        let is_it = |r: &automation::Runbook| r.name == *named || r.id.as_str() == named;
        match known.iter().find(|(runbook, _)| is_it(runbook)) {
            Some((runbook, document)) => add(shown(runbook, document.as_ref(), attached_by)),
            // A name or an address that automation does not know is still worth showing.
            None => add(IncidentRunbook {
                id: named.clone(),
                name: named.clone(),
                description: String::new(),
                attached_by,
            }),
        }
    }
    for (runbook, document) in &known {
        let mut triggers = document.iter().flat_map(|document| &document.alerts);
        let alert = triggers.find_map(|trigger| {
            alerts
                .iter()
                .find(|member| triggers_on(&trigger.alert, &trigger.labels, &member.alert))
        });
        if let Some(member) = alert {
            let attached_by = format!("its trigger on {}", member.alert.name);
            add(shown(runbook, document.as_ref(), attached_by));
        }
    }
    Ok(found)
}

/// Does a trigger on this alert name (`*` at the end: any ending) with these labels match?
fn triggers_on(wanted: &str, labels: &alerting::Labels, alert: &AlertView) -> bool {
    let is_named = match wanted.strip_suffix('*') {
        Some(head) => alert.name.starts_with(head),
        None => alert.name == wanted,
    };
    is_named
        && labels
            .iter()
            .all(|(name, value)| alert.labels.get(name) == Some(value))
}

fn shown(
    runbook: &automation::Runbook,
    document: Option<&automation::Document>,
    attached_by: String,
) -> IncidentRunbook {
    IncidentRunbook {
        id: runbook.id.as_str().to_owned(),
        name: runbook.name.clone(),
        description: document.map(|d| d.description.clone()).unwrap_or_default(),
        attached_by,
    }
}
