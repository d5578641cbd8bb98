//! Beginning a step on a target: whether it applies, what it does, and whom it is handed to.

use kernel::{DbError, NewEvent, Tx};
use notify::{Page, PageKind, Severity};

use crate::document::{Act, Document, Step};
use crate::engine::{end_task, engine, page, say_task};
use crate::model::{Run, RunData, RunState, RunTarget, RunTask, TaskState};
use crate::template::{self, Scope};
use crate::{Automation, plan, reach, secrets, store};

/// Begins the run's step on a target (`""` for once a run) and writes the task.
pub(crate) async fn begin(
    automation: &Automation,
    tx: &mut Tx,
    run: &mut Run,
    (document, step): (&Document, &Step),
    (item, attempt): (&str, u32),
) -> Result<(), DbError> {
    let target = run.targets.iter().find(|t| t.item_id == item).cloned();
    let scope = Scope {
        secrets: secrets::named(tx, run.id.as_str()).await?,
        ..plan::scope(run, document, target.as_ref())
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
    match applies(step, &scope) {
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
        Ok(true) => act(automation, tx, run, step, (&scope, target.as_ref()), &mut task).await?,
    }
    store::save_task(tx, &run.id, &task).await?;
    if task.state.is_end() {
        say_task(tx, run, step, &task).await?;
    }
    Ok(())
}

fn applies(step: &Step, scope: &Scope) -> Result<bool, String> {
    step.when
        .as_deref()
        .map_or(Ok(true), |condition| template::holds(condition, scope))
}

async fn act(
    automation: &Automation,
    tx: &mut Tx,
    run: &mut Run,
    step: &Step,
    (scope, target): (&Scope, Option<&RunTarget>),
    task: &mut RunTask,
) -> Result<(), DbError> {
    match (&step.act, target) {
        (Act::Wait { .. }, _) => {
            task.state = TaskState::Waiting;
            let automation = automation.clone();
            tx.after_commit(move || automation.wait_wake().signal());
        }
        (Act::Approval { text }, _) => ask(tx, run, text, scope, task).await?,
        (Act::Notify { .. }, _) => tell(tx, run, &step.act, scope, task).await?,
        (_, None) => end_task(task, TaskState::Failed, Some("the step has no target".into()), tx),
        (host_act, Some(target)) => {
            let outcome = match reach::action(host_act, scope) {
                Ok(action) => {
                    let fleet = automation.fleet();
                    reach::dispatch(fleet, tx, run, target, step, (action, task.attempt)).await?
                }
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

async fn ask(
    tx: &mut Tx,
    run: &mut Run,
    text: &str,
    scope: &Scope,
    task: &mut RunTask,
) -> Result<(), DbError> {
    task.state = TaskState::Waiting;
    let text = template::render(text, scope).unwrap_or_else(|error| error);
    run.state = RunState::AwaitingPerson;
    run.note = Some(text.clone());
    store::save_run(tx, run).await?;
    let event = NewEvent::new("run.waiting", &run.id, &RunData::from(&*run));
    tx.append(&engine(), event).await?;
    let page = Page {
        title: crate::start::waiting_title(run),
        ..page(run, PageKind::RunWaiting, Severity::Warning, "waiting", &text)
    };
    notify::page(tx, &engine(), &page).await?;
    Ok(())
}

async fn tell(tx: &mut Tx, run: &Run, act: &Act, scope: &Scope, task: &mut RunTask) -> Result<(), DbError> {
    let Act::Notify {
        title,
        text,
        severity,
    } = act
    else {
        return Ok(());
    };
    match (template::render(title, scope), template::render(text, scope)) {
        (Ok(title), Ok(text)) => {
            let page = Page {
                title,
                dedup_key: format!("run:{}:{}", run.id, run.step),
                ..page(run, PageKind::Custom, *severity, "", &text)
            };
            notify::page(tx, &engine(), &page).await?;
            end_task(task, TaskState::Ok, None, tx);
        }
        (Err(error), _) | (_, Err(error)) => end_task(task, TaskState::Failed, Some(error), tx),
    }
    Ok(())
}
