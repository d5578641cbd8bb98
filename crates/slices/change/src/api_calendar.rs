//! Freezes and change windows over HTTP.

use std::collections::BTreeMap;

use axum::extract::State;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kernel::http::{Json, Path};
use kernel::{Actor, FieldError, Kernel, NewEvent, Problem};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::calendar::{Freeze, FreezeId, Window, WindowId, parse_day};
use crate::{rights, store};

/// Every one of them is read whenever a change is judged.
const MAX_WINDOWS: usize = 500;

pub(crate) fn routes(kernel: Kernel) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_freezes, create_freeze))
        .routes(routes!(end_freeze))
        .routes(routes!(list_change_windows, create_change_window))
        .routes(routes!(delete_change_window))
        .with_state(kernel)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFreeze {
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// Only items of this team; of all teams when absent.
    #[serde(default)]
    #[schema(max_length = 200)]
    team: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
    #[serde(default)]
    allows_remediation: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWindow {
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// Only items of this team; of all teams when absent.
    #[serde(default)]
    #[schema(max_length = 200)]
    team: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// `mon` to `sun`.
    days: Vec<String>,
    #[schema(maximum = 1439)]
    start_minute: u32,
    #[schema(maximum = 1440)]
    end_minute: u32,
    time_zone: String,
}

fn check_common(title: &str, tags: &BTreeMap<String, String>, errors: &mut Vec<FieldError>) {
    if title.trim().is_empty() || title.chars().count() > 200 || title.contains('\0') {
        errors.push(FieldError {
            field: "title".into(),
            message: "1 to 200 characters, without NUL".into(),
        });
    }
    let is_bad = |text: &String| text.chars().count() > 200 || text.contains('\0');
    if tags.len() > 20
        || tags
            .iter()
            .any(|(name, value)| name.is_empty() || is_bad(name) || is_bad(value))
    {
        let message = "at most 20 tags of at most 200 characters, without NUL".into();
        errors.push(FieldError {
            field: "tags".into(),
            message,
        });
    }
}

fn refuse(errors: Vec<FieldError>) -> Result<(), Problem> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(errors))
    }
}

