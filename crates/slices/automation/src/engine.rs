//! Moving runs on: each move is one transaction that decides, begins steps, and says what happened.
//!
//! Invariant: a task and the command that it hands to an agent are written together, so no step is begun twice and none is forgotten,
//! whenever the server is killed.

use change::{Outcome, Permit};
use fleet::Fleet;
use kernel::{Actor, DbError, Kernel, NewEvent, Tx};
use notify::{Page, PageKind, Severity};

use crate::decide::{self, Next};
use crate::document::{Act, Document, Step};
use crate::model::{Run, RunData, RunId, RunState, RunTarget, RunTask, TaskState};
use crate::template::{self, RunView, Scope};
use crate::{plan, reach, store};

/// Moves of one run in one transaction.
const MOVES: usize = 500;

fn engine() -> Actor {
    Actor::system("automation")
}

/// Puts a planned run in line. Only somebody with a permit for exactly this plan can.
pub async fn order(tx: &mut Tx, permit: &Permit, id: &RunId) -> Result<bool, DbError> {
    let Some(mut run) = store::run(tx, id).await? else {
        return Ok(false);
    };
    let is_planned = matches!(run.state, RunState::AwaitingApproval | RunState::AwaitingPerson);
    if !is_planned || permit.plan_hash() != run.plan_hash {
        return Ok(false);
    }
    run.change_id = Some(permit.change_id().to_string());
    run.state = RunState::Queued;
    run.note = None;
    store::save_run(tx, &run).await?;
    Ok(true)
}

/// Moves one run as far as it goes now.
pub(crate) async fn advance(kernel: &Kernel, fleet: &Fleet, id: &RunId) -> Result<(), DbError> {
    let mut tx = kernel.db.write().await?;
    let Some(mut run) = store::run(&mut tx, id).await? else {
        return Ok(());
    };
    tx.set_cause(run.event_seq);
    match run.state {
        RunState::Queued => start(&mut tx, &mut run).await?,
        RunState::Cancelling => return finish_cancel(fleet, tx, run).await,
        RunState::Running => {}
        _ => return Ok(()),
    }
    if run.state == RunState::Running {
        let Ok(document) = crate::document::parse(&run.text) else {
            finish(
                &mut tx,
                &mut run,
                RunState::Failed,
                Some("the stored document does not read".into()),
            )
            .await?;
            return tx.commit().await;
        };
        for _ in 0..MOVES {
            let tasks = store::tasks(&mut tx, &run.id).await?;
            if !step_on(fleet, &mut tx, &mut run, (&tasks, &document)).await? {
                break;
            }
        }
    }
    tx.commit().await
}

/// Takes the locks; all of them or none.
async fn start(tx: &mut Tx, run: &mut Run) -> Result<(), DbError> {
    if !run.is_dry {
        let now = tx.now();
        let mut items: Vec<&RunTarget> = run.targets.iter().collect();
        items.sort_by(|a, b| a.item_id.cmp(&b.item_id));
        for target in items {
            if let Some(holder) = store::try_lock(tx, &target.item_id, &run.id, now).await? {
                store::release_locks(tx, &run.id).await?;
                let note = Some(format!("waits for {holder}, which works on {}", target.name));
                if run.note != note {
                    run.note = note;
                    store::save_run(tx, run).await?;
                }
                return Ok(());
            }
        }
    }
    run.state = RunState::Running;
    run.note = None;
    run.started_at = Some(tx.now());
    let event = NewEvent::new("run.started", &run.id, &RunData::from(&*run));
    run.event_seq = Some(tx.append(&engine(), event).await?);
    tx.set_cause(run.event_seq);
    store::save_run(tx, run).await
}

