//! Runs: planning, starting, watching and steering them.

use std::collections::BTreeMap;

use axum::extract::State;
use kernel::http::page::{Cursor, Page};
use kernel::http::{Json, Path, Query};
use kernel::slice::roles;
use kernel::{Actor, NewEvent, Problem, Timestamp, Tx};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::runbooks::find as find_runbook;
use crate::document::Act;
use crate::engine::{finish, say_task};
use crate::model::{Run, RunData, RunId, RunState, RunTarget, RunTask, TaskState};
use crate::plan::{self, PlanError, PlannedStep, Wish};
use crate::start::{self, Start, StartError};
use crate::{Automation, store};

pub(super) fn routes(automation: &Automation) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(plan_run))
        .routes(routes!(start_run))
        .routes(routes!(list_runs))
        .routes(routes!(get_run))
        .routes(routes!(cancel_run))
        .routes(routes!(approve_run))
        .routes(routes!(reject_run))
        .with_state(automation.clone())
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StartBody {
    #[serde(default)]
    inputs: BTreeMap<String, String>,
    /// Selector that stands in for the runbook's own.
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
        let texts = self
            .inputs
            .values()
            .chain(&self.targets)
            .chain(&self.incident_id)
            .chain([&self.reason]);
        if texts.into_iter().any(|text| text.contains('\0')) {
            return Err(Problem::invalid_field("body", "must be without NUL"));
        }
        Ok(Wish {
            inputs: self.inputs.clone(),
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
    let mut tx = automation.kernel().db.write().await?;
    let runbook = find_runbook(&mut tx, &id).await?;
    let run = match start::start(&mut tx, &actor, &runbook, &wish, &start).await {
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
    Ok(Json(view(run, Vec::new())))
}

/// Acting needs the role on every target, not only seeing it.
fn check_scope(actor: &Actor, run: &Run) -> Result<(), Problem> {
    let covered = |target: &&RunTarget| !actor.may("runs.start", roles::OPERATE, None, &target.tags);
    match run.targets.iter().find(covered) {
        Some(target) if actor.is_scoped() => Err(Problem::forbidden(format_args!(
            "your roles do not let you act on {}",
            target.name
        ))),
        _ => Ok(()),
    }
}

/// A run with its tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunView {
    id: String,
    runbook_id: String,
    runbook: String,
    runbook_version: i64,
    state: RunState,
    is_dry: bool,
    /// `person`, `schedule` or `alert`.
    source: String,
    inputs: BTreeMap<String, String>,
    targets: Vec<RunTarget>,
    /// Wave and step that are being worked on, from 0.
    wave: usize,
    waves: usize,
    step: usize,
    steps: Vec<RunStep>,
    tasks: Vec<TaskView>,
    incident_id: Option<String>,
    alert_id: Option<String>,
    change_id: Option<String>,
    requested_by: String,
    #[schema(value_type = String, format = DateTime)]
    requested_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// Why it waits or how it ended.
    note: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct RunStep {
    name: String,
    kind: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct TaskView {
    step: usize,
    /// Empty for steps that are done once.
    item_id: String,
    target: String,
    attempt: u32,
    state: TaskState,
    /// Its output is at `/api/v1/commands/{id}/output`.
    command_id: Option<String>,
    exit_code: Option<i64>,
    note: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

pub(super) fn view(run: Run, tasks: Vec<RunTask>) -> RunView {
    let steps = crate::document::parse(&run.text)
        .map(|d| d.steps)
        .unwrap_or_default();
    let target = |id: &str| {
        run.targets
            .iter()
            .find(|t| t.item_id == id)
            .map(|t| t.name.clone())
            .unwrap_or_default()
    };
    let tasks = tasks.into_iter().map(|task| TaskView {
        step: task.step,
        target: target(&task.item_id),
        item_id: task.item_id,
        attempt: task.attempt,
        state: task.state,
        command_id: task.command_id,
        exit_code: task.exit_code,
        note: task.note,
        started_at: task.started_at,
        finished_at: task.finished_at,
    });
    RunView {
        tasks: tasks.collect(),
        id: run.id.to_string(),
        runbook_id: run.runbook_id,
        runbook: run.runbook_name,
        runbook_version: run.runbook_version,
        state: run.state,
        is_dry: run.is_dry,
        source: run.source,
        inputs: run.inputs,
        wave: run.wave,
        waves: run.waves.len(),
        step: run.step,
        steps: steps
            .iter()
            .map(|s| RunStep {
                name: s.name.clone(),
                kind: s.act.kind().into(),
            })
            .collect(),
        targets: run.targets,
        incident_id: run.incident_id,
        alert_id: run.alert_id,
        change_id: run.change_id,
        requested_by: run.requested_by_name,
        requested_at: run.requested_at,
        started_at: run.started_at,
        finished_at: run.finished_at,
        note: run.note,
    }
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

fn sees(actor: &Actor, run: &Run) -> bool {
    !actor.is_scoped() || run.targets.iter().any(|target| actor.sees(None, &target.tags))
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
        .map(|run| view(run, Vec::new()))
        .collect();
    Ok(Json(Page {
        items,
        next: page.next,
    }))
}

pub(super) async fn find(
    connection: &mut sqlx::AnyConnection,
    actor: &Actor,
    id: &str,
) -> Result<Run, Problem> {
    let parsed: RunId = id.parse().map_err(|_| Problem::not_found("run", &id))?;
    let run = store::run(connection, &parsed).await?;
    run.filter(|run| sees(actor, run))
        .ok_or_else(|| Problem::not_found("run", &id))
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
    Ok(Json(view(run, tasks)))
}

/// Cancel a run: what has begun is ended, nothing more begins
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", tag = "automation", params(("id" = String, Path)),
    responses((status = 200, body = RunView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn cancel_run(
    State(automation): State<Automation>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<RunView>, Problem> {
    let mut tx = automation.kernel().db.write().await?;
    let mut run = find(&mut tx, &actor, &id).await?;
    check_scope(&actor, &run)?;
    if run.state.is_end() {
        return Err(Problem::conflict(format_args!(
            "the run has ended already: {}",
            run.state.as_str()
        )));
    }
    if run.state != RunState::Cancelling {
        tx.append(
            &actor,
            NewEvent::new("run.cancelled", &run.id, &RunData::from(&run)).caused_by(run.event_seq),
        )
        .await?;
        run.state = RunState::Cancelling;
        run.note = Some(format!("cancelled by {}", actor.name));
        store::save_run(&mut tx, &run).await?;
    }
    tx.commit().await?;
    automation.wake().signal();
    Ok(Json(view(run, Vec::new())))
}

/// Let a waiting run go on
#[utoipa::path(post, path = "/api/v1/runs/{id}/approve", tag = "automation", params(("id" = String, Path)),
    responses((status = 200, body = RunView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn approve_run(
    State(automation): State<Automation>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<RunView>, Problem> {
    let mut tx = automation.kernel().db.write().await?;
    let mut run = waiting(&mut tx, &actor, &id).await?;
    tx.append(
        &actor,
        NewEvent::new("run.approved", &run.id, &RunData::from(&run)).caused_by(run.event_seq),
    )
    .await?;
    if run.started_at.is_none() {
        match start::confirm(&mut tx, &actor, &mut run).await {
            Ok(()) => {}
            Err(StartError::Db(error)) => return Err(error.into()),
            Err(other) => return Err(Problem::conflict(other)),
        }
    } else {
        answer(&mut tx, &run, TaskState::Ok, &actor).await?;
        run.state = RunState::Running;
        run.note = None;
        store::save_run(&mut tx, &run).await?;
    }
    tx.commit().await?;
    automation.wake().signal();
    Ok(Json(view(run, Vec::new())))
}

/// End a waiting run
#[utoipa::path(post, path = "/api/v1/runs/{id}/reject", tag = "automation", params(("id" = String, Path)),
    responses((status = 200, body = RunView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn reject_run(
    State(automation): State<Automation>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<RunView>, Problem> {
    let mut tx = automation.kernel().db.write().await?;
    let mut run = waiting(&mut tx, &actor, &id).await?;
    tx.append(
        &actor,
        NewEvent::new("run.rejected", &run.id, &RunData::from(&run)).caused_by(run.event_seq),
    )
    .await?;
    answer(&mut tx, &run, TaskState::Failed, &actor).await?;
    finish(
        &mut tx,
        &mut run,
        RunState::Rejected,
        Some(format!("rejected by {}", actor.name)),
    )
    .await?;
    tx.commit().await?;
    Ok(Json(view(run, Vec::new())))
}

async fn waiting(tx: &mut Tx, actor: &Actor, id: &str) -> Result<Run, Problem> {
    let run = find(tx, actor, id).await?;
    check_scope(actor, &run)?;
    if run.state != RunState::AwaitingPerson {
        let state = run.state.as_str();
        return Err(Problem::conflict(format_args!(
            "the run is {state}; it waits for nobody's answer here"
        )));
    }
    Ok(run)
}

/// Writes the answer into the approval step that the run stands at.
async fn answer(tx: &mut Tx, run: &Run, state: TaskState, actor: &Actor) -> Result<(), Problem> {
    let Ok(document) = crate::document::parse(&run.text) else {
        return Ok(());
    };
    let Some(step) = document
        .steps
        .get(run.step)
        .filter(|s| matches!(s.act, Act::Approval { .. }))
    else {
        return Ok(());
    };
    let tasks = store::tasks(tx, &run.id).await?;
    let Some(mut task) = tasks
        .into_iter()
        .find(|t| t.step == run.step && t.state == TaskState::Waiting)
    else {
        return Ok(());
    };
    task.state = state;
    task.note = Some(format!("answered by {}", actor.name));
    task.finished_at = Some(tx.now());
    store::save_task(tx, &run.id, &task).await?;
    say_task(tx, run, step, &task).await?;
    Ok(())
}