/// Freezes that are on or ahead
#[utoipa::path(get, path = "/api/v1/freezes", tag = "change",
    responses((status = 200, body = Vec<Freeze>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_freezes(State(kernel): State<Kernel>, actor: Actor) -> Result<Json<Vec<Freeze>>, Problem> {
    let mut reader = kernel.db.read().await?;
    let mut freezes = store::freezes_around(&mut reader, kernel.clock.now()).await?;
    freezes.retain(|freeze| rights::sees_calendar(&actor, freeze.team.as_deref(), &freeze.tags));
    Ok(Json(freezes))
}

/// Leave covered items alone for a time
#[utoipa::path(post, path = "/api/v1/freezes", tag = "change", request_body = NewFreeze,
    responses((status = 200, body = Freeze), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn create_freeze(
    State(kernel): State<Kernel>,
    actor: Actor,
    Json(new): Json<NewFreeze>,
) -> Result<Json<Freeze>, Problem> {
    let mut errors = Vec::new();
    check_common(&new.title, &new.tags, &mut errors);
    if new.ends_at <= new.starts_at {
        errors.push(FieldError {
            field: "ends_at".into(),
            message: "must be after starts_at".into(),
        });
    }
    refuse(errors)?;
    rights::may_plan(&actor, new.team.as_deref(), &new.tags)?;
    let mut tx = kernel.db.write().await?;
    let freeze = Freeze {
        id: FreezeId::new(),
        title: new.title,
        team: new.team,
        tags: new.tags,
        starts_at: new.starts_at,
        ends_at: new.ends_at,
        allows_remediation: new.allows_remediation,
        created_by: actor.key(),
        created_at: tx.now(),
    };
    store::insert_freeze(&mut tx, &freeze).await?;
    tx.append(&actor, NewEvent::new("freeze.created", &freeze.id, &freeze))
        .await?;
    tx.commit().await?;
    Ok(Json(freeze))
}

/// End a freeze now
#[utoipa::path(post, path = "/api/v1/freezes/{id}/end", tag = "change", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn end_freeze(
    State(kernel): State<Kernel>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<axum::http::StatusCode, Problem> {
    let parsed: FreezeId = id.parse().map_err(|_| Problem::not_found("freeze", &id))?;
    let mut tx = kernel.db.write().await?;
    let now = tx.now();
    let freeze = store::freeze(&mut tx, &parsed)
        .await?
        .filter(|freeze| rights::sees_calendar(&actor, freeze.team.as_deref(), &freeze.tags))
        .ok_or_else(|| Problem::not_found("freeze that is on or ahead", &id))?;
    rights::may_plan(&actor, freeze.team.as_deref(), &freeze.tags)?;
    if !store::end_freeze(&mut tx, &parsed, now).await? {
        return Err(Problem::not_found("freeze that is on or ahead", &id));
    }
    let data = serde_json::json!({ "title": freeze.title, "team": freeze.team, "tags": freeze.tags, "ended_at": now.to_string() });
    tx.append(&actor, NewEvent::new("freeze.ended", &parsed, &data))
        .await?;
    tx.commit().await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

/// Change windows
#[utoipa::path(get, path = "/api/v1/change-windows", tag = "change",
    responses((status = 200, body = Vec<Window>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_change_windows(
    State(kernel): State<Kernel>,
    actor: Actor,
) -> Result<Json<Vec<Window>>, Problem> {
    let mut windows = store::windows(&mut *kernel.db.read().await?).await?;
    windows.retain(|window| rights::sees_calendar(&actor, window.team.as_deref(), &window.tags));
    Ok(Json(windows))
}

/// Say in which hours covered items may be changed at more than low risk
#[utoipa::path(post, path = "/api/v1/change-windows", tag = "change", request_body = NewWindow,
    responses((status = 200, body = Window), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn create_change_window(
    State(kernel): State<Kernel>,
    actor: Actor,
    Json(new): Json<NewWindow>,
) -> Result<Json<Window>, Problem> {
    let mut errors = Vec::new();
    check_common(&new.title, &new.tags, &mut errors);
    if new.days.is_empty() || new.days.len() > 7 || new.days.iter().any(|day| parse_day(day).is_none()) {
        errors.push(FieldError {
            field: "days".into(),
            message: "one or more of mon, tue, wed, thu, fri, sat, sun".into(),
        });
    }
    if new.start_minute > 1439 || new.end_minute > 1440 || new.start_minute == new.end_minute {
        errors.push(FieldError {
            field: "end_minute".into(),
            message: "minutes of the day, 0 to 1440, not the same".into(),
        });
    }
    if TimeZone::get(&new.time_zone).is_err() {
        errors.push(FieldError {
            field: "time_zone".into(),
            message: "an IANA name such as Europe/Berlin".into(),
        });
    }
    refuse(errors)?;
    rights::may_plan(&actor, new.team.as_deref(), &new.tags)?;
    let mut tx = kernel.db.write().await?;
    if store::windows(&mut tx).await?.len() >= MAX_WINDOWS {
        return Err(Problem::conflict(format_args!(
            "there are {MAX_WINDOWS} change windows; remove those that are not used"
        )));
    }
    let window = Window {
        id: WindowId::new(),
        title: new.title,
        team: new.team,
        tags: new.tags,
        days: new.days,
        start_minute: new.start_minute,
        end_minute: new.end_minute,
        time_zone: new.time_zone,
        created_by: actor.key(),
        created_at: tx.now(),
    };
    store::insert_window(&mut tx, &window).await?;
    tx.append(&actor, NewEvent::new("window.created", &window.id, &window))
        .await?;
    tx.commit().await?;
    Ok(Json(window))
}

/// Remove a change window
#[utoipa::path(delete, path = "/api/v1/change-windows/{id}", tag = "change", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn delete_change_window(
    State(kernel): State<Kernel>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<axum::http::StatusCode, Problem> {
    let parsed: WindowId = id.parse().map_err(|_| Problem::not_found("change window", &id))?;
    let mut tx = kernel.db.write().await?;
    let window = store::windows(&mut tx)
        .await?
        .into_iter()
        .find(|window| window.id == parsed)
        .filter(|window| rights::sees_calendar(&actor, window.team.as_deref(), &window.tags))
        .ok_or_else(|| Problem::not_found("change window", &id))?;
    rights::may_plan(&actor, window.team.as_deref(), &window.tags)?;
    if !store::delete_window(&mut tx, &parsed).await? {
        return Err(Problem::not_found("change window", &id));
    }
    tx.append(&actor, NewEvent::new("window.removed", &parsed, &window))
        .await?;
    tx.commit().await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}
