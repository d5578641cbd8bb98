//! Steering runs: ending them, and answering those that wait for a person.

use axum::extract::State;
use kernel::http::{Json, Path};
use kernel::{Actor, NewEvent, Problem, Tx};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::rights::hold;
use super::view::{RunView, view};
use crate::document::Act;
use crate::engine::{end_task, finish, say_task};
use crate::model::{Run, RunData, RunState, TaskState};
use crate::start::{self, StartError};
use crate::withdraw::withdrawn;
use crate::{Automation, store};

pub(super) fn routes(automation: &Automation) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(cancel_run))
        .routes(routes!(approve_run))
        .routes(routes!(reject_run))
        .with_state(automation.clone())
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
    let mut run = hold(&mut tx, &actor, &id).await?;
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
    Ok(Json(view(&automation, run, Vec::new())))
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
    if let Some(reason) = withdrawn(&automation, &mut tx, &run).await? {
        finish(
            &automation,
            &mut tx,
            &mut run,
            RunState::Cancelled,
            Some(reason.clone()),
        )
        .await?;
        tx.commit().await?;
        return Err(Problem::conflict(reason));
    }
    if run.source == change::Source::Person.as_str() {
        change::second_person(&mut tx, &run.requested_by, &actor)
            .await?
            .map_err(|reason| Problem::conflict(format_args!("an approval step: {reason}")))?;
    }
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
        answer(&automation, &mut tx, &run, TaskState::Ok, &actor).await?;
        run.state = RunState::Running;
        run.note = None;
        store::save_run(&mut tx, &run).await?;
    }
    tx.commit().await?;
    automation.wake().signal();
    Ok(Json(view(&automation, run, Vec::new())))
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
    answer(&automation, &mut tx, &run, TaskState::Failed, &actor).await?;
    let note = Some(format!("rejected by {}", actor.name));
    finish(&automation, &mut tx, &mut run, RunState::Rejected, note).await?;
    tx.commit().await?;
    Ok(Json(view(&automation, run, Vec::new())))
}

async fn waiting(tx: &mut Tx, actor: &Actor, id: &str) -> Result<Run, Problem> {
    let run = hold(tx, actor, id).await?;
    if run.state != RunState::AwaitingPerson {
        let state = run.state.as_str();
        return Err(Problem::conflict(format_args!(
            "the run is {state}; it waits for nobody's answer here"
        )));
    }
    Ok(run)
}

/// Writes the answer into the approval step that the run stands at.
async fn answer(
    automation: &Automation,
    tx: &mut Tx,
    run: &Run,
    state: TaskState,
    actor: &Actor,
) -> Result<(), Problem> {
    let Ok(document) = automation.document(run) else {
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
    let note = Some(format!("answered by {}", actor.name));
    end_task(&mut task, state, note, tx);
    store::save_task(tx, &run.id, &task).await?;
    say_task(tx, run, step, &task).await?;
    Ok(())
}
