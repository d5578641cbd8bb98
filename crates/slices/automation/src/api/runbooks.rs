//! Keeping runbooks: the list, one, its versions, and checking a text before it is kept.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::{Json, Path};
use kernel::slice::roles;
use kernel::{Actor, FieldError, NewEvent, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::document::{self, Document, DocumentError, Mode};
use crate::input::InputSpec;
use crate::model::{Runbook, RunbookId};
use crate::{Automation, schedule, store};

pub(super) fn routes(automation: &Automation) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_runbooks, create_runbook))
        .routes(routes!(validate_runbook))
        .routes(routes!(get_runbook, update_runbook, delete_runbook))
        .routes(routes!(list_runbook_versions))
        .routes(routes!(get_runbook_version))
        .with_state(automation.clone())
}

/// A runbook with what its document says.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunbookView {
    id: String,
    name: String,
    description: String,
    is_enabled: bool,
    /// `low`, `medium` or `high`.
    risk: String,
    is_standard: bool,
    inputs: Vec<InputSpec>,
    /// Selector of the targets, where the runbook names them.
    targets: Option<String>,
    steps: Vec<StepView>,
    schedules: Vec<ScheduleView>,
    alerts: Vec<AlertView>,
    /// The document, as YAML.
    text: String,
    updated_by: String,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    version: i64,
    /// Faults, when the stored document no longer reads.
    errors: Vec<DocumentError>,
}

#[derive(Debug, Serialize, ToSchema)]
struct StepView {
    name: String,
    kind: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct ScheduleView {
    cron: String,
    time_zone: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    next_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, ToSchema)]
struct AlertView {
    alert: String,
    mode: Mode,
}

fn view(runbook: Runbook, now: Timestamp) -> RunbookView {
    let (document, errors) = match document::parse(&runbook.text) {
        Ok(document) => (Some(document), Vec::new()),
        Err(errors) => (None, errors),
    };
    let of = |read: fn(&Document) -> String| document.as_ref().map(read).unwrap_or_default();
    RunbookView {
        id: runbook.id.to_string(),
        description: of(|d| d.description.clone()),
        risk: of(|d| d.risk.as_str().into()),
        is_standard: document.as_ref().is_some_and(|d| d.is_standard),
        inputs: document.as_ref().map(|d| d.inputs.clone()).unwrap_or_default(),
        targets: document.as_ref().and_then(|d| d.targets.clone()),
        steps: steps(document.as_ref()),
        schedules: schedules(document.as_ref(), now),
        alerts: alerts(document.as_ref()),
        name: runbook.name,
        is_enabled: runbook.is_enabled,
        text: runbook.text,
        updated_by: runbook.updated_by_name,
        updated_at: runbook.updated_at,
        version: runbook.version,
        errors,
    }
}

fn steps(document: Option<&Document>) -> Vec<StepView> {
    let all = document.iter().flat_map(|d| &d.steps);
    all.map(|step| StepView {
        name: step.name.clone(),
        kind: step.act.kind().into(),
    })
    .collect()
}

fn schedules(document: Option<&Document>, now: Timestamp) -> Vec<ScheduleView> {
    let all = document.iter().flat_map(|d| &d.schedules);
    all.map(|entry| ScheduleView {
        cron: entry.cron.clone(),
        time_zone: entry.time_zone.clone(),
        next_at: schedule::next(&entry.cron, &entry.time_zone, now),
    })
    .collect()
}

fn alerts(document: Option<&Document>) -> Vec<AlertView> {
    let all = document.iter().flat_map(|d| &d.alerts);
    all.map(|trigger| AlertView {
        alert: trigger.alert.clone(),
        mode: trigger.mode,
    })
    .collect()
}

