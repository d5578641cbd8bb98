//! The log over HTTP: the timeline and audit list, one causal chain, and the live feed.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Event, store};
use crate::actor::Actor;
use crate::http::page::{Cursor, Page};
use crate::http::{Json, Path, Query};
use crate::slice::{Allow, Endpoint, roles};
use crate::{Kernel, Problem, Timestamp};

pub const PERMISSIONS: &[Endpoint] = &[
    Endpoint {
        method: "GET",
        path: "/api/v1/events",
        allow: Allow::Permission("events.read", roles::READ),
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/events/stream",
        allow: Allow::Permission("events.read", roles::READ),
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/events/{seq}/chain",
        allow: Allow::Permission("events.read", roles::READ),
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/parked-events",
        allow: Allow::Permission("parked_events.read", roles::ADMINISTER),
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/parked-events/{consumer}/{seq}/retry",
        allow: Allow::Permission("parked_events.write", roles::ADMINISTER),
    },
    Endpoint {
        method: "DELETE",
        path: "/api/v1/parked-events/{consumer}/{seq}",
        allow: Allow::Permission("parked_events.write", roles::ADMINISTER),
    },
];

pub fn routes(kernel: Kernel) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_events))
        .routes(routes!(stream_events))
        .routes(routes!(get_event_chain))
        .with_state(kernel.clone())
        .merge(super::parked_api::routes(kernel))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Topic or its beginning, for instance `incident.`.
    topic: Option<String>,
    /// Id of the thing that the events are about.
    subject: Option<String>,
    /// For instance `person:per_…`.
    actor: Option<String>,
    /// Not before.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// 1 to 500, 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The timeline, newest first
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(ListQuery),
    responses((status = 200, body = Page<Event>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_events(
    State(kernel): State<Kernel>,
    actor: Actor,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Event>>, Problem> {
    refuse_scoped(&actor)?;
    let cursor = Cursor::decode(query.cursor.as_deref())?;
    let before = cursor.map_or(Ok(i64::MAX), |c| c.first_i64())?;
    let limit = query.limit.unwrap_or(100).clamp(1, 500);
    let filter = store::Filter {
        topic_prefix: query.topic,
        subject: query.subject,
        actor: query.actor,
        from_us: query.from.map(Timestamp::as_microsecond),
        to_us: query.to.map(Timestamp::as_microsecond),
    };
    let mut reader = kernel.db.read().await?;
    let events = store::before(&mut reader, &filter, before, i64::from(limit) + 1).await?;
    Ok(Json(Page::cut(events, limit as usize, |event| {
        Cursor::of(&[&event.seq.to_string()])
    })))
}

/// What led to an event, and what followed from it
#[utoipa::path(get, path = "/api/v1/events/{seq}/chain", tag = "events", params(("seq" = i64, Path)),
    responses((status = 200, body = Vec<Event>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn get_event_chain(
    State(kernel): State<Kernel>,
    actor: Actor,
    Path(seq): Path<i64>,
) -> Result<Json<Vec<Event>>, Problem> {
    refuse_scoped(&actor)?;
    let mut reader = kernel.db.read().await?;
    let events = store::chain(&mut reader, seq, 1000).await?;
    if events.is_empty() {
        Err(Problem::not_found("event", &seq))
    } else {
        Ok(Json(events))
    }
}

/// The raw log shows everything, so a role that holds only somewhere cannot read it.
pub(super) fn refuse_scoped(actor: &Actor) -> Result<(), Problem> {
    if actor.is_scoped() {
        return Err(Problem::forbidden(
            "the event log covers everything; your roles hold only for some teams or tags",
        ));
    }
    Ok(())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StreamQuery {
    /// Start after this event; the newest when absent. A reconnecting browser sends `Last-Event-ID` instead.
    after: Option<i64>,
}

/// The live feed, as server-sent events whose id is the event's number
#[utoipa::path(get, path = "/api/v1/events/stream", tag = "events", params(StreamQuery),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn stream_events(
    State(kernel): State<Kernel>,
    actor: Actor,
    headers: axum::http::HeaderMap,
    Query(query): Query<StreamQuery>,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Problem> {
    refuse_scoped(&actor)?;
    let resumed = headers
        .get("last-event-id")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse().ok());
    let after = match resumed.or(query.after) {
        Some(seq) => seq,
        None => store::latest(&mut *kernel.db.read().await?).await?,
    };
    let feed = Feed {
        wake: kernel.db.watch_events(),
        kernel,
        after,
        ready: Vec::new(),
    };
    let stream = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        let sse = SseEvent::default()
            .id(event.seq.to_string())
            .event("event")
            .json_data(&event);
        Some((Ok(sse.unwrap_or_default()), feed))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

struct Feed {
    kernel: Kernel,
    wake: tokio::sync::watch::Receiver<i64>,
    after: i64,
    /// Read but not sent, newest first.
    ready: Vec<Event>,
}

impl Feed {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop() {
                self.after = event.seq;
                return Some(event);
            }
            if self.kernel.stop.is_cancelled() {
                return None;
            }
            let mut reader = self.kernel.db.read().await.ok()?;
            self.ready = store::after(&mut reader, self.after, 100).await.ok()?;
            drop(reader);
            self.ready.reverse();
            if self.ready.is_empty() {
                tokio::select! {
                    () = self.kernel.stop.cancelled() => return None,
                    _ = tokio::time::timeout(Duration::from_secs(2), self.wake.changed()) => {}
                }
            }
        }
    }
}
