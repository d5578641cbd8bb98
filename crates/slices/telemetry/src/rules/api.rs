//! Rules over HTTP: what is in force and how it goes, the files that people write, the packs.

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::{Json, Path};
use kernel::slice::roles;
use kernel::{Actor, Allow, Endpoint, NewEvent, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::file::{self, FileError};
use super::model::{Kind, Rule};
use super::pack::{self, PACKS};
use super::store::{self, RuleFile, RuleFileId};
use crate::Telemetry;

const READ: Allow = Allow::Permission("rules.read", roles::READ);
const WRITE: Allow = Allow::Permission("rules.write", roles::MANAGE);

pub(crate) const PERMISSIONS: &[Endpoint] = &[
    Endpoint {
        method: "GET",
        path: "/api/v1/rules",
        allow: READ,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/rule-files",
        allow: READ,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/rule-files",
        allow: WRITE,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/rule-files/check",
        allow: READ,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/rule-files/{id}",
        allow: READ,
    },
    Endpoint {
        method: "PUT",
        path: "/api/v1/rule-files/{id}",
        allow: WRITE,
    },
    Endpoint {
        method: "DELETE",
        path: "/api/v1/rule-files/{id}",
        allow: WRITE,
    },
    Endpoint {
        method: "PUT",
        path: "/api/v1/rule-packs/{name}",
        allow: WRITE,
    },
];

pub(crate) fn routes(telemetry: &Telemetry) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_rules))
        .routes(routes!(list_rule_files, create_rule_file))
        .routes(routes!(check_rule_file))
        .routes(routes!(get_rule_file, update_rule_file, delete_rule_file))
        .routes(routes!(switch_rule_pack))
        .with_state(telemetry.clone())
}

/// What is in force.
#[derive(Debug, Serialize, ToSchema)]
struct RuleOverview {
    packs: Vec<PackState>,
    groups: Vec<GroupState>,
}

