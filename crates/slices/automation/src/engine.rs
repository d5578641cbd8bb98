//! Moving runs on: each move is one transaction that decides, begins steps, and says what happened.
//!
//! Invariant: a task and the command that it hands to an agent are written together, so no step is begun twice and none is forgotten,
//! whenever the server is killed. Whoever changes a run holds it first ([`store::hold`]); the order is run, change, event log.

use change::{Outcome, Permit};
use kernel::{Actor, DbError, NewEvent, Tx};
use notify::{Page, PageKind, Severity};

use crate::begin::begin;
use crate::decide::{self, Next};
use crate::document::{Document, Step};
use crate::model::{Run, RunData, RunId, RunState, RunTarget, RunTask, TaskState};
use crate::{Automation, store};

/// Targets that a message names.
const SHOWN: usize = 10;
/// Moves of one run in one transaction.
const MOVES: usize = 100;

pub(crate) fn engine() -> Actor {
    Actor::system("automation")
}

/// Puts a planned run in line. Only somebody with a permit for exactly this plan can.
pub async fn order(tx: &mut Tx, permit: &Permit, id: &RunId) -> Result<bool, DbError> {
    let Some(mut run) = store::hold(tx, id).await? else {
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
pub(crate) async fn advance(automation: &Automation, id: &RunId) -> Result<(), DbError> {
    let mut tx = automation.kernel().db.write().await?;
    let Some(mut run) = store::hold(&mut tx, id).await? else {
        return Ok(());
    };
    tx.set_cause(run.event_seq);
    match run.state {
        RunState::Queued => start(automation, &mut tx, &mut run).await?,
        RunState::Running => {}
        _ => return Ok(()),
    }
    if run.state == RunState::Running {
        let Ok(document) = automation.document(&run) else {
            let note = Some("the stored document does not read".into());
            finish(automation, &mut tx, &mut run, RunState::Failed, note).await?;
            return tx.commit().await;
        };
        let mut moves = 0;
        while step_on(automation, &mut tx, &mut run, &document).await? {
            moves += 1;
            if moves == MOVES {
                // The rest after others have had their turn.
                automation.wake_after(&mut tx);
                break;
            }
        }
    }
    tx.commit().await
}

/// Takes the locks; all of them or none.
async fn start(automation: &Automation, tx: &mut Tx, run: &mut Run) -> Result<(), DbError> {
    if !run.is_dry {
        if let Some(reason) = crate::withdraw::withdrawn(automation, tx, run).await? {
            return finish(automation, tx, run, RunState::Cancelled, Some(reason)).await;
        }
        let now = tx.now();
        let mut items: Vec<&RunTarget> = run.targets.iter().collect();
        items.sort_by(|a, b| a.item_id.cmp(&b.item_id));
        for target in items {
            if let Some(holder) = store::try_lock(tx, &target.item_id, &run.id, now).await? {
                store::release_locks(tx, &run.id).await?;
                let note = waits_for(&holder, &target.name);
                return note_waiting(tx, run, note).await;
            }
        }
    }
    // It may have been in line for hours.
    if let Err(reason) = may_go_on(tx, run).await? {
        let note = Some(format!("not begun: {reason}"));
        return finish(automation, tx, run, RunState::Failed, note).await;
    }
    run.state = RunState::Running;
    run.note = None;
    run.started_at = Some(tx.now());
    let event = NewEvent::new("run.started", &run.id, &RunData::from(&*run));
    run.event_seq = Some(tx.append(&engine(), event).await?);
    tx.set_cause(run.event_seq);
    store::save_run(tx, run).await
}

/// Whether the rules that gave the permit still let the run begin something. The error says why not.
async fn may_go_on(tx: &mut Tx, run: &Run) -> Result<Result<(), String>, DbError> {
    match run.change_id.as_deref().map(str::parse) {
        _ if run.is_dry => Ok(Ok(())),
        Some(Ok(id)) => change::recheck(tx, &id).await,
        _ => Ok(Err("it has no permit".into())),
    }
}

pub(crate) fn waits_for(holder: &str, target: &str) -> String {
    format!("waits for {holder}, which works on {target}")
}

async fn note_waiting(tx: &mut Tx, run: &mut Run, note: String) -> Result<(), DbError> {
    if run.note.as_ref() != Some(&note) {
        run.note = Some(note);
        store::save_run(tx, run).await?;
    }
    Ok(())
}

/// Says of a run in line why it waits.
pub(crate) async fn explain(automation: &Automation, id: &RunId, note: String) -> Result<(), DbError> {
    let mut tx = automation.kernel().db.write().await?;
    if let Some(mut run) = store::hold(&mut tx, id)
        .await?
        .filter(|run| run.state == RunState::Queued)
    {
        note_waiting(&mut tx, &mut run, note).await?;
    }
    tx.commit().await
}

/// One move. False when there is nothing to do until something ends.
async fn step_on(
    automation: &Automation,
    tx: &mut Tx,
    run: &mut Run,
    document: &Document,
) -> Result<bool, DbError> {
    let tasks = store::deciding(tx, &run.id, run.step).await?;
    match decide::next(run, &tasks, document) {
        Next::Wait => Ok(false),
        Next::Begin(list) => {
            let Some(step) = document.steps.get(run.step) else {
                return Ok(false);
            };
            for (item, attempt) in list {
                begin(automation, tx, run, (document, step), (&item, attempt)).await?;
            }
            Ok(run.state == RunState::Running)
        }
        Next::Advance { wave, step } => {
            if wave > run.wave
                && let Err(reason) = may_go_on(tx, run).await?
            {
                let (next, all) = (wave + 1, run.waves.len());
                let note = Some(format!("stopped before wave {next} of {all}: {reason}"));
                finish(automation, tx, run, RunState::Failed, note).await?;
                return Ok(false);
            }
            (run.wave, run.step) = (wave, step);
            store::save_run(tx, run).await?;
            Ok(true)
        }
        Next::Succeed(note) => {
            finish(automation, tx, run, RunState::Succeeded, note).await?;
            Ok(false)
        }
        Next::Fail(note) => {
            finish(automation, tx, run, RunState::Failed, Some(note)).await?;
            Ok(false)
        }
    }
}

pub(crate) fn end_task(task: &mut RunTask, state: TaskState, note: Option<String>, tx: &Tx) {
    task.state = state;
    task.note = note;
    task.finished_at = Some(tx.now());
}

pub(crate) fn page(run: &Run, kind: PageKind, severity: Severity, word: &str, text: &str) -> Page {
    Page {
        dedup_key: format!("run:{}:{}:{word}", run.id, run.step),
        kind,
        severity,
        team: None,
        title: format!("{} is {word}", run.runbook_name),
        text: text.to_owned(),
        url_path: Some(format!("/runs/{}", run.id)),
        fields: fields(run),
        ..Page::default()
    }
}

/// Where and why: the targets, what the alert is about, and who asked.
fn fields(run: &Run) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            fields.push((name.to_owned(), value));
        }
    };
    let names: Vec<&str> = run.targets.iter().map(|t| t.name.as_str()).take(SHOWN).collect();
    let more = run.targets.len().saturating_sub(SHOWN);
    let mut targets = names.join(", ");
    if more > 0 {
        targets.push_str(&format!(" and {more} more"));
    }
    add("Targets", targets);
    if let Some(alert) = &run.alert {
        let label = |name: &str| alert.labels.get(name).cloned().unwrap_or_default();
        add("Alert", alert.name.clone());
        add(
            "Service",
            [label("service"), label("name")]
                .into_iter()
                .find(|l| !l.is_empty())
                .unwrap_or_default(),
        );
        add("Host", label("instance"));
        let summary = alert.annotations.get("summary").cloned().unwrap_or_default();
        add("Summary", summary);
    }
    let inputs: Vec<String> = run
        .inputs
        .iter()
        .filter(|(_, v)| !v.is_empty())
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    add("Inputs", inputs.join(", "));
    add("Requested by", run.requested_by_name.clone());
    fields
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

