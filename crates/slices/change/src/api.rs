//! Changes over HTTP: the list, one change, and the decision on it.

use axum::extract::State;
use kernel::http::page::{Cursor, Page};
use kernel::http::{Json, Path, Query};
use kernel::slice::roles;
use kernel::{Actor, Allow, Endpoint, Kernel, NewEvent, Problem};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::{Change, ChangeId, ChangeState, Risk};
use crate::{decide, rights, store};

const READ: Allow = Allow::Permission("changes.read", roles::READ);
const APPROVE: Allow = Allow::Permission("changes.approve", roles::MANAGE);
const PLAN: Allow = Allow::Permission("freezes.write", roles::MANAGE);

pub(crate) const PERMISSIONS: &[Endpoint] = &[
    Endpoint {
        method: "GET",
        path: "/api/v1/changes",
        allow: READ,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/changes/{id}",
        allow: READ,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/changes/{id}/approve",
        allow: APPROVE,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/changes/{id}/reject",
        allow: APPROVE,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/freezes",
        allow: READ,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/freezes",
        allow: PLAN,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/freezes/{id}/end",
        allow: PLAN,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/change-windows",
        allow: READ,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/change-windows",
        allow: PLAN,
    },
    Endpoint {
        method: "DELETE",
        path: "/api/v1/change-windows/{id}",
        allow: PLAN,
    },
];

pub(crate) fn routes(kernel: Kernel) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_changes))
        .routes(routes!(get_change))
        .routes(routes!(approve_change))
        .routes(routes!(reject_change))
        .with_state(kernel)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only changes in this state.
    state: Option<ChangeState>,
    /// 1 to 500, 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Changes, newest first
#[utoipa::path(get, path = "/api/v1/changes", tag = "change", params(ListQuery),
    responses((status = 200, body = Page<Change>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_changes(
    State(kernel): State<Kernel>,
    actor: Actor,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Change>>, Problem> {
    let before = match Cursor::decode(query.cursor.as_deref())? {
        Some(cursor) => (cursor.i64(0)?, cursor.part(1)?.to_owned()),
        None => (i64::MAX, String::new()),
    };
    let limit = query.limit.unwrap_or(100).clamp(1, 500);
    let state = query.state.map_or("", ChangeState::as_str);
    let mut reader = kernel.db.read().await?;
    let rows = store::list(&mut reader, state, before, i64::from(limit) + 1).await?;
    let mut page = Page::cut(rows, limit as usize, |change| {
        Cursor::of(&[
            &change.requested_at.as_microsecond().to_string(),
            change.id.as_str(),
        ])
    });
    page.items.retain(|change| rights::sees(&actor, change));
    page.items = page
        .items
        .into_iter()
        .map(|change| rights::visible_part(&actor, change))
        .collect();
    Ok(Json(page))
}

/// One change
#[utoipa::path(get, path = "/api/v1/changes/{id}", tag = "change", params(("id" = String, Path)),
    responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn get_change(
    State(kernel): State<Kernel>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<Change>, Problem> {
    let mut reader = kernel.db.read().await?;
    let change = visible(&mut reader, &actor, &id).await?;
    Ok(Json(rights::visible_part(&actor, change)))
}

async fn visible(connection: &mut sqlx::AnyConnection, actor: &Actor, id: &str) -> Result<Change, Problem> {
    let parsed: ChangeId = id.parse().map_err(|_| Problem::not_found("change", &id))?;
    let change = store::get(connection, &parsed).await?;
    change
        .filter(|change| rights::sees(actor, change))
        .ok_or_else(|| Problem::not_found("change", &id))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Verdict {
    /// Version of the change that was read.
    version: i64,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 2000)]
    note: String,
}

/// Approve a change: its plan, as it is
#[utoipa::path(post, path = "/api/v1/changes/{id}/approve", tag = "change", params(("id" = String, Path)), request_body = Verdict,
    responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn approve_change(
    State(kernel): State<Kernel>,
    actor: Actor,
    Path(id): Path<String>,
    Json(verdict): Json<Verdict>,
) -> Result<Json<Change>, Problem> {
    decide_on(&kernel, &actor, &id, &verdict, true).await
}

/// Reject a change
#[utoipa::path(post, path = "/api/v1/changes/{id}/reject", tag = "change", params(("id" = String, Path)), request_body = Verdict,
    responses((status = 200, body = Change), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn reject_change(
    State(kernel): State<Kernel>,
    actor: Actor,
    Path(id): Path<String>,
    Json(verdict): Json<Verdict>,
) -> Result<Json<Change>, Problem> {
    decide_on(&kernel, &actor, &id, &verdict, false).await
}

async fn decide_on(
    kernel: &Kernel,
    actor: &Actor,
    id: &str,
    verdict: &Verdict,
    is_approval: bool,
) -> Result<Json<Change>, Problem> {
    if verdict.note.chars().count() > 2000 || verdict.note.contains('\0') {
        return Err(Problem::invalid_field(
            "note",
            "at most 2000 characters, without NUL",
        ));
    }
    let mut tx = kernel.db.write().await?;
    let seen = visible(&mut tx, actor, id).await?;
    let change = store::hold(&mut tx, &seen.id).await?.unwrap_or(seen);
    if change.version != verdict.version {
        return Err(Problem::stale(format_args!(
            "the change is at version {}, you read {}",
            change.version, verdict.version
        )));
    }
    rights::may_decide(actor, &change)?;
    decide::is_open(&change, tx.now()).map_err(Problem::conflict)?;
    if is_approval && change.risk == Risk::High {
        rights::second_person(&mut tx, &change.requested_by, actor)
            .await?
            .map_err(|reason| Problem::conflict(format_args!("a change of high risk: {reason}")))?;
    }
    let (state, topic) = if is_approval {
        (ChangeState::Approved, "change.approved")
    } else {
        (ChangeState::Rejected, "change.rejected")
    };
    let change = Change {
        state,
        decided_by: Some(actor.key()),
        decided_by_name: Some(actor.name.clone()),
        decided_at: Some(tx.now()),
        decision_note: Some(verdict.note.clone()).filter(|note| !note.is_empty()),
        ..change
    };
    store::update(&mut tx, &change).await?;
    let change = Change {
        version: change.version + 1,
        ..change
    };
    tx.append(actor, NewEvent::new(topic, &change.id, &change))
        .await?;
    tx.commit().await?;
    Ok(Json(change))
}
