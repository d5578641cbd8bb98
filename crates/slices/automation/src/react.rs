//! What automation does when others speak: commands that end, changes that are decided, alerts that fire.

use std::collections::BTreeMap;

use fleet::State;
use fleet::events::CommandEvent;
use kernel::{AnyError, Consumer, Event, Timestamp, Tx};
use serde::Deserialize;

use crate::document::{self, AlertTrigger, Document, Mode};
use crate::engine::{engine, finish, order, say_task};
use crate::model::{RunState, Runbook, TaskState};
use crate::plan::{PlanError, Wish};
use crate::start::{self, Start, StartError, Trigger};
use crate::template::{self, AlertView, Scope};
use crate::{Automation, input, store, withdraw};

pub(crate) fn consumers(automation: &Automation) -> Vec<Consumer> {
    let (first, second) = (automation.clone(), automation.clone());
    let (third, fourth) = (automation.clone(), automation.clone());
    vec![
        Consumer::new("automation.commands", &["command.finished"], move |tx, event| {
            Box::pin(command_finished(first.clone(), tx, event))
        }),
        Consumer::new(
            "automation.changes",
            &["change.approved", "change.rejected"],
            move |tx, event| Box::pin(change_decided(second.clone(), tx, event)),
        ),
        Consumer::new("automation.alerts", &["alert.fired"], move |tx, event| {
            Box::pin(alert_fired(third.clone(), tx, event))
        }),
        Consumer::new("automation.resolved", &["alert.resolved"], move |tx, event| {
            Box::pin(withdraw::alert_resolved(fourth.clone(), tx, event))
        }),
    ]
}

async fn command_finished(automation: Automation, tx: &mut Tx, event: &Event) -> Result<(), AnyError> {
    let finished: CommandEvent = event.parse()?;
    let ended = Ended {
        command: finished.command_id,
        state: finished.state,
        exit_code: finished.exit_code,
        error: finished.error,
        at: event.at,
    };
    settle(&automation, tx, &ended).await
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) command: String,
    pub(crate) state: State,
    pub(crate) exit_code: Option<i32>,
    pub(crate) error: Option<String>,
    pub(crate) at: Timestamp,
}

/// Writes the end of a command into its task. What has ended stays as it is.
pub(crate) async fn settle(automation: &Automation, tx: &mut Tx, ended: &Ended) -> Result<(), AnyError> {
    let Some((run_id, _)) = store::task_of_command(tx, &ended.command).await? else {
        return Ok(());
    };
    let Some(run) = store::hold(tx, &run_id).await? else {
        return Ok(());
    };
    // Read again, now that nobody else changes it.
    let Some((_, mut task)) = store::task_of_command(tx, &ended.command)
        .await?
        .filter(|(_, task)| !task.state.is_end())
    else {
        return Ok(());
    };
    (task.state, task.exit_code, task.note) = outcome(ended);
    task.finished_at = Some(ended.at);
    store::save_task(tx, &run_id, &task).await?;
    if let Ok(document) = automation.document(&run)
        && let Some(step) = document.steps.get(task.step)
    {
        say_task(tx, &run, step, &task).await?;
    }
    automation.wake_after(tx);
    Ok(())
}

fn outcome(finished: &Ended) -> (TaskState, Option<i64>, Option<String>) {
    let code = finished.exit_code.map(i64::from);
    let error = finished.error.clone();
    match (finished.state, code) {
        (State::Exited, Some(0)) => (TaskState::Ok, code, None),
        (State::Exited, Some(failed)) => (
            TaskState::Failed,
            code,
            Some(format!("ended with exit code {failed}")),
        ),
        (State::Exited, None) => (
            TaskState::Failed,
            None,
            Some(error.unwrap_or_else(|| "ended by a signal".into())),
        ),
        (State::Failed, _) => (TaskState::Failed, code, error),
        // What it had done by then, nobody knows: it is tried again only when that does no harm.
        (State::TimedOut, _) => (
            TaskState::Unknown,
            code,
            Some("timed out: whether it took effect is unknown".into()),
        ),
        (State::Expired, _) => (
            TaskState::Failed,
            None,
            Some("the agent was not there in time; nothing was begun".into()),
        ),
        (State::Cancelled, _) => (TaskState::Cancelled, code, Some("cancelled".into())),
        (State::Interrupted | State::Lost, _) => {
            let note = "the agent died or was cut off while it ran: whether it took effect is unknown";
            (TaskState::Unknown, None, Some(note.into()))
        }
        (State::Queued | State::Accepted | State::Running, _) => (TaskState::Unknown, None, None),
    }
}

