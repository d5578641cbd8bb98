//! Maintenance windows: announce, change, end.

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::page::{Cursor, Page};
use kernel::http::{Json, Path, Query};
use kernel::slice::roles;
use kernel::{Actor, Problem, Timestamp, Tx};
use serde::Deserialize;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::sight::{MuteOrigin, MuteSight, may_everywhere};
use super::silences::{PhaseQuery, SCAN};
use super::version::IfMatch;
use super::{check_text, check_times, field_error, refuse};
use crate::events;
use crate::model::Phase;
use crate::window::{Coverage, Window};
use crate::{Alerting, mute, place, reach, store, tasks};

pub const WRITE: &str = "maintenance.write";
const MAX_ITEMS: usize = 500;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMaintenance {
    /// What is done, and why.
    pub title: String,
    /// Ids of items; everything on them is meant too.
    #[serde(default)]
    pub items: Vec<String>,
    /// Finds items, for instance `kind=host tag:env=test`.
    pub selector: Option<String>,
    /// Also what depends on them.
    #[serde(default)]
    pub with_dependents: bool,
    /// Now, when absent or past.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceChange {
    pub title: Option<String>,
    /// Only for one that has not begun.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_at: Option<Timestamp>,
}

/// Maintenance windows, newest first
#[utoipa::path(get, path = "/api/v1/maintenance", tag = "alerting", params(PhaseQuery),
    responses((status = 200, body = Page<Window>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_maintenance(
    State(alerting): State<Alerting>,
    actor: Actor,
    Query(query): Query<PhaseQuery>,
) -> Result<Json<Page<Window>>, Problem> {
    let (phase, mut before, limit) = query.read()?;
    let mut reader = alerting.kernel.db.read().await?;
    let sight = MuteSight::of(&actor, &mut reader).await?;
    let mut shown = Vec::new();
    while shown.len() <= limit {
        let rows = store::window::list(&mut reader, &phase, &before, SCAN).await?;
        let Some(last) = rows.last() else { break };
        last.id.as_str().clone_into(&mut before);
        for window in rows {
            shown.extend(seen(&mut reader, &actor, &sight, window).await?);
        }
    }
    Ok(Json(Page::cut(shown, limit, |window| {
        Cursor::of(&[window.id.as_str()])
    })))
}

/// One maintenance window
#[utoipa::path(get, path = "/api/v1/maintenance/{id}", tag = "alerting", params(("id" = String, Path)),
    responses((status = 200, body = Window), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_maintenance(
    State(alerting): State<Alerting>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<Window>, Problem> {
    let mut reader = alerting.kernel.db.read().await?;
    let sight = MuteSight::of(&actor, &mut reader).await?;
    let missing = || Problem::not_found("maintenance window", &id);
    let window = store::window::get(&mut reader, &id).await?.ok_or_else(missing)?;
    let window = seen(&mut reader, &actor, &sight, window).await?;
    window.map(Json).ok_or_else(missing)
}

/// The window as the actor sees it, with the items within their reach; `None` when it is none of their business.
async fn seen(
    connection: &mut AnyConnection,
    actor: &Actor,
    sight: &MuteSight<'_>,
    mut window: Window,
) -> Result<Option<Window>, Problem> {
    if !actor.is_scoped() {
        return Ok(Some(window));
    }
    let mut items = Vec::new();
    for item in &window.items {
        let owner = place::owner(connection, item).await?;
        if owner.is_some_and(|owner| actor.sees(owner.team.as_deref(), &owner.tags)) {
            items.push(item.clone());
        }
    }
    let is_theirs = !items.is_empty() && items.len() == window.items.len() && window.selector.is_none();
    if !is_theirs && !sight.sees(&origin(&window)) {
        return Ok(None);
    }
    window.items = items;
    Ok(Some(window))
}

fn origin(window: &Window) -> MuteOrigin<'_> {
    MuteOrigin {
        id: window.id.as_str(),
        created_by: &window.created_by,
        scopes: &window.scopes,
    }
}

/// Announce maintenance
#[utoipa::path(post, path = "/api/v1/maintenance", tag = "alerting", request_body = NewMaintenance,
    responses((status = 201, body = Window), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_maintenance(
    State(alerting): State<Alerting>,
    actor: Actor,
    Json(new): Json<NewMaintenance>,
) -> Result<(StatusCode, Json<Window>), Problem> {
    let mut errors = Vec::new();
    check_text(&mut errors, "title", &new.title, true);
    let selector = new.selector.filter(|text| !text.trim().is_empty());
    if new.items.is_empty() && selector.is_none() {
        errors.push(field_error("items", "name at least one item, or give a selector"));
    }
    if new.items.len() > MAX_ITEMS {
        errors.push(field_error(
            "items",
            format!("at most {MAX_ITEMS}; use a selector"),
        ));
    }
    if let Some(Err(message)) = selector.as_deref().map(place::check_selector) {
        errors.push(field_error("selector", message));
    }
    let now = alerting.kernel.clock.now();
    let times = check_times(&mut errors, new.starts_at, new.ends_at, now);
    refuse(errors)?;
    let covers = Coverage {
        items: new.items,
        selector,
        with_dependents: new.with_dependents,
    };
    let window = Window::new(&actor, new.title, covers, times, now);
    let mut tx = alerting.kernel.db.write().await?;
    check_reach(&mut tx, &actor, &window).await?;
    store_window(&mut tx, &actor, &window, events::MAINTENANCE_CREATED).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(window)))
}

/// Change the title or the times of a maintenance window
#[utoipa::path(patch, path = "/api/v1/maintenance/{id}", tag = "alerting",
    params(("id" = String, Path), ("if-match" = Option<String>, Header, description = "the version that you have seen")),
    request_body = MaintenanceChange,
    responses((status = 200, body = Window), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn change_maintenance(
    State(alerting): State<Alerting>,
    actor: Actor,
    Path(id): Path<String>,
    seen: IfMatch,
    Json(change): Json<MaintenanceChange>,
) -> Result<Json<Window>, Problem> {
    let mut tx = alerting.kernel.db.write().await?;
    store::alert::take_turn(&mut tx).await?;
    let mut window = find(&mut tx, &actor, &id).await?;
    seen.check(window.version)?;
    if window.phase == Phase::Expired {
        return Err(Problem::conflict(
            "the maintenance has ended; announce a new window",
        ));
    }
    let now = tx.now();
    let mut errors = Vec::new();
    if let Some(title) = change.title {
        check_text(&mut errors, "title", &title, true);
        window.title = title;
    }
    if window.phase == Phase::Pending {
        let starts_at = change.starts_at.unwrap_or(window.starts_at);
        let ends_at = change.ends_at.unwrap_or(window.ends_at);
        (window.starts_at, window.ends_at) = check_times(&mut errors, Some(starts_at), ends_at, now);
    } else {
        if change.starts_at.is_some() {
            errors.push(field_error("starts_at", "the maintenance has begun"));
        }
        if let Some(ends_at) = change.ends_at {
            (_, window.ends_at) = check_times(&mut errors, None, ends_at, now);
        }
    }
    refuse(errors)?;
    window.version += 1;
    window.phase = Phase::at(window.starts_at, window.ends_at, now);
    store_window(&mut tx, &actor, &window, events::MAINTENANCE_CHANGED).await?;
    tx.commit().await?;
    Ok(Json(window))
}

/// End maintenance now. Ending it again changes nothing
#[utoipa::path(delete, path = "/api/v1/maintenance/{id}", tag = "alerting", params(("id" = String, Path)),
    responses((status = 200, body = Window), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn end_maintenance(
    State(alerting): State<Alerting>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<Window>, Problem> {
    let mut tx = alerting.kernel.db.write().await?;
    store::alert::take_turn(&mut tx).await?;
    let mut window = find(&mut tx, &actor, &id).await?;
    if window.phase != Phase::Expired {
        window.starts_at = window.starts_at.min(tx.now());
        window.ends_at = tx.now();
        window.phase = Phase::Expired;
        window.version += 1;
        store_window(&mut tx, &actor, &window, events::MAINTENANCE_ENDED).await?;
        tx.commit().await?;
    }
    Ok(Json(window))
}

async fn store_window(
    tx: &mut Tx,
    actor: &Actor,
    window: &Window,
    topic: &'static str,
) -> Result<(), Problem> {
    store::alert::take_turn(tx).await?;
    store::window::save(tx, window).await?;
    let seq = events::say_window(tx, actor, topic, window).await?;
    tx.set_cause(Some(seq));
    mute::mark_again(tx).await?;
    tx.after_commit(tasks::wake);
    Ok(())
}

/// A window is changed and ended by who made it, as far as their role still reaches, or by whose role holds everywhere.
async fn find(tx: &mut Tx, actor: &Actor, id: &str) -> Result<Window, Problem> {
    let missing = || Problem::not_found("maintenance window", &id);
    let window = store::window::get(tx, id).await?.ok_or_else(missing)?;
    if may_everywhere(actor, WRITE, roles::OPERATE) {
        return Ok(window);
    }
    let sight = MuteSight::of(actor, tx).await?;
    let window_seen = seen(tx, actor, &sight, window.clone()).await?;
    if window_seen.is_none() {
        return Err(missing());
    }
    let reach = reach::scopes_of(actor, roles::OPERATE);
    if window.created_by != actor.key() || !reach::contains(&reach, &window.scopes) {
        return Err(Problem::forbidden(
            "the maintenance window is not yours, or reaches further than your role does",
        ));
    }
    check_reach(tx, actor, &window).await?;
    Ok(window)
}

/// The items must exist, and all of them must be within the actor's reach. A selector finds things of any team, now or later.
async fn check_reach(connection: &mut AnyConnection, actor: &Actor, window: &Window) -> Result<(), Problem> {
    let is_everywhere = may_everywhere(actor, WRITE, roles::OPERATE);
    if !is_everywhere && (window.selector.is_some() || window.with_dependents) {
        return Err(Problem::forbidden(
            "your role holds for some teams or tags: name the items, without a selector and without their dependents",
        ));
    }
    for item in &window.items {
        let owner = place::owner(connection, item).await?;
        let is_within = owner.is_some_and(|owner| {
            is_everywhere || actor.may(WRITE, roles::OPERATE, owner.team.as_deref(), &owner.tags)
        });
        if !is_within {
            return Err(Problem::not_found("item", item));
        }
    }
    Ok(())
}
