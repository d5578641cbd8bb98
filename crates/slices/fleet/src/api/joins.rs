//! Joins that wait for an approval: who they are, and the decision.

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::page::{Cursor, Page, PageQuery};
use kernel::http::{Json, Path, Query};
use kernel::{Actor, NewEvent, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::{IntoParams, ToSchema};

use super::{agents::refuse_unless_writable, visible_item};
use crate::events::JoinRequestEvent;
use crate::model::{JoinRequest, RequestState};
use crate::{Fleet, store};

/// A machine that shows the identity of a known host and would take it over.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JoinRequest)]
pub struct RequestView {
    pub id: String,
    pub state: RequestState,
    /// `live`: the host's agent is connected; `foreign`: the token does not cover the host's team and tags.
    pub reason: String,
    /// The host that would be taken over.
    pub item_id: String,
    /// Its name.
    pub name: String,
    /// The name that the joining machine gives itself.
    pub hostname: String,
    /// Where it last came from.
    pub address: String,
    pub version: String,
    /// Id of the token that it came with.
    pub join_token: String,
    pub attempts: i64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it last tried.
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
    /// `person:per_…`
    pub decided_by: Option<String>,
}

fn view(request: JoinRequest, name: String) -> RequestView {
    RequestView {
        id: request.id.to_string(),
        state: request.state,
        reason: request.reason,
        item_id: request.item.to_string(),
        name,
        hostname: request.hostname,
        address: request.address,
        version: request.version,
        join_token: request.token.to_string(),
        attempts: request.attempts,
        created_at: request.created_at,
        seen_at: request.seen_at,
        decided_at: request.decided_at,
        decided_by: request.decided_by,
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RequestQuery {
    /// Only those in this state; `pending` when absent.
    state: Option<RequestState>,
    /// 1 to 500, 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Joins that wait for an approval, newest first
#[utoipa::path(get, path = "/api/v1/join-requests", tag = "fleet", params(RequestQuery),
    responses((status = 200, body = Page<RequestView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_join_requests(
    State(fleet): State<Fleet>,
    actor: Actor,
    Query(query): Query<RequestQuery>,
) -> Result<Json<Page<RequestView>>, Problem> {
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let cursor = page.cursor()?;
    let mut before = cursor.as_ref().map_or(Ok(""), |c| c.part(0))?.to_owned();
    let state = query.state.unwrap_or(RequestState::Pending).as_str();
    let limit = usize::try_from(page.limit()).unwrap_or(100);
    let mut reader = fleet.kernel().db.read().await?;
    let mut views = Vec::new();
    while views.len() <= limit {
        let chunk = store::join_requests(&mut reader, state, &before, 500).await?;
        let Some(last) = chunk.last() else { break };
        before = last.id.to_string();
        let is_end = chunk.len() < 500;
        for request in chunk {
            if let Some(item) = visible_item(&mut reader, &actor, &request.item).await? {
                views.push(view(request, item.name));
            }
        }
        if is_end {
            break;
        }
    }
    views.truncate(limit + 1);
    Ok(Json(Page::cut(views, limit, |request: &RequestView| {
        Cursor::of(&[&request.id])
    })))
}

async fn visible(
    conn: &mut AnyConnection,
    actor: &Actor,
    id: &str,
) -> Result<(JoinRequest, inventory::Item), Problem> {
    let not_found = || Problem::not_found("join request", &id);
    let request_id = id.parse().map_err(|_| not_found())?;
    let request = store::join_request(conn, &request_id)
        .await?
        .ok_or_else(not_found)?;
    let item = visible_item(conn, actor, &request.item)
        .await?
        .ok_or_else(not_found)?;
    Ok((request, item))
}

/// Lets a machine take over the host whose identity it shows: the next join with the same token, name and keys, within a day
#[utoipa::path(post, path = "/api/v1/join-requests/{id}/approve", tag = "fleet", params(("id" = String, Path)),
    responses((status = 200, body = RequestView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn approve_join_request(
    State(fleet): State<Fleet>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<RequestView>), Problem> {
    decide(
        &fleet,
        &actor,
        &id,
        RequestState::Approved,
        "join_request.approved",
    )
    .await
}

/// Refuses a machine the host whose identity it shows, for this token for good
#[utoipa::path(post, path = "/api/v1/join-requests/{id}/deny", tag = "fleet", params(("id" = String, Path)),
    responses((status = 200, body = RequestView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn deny_join_request(
    State(fleet): State<Fleet>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<RequestView>), Problem> {
    decide(&fleet, &actor, &id, RequestState::Denied, "join_request.denied").await
}

/// Only who may revoke the host's agent may decide who takes its place.
async fn decide(
    fleet: &Fleet,
    actor: &Actor,
    id: &str,
    state: RequestState,
    topic: &'static str,
) -> Result<(StatusCode, Json<RequestView>), Problem> {
    let mut tx = fleet.kernel().db.write().await?;
    let (mut request, item) = visible(&mut tx, actor, id).await?;
    refuse_unless_writable(actor, &item)?;
    if matches!(request.state, RequestState::Used) || request.state == state {
        return Err(Problem::conflict("this join was decided already"));
    }
    request.state = state;
    request.decided_at = Some(tx.now());
    request.decided_by = Some(actor.key());
    store::save_request(&mut tx, &request).await?;
    let data = JoinRequestEvent::of(&request, &item.name);
    tx.append(actor, NewEvent::new(topic, &request.id, &data)).await?;
    tx.commit().await?;
    Ok((StatusCode::OK, Json(view(request, item.name))))
}
