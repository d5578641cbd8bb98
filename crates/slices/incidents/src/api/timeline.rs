//! The story of an incident: every event that belongs to it, in one order.

use axum::extract::State as Handle;
use kernel::http::page::{Cursor, Page};
use kernel::http::{Json, Path, Query};
use kernel::{Actor, Event, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::sight;
use crate::{Incidents, store};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimelineQuery {
    /// `asc` (oldest first) or `desc`; `asc` when absent.
    order: Option<String>,
    /// 1 to 500, 200 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// An event of the story, with what it says in a sentence.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoryEvent {
    pub seq: i64,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub topic: String,
    pub subject: String,
    pub actor: String,
    pub actor_name: String,
    /// The event that led to it.
    pub cause: Option<i64>,
    #[schema(value_type = Object)]
    pub data: Value,
    pub text: String,
    /// `critical`, `warning`, `ok` or `info`.
    pub status: String,
}

/// The story of an incident, with the whole chain of causes
#[utoipa::path(get, path = "/api/v1/incidents/{id}/timeline", tag = "incidents", params(("id" = String, Path), TimelineQuery),
    responses((status = 200, body = Page<StoryEvent>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_incident_timeline(
    Handle(incidents): Handle<Incidents>,
    actor: Actor,
    Path(id): Path<String>,
    Query(query): Query<TimelineQuery>,
) -> Result<Json<Page<StoryEvent>>, Problem> {
    let is_newest_first = match query.order.as_deref() {
        None | Some("" | "asc") => false,
        Some("desc") => true,
        Some(_) => return Err(Problem::invalid_field("order", "asc or desc")),
    };
    let start = if is_newest_first { i64::MAX } else { 0 };
    let edge = Cursor::decode(query.cursor.as_deref())?.map_or(Ok(start), |c| c.first_i64())?;
    let limit = query.limit.unwrap_or(200).clamp(1, 500) as usize;
    let mut reader = incidents.kernel.db.read().await?;
    sight::find(&mut reader, &actor, &id).await?;
    let events = store::link::story(&mut reader, &id, is_newest_first, edge, limit as i64 + 1).await?;
    let page = Page::cut(events, limit, |event| Cursor::of(&[&event.seq.to_string()]));
    Ok(Json(Page {
        items: page.items.into_iter().map(told).collect(),
        next: page.next,
    }))
}

fn told(event: Event) -> StoryEvent {
    StoryEvent {
        text: sentence(&event),
        status: status(&event).to_owned(),
        seq: event.seq,
        at: event.at,
        topic: event.topic,
        subject: event.subject,
        actor: event.actor,
        actor_name: event.actor_name,
        cause: event.cause,
        data: event.data,
    }
}

fn sentence(event: &Event) -> String {
    let text = |field: &str| event.data.get(field).and_then(Value::as_str).unwrap_or_default();
    let summary = || {
        let summary = event
            .data
            .get("annotations")
            .and_then(|a| a.get("summary"))
            .and_then(Value::as_str);
        summary.unwrap_or_else(|| text("name")).to_owned()
    };
    let with_note = |head: String, note: &str| {
        if note.is_empty() {
            head
        } else {
            format!("{head}: {note}")
        }
    };
    match event.topic.as_str() {
        "incident.commented" => format!("{}: {}", event.actor_name, text("note")),
        topic if topic.starts_with("incident.") => text("text").to_owned(),
        "alert.fired" => format!("{} fired: {}", text("name"), summary()),
        "alert.resolved" => format!("{} ended: {}", text("name"), summary()),
        "alert.silenced" => format!("{} was silenced", text("name")),
        "alert.suppressed" => format!("{} is expected: its item is in maintenance", text("name")),
        "alert.unmuted" => format!("{} is no longer muted", text("name")),
        "agent.lost" => format!("{} stopped reporting", text("name")),
        "agent.returned" => format!("{} answers again", text("name")),
        "message.queued" => format!("Message to {} queued", text("channel_name")),
        "message.sent" => format!("Told {}", text("channel_name")),
        "message.failed" => with_note(
            format!("{} could not be told", text("channel_name")),
            text("error"),
        ),
        "run.started" => format!("Run of {} began", text("runbook")),
        "run.finished" => with_note(
            format!("Run of {} ended: {}", text("runbook"), text("state")),
            text("note"),
        ),
        "run.waiting" => with_note(format!("Run of {} waits", text("runbook")), text("note")),
        "service.changed" => with_note(
            format!("{} became {}", text("name"), text("state")),
            text("reason"),
        ),
        topic if topic.starts_with("change.") => with_note(topic.replace('.', " "), text("title")),
        topic => topic.replace(['.', '_'], " "),
    }
}

fn status(event: &Event) -> &'static str {
    match event.topic.as_str() {
        "alert.fired" | "alert.unmuted" => match event.data.get("severity").and_then(Value::as_str) {
            Some("critical") => "critical",
            Some("info") => "info",
            _ => "warning",
        },
        "incident.opened" | "incident.reopened" => match event.data.get("severity").and_then(Value::as_str) {
            Some("sev1" | "sev2") => "critical",
            Some("sev4") => "info",
            _ => "warning",
        },
        "agent.lost" => "critical",
        "message.failed" | "incident.reminded" => "warning",
        "alert.resolved" | "incident.resolved" | "agent.returned" => "ok",
        "run.finished" => match event.data.get("state").and_then(Value::as_str) {
            Some("succeeded" | "ok") => "ok",
            _ => "warning",
        },
        _ => "info",
    }
}
