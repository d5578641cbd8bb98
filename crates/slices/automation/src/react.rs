//! What automation does when others speak: commands that end, changes that are decided, alerts that fire.

use std::collections::BTreeMap;

use fleet::State;
use fleet::events::CommandEvent;
use kernel::{Actor, AnyError, BoxFuture, Consumer, Event, Tx};
use serde::Deserialize;

use crate::document::{AlertTrigger, Document, Mode};
use crate::engine::{finish, order, say_task};
use crate::model::{RunState, TaskState};
use crate::plan::Wish;
use crate::start::{self, Start};
use crate::template::{self, AlertView, Scope};
use crate::{Automation, store};

pub(crate) fn consumers(automation: &Automation) -> Vec<Consumer> {
    let (first, second) = (automation.clone(), automation.clone());
    vec![
        Consumer::new("automation.commands", &["command.finished"], move |tx, event| {
            wake_after(&first, tx);
            Box::pin(command_finished(tx, event))
        }),
        Consumer::new(
            "automation.changes",
            &["change.approved", "change.rejected"],
            move |tx, event| {
                wake_after(&second, tx);
                Box::pin(change_decided(tx, event))
            },
        ),
        Consumer::new("automation.alerts", &["alert.fired"], {
            let automation = automation.clone();
            move |tx, event| -> BoxFuture<'_, Result<(), AnyError>> {
                wake_after(&automation, tx);
                Box::pin(alert_fired(tx, event))
            }
        }),
    ]
}

fn wake_after(automation: &Automation, tx: &mut Tx) {
    let wake = automation.wake().clone();
    tx.after_commit(move || wake.signal());
}

async fn command_finished(tx: &mut Tx, event: &Event) -> Result<(), AnyError> {
    let finished: CommandEvent = event.parse()?;
    let Some((run_id, mut task)) = store::task_of_command(tx, &finished.command_id).await? else {
        return Ok(());
    };
    if task.state.is_end() {
        return Ok(());
    }
    let Some(run) = store::run(tx, &run_id).await? else {
        return Ok(());
    };
    let (state, exit_code, note) = outcome(&finished);
    task.state = state;
    task.exit_code = exit_code;
    task.note = note;
    task.finished_at = Some(event.at);
    store::save_task(tx, &run_id, &task).await?;
    if let Ok(document) = crate::document::parse(&run.text)
        && let Some(step) = document.steps.get(task.step)
    {
        say_task(tx, &run, step, &task).await?;
    }
    Ok(())
}

fn outcome(finished: &CommandEvent) -> (TaskState, Option<i64>, Option<String>) {
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
        (State::TimedOut, _) => (TaskState::Failed, code, Some("timed out".into())),
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

async fn change_decided(tx: &mut Tx, event: &Event) -> Result<(), AnyError> {
    let Some(mut run) = store::run_of_change(tx, &event.subject).await? else {
        return Ok(());
    };
    if run.state != RunState::AwaitingApproval {
        return Ok(());
    }
    if event.topic == "change.rejected" {
        finish(
            tx,
            &mut run,
            RunState::Rejected,
            Some(format!("rejected by {}", event.actor_name)),
        )
        .await?;
        return Ok(());
    }
    let id = event.subject.parse()?;
    match change::redeem(tx, &id, &run.plan_hash).await {
        Ok(permit) => {
            order(tx, &permit, &run.id).await?;
        }
        Err(change::RedeemError::Db(error)) => return Err(error.into()),
        Err(refusal) => finish(tx, &mut run, RunState::Rejected, Some(refusal.to_string())).await?,
    }
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

async fn alert_fired(tx: &mut Tx, event: &Event) -> Result<(), AnyError> {
    let alert: Alert = event.parse()?;
    for runbook in store::enabled(tx).await? {
        let Ok(document) = crate::document::parse(&runbook.text) else {
            continue;
        };
        for trigger in document.alerts.iter().filter(|trigger| matches(trigger, &alert)) {
            if let Some(reason) = held_back(tx, &runbook.id, trigger, &alert).await? {
                tracing::info!(runbook = runbook.name, alert = alert.name, reason, "not started");
                let data = serde_json::json!({ "runbook": runbook.name, "alert_id": alert.alert_id, "reason": reason });
                let event = kernel::NewEvent::new("run.held_back", &runbook.id, &data);
                tx.append(&Actor::system("automation"), event).await?;
                continue;
            }
            start_for(tx, &runbook, trigger, &alert).await?;
        }
    }
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
    let hour_ago = now.checked_sub(jiff::SignedDuration::from_hours(1))?;
    let count = store::count_by_alert(tx, runbook.as_str(), hour_ago).await?;
    if count >= i64::from(trigger.max_per_hour) {
        return Ok(Some(format!(
            "alerts have started it {count} times in the last hour; the limit is {}",
            trigger.max_per_hour
        )));
    }
    Ok(None)
}

async fn start_for(
    tx: &mut Tx,
    runbook: &crate::model::Runbook,
    trigger: &AlertTrigger,
    alert: &Alert,
) -> Result<(), AnyError> {
    let view = AlertView {
        name: alert.name.clone(),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
    };
    let scope = Scope {
        alert: Some(view.clone()),
        ..Scope::default()
    };
    let mut inputs = BTreeMap::new();
    for (name, text) in &trigger.inputs {
        match template::render(text, &scope) {
            Ok(value) => inputs.insert(name.clone(), value),
            Err(error) => {
                tracing::warn!(
                    runbook = runbook.name,
                    error,
                    "an input of the trigger does not fill"
                );
                return Ok(());
            }
        };
    }
    let wish = Wish {
        inputs,
        targets: None,
        alert: Some(view),
        alert_host: alert.labels.get("instance").cloned(),
    };
    let start = Start {
        source: change::Source::Alert,
        is_dry: trigger.mode == Mode::DryRun,
        asks: trigger.mode == Mode::Ask,
        alert: Some((alert.alert_id.clone(), alert.fingerprint.clone())),
        incident: None,
        expected_hash: None,
        reason: format!("{} fired", alert.name),
    };
    match start::start(tx, &Actor::system("automation"), runbook, &wish, &start).await {
        Ok(_) => Ok(()),
        Err(start::StartError::Plan(crate::plan::PlanError::Db(error)))
        | Err(start::StartError::Db(error)) => Err(error.into()),
        Err(other) => {
            let data = serde_json::json!({ "runbook": runbook.name, "alert_id": alert.alert_id, "reason": other.to_string() });
            tx.append(
                &Actor::system("automation"),
                kernel::NewEvent::new("run.held_back", &runbook.id, &data),
            )
            .await?;
            Ok(())
        }
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