#[derive(Debug, Serialize, ToSchema)]
struct PackState {
    name: String,
    title: String,
    is_enabled: bool,
    /// The rules of the pack, as YAML.
    text: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct GroupState {
    name: String,
    interval_ms: i64,
    rules: Vec<RuleState>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleState {
    key: String,
    name: String,
    /// `alert` or `record`.
    kind: String,
    expr: String,
    for_ms: i64,
    keep_firing_for_ms: i64,
    /// Evaluated with every sample, not only on the interval.
    is_on_ingest: bool,
    /// Conditions that hold now.
    active: usize,
    last_error: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    evaluated_at: Option<Timestamp>,
    evaluation_ms: f64,
}

fn rule_state(telemetry: &Telemetry, rule: &Rule) -> RuleState {
    let health = telemetry.rules().health(&rule.key).unwrap_or_default();
    let (kind, for_ms, keep_firing_for_ms) = match &rule.kind {
        Kind::Alert {
            for_ms,
            keep_firing_for_ms,
            ..
        } => ("alert", *for_ms, *keep_firing_for_ms),
        Kind::Record => ("record", 0, 0),
    };
    RuleState {
        key: rule.key.clone(),
        name: rule.name.clone(),
        kind: kind.into(),
        expr: rule.text.clone(),
        for_ms,
        keep_firing_for_ms,
        is_on_ingest: rule.is_alert() && rule.locality.is_some(),
        active: telemetry.rules().held_by(&rule.key).len(),
        last_error: health.error,
        evaluated_at: (health.at_ms > 0).then(|| kernel::clock::from_millis(health.at_ms)),
        evaluation_ms: health.seconds * 1000.0,
    }
}

/// Rules in force, and how their evaluation goes
#[utoipa::path(get, path = "/api/v1/rules", tag = "rules",
    responses((status = 200, body = RuleOverview), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_rules(State(telemetry): State<Telemetry>) -> Result<Json<RuleOverview>, Problem> {
    let off = store::packs_off(&mut *telemetry.kernel().db.read().await?).await?;
    let packs = PACKS
        .iter()
        .map(|pack| PackState {
            name: pack.name.into(),
            title: pack.title.into(),
            is_enabled: !off.iter().any(|name| name == pack.name),
            text: pack.text.into(),
        })
        .collect();
    let rules = telemetry.rules().rules();
    let groups = rules
        .groups
        .iter()
        .map(|group| GroupState {
            name: group.name.clone(),
            interval_ms: group.interval_ms,
            rules: group
                .rules
                .iter()
                .map(|rule| rule_state(&telemetry, rule))
                .collect(),
        })
        .collect();
    Ok(Json(RuleOverview { packs, groups }))
}

/// Rule files that people wrote
#[utoipa::path(get, path = "/api/v1/rule-files", tag = "rules",
    responses((status = 200, body = Vec<RuleFile>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_rule_files(State(telemetry): State<Telemetry>) -> Result<Json<Vec<RuleFile>>, Problem> {
    Ok(Json(
        store::list(&mut *telemetry.kernel().db.read().await?).await?,
    ))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RuleFileBody {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// YAML with `groups:`, as Prometheus reads it.
    #[schema(max_length = 1_000_000)]
    text: String,
    #[serde(default = "yes")]
    is_enabled: bool,
    /// The version that was read; needed to change a file.
    version: Option<i64>,
}

/// A rule concerns every host, so its author answers for all of them.
pub(super) fn require_everywhere(actor: &Actor) -> Result<(), Problem> {
    match actor.may("rules.write", roles::MANAGE, None, &Default::default()) {
        true => Ok(()),
        false => Err(Problem::forbidden(
            "rules concern every host; this needs a role that holds everywhere",
        )),
    }
}

fn yes() -> bool {
    true
}

impl RuleFileBody {
    fn check(&self) -> Result<(), Problem> {
        let is_named =
            !self.name.trim().is_empty() && self.name.chars().count() <= 100 && !self.name.contains('\0');
        if !is_named {
            return Err(Problem::invalid_field("name", "1 to 100 characters, without NUL"));
        }
        if PACKS.iter().any(|pack| pack.name == self.name) {
            return Err(Problem::invalid_field("name", "a built-in pack has this name"));
        }
        if self.text.contains('\0') {
            return Err(Problem::invalid_field("text", "must be without NUL"));
        }
        let errors = file::check(&self.text);
        if errors.is_empty() {
            return Ok(());
        }
        let to_field = |e: FileError| kernel::FieldError {
            field: "text".into(),
            message: e.to_string(),
        };
        Err(Problem::invalid(errors.into_iter().map(to_field).collect()))
    }
}

/// Add a rule file
#[utoipa::path(post, path = "/api/v1/rule-files", tag = "rules", request_body = RuleFileBody,
    responses((status = 200, body = RuleFile), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn create_rule_file(
    State(telemetry): State<Telemetry>,
    actor: Actor,
    Json(body): Json<RuleFileBody>,
) -> Result<Json<RuleFile>, Problem> {
    require_everywhere(&actor)?;
    body.check()?;
    let mut tx = telemetry.kernel().db.write().await?;
    let file = RuleFile {
        id: RuleFileId::new(),
        name: body.name,
        text: body.text,
        is_enabled: body.is_enabled,
        updated_by: actor.key(),
        updated_at: tx.now(),
        version: 1,
    };
    store::insert(&mut tx, &file)
        .await
        .map_err(|error| name_taken(error, &file.name))?;
    tx.append(
        &actor,
        NewEvent::new(
            "rules.changed",
            &file.id,
            &serde_json::json!({ "name": file.name }),
        ),
    )
    .await?;
    tx.commit().await?;
    pack::load(telemetry.kernel(), telemetry.rules()).await?;
    Ok(Json(file))
}

fn name_taken(error: kernel::DbError, name: &str) -> Problem {
    if error.is_unique_violation() {
        return Problem::conflict(format_args!("there is a rule file \"{name}\" already"));
    }
    error.into()
}

/// Faults of a rule file.
#[derive(Debug, Serialize, ToSchema)]
struct CheckResult {
    errors: Vec<FileError>,
    /// Rules that were read.
    rules: usize,
}

/// Check a rule file without keeping it
#[utoipa::path(post, path = "/api/v1/rule-files/check", tag = "rules", request_body = RuleFileBody,
    responses((status = 200, body = CheckResult), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn check_rule_file(Json(body): Json<RuleFileBody>) -> Json<CheckResult> {
    let (rules, errors) = match file::parse(&body.name, &body.text) {
        Ok(groups) => (groups.iter().map(|group| group.rules.len()).sum(), Vec::new()),
        Err(errors) => (0, errors),
    };
    Json(CheckResult { errors, rules })
}

/// One rule file
#[utoipa::path(get, path = "/api/v1/rule-files/{id}", tag = "rules", params(("id" = String, Path)),
    responses((status = 200, body = RuleFile), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn get_rule_file(
    State(telemetry): State<Telemetry>,
    Path(id): Path<String>,
) -> Result<Json<RuleFile>, Problem> {
    let found = store::get(&mut *telemetry.kernel().db.read().await?, &id).await?;
    found
        .map(Json)
        .ok_or_else(|| Problem::not_found("rule file", &id))
}

/// Change a rule file
#[utoipa::path(put, path = "/api/v1/rule-files/{id}", tag = "rules", params(("id" = String, Path)), request_body = RuleFileBody,
    responses((status = 200, body = RuleFile), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn update_rule_file(
    State(telemetry): State<Telemetry>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<RuleFileBody>,
) -> Result<Json<RuleFile>, Problem> {
    require_everywhere(&actor)?;
    let version = body
        .version
        .ok_or_else(|| Problem::invalid_field("version", "give the version that you read"))?;
    body.check()?;
    let mut tx = telemetry.kernel().db.write().await?;
    let before = store::get(&mut tx, &id)
        .await?
        .ok_or_else(|| Problem::not_found("rule file", &id))?;
    let file = RuleFile {
        name: body.name,
        text: body.text,
        is_enabled: body.is_enabled,
        updated_by: actor.key(),
        updated_at: tx.now(),
        version,
        ..before
    };
    if !store::update(&mut tx, &file)
        .await
        .map_err(|error| name_taken(error, &file.name))?
    {
        return Err(Problem::stale(format_args!(
            "the file is at version {}, you read {version}",
            before.version
        )));
    }
    tx.append(
        &actor,
        NewEvent::new(
            "rules.changed",
            &file.id,
            &serde_json::json!({ "name": file.name }),
        ),
    )
    .await?;
    tx.commit().await?;
    pack::load(telemetry.kernel(), telemetry.rules()).await?;
    Ok(Json(RuleFile {
        version: version + 1,
        ..file
    }))
}

/// Remove a rule file; its alerts end
#[utoipa::path(delete, path = "/api/v1/rule-files/{id}", tag = "rules", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn delete_rule_file(
    State(telemetry): State<Telemetry>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    require_everywhere(&actor)?;
    let mut tx = telemetry.kernel().db.write().await?;
    if !store::delete(&mut tx, &id).await? {
        return Err(Problem::not_found("rule file", &id));
    }
    tx.append(
        &actor,
        NewEvent::new("rules.changed", &id, &serde_json::json!({ "removed": true })),
    )
    .await?;
    tx.commit().await?;
    pack::load(telemetry.kernel(), telemetry.rules()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Switch {
    is_enabled: bool,
}

/// Switch a built-in pack on or off
#[utoipa::path(put, path = "/api/v1/rule-packs/{name}", tag = "rules", params(("name" = String, Path)), request_body = Switch,
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn switch_rule_pack(
    State(telemetry): State<Telemetry>,
    actor: Actor,
    Path(name): Path<String>,
    Json(switch): Json<Switch>,
) -> Result<StatusCode, Problem> {
    require_everywhere(&actor)?;
    if !PACKS.iter().any(|pack| pack.name == name) {
        return Err(Problem::not_found("rule pack", &name));
    }
    let mut tx = telemetry.kernel().db.write().await?;
    store::switch_pack(&mut tx, &name, switch.is_enabled).await?;
    let data = serde_json::json!({ "pack": name, "is_enabled": switch.is_enabled });
    tx.append(
        &actor,
        NewEvent::new("rules.changed", format!("pack:{name}"), &data),
    )
    .await?;
    tx.commit().await?;
    pack::load(telemetry.kernel(), telemetry.rules()).await?;
    Ok(StatusCode::NO_CONTENT)
}
