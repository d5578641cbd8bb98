//! Incidents that may be one: what a person confirms or dismisses; and splitting alerts off.

use std::collections::BTreeSet;

use alerting::IfMatch;
use axum::extract::State as Handle;
use kernel::http::{Json, Path};
use kernel::{Actor, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::command::{Note, begin, words};
use super::sight;
use super::view::{IncidentView, view};
use crate::model::{Incident, Member, Severity, State};
use crate::work::Desk;
use crate::{Incidents, store};

const MAX_SPLIT: usize = 500;

/// Another incident that may be the same.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentCandidate {
    pub id: String,
    pub number: i64,
    pub title: String,
    pub state: State,
    pub severity: Severity,
    /// The kind of evidence: `dependency`, `same_host`, `same_item`, `same_service` or `host_gone`.
    pub kind: String,
    /// In a sentence.
    pub reason: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// The undecided candidates of an incident that the actor may see.
pub async fn candidates(
    connection: &mut AnyConnection,
    actor: &Actor,
    incident: &Incident,
) -> Result<Vec<IncidentCandidate>, Problem> {
    let mut shown = Vec::new();
    for found in store::candidate::of_incident(connection, incident.id.as_str()).await? {
        let other = found.counterpart(incident.id.as_str());
        let Some(other) = store::incident::get(connection, other).await? else {
            continue;
        };
        if sight::sees(connection, actor, &other).await? {
            shown.push(IncidentCandidate {
                id: other.id.as_str().to_owned(),
                number: other.number,
                title: other.title,
                state: other.state,
                severity: other.severity,
                kind: found.kind,
                reason: found.reason,
                at: found.at,
            });
        }
    }
    Ok(shown)
}

/// Confirm that two incidents are one: the newer one is merged into the older one
#[utoipa::path(post, path = "/api/v1/incidents/{id}/candidates/{other}/confirm", tag = "incidents",
    params(("id" = String, Path), ("other" = String, Path, description = "id of the other incident")),
    request_body = Note,
    responses((status = 200, description = "The incident that goes on", body = IncidentView),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn confirm_incident_candidate(
    Handle(incidents): Handle<Incidents>,
    actor: Actor,
    Path((id, other)): Path<(String, String)>,
    Json(given): Json<Note>,
) -> Result<Json<IncidentView>, Problem> {
    let note = words("note", given.note)?;
    let mut tx = incidents.kernel.db.write().await?;
    let mut desk = Desk::open(&mut tx, actor, &incidents).await?;
    let (first, second) = both(&mut desk, &id, &other).await?;
    if let Some(into) = merged_already(&first, &second) {
        return Ok(Json(view(&mut tx, into).await?));
    }
    let pair = (first.id.as_str(), second.id.as_str());
    let found = store::candidate::get(desk.tx, pair.0, pair.1).await?;
    let found = found.ok_or_else(|| Problem::not_found("candidate", &other))?;
    let (mut into, mut from) = if first.id.as_str() <= second.id.as_str() {
        (first, second)
    } else {
        (second, first)
    };
    if !into.state.is_open() {
        std::mem::swap(&mut into, &mut from);
    }
    if into.merged_into.is_some() || from.merged_into.is_some() || !into.state.is_open() {
        return Err(Problem::conflict(
            "one of the two is a part of another incident already, or neither is open",
        ));
    }
    let why = format!("{} confirmed it. {}", desk.actor.name, found.reason);
    desk.merge(&mut from, &mut into, &why, note).await?;
    desk.settle(&mut into).await?;
    let shown = view(&mut tx, into).await?;
    tx.commit().await?;
    Ok(Json(shown))
}

/// Dismiss that two incidents may be one: only a person merges them from then on
#[utoipa::path(post, path = "/api/v1/incidents/{id}/candidates/{other}/dismiss", tag = "incidents",
    params(("id" = String, Path), ("other" = String, Path, description = "id of the other incident")),
    request_body = Note,
    responses((status = 200, body = IncidentView),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn dismiss_incident_candidate(
    Handle(incidents): Handle<Incidents>,
    actor: Actor,
    Path((id, other)): Path<(String, String)>,
    Json(given): Json<Note>,
) -> Result<Json<IncidentView>, Problem> {
    let note = words("note", given.note)?;
    let mut tx = incidents.kernel.db.write().await?;
    let mut desk = Desk::open(&mut tx, actor, &incidents).await?;
    let (first, second) = both(&mut desk, &id, &other).await?;
    if !store::candidate::is_dismissed(desk.tx, first.id.as_str(), second.id.as_str()).await? {
        let found = store::candidate::get(desk.tx, first.id.as_str(), second.id.as_str()).await?;
        if found.is_none() {
            return Err(Problem::not_found("candidate", &other));
        }
        desk.dismiss(&first, &second, note).await?;
    }
    let shown = view(&mut tx, first).await?;
    tx.commit().await?;
    Ok(Json(shown))
}

/// Both incidents, when the actor may change both.
async fn both(desk: &mut Desk<'_>, id: &str, other: &str) -> Result<(Incident, Incident), Problem> {
    let actor = desk.actor.clone();
    let first = sight::find_to_change(desk.tx, &actor, id).await?;
    let second = sight::find_to_change(desk.tx, &actor, other).await?;
    Ok((first, second))
}

/// The one that goes on, when one of the two is a part of the other.
fn merged_already(first: &Incident, second: &Incident) -> Option<Incident> {
    let is_in = |a: &Incident, b: &Incident| a.merged_into.as_deref() == Some(b.id.as_str());
    match (is_in(first, second), is_in(second, first)) {
        (true, _) => Some(second.clone()),
        (_, true) => Some(first.clone()),
        _ => None,
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IncidentSplit)]
pub struct Split {
    /// Ids of the alerts that become an incident of their own; at least one stays.
    pub alerts: Vec<String>,
    pub note: Option<String>,
}

/// Split alerts off into an incident of their own
#[utoipa::path(post, path = "/api/v1/incidents/{id}/split", tag = "incidents",
    params(("id" = String, Path), ("if-match" = Option<String>, Header, description = "the version that you have seen")),
    request_body = Split,
    responses((status = 201, description = "The new incident", body = IncidentView),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn split_incident(
    Handle(incidents): Handle<Incidents>,
    actor: Actor,
    Path(id): Path<String>,
    seen: IfMatch,
    Json(given): Json<Split>,
) -> Result<(axum::http::StatusCode, Json<IncidentView>), Problem> {
    let note = words("note", given.note)?;
    let wanted: BTreeSet<String> = given.alerts.into_iter().collect();
    if wanted.is_empty() || wanted.len() > MAX_SPLIT {
        return Err(Problem::invalid_field(
            "alerts",
            format_args!("1 to {MAX_SPLIT} ids of alerts of the incident"),
        ));
    }
    let mut tx = incidents.kernel.db.write().await?;
    let mut desk = Desk::open(&mut tx, actor, &incidents).await?;
    let mut from = begin(&mut desk, &id, &seen).await?;
    if !from.state.is_open() {
        return Err(Problem::conflict("the incident is not open; reopen it first"));
    }
    let mut alerts: Vec<Member> = Vec::with_capacity(wanted.len());
    for alert in &wanted {
        let member = match alert.contains('\0') {
            true => None,
            false => store::member::get(desk.tx, alert).await?,
        };
        let member = member.filter(|member| member.incident == from.id.as_str());
        let missing = || Problem::invalid_field("alerts", format_args!("{alert} is not in this incident"));
        alerts.push(member.ok_or_else(missing)?);
    }
    let (all, _) = store::member::count(desk.tx, from.id.as_str()).await?;
    if all <= alerts.len() as i64 && !from.is_declared {
        return Err(Problem::invalid_field(
            "alerts",
            "at least one alert must stay in the incident",
        ));
    }
    let made = desk.split(&mut from, alerts, note).await?;
    let shown = view(&mut tx, made).await?;
    tx.commit().await?;
    Ok((axum::http::StatusCode::CREATED, Json(shown)))
}
