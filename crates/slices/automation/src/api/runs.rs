//! Runs: planning, starting and looking at them.

use std::collections::BTreeMap;

use axum::extract::State;
use kernel::http::page::{Cursor, Page};
use kernel::http::{Json, Path, Query};
use kernel::{Actor, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::rights::{check_scope, find, sees, visible_part};
use super::runbooks::find as find_runbook;
use super::view::{RunView, view};
use crate::input::Scalar;
use crate::model::{RunState, RunTarget};
use crate::plan::{self, PlanError, PlannedStep, Wish};
use crate::start::{self, Start, StartError};
use crate::{Automation, store};

pub(super) fn routes(automation: &Automation) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(plan_run))
        .routes(routes!(start_run))
        .routes(routes!(list_runs))
        .routes(routes!(get_run))
        .with_state(automation.clone())
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StartBody {
    /// Texts, whole numbers, true or false.
    #[serde(default)]
    inputs: BTreeMap<String, Scalar>,
    /// Selector that narrows the runbook's own, or names the targets when it has none.
    #[schema(max_length = 2000)]
    targets: Option<String>,
    /// The incident that it is for.
    incident_id: Option<String>,
    /// Hash of the plan that was read; another plan is refused.
    plan_hash: Option<String>,
    /// Say what would be done, and do nothing.
    #[serde(default)]
    dry_run: bool,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 2000)]
    reason: String,
}

impl StartBody {
    fn wish(&self) -> Result<Wish, Problem> {
        let inputs: BTreeMap<String, String> = self
            .inputs
            .iter()
            .map(|(name, value)| (name.clone(), value.to_string()))
            .collect();
        let texts = inputs
            .values()
            .chain(&self.targets)
            .chain(&self.incident_id)
            .chain([&self.reason]);
        if texts.into_iter().any(|text| text.contains('\0')) {
            return Err(Problem::invalid_field("body", "must be without NUL"));
        }
        Ok(Wish {
            inputs,
            targets: self.targets.clone(),
            ..Wish::default()
        })
    }
}

/// Exactly what a run would do.
#[derive(Debug, Serialize, ToSchema)]
struct PlanView {
    hash: String,
    risk: String,
    targets: Vec<RunTarget>,
    /// Names of the targets, wave by wave.
    waves: Vec<Vec<String>>,
    steps: Vec<PlannedStep>,
}

fn plan_problem(error: PlanError) -> Problem {
    match error {
        PlanError::Db(error) => error.into(),
        PlanError::Inputs(errors) => Problem::invalid(errors),
        PlanError::Targets(message) => Problem::invalid_field("targets", message),
        PlanError::Template(message) => Problem::invalid_field("inputs", message),
        PlanError::Document(_) => Problem::conflict(error),
    }
}

/// Plan a run: its targets, waves and steps, without doing anything
#[utoipa::path(post, path = "/api/v1/runbooks/{id}/plan", tag = "automation", params(("id" = String, Path)), request_body = StartBody,
    responses((status = 200, body = PlanView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn plan_run(
    State(automation): State<Automation>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<StartBody>,
) -> Result<Json<PlanView>, Problem> {
    let wish = body.wish()?;
    let mut reader = automation.kernel().db.read().await?;
    let runbook = find_runbook(&mut reader, &id).await?;
    let plan = plan::plan(&mut reader, &actor, &runbook, &wish)
        .await
        .map_err(plan_problem)?;
    let name = |index: &usize| {
        plan.targets
            .get(*index)
            .map(|target| target.name.clone())
            .unwrap_or_default()
    };
    Ok(Json(PlanView {
        hash: plan.hash,
        risk: plan.document.risk.as_str().into(),
        waves: plan
            .waves
            .iter()
            .map(|wave| wave.iter().map(name).collect())
            .collect(),
        targets: plan.targets,
        steps: plan.steps,
    }))
}

/// Start a run
#[utoipa::path(post, path = "/api/v1/runbooks/{id}/runs", tag = "automation", params(("id" = String, Path)), request_body = StartBody,
    responses((status = 200, body = RunView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn start_run(
    State(automation): State<Automation>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<StartBody>,
) -> Result<Json<RunView>, Problem> {
    let wish = body.wish()?;
    let start = Start {
        source: change::Source::Person,
        is_dry: body.dry_run,
        asks: false,
        alert: None,
        incident: body.incident_id,
        expected_hash: body.plan_hash,
        reason: body.reason,
    };
    let secrets = &automation.kernel().secrets;
    let mut tx = automation.kernel().db.write().await?;
    let runbook = find_runbook(&mut tx, &id).await?;
    let run = match start::start(&mut tx, &actor, &runbook, (&wish, secrets), &start).await {
        Ok(run) => run,
        Err(StartError::Plan(error)) => return Err(plan_problem(error)),
        Err(StartError::Db(error)) => return Err(error.into()),
        // What change refused stays on record; the run does not.
        Err(StartError::Refused(reason)) => {
            tx.commit().await?;
            return Err(Problem::conflict(reason));
        }
        Err(error @ StartError::OtherPlan) => return Err(Problem::stale(error)),
    };
    check_scope(&actor, &run)?;
    tx.commit().await?;
    automation.wake().signal();
    Ok(Json(view(&automation, run, Vec::new())))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    state: Option<RunState>,
    runbook_id: Option<String>,
    incident_id: Option<String>,
    /// 1 to 500, 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Runs, newest first, without their tasks
#[utoipa::path(get, path = "/api/v1/runs", tag = "automation", params(ListQuery),
    responses((status = 200, body = Page<RunView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_runs(
    State(automation): State<Automation>,
    actor: Actor,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<RunView>>, Problem> {
    let before = match Cursor::decode(query.cursor.as_deref())? {
        Some(cursor) => (cursor.i64(0)?, cursor.part(1)?.to_owned()),
        None => (i64::MAX, String::new()),
    };
    let limit = query.limit.unwrap_or(100).clamp(1, 500);
    let (runbook, incident) = (
        query.runbook_id.unwrap_or_default(),
        query.incident_id.unwrap_or_default(),
    );
    let filter = (
        query.state.map_or("", RunState::as_str),
        runbook.as_str(),
        incident.as_str(),
    );
    let mut reader = automation.kernel().db.read().await?;
    let runs = store::list_runs(&mut reader, filter, before, i64::from(limit) + 1).await?;
    let page = Page::cut(runs, limit as usize, |run| {
        Cursor::of(&[&run.requested_at.as_microsecond().to_string(), run.id.as_str()])
    });
    let items = page
        .items
        .into_iter()
        .filter(|run| sees(&actor, run))
        .map(|run| view(&automation, visible_part(&actor, run), Vec::new()))
        .collect();
    Ok(Json(Page {
        items,
        next: page.next,
    }))
}

/// One run with its tasks
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "automation", params(("id" = String, Path)),
    responses((status = 200, body = RunView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn get_run(
    State(automation): State<Automation>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<RunView>, Problem> {
    let mut reader = automation.kernel().db.read().await?;
    let run = find(&mut reader, &actor, &id).await?;
    let tasks = store::tasks(&mut reader, &run.id).await?;
    Ok(Json(view(&automation, run, tasks)))
}
