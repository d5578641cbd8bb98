//! Tunings over HTTP: list, add, change, remove, and what one would have done over the past week.

use std::collections::HashSet;

use axum::extract::State;
use axum::http::StatusCode;
use inventory::Selector;
use kernel::http::{Json, Path};
use kernel::slice::roles;
use kernel::{Actor, Allow, Endpoint, FieldError, NewEvent, Problem};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::preview::{self, Past};
use super::{Coverage, Limits, Tuning, TuningBody, TuningId, apply, store};
use crate::Telemetry;
use crate::query::QueryError;
use crate::reach::Reach;
use crate::rules::model::Rule;
use crate::rules::pack;

const READ: Allow = Allow::Permission("rules.read", roles::READ);
const WRITE: Allow = Allow::Permission("rules.write", roles::MANAGE);
/// Each is looked at with every evaluation of its rule.
const MOST: usize = 500;

pub(crate) const PERMISSIONS: &[Endpoint] = &[
    Endpoint {
        method: "GET",
        path: "/api/v1/rule-tunings",
        allow: READ,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/rule-tunings",
        allow: WRITE,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/rule-tunings/preview",
        allow: READ,
    },
    Endpoint {
        method: "PUT",
        path: "/api/v1/rule-tunings/{id}",
        allow: WRITE,
    },
    Endpoint {
        method: "DELETE",
        path: "/api/v1/rule-tunings/{id}",
        allow: WRITE,
    },
];

pub(crate) fn routes(telemetry: &Telemetry) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_rule_tunings, create_rule_tuning))
        .routes(routes!(preview_rule_tuning))
        .routes(routes!(update_rule_tuning, delete_rule_tuning))
        .with_state(telemetry.clone())
}

#[derive(Debug, Serialize, ToSchema)]
struct TuningList {
    items: Vec<Tuning>,
    /// Alerts of the built-in packs, which can be tuned.
    rules: Vec<Tunable>,
}

/// An alert of a built-in pack.
#[derive(Debug, Serialize, ToSchema)]
struct Tunable {
    name: String,
    pack: String,
    expr: String,
    /// Absent where the rule has none that can be set.
    threshold: Option<f64>,
    /// Of the threshold.
    unit: Option<String>,
    for_s: i64,
    severity: Option<String>,
}

fn tunable(pack: &str, rule: &Rule) -> Tunable {
    let threshold = apply::threshold(rule);
    let severity = rule.labels.iter().find(|(name, _)| name == "severity");
    Tunable {
        name: rule.name.clone(),
        pack: pack.into(),
        expr: rule.text.clone(),
        threshold: threshold.map(|(value, _)| value),
        unit: threshold.map(|(_, unit)| unit.into()),
        for_s: rule.waits().0 / 1000,
        severity: severity.map(|(_, template)| template.text().to_owned()),
    }
}