/// Ends a run: locks, the change, the event, and a word to people when it went wrong. Whoever waits for its locks is woken.
pub(crate) async fn finish(
    automation: &Automation,
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
    if let Some(Ok(change)) = run.change_id.as_deref().map(str::parse) {
        change::finish(tx, &engine(), &change, outcome).await?;
    }
    let event = NewEvent::new("run.finished", &run.id, &RunData::from(&*run));
    tx.append(&engine(), event).await?;
    if state == RunState::Failed && !run.is_dry {
        let text = run.note.clone().unwrap_or_default();
        let page = page(run, PageKind::RunFinished, Severity::Warning, "failed", &text);
        notify::page(tx, &engine(), &page).await?;
    }
    automation.wake_after(tx);
    Ok(())
}

/// Ends what a cancelled run has begun; it ends itself once all of that has ended.
pub(crate) async fn wind_down(automation: &Automation, run: &Run) -> Result<(), DbError> {
    let db = &automation.kernel().db;
    let open = store::deciding(&mut *db.read().await?, &run.id, run.step).await?;
    let commands = open.iter().filter(|task| !task.state.is_end());
    // One command a transaction: ending two in one could wait for an agent's report that waits for this transaction's event.
    for command in commands.filter_map(|task| task.command_id.as_deref()?.parse().ok()) {
        let mut tx = db.write().await?;
        tx.set_cause(run.event_seq);
        automation.fleet().cancel(&mut tx, &engine(), &command).await?;
        tx.commit().await?;
    }
    let mut tx = db.write().await?;
    let Some(mut run) = store::hold(&mut tx, &run.id)
        .await?
        .filter(|run| run.state == RunState::Cancelling)
    else {
        return Ok(());
    };
    tx.set_cause(run.event_seq);
    let document = automation.document(&run).ok();
    let mut is_quiet = true;
    for mut task in store::deciding(&mut tx, &run.id, run.step).await? {
        if task.state.is_end() {
            continue;
        }
        if task.command_id.is_some() {
            is_quiet = false;
            continue;
        }
        end_task(&mut task, TaskState::Cancelled, Some("cancelled".into()), &tx);
        store::save_task(&mut tx, &run.id, &task).await?;
        if let Some(step) = document.as_ref().and_then(|d| d.steps.get(task.step)) {
            say_task(&mut tx, &run, step, &task).await?;
        }
    }
    if is_quiet {
        finish(automation, &mut tx, &mut run, RunState::Cancelled, None).await?;
    }
    tx.commit().await
}