async fn change_decided(automation: Automation, tx: &mut Tx, event: &Event) -> Result<(), AnyError> {
    let Some(run) = store::run_of_change(tx, &event.subject).await? else {
        return Ok(());
    };
    let Some(mut run) = store::hold(tx, &run.id)
        .await?
        .filter(|run| run.state == RunState::AwaitingApproval)
    else {
        return Ok(());
    };
    if event.topic == "change.rejected" {
        let note = Some(format!("rejected by {}", event.actor_name));
        finish(&automation, tx, &mut run, RunState::Rejected, note).await?;
        return Ok(());
    }
    if let Some(reason) = withdraw::withdrawn(&automation, tx, &run).await? {
        finish(&automation, tx, &mut run, RunState::Cancelled, Some(reason)).await?;
        return Ok(());
    }
    let id = event.subject.parse()?;
    match change::redeem(tx, &id, &run.plan_hash).await {
        Ok(permit) => {
            order(tx, &permit, &run.id).await?;
        }
        Err(change::RedeemError::Db(error)) => return Err(error.into()),
        Err(refusal) => {
            let note = Some(refusal.to_string());
            finish(&automation, tx, &mut run, RunState::Rejected, note).await?;
        }
    }
    automation.wake_after(tx);
    Ok(())
}

/// The part of `alert.fired` that triggers look at.
#[derive(Clone, Debug, Deserialize)]
struct Alert {
    alert_id: String,
    fingerprint: String,
    name: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    flapping: bool,
}

async fn alert_fired(automation: Automation, tx: &mut Tx, event: &Event) -> Result<(), AnyError> {
    let alert: Alert = event.parse()?;
    for runbook in store::enabled(tx).await? {
        let documents = automation.documents();
        let Ok(document) = documents.get(runbook.id.as_str(), runbook.version, &runbook.text) else {
            continue;
        };
        for trigger in document.alerts.iter().filter(|trigger| matches(trigger, &alert)) {
            let reason = match held_back(tx, &runbook.id, trigger, &alert).await? {
                None => {
                    let secrets = &automation.kernel().secrets;
                    start_for(tx, &runbook, (trigger, secrets), &alert).await?
                }
                reason => reason,
            };
            if let Some(reason) = reason {
                start::say_held_back(tx, &engine(), &runbook, Some(&alert.alert_id), &reason).await?;
            }
        }
    }
    automation.wake_after(tx);
    Ok(())
}

fn matches(trigger: &AlertTrigger, alert: &Alert) -> bool {
    let is_named = match trigger.alert.strip_suffix('*') {
        Some(head) => alert.name.starts_with(head),
        None => alert.name == trigger.alert,
    };
    is_named
        && trigger
            .labels
            .iter()
            .all(|(name, value)| alert.labels.get(name) == Some(value))
}

