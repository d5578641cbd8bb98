//! What waits in vain: questions that nobody answers, changes that nobody decides on, commands whose end was not heard of.

use std::time::Duration;

use change::ChangeState;
use jiff::SignedDuration;
use kernel::{AnyError, Kernel, Timestamp};

use crate::document::Act;
use crate::engine::{end_task, finish, say_task};
use crate::model::{Run, RunId, RunState, RunTask, TaskState};
use crate::react::{Ended, settle};
use crate::{Automation, store};

/// How long a run that an alert has made ready waits for a person.
const ASKS_FOR: SignedDuration = SignedDuration::from_hours(24);
/// How long after its timeout the end of a command is asked for: fleet gives one up long before.
const UNHEARD: Duration = Duration::from_secs(15 * 60);

pub(crate) async fn end(kernel: &Kernel, automation: &Automation) -> Result<(), AnyError> {
    let now = kernel.clock.now();
    let waiting = store::waiting(&mut *kernel.db.read().await?).await?;
    for run in &waiting {
        match run.state {
            RunState::AwaitingPerson if answer_by(kernel, automation, run).await? <= now => {
                give_up_asking(kernel, automation, &run.id).await?;
            }
            RunState::AwaitingApproval => look_at_change(kernel, automation, run, now).await?,
            _ => {}
        }
    }
    let active = store::active(&mut *kernel.db.read().await?).await?;
    for run in active.iter().filter(|run| run.state != RunState::Queued) {
        ask_for_ends(kernel, automation, run, now).await?;
    }
    Ok(())
}

/// Until when a run waits for an answer.
async fn answer_by(kernel: &Kernel, automation: &Automation, run: &Run) -> Result<Timestamp, AnyError> {
    let after = |at: Timestamp, by: SignedDuration| at.checked_add(by).unwrap_or(Timestamp::MAX);
    if run.started_at.is_none() {
        return Ok(after(run.requested_at, ASKS_FOR));
    }
    let Ok(document) = automation.document(run) else {
        return Ok(Timestamp::MAX);
    };
    let tasks = store::deciding(&mut *kernel.db.read().await?, &run.id, run.step).await?;
    let asked = tasks.iter().find(|task| is_question(run, task));
    let step = document.steps.get(run.step);
    Ok(match (asked.and_then(|task| task.started_at), step) {
        (Some(at), Some(step)) => after(at, SignedDuration::try_from(step.timeout)?),
        _ => Timestamp::MAX,
    })
}

fn is_question(run: &Run, task: &RunTask) -> bool {
    task.step == run.step && task.state == TaskState::Waiting
}

async fn give_up_asking(kernel: &Kernel, automation: &Automation, id: &RunId) -> Result<(), AnyError> {
    let mut tx = kernel.db.write().await?;
    let Some(mut run) = store::hold(&mut tx, id)
        .await?
        .filter(|run| run.state == RunState::AwaitingPerson)
    else {
        return Ok(());
    };
    tx.set_cause(run.event_seq);
    let note = "nobody answered in time".to_owned();
    if run.started_at.is_none() {
        finish(automation, &mut tx, &mut run, RunState::Rejected, Some(note)).await?;
        return Ok(tx.commit().await?);
    }
    let document = automation.document(&run).ok();
    let step = document
        .as_ref()
        .and_then(|document| document.steps.get(run.step))
        .filter(|step| matches!(step.act, Act::Approval { .. }));
    let tasks = store::deciding(&mut tx, &run.id, run.step).await?;
    if let Some(mut task) = tasks.into_iter().find(|task| is_question(&run, task)) {
        end_task(&mut task, TaskState::Failed, Some(note.clone()), &tx);
        store::save_task(&mut tx, &run.id, &task).await?;
        if let Some(step) = step {
            say_task(&mut tx, &run, step, &task).await?;
        }
    }
    finish(automation, &mut tx, &mut run, RunState::Failed, Some(note)).await?;
    Ok(tx.commit().await?)
}

/// A change that is not wanted any more, or was not decided on in time, takes its run along.
async fn look_at_change(
    kernel: &Kernel,
    automation: &Automation,
    run: &Run,
    now: Timestamp,
) -> Result<(), AnyError> {
    let Some(Ok(id)) = run.change_id.as_deref().map(str::parse) else {
        return Ok(());
    };
    let Some(change) = change::get(&mut *kernel.db.read().await?, &id).await? else {
        return Ok(());
    };
    let note = match change.state {
        ChangeState::Requested | ChangeState::Approved if change.expires_at <= now => {
            format!("nobody approved it until {}", change.expires_at)
        }
        ChangeState::Rejected | ChangeState::Cancelled => {
            format!("the change was {}", change.state.as_str())
        }
        _ => return Ok(()),
    };
    let mut tx = kernel.db.write().await?;
    if let Some(mut run) = store::hold(&mut tx, &run.id)
        .await?
        .filter(|run| run.state == RunState::AwaitingApproval)
    {
        tx.set_cause(run.event_seq);
        finish(automation, &mut tx, &mut run, RunState::Rejected, Some(note)).await?;
    }
    Ok(tx.commit().await?)
}

/// The end of a command comes as an event; when that event could not be taken, the run would wait for ever with its locks.
async fn ask_for_ends(
    kernel: &Kernel,
    automation: &Automation,
    run: &Run,
    now: Timestamp,
) -> Result<(), AnyError> {
    let Ok(document) = automation.document(run) else {
        return Ok(());
    };
    let mut reader = kernel.db.read().await?;
    let mut unheard = Vec::new();
    for task in store::deciding(&mut reader, &run.id, run.step).await? {
        let timeout = document
            .steps
            .get(task.step)
            .map_or(Duration::ZERO, |s| s.timeout);
        let began = task.started_at.unwrap_or(now);
        let is_late = now.duration_since(began) >= SignedDuration::try_from(timeout + UNHEARD)?;
        if task.state.is_end() || !is_late {
            continue;
        }
        let Some(Ok(id)) = task.command_id.as_deref().map(str::parse) else {
            continue;
        };
        let command = fleet::store::command(&mut reader, &id).await?;
        match command {
            Some(command) if !command.state.is_end() => {}
            command => unheard.push((id, command)),
        }
    }
    drop(reader);
    for (id, command) in unheard {
        let mut tx = kernel.db.write().await?;
        let ended = Ended {
            command: id.to_string(),
            state: command.as_ref().map_or(fleet::State::Lost, |c| c.state),
            exit_code: command.as_ref().and_then(fleet::Command::exit_code),
            error: None,
            at: tx.now(),
        };
        tx.set_cause(run.event_seq);
        settle(automation, &mut tx, &ended).await?;
        tx.commit().await?;
    }
    Ok(())
}