/// Runbooks, by name
#[utoipa::path(get, path = "/api/v1/runbooks", tag = "automation",
    responses((status = 200, body = Vec<RunbookView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_runbooks(State(automation): State<Automation>) -> Result<Json<Vec<RunbookView>>, Problem> {
    let runbooks = store::list(&mut *automation.kernel().db.read().await?).await?;
    let now = automation.kernel().clock.now();
    Ok(Json(
        runbooks.into_iter().map(|runbook| view(runbook, now)).collect(),
    ))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RunbookBody {
    /// The document, as YAML. Its `name` is the name of the runbook.
    #[schema(max_length = 262_144)]
    text: String,
    #[serde(default = "yes")]
    is_enabled: bool,
    /// The version that was read; needed to change a runbook.
    version: Option<i64>,
}

/// Runbooks belong to the whole house: schedules, alerts and people with other scopes carry out what they say.
fn check_everywhere(actor: &Actor) -> Result<(), Problem> {
    if actor.may("runbooks.write", roles::MANAGE, None, &BTreeMap::new()) {
        return Ok(());
    }
    Err(Problem::forbidden(
        "runbooks are written by those whose role covers everything; yours covers a part",
    ))
}

fn yes() -> bool {
    true
}

fn check_size(text: &str) -> Result<(), Problem> {
    if text.len() > 262_144 || text.contains('\0') {
        return Err(Problem::invalid_field("text", "at most 256 KiB, without NUL"));
    }
    Ok(())
}

fn read(text: &str) -> Result<Document, Problem> {
    check_size(text)?;
    document::parse(text).map_err(|errors| {
        let to_field = |e: DocumentError| FieldError {
            field: "text".into(),
            message: e.to_string(),
        };
        Problem::invalid(errors.into_iter().map(to_field).collect())
    })
}

fn name_taken(error: kernel::DbError, name: &str) -> Problem {
    if error.is_unique_violation() {
        return Problem::conflict(format_args!("there is a runbook \"{name}\" already"));
    }
    error.into()
}

/// Add a runbook
#[utoipa::path(post, path = "/api/v1/runbooks", tag = "automation", request_body = RunbookBody,
    responses((status = 200, body = RunbookView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn create_runbook(
    State(automation): State<Automation>,
    actor: Actor,
    Json(body): Json<RunbookBody>,
) -> Result<Json<RunbookView>, Problem> {
    check_everywhere(&actor)?;
    let document = read(&body.text)?;
    let mut tx = automation.kernel().db.write().await?;
    let runbook = Runbook {
        id: RunbookId::new(),
        name: document.name,
        text: body.text,
        is_enabled: body.is_enabled,
        updated_by: actor.key(),
        updated_by_name: actor.name.clone(),
        updated_at: tx.now(),
        version: 1,
    };
    store::insert(&mut tx, &runbook)
        .await
        .map_err(|error| name_taken(error, &runbook.name))?;
    say(&mut tx, &actor, "runbook.created", &runbook).await?;
    let now = tx.now();
    tx.commit().await?;
    Ok(Json(view(runbook, now)))
}

async fn say(
    tx: &mut kernel::Tx,
    actor: &Actor,
    topic: &'static str,
    runbook: &Runbook,
) -> Result<(), Problem> {
    let data = serde_json::json!({ "name": runbook.name, "version": runbook.version, "is_enabled": runbook.is_enabled });
    tx.append(actor, NewEvent::new(topic, &runbook.id, &data)).await?;
    Ok(())
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ValidateBody {
    #[schema(max_length = 262_144)]
    text: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct Validation {
    /// Empty when the document is good.
    errors: Vec<DocumentError>,
    inputs: Vec<InputSpec>,
    steps: Vec<StepView>,
}

/// Check a runbook without keeping it
#[utoipa::path(post, path = "/api/v1/runbooks/validate", tag = "automation", request_body = ValidateBody,
    responses((status = 200, body = Validation), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn validate_runbook(Json(body): Json<ValidateBody>) -> Result<Json<Validation>, Problem> {
    check_size(&body.text)?;
    Ok(Json(match document::parse(&body.text) {
        Ok(document) => Validation {
            errors: Vec::new(),
            steps: steps(Some(&document)),
            inputs: document.inputs,
        },
        Err(errors) => Validation {
            errors,
            steps: Vec::new(),
            inputs: Vec::new(),
        },
    }))
}

pub(super) async fn find(connection: &mut sqlx::AnyConnection, id: &str) -> Result<Runbook, Problem> {
    let parsed: RunbookId = id.parse().map_err(|_| Problem::not_found("runbook", &id))?;
    store::runbook(connection, &parsed)
        .await?
        .ok_or_else(|| Problem::not_found("runbook", &id))
}

/// One runbook
#[utoipa::path(get, path = "/api/v1/runbooks/{id}", tag = "automation", params(("id" = String, Path)),
    responses((status = 200, body = RunbookView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn get_runbook(
    State(automation): State<Automation>,
    Path(id): Path<String>,
) -> Result<Json<RunbookView>, Problem> {
    let runbook = find(&mut *automation.kernel().db.read().await?, &id).await?;
    Ok(Json(view(runbook, automation.kernel().clock.now())))
}

/// Change a runbook; the versions before stay readable
#[utoipa::path(put, path = "/api/v1/runbooks/{id}", tag = "automation", params(("id" = String, Path)), request_body = RunbookBody,
    responses((status = 200, body = RunbookView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn update_runbook(
    State(automation): State<Automation>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<RunbookBody>,
) -> Result<Json<RunbookView>, Problem> {
    check_everywhere(&actor)?;
    let version = body
        .version
        .ok_or_else(|| Problem::invalid_field("version", "give the version that you read"))?;
    let document = read(&body.text)?;
    let mut tx = automation.kernel().db.write().await?;
    let before = find(&mut tx, &id).await?;
    let runbook = Runbook {
        name: document.name,
        text: body.text,
        is_enabled: body.is_enabled,
        updated_by: actor.key(),
        updated_by_name: actor.name.clone(),
        updated_at: tx.now(),
        version: before.version + 1,
        id: before.id,
    };
    if before.version != version {
        return Err(Problem::stale(format_args!(
            "the runbook is at version {}, you read {version}",
            before.version
        )));
    }
    if !store::update(&mut tx, &runbook)
        .await
        .map_err(|error| name_taken(error, &runbook.name))?
    {
        return Err(Problem::stale(
            "the runbook was changed at the same moment; read it again",
        ));
    }
    say(&mut tx, &actor, "runbook.changed", &runbook).await?;
    let now = tx.now();
    tx.commit().await?;
    Ok(Json(view(runbook, now)))
}

/// Remove a runbook; its runs stay
#[utoipa::path(delete, path = "/api/v1/runbooks/{id}", tag = "automation", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn delete_runbook(
    State(automation): State<Automation>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    check_everywhere(&actor)?;
    let mut tx = automation.kernel().db.write().await?;
    let runbook = find(&mut tx, &id).await?;
    store::delete(&mut tx, &runbook.id).await?;
    say(&mut tx, &actor, "runbook.removed", &runbook).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Serialize, ToSchema)]
struct VersionView {
    version: i64,
    updated_by: String,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// Versions of a runbook, newest first
#[utoipa::path(get, path = "/api/v1/runbooks/{id}/versions", tag = "automation", params(("id" = String, Path)),
    responses((status = 200, body = Vec<VersionView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_runbook_versions(
    State(automation): State<Automation>,
    Path(id): Path<String>,
) -> Result<Json<Vec<VersionView>>, Problem> {
    let mut reader = automation.kernel().db.read().await?;
    let runbook = find(&mut reader, &id).await?;
    let versions = store::versions(&mut reader, &runbook.id).await?.into_iter();
    let to_view = |(version, updated_by, updated_at)| VersionView {
        version,
        updated_by,
        updated_at,
    };
    Ok(Json(versions.map(to_view).collect()))
}

#[derive(Debug, Serialize, ToSchema)]
struct VersionText {
    version: i64,
    text: String,
}

/// The document as it was in a version
#[utoipa::path(get, path = "/api/v1/runbooks/{id}/versions/{version}", tag = "automation",
    params(("id" = String, Path), ("version" = i64, Path)),
    responses((status = 200, body = VersionText), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn get_runbook_version(
    State(automation): State<Automation>,
    Path((id, version)): Path<(String, i64)>,
) -> Result<Json<VersionText>, Problem> {
    let mut reader = automation.kernel().db.read().await?;
    let runbook = find(&mut reader, &id).await?;
    let text = store::text_of(&mut reader, &runbook.id, version).await?;
    text.map(|text| Json(VersionText { version, text }))
        .ok_or_else(|| Problem::not_found("version", &version))
}