/// Tunings of built-in rules that concern hosts one may see, the newest first
#[utoipa::path(get, path = "/api/v1/rule-tunings", tag = "rules",
    responses((status = 200, body = TuningList), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_rule_tunings(
    State(telemetry): State<Telemetry>,
    reach: Reach,
) -> Result<Json<TuningList>, Problem> {
    let mut items = store::list(&mut *telemetry.kernel().db.read().await?).await?;
    items.retain(|tuning| reach.sees(tuning.body.labels.get("instance").map(String::as_str)));
    let rules = pack::alerts();
    Ok(Json(TuningList {
        items,
        rules: rules.iter().map(|(pack, rule)| tunable(pack, rule)).collect(),
    }))
}

impl TuningBody {
    fn check(&self) -> Result<(), Problem> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, message: String| {
            errors.push(FieldError {
                field: field.into(),
                message,
            });
        };
        let rules = pack::alerts();
        let ours: Vec<_> = rules.iter().filter(|(_, rule)| rule.name == self.rule).collect();
        if ours.is_empty() {
            wrong("rule", format!("no built-in pack has an alert {:?}", self.rule));
        }
        if self.threshold.is_some() && !ours.iter().any(|(_, rule)| apply::threshold(rule).is_some()) {
            wrong("threshold", "the rule has no threshold that can be set".into());
        }
        if self.threshold.is_some_and(|value| !value.is_finite()) {
            wrong("threshold", "must be a number".into());
        }
        if self
            .for_s
            .is_some_and(|seconds| !(0..=604_800).contains(&seconds))
        {
            wrong("for_s", "0 to 604800 seconds".into());
        }
        if let Some(Err(error)) = self.hosts.as_deref().map(str::parse::<Selector>) {
            wrong("hosts", error.to_string());
        }
        let is_text = |text: &str, most: usize| !text.contains('\0') && text.chars().count() <= most;
        let is_label = |(name, value): (&String, &String)| {
            !name.is_empty() && is_text(name, 200) && is_text(value, 1000)
        };
        if self.labels.len() > 10 || !self.labels.iter().all(is_label) {
            wrong(
                "labels",
                "at most 10, with names of 1 to 200 and values of at most 1000 characters, without NUL"
                    .into(),
            );
        }
        if !is_text(&self.note, 1000) {
            wrong("note", "at most 1000 characters, without NUL".into());
        }
        let changes = self.threshold.is_some() || self.for_s.is_some() || self.severity.is_some();
        if changes == self.is_off {
            let message = "give a threshold, a duration or a severity, or switch the rule off";
            wrong("is_off", message.into());
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(errors))
        }
    }
}

/// Whose role holds everywhere may tune for everybody; another only for one host inside of it.
async fn may_write(
    connection: &mut sqlx::AnyConnection,
    actor: &Actor,
    body: &TuningBody,
) -> Result<(), Problem> {
    let Allow::Permission(permission, roles) = WRITE else {
        return Ok(());
    };
    if actor.may(permission, roles, None, &std::collections::BTreeMap::new()) {
        return Ok(());
    }
    let host = match body.labels.get("instance") {
        Some(name) => inventory::store::host_by_name(connection, name).await?,
        None => None,
    };
    let is_inside = |host: inventory::Item| actor.may(permission, roles, host.team.as_deref(), &host.tags);
    if host.is_some_and(is_inside) {
        return Ok(());
    }
    Err(Problem::forbidden(
        "your role holds for some hosts only: name one of them as the label `instance`",
    ))
}

