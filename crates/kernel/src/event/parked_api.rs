//! Parked events over HTTP: the list, trying again, dismissing. For administrators whose role holds everywhere.

use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::refuse_scoped;
use super::parked::{self, ParkedEvent};
use crate::http::page::{Cursor, Page, PageQuery};
use crate::http::{Json, Path, Query};
use crate::{Actor, Kernel, Problem};

pub fn routes(kernel: Kernel) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_parked_events))
        .routes(routes!(retry_parked_event))
        .routes(routes!(dismiss_parked_event))
        .with_state(kernel)
}

/// Events that a part of the program could not take, newest first
#[utoipa::path(get, path = "/api/v1/parked-events", tag = "events", params(PageQuery),
    responses((status = 200, body = Page<ParkedEvent>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_parked_events(
    State(kernel): State<Kernel>,
    actor: Actor,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ParkedEvent>>, Problem> {
    refuse_scoped(&actor)?;
    let before = match query.cursor()? {
        Some(cursor) => (cursor.i64(0)?, cursor.i64(1)?),
        None => (i64::MAX, i64::MAX),
    };
    let limit = query.limit();
    let mut reader = kernel.db.read().await?;
    let rows = parked::list(&mut reader, before, limit + 1).await?;
    Ok(Json(Page::cut(
        rows,
        usize::try_from(limit).unwrap_or(100),
        |row| Cursor::of(&[&row.parked_at.as_microsecond().to_string(), &row.seq.to_string()]),
    )))
}

/// Try a parked event again
///
/// The consumer takes it in its turn; the event leaves the list when it was taken.
#[utoipa::path(post, path = "/api/v1/parked-events/{consumer}/{seq}/retry", tag = "events",
    params(("consumer" = String, Path), ("seq" = i64, Path)),
    responses((status = 202), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn retry_parked_event(
    State(kernel): State<Kernel>,
    actor: Actor,
    Path((consumer, seq)): Path<(String, i64)>,
) -> Result<StatusCode, Problem> {
    refuse_scoped(&actor)?;
    let mut tx = kernel.db.write().await?;
    if !parked::ask(&mut tx, &actor, &consumer, seq).await? {
        return Err(missing(&consumer, seq));
    }
    tx.commit().await?;
    Ok(StatusCode::ACCEPTED)
}

/// Dismiss a parked event
///
/// Nothing follows from it any more.
#[utoipa::path(delete, path = "/api/v1/parked-events/{consumer}/{seq}", tag = "events",
    params(("consumer" = String, Path), ("seq" = i64, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn dismiss_parked_event(
    State(kernel): State<Kernel>,
    actor: Actor,
    Path((consumer, seq)): Path<(String, i64)>,
) -> Result<StatusCode, Problem> {
    refuse_scoped(&actor)?;
    let mut tx = kernel.db.write().await?;
    if !parked::dismiss(&mut tx, &actor, &consumer, seq).await? {
        return Err(missing(&consumer, seq));
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn missing(consumer: &str, seq: i64) -> Problem {
    Problem::not_found("parked event", &format_args!("{consumer}/{seq}"))
}