/// One move. False when there is nothing to do until something ends.
async fn step_on(
    fleet: &Fleet,
    tx: &mut Tx,
    run: &mut Run,
    (tasks, document): (&[RunTask], &Document),
) -> Result<bool, DbError> {
    match decide::next(run, tasks, document) {
        Next::Wait => Ok(false),
        Next::Begin(list) => {
            let Some(step) = document.steps.get(run.step) else {
                return Ok(false);
            };
            for (item, attempt) in list {
                begin(fleet, tx, run, step, (&item, attempt)).await?;
            }
            Ok(run.state == RunState::Running)
        }
        Next::Advance { wave, step } => {
            (run.wave, run.step) = (wave, step);
            store::save_run(tx, run).await?;
            Ok(true)
        }
        Next::Succeed => finish(tx, run, RunState::Succeeded, None).await.map(|()| false),
        Next::Fail(note) => finish(tx, run, RunState::Failed, Some(note))
            .await
            .map(|()| false),
    }
}

async fn begin(
    fleet: &Fleet,
    tx: &mut Tx,
    run: &mut Run,
    step: &Step,
    (item, attempt): (&str, u32),
) -> Result<(), DbError> {
    let target = run.targets.iter().find(|t| t.item_id == item).cloned();
    let scope = Scope {
        inputs: run.inputs.clone(),
        target: target.as_ref().map(plan::view),
        alert: None,
        run: RunView {
            id: run.id.to_string(),
        },
    };
    let mut task = RunTask {
        step: run.step,
        item_id: item.to_owned(),
        attempt,
        state: TaskState::Ok,
        command_id: None,
        exit_code: None,
        note: None,
        started_at: Some(tx.now()),
        finished_at: None,
    };
    match prepare(step, &scope) {
        Err(error) => end_task(&mut task, TaskState::Failed, Some(error), tx),
        Ok(false) => end_task(
            &mut task,
            TaskState::Skipped,
            step.when.clone().map(|w| format!("not: {w}")),
            tx,
        ),
        Ok(true) if run.is_dry => {
            let what = plan::describe(&step.act, &scope).unwrap_or_else(|error| error);
            end_task(&mut task, TaskState::Ok, Some(format!("would {what}")), tx);
        }
        Ok(true) => act(fleet, tx, run, step, (&scope, target.as_ref()), &mut task).await?,
    }
    store::save_task(tx, &run.id, &task).await?;
    if task.state.is_end() {
        say_task(tx, run, step, &task).await?;
    }
    Ok(())
}

fn prepare(step: &Step, scope: &Scope) -> Result<bool, String> {
    step.when
        .as_deref()
        .map_or(Ok(true), |condition| template::holds(condition, scope))
}

fn end_task(task: &mut RunTask, state: TaskState, note: Option<String>, tx: &Tx) {
    task.state = state;
    task.note = note;
    task.finished_at = Some(tx.now());
}

async fn act(
    fleet: &Fleet,
    tx: &mut Tx,
    run: &mut Run,
    step: &Step,
    (scope, target): (&Scope, Option<&RunTarget>),
    task: &mut RunTask,
) -> Result<(), DbError> {
    match (&step.act, target) {
        (Act::Wait { .. }, _) => task.state = TaskState::Waiting,
        (Act::Approval { text }, _) => {
            task.state = TaskState::Waiting;
            let text = template::render(text, scope).unwrap_or_else(|error| error);
            run.state = RunState::AwaitingPerson;
            run.note = Some(text.clone());
            store::save_run(tx, run).await?;
            tx.append(
                &engine(),
                NewEvent::new("run.waiting", &run.id, &RunData::from(&*run)),
            )
            .await?;
            let page = page(run, PageKind::RunWaiting, Severity::Warning, "waiting", &text);
            notify::page(tx, &engine(), &page).await?;
        }
        (
            Act::Notify {
                title,
                text,
                severity,
            },
            _,
        ) => match (template::render(title, scope), template::render(text, scope)) {
            (Ok(title), Ok(text)) => {
                let key = format!("run:{}:{}", run.id, run.step);
                let page = Page {
                    title,
                    dedup_key: key,
                    ..page(run, PageKind::Custom, *severity, "", &text)
                };
                notify::page(tx, &engine(), &page).await?;
                end_task(task, TaskState::Ok, None, tx);
            }
            (Err(error), _) | (_, Err(error)) => end_task(task, TaskState::Failed, Some(error), tx),
        },
        (_, None) => end_task(task, TaskState::Failed, Some("the step has no target".into()), tx),
        (host_act, Some(target)) => {
            let outcome = match reach::action(host_act, scope) {
                Ok(action) => reach::dispatch(fleet, tx, run, target, step, (action, task.attempt)).await?,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(command) => {
                    task.state = TaskState::Dispatched;
                    task.command_id = Some(command);
                }
                Err(error) => end_task(task, TaskState::Failed, Some(error), tx),
            }
        }
    }
    Ok(())
}