/// Tune a built-in rule
#[utoipa::path(post, path = "/api/v1/rule-tunings", tag = "rules", request_body = TuningBody,
    responses((status = 200, body = Tuning), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn create_rule_tuning(
    State(telemetry): State<Telemetry>,
    actor: Actor,
    Json(body): Json<TuningBody>,
) -> Result<Json<Tuning>, Problem> {
    body.check()?;
    let mut tx = telemetry.kernel().db.write().await?;
    may_write(&mut tx, &actor, &body).await?;
    if store::list(&mut tx).await?.len() >= MOST {
        return Err(Problem::conflict(format_args!(
            "there are {MOST} tunings already"
        )));
    }
    let tuning = Tuning {
        id: TuningId::new(),
        body,
        updated_by: actor.key(),
        updated_at: tx.now(),
        version: 1,
    };
    store::insert(&mut tx, &tuning).await?;
    let data = json!({ "tuning": tuning.body });
    tx.append(&actor, NewEvent::new("rules.changed", &tuning.id, &data))
        .await?;
    tx.commit().await?;
    pack::load(telemetry.kernel(), telemetry.rules()).await?;
    Ok(Json(tuning))
}

#[derive(Debug, Deserialize, ToSchema)]
struct TuningChange {
    #[serde(flatten)]
    body: TuningBody,
    /// The version that was read.
    version: i64,
}

/// Change a tuning
#[utoipa::path(put, path = "/api/v1/rule-tunings/{id}", tag = "rules", params(("id" = String, Path)), request_body = TuningChange,
    responses((status = 200, body = Tuning), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn update_rule_tuning(
    State(telemetry): State<Telemetry>,
    actor: Actor,
    Path(id): Path<String>,
    Json(change): Json<TuningChange>,
) -> Result<Json<Tuning>, Problem> {
    change.body.check()?;
    let mut tx = telemetry.kernel().db.write().await?;
    let before = store::get(&mut tx, &id)
        .await?
        .ok_or_else(|| Problem::not_found("tuning", &id))?;
    may_write(&mut tx, &actor, &before.body).await?;
    may_write(&mut tx, &actor, &change.body).await?;
    let now = tx.now();
    let tuning = Tuning {
        body: change.body,
        updated_by: actor.key(),
        updated_at: now,
        version: change.version,
        ..before
    };
    if !store::update(&mut tx, &tuning, now).await? {
        return Err(Problem::stale("the tuning has changed since you read it"));
    }
    let data = json!({ "tuning": tuning.body, "before": before.body });
    tx.append(&actor, NewEvent::new("rules.changed", &tuning.id, &data))
        .await?;
    tx.commit().await?;
    pack::load(telemetry.kernel(), telemetry.rules()).await?;
    Ok(Json(Tuning {
        version: change.version + 1,
        ..tuning
    }))
}

/// Remove a tuning; the rule is as it was
#[utoipa::path(delete, path = "/api/v1/rule-tunings/{id}", tag = "rules", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn delete_rule_tuning(
    State(telemetry): State<Telemetry>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let mut tx = telemetry.kernel().db.write().await?;
    let before = store::get(&mut tx, &id)
        .await?
        .ok_or_else(|| Problem::not_found("tuning", &id))?;
    may_write(&mut tx, &actor, &before.body).await?;
    store::delete(&mut tx, &id).await?;
    let data = json!({ "removed": true, "before": before.body });
    tx.append(&actor, NewEvent::new("rules.changed", &id, &data))
        .await?;
    tx.commit().await?;
    pack::load(telemetry.kernel(), telemetry.rules()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The past week with a rule as it is and as it would be, for what the tuning covers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TuningPreview)]
struct Preview {
    /// Hosts that the selector means now; absent without one.
    hosts: Option<Vec<String>>,
    /// The rule as it is.
    today: Past,
    /// The rule as tuned.
    tuned: Past,
    /// Seconds between two evaluations: what lasted shorter may be missing.
    step_s: i64,
}

/// What a tuning would have done over the past week
#[utoipa::path(post, path = "/api/v1/rule-tunings/preview", tag = "rules", request_body = TuningBody,
    responses((status = 200, body = Preview), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn preview_rule_tuning(
    State(telemetry): State<Telemetry>,
    reach: Reach,
    Json(body): Json<TuningBody>,
) -> Result<Json<Preview>, Problem> {
    body.check()?;
    let hosts: Option<HashSet<String>> = match body.hosts.as_deref() {
        Some(text) => Some(apply::hosts(&mut *telemetry.kernel().db.read().await?, text).await?),
        None => None,
    };
    let limits = Limits {
        only: Some(Coverage {
            hosts: hosts.clone(),
            labels: body.labels.clone(),
        }),
        without: Vec::new(),
    };
    let (mut today, mut tuned) = (Past::default(), Past::default());
    for (_, rule) in pack::alerts().iter().filter(|(_, rule)| rule.name == body.rule) {
        let was = preview::past(&telemetry, rule, &limits, &reach).await;
        today.add(was.map_err(problem)?);
        if !body.is_off {
            let would = preview::past(&telemetry, &apply::tuned(rule, &body), &limits, &reach).await;
            tuned.add(would.map_err(problem)?);
        }
    }
    let seen = hosts.map(|hosts| {
        let mut hosts: Vec<String> = hosts.into_iter().filter(|host| reach.sees(Some(host))).collect();
        hosts.sort();
        hosts
    });
    Ok(Json(Preview {
        hosts: seen,
        today,
        tuned,
        step_s: preview::STEP_S,
    }))
}

fn problem(error: QueryError) -> Problem {
    match error {
        QueryError::Busy(_) | QueryError::Timeout(_) => Problem::unavailable(error, 2),
        error => Problem::invalid_field("rule", error),
    }
}