/// Guard rails: why the runbook does not start by itself, if it does not.
async fn held_back(
    tx: &mut Tx,
    runbook: &crate::model::RunbookId,
    trigger: &AlertTrigger,
    alert: &Alert,
) -> Result<Option<String>, AnyError> {
    if alert.flapping {
        return Ok(Some("the alert flaps: a person should look".into()));
    }
    let now = tx.now();
    if let Some(last) = store::last_for(tx, runbook.as_str(), &alert.fingerprint).await? {
        let since = now.duration_since(last).unsigned_abs();
        if since < trigger.cooldown {
            return Ok(Some(format!(
                "it was started for this {} s ago; the cooldown is {} s",
                since.as_secs(),
                trigger.cooldown.as_secs()
            )));
        }
    }
    let (open, open_for_this) = store::open_by_alert(tx, runbook.as_str(), &alert.fingerprint).await?;
    if open_for_this > 0 {
        return Ok(Some("a run for this has not ended".into()));
    }
    if open >= i64::from(trigger.max_active) {
        return Ok(Some(format!(
            "{open} runs of it by alerts have not ended; the limit is {}",
            trigger.max_active
        )));
    }
    let hour_ago = now.checked_sub(jiff::SignedDuration::from_hours(1))?;
    let count = store::count_by_alert(tx, runbook.as_str(), (hour_ago, now)).await?;
    if count >= i64::from(trigger.max_per_hour) {
        return Ok(Some(format!(
            "alerts have started it {count} times in the last hour; the limit is {}",
            trigger.max_per_hour
        )));
    }
    Ok(None)
}

/// Starts the runbook, or says why it does not.
async fn start_for(
    tx: &mut Tx,
    runbook: &Runbook,
    (trigger, secrets): (&AlertTrigger, &kernel::secret::Secrets),
    alert: &Alert,
) -> Result<Option<String>, AnyError> {
    let view = AlertView {
        name: alert.name.clone(),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
    };
    let scope = Scope {
        alert: Some(view.clone()),
        ..Scope::default()
    };
    let globs =
        document::parse(&runbook.text).map_or_else(|_| Default::default(), |d| input::globs(&d.inputs));
    let mut inputs = BTreeMap::new();
    for (name, text) in &trigger.inputs {
        match template::render(text, &scope) {
            Ok(value) if globs.contains(name) && value.contains('*') && value != *text => {
                return Ok(Some(format!(
                    "the input `{name}` of the trigger: \"{value}\" comes from the alert, whose labels are names and no patterns"
                )));
            }
            Ok(value) => inputs.insert(name.clone(), value),
            Err(error) => return Ok(Some(format!("the input `{name}` of the trigger: {error}"))),
        };
    }
    let wish = Wish {
        inputs,
        targets: None,
        alert: Some(view.clone()),
        alert_host: alert.labels.get("instance").cloned(),
    };
    let start = Start {
        source: change::Source::Alert,
        is_dry: trigger.mode == Mode::DryRun,
        asks: trigger.mode == Mode::Ask,
        alert: Some(Trigger {
            alert_id: alert.alert_id.clone(),
            fingerprint: alert.fingerprint.clone(),
            view,
        }),
        incident: None,
        expected_hash: None,
        reason: format!("{} fired", alert.name),
    };
    match start::start(tx, &engine(), runbook, (&wish, secrets), &start).await {
        Ok(_) => Ok(None),
        Err(StartError::Plan(PlanError::Db(error)) | StartError::Db(error)) => Err(error.into()),
        Err(other) => Ok(Some(other.to_string())),
    }
}

/// The inputs that the first fitting trigger gives for an alert; `None` when no trigger fits.
pub(crate) fn inputs_for(
    document: &Document,
    name: &str,
    labels: &BTreeMap<String, String>,
) -> Option<BTreeMap<String, String>> {
    let alert = Alert {
        alert_id: String::new(),
        fingerprint: String::new(),
        name: name.to_owned(),
        labels: labels.clone(),
        annotations: BTreeMap::new(),
        flapping: false,
    };
    let trigger = document.alerts.iter().find(|trigger| matches(trigger, &alert))?;
    let view = AlertView {
        name: alert.name,
        labels: alert.labels,
        annotations: BTreeMap::new(),
    };
    let scope = Scope {
        alert: Some(view),
        ..Scope::default()
    };
    let filled = trigger
        .inputs
        .iter()
        .filter_map(|(name, text)| Some((name.clone(), template::render(text, &scope).ok()?)));
    Some(filled.collect())
}