fn page(run: &Run, kind: PageKind, severity: Severity, word: &str, text: &str) -> Page {
    Page {
        dedup_key: format!("run:{}:{word}", run.id),
        kind,
        severity,
        team: None,
        title: format!("{} is {word}", run.runbook_name),
        text: text.to_owned(),
        url_path: Some(format!("/runs/{}", run.id)),
        fields: vec![("Requested by".into(), run.requested_by_name.clone())],
        channels: None,
    }
}

pub(crate) async fn say_task(tx: &mut Tx, run: &Run, step: &Step, task: &RunTask) -> Result<(), DbError> {
    let target = run
        .targets
        .iter()
        .find(|t| t.item_id == task.item_id)
        .map(|t| t.name.clone());
    let data = serde_json::json!({
        "run_id": run.id, "runbook": run.runbook_name, "step": task.step, "name": step.name, "kind": step.act.kind(),
        "target": target, "item_id": task.item_id, "attempt": task.attempt, "state": task.state,
        "exit_code": task.exit_code, "note": task.note, "command_id": task.command_id,
    });
    tx.append(&engine(), NewEvent::new("run.step_finished", &run.id, &data))
        .await?;
    Ok(())
}

/// Ends a run: locks, the change, the event, and a word to people when it went wrong.
pub(crate) async fn finish(
    tx: &mut Tx,
    run: &mut Run,
    state: RunState,
    note: Option<String>,
) -> Result<(), DbError> {
    run.state = state;
    run.note = note.or(run.note.take());
    run.finished_at = Some(tx.now());
    store::save_run(tx, run).await?;
    store::release_locks(tx, &run.id).await?;
    let outcome = match state {
        RunState::Succeeded => Outcome::Succeeded,
        RunState::Failed => Outcome::Failed,
        _ => Outcome::Cancelled,
    };
    tx.append(
        &engine(),
        NewEvent::new("run.finished", &run.id, &RunData::from(&*run)),
    )
    .await?;
    if let Some(Ok(change)) = run.change_id.as_deref().map(str::parse) {
        change::finish(tx, &engine(), &change, outcome).await?;
    }
    if state == RunState::Failed && !run.is_dry {
        let text = run.note.clone().unwrap_or_default();
        notify::page(
            tx,
            &engine(),
            &page(run, PageKind::RunFinished, Severity::Warning, "failed", &text),
        )
        .await?;
    }
    Ok(())
}

/// A cancelled run ends when everything that it had begun has ended.
async fn finish_cancel(fleet: &Fleet, mut tx: Tx, mut run: Run) -> Result<(), DbError> {
    let tasks = store::tasks(&mut tx, &run.id).await?;
    let mut is_quiet = true;
    for task in tasks.iter().filter(|task| !task.state.is_end()) {
        match task.command_id.as_deref().map(str::parse) {
            Some(Ok(command)) => {
                is_quiet = false;
                fleet.cancel(&mut tx, &engine(), &command).await?;
            }
            _ => {
                let mut task = task.clone();
                end_task(&mut task, TaskState::Cancelled, None, &tx);
                store::save_task(&mut tx, &run.id, &task).await?;
            }
        }
    }
    if is_quiet {
        finish(&mut tx, &mut run, RunState::Cancelled, None).await?;
    }
    tx.commit().await
}
