//! What an alert asked for goes with it: it is withdrawn when the alert resolves, and asks whether it still fires before it acts.

use kernel::{AnyError, DbError, Event, Tx};

use crate::engine::{end_task, finish};
use crate::model::{Run, RunState, TaskState};
use crate::{Automation, store};

/// Why a run that an alert asked for must not go on, if it must not.
pub(crate) async fn withdrawn(
    automation: &Automation,
    tx: &mut Tx,
    run: &Run,
) -> Result<Option<String>, DbError> {
    let Some(alert) = run.alert_id.as_deref().filter(|_| !run.is_dry) else {
        return Ok(None);
    };
    let is_firing = automation.conditions().is_firing(tx, alert).await?;
    Ok((!is_firing).then(|| reason(run)))
}

fn reason(run: &Run) -> String {
    let name = run.alert.as_ref().map_or("it", |alert| alert.name.as_str());
    format!("withdrawn: {name} has resolved, nothing more is to be done")
}

/// Ends what the alert asked for and what has not begun, or waits for an answer.
pub(crate) async fn alert_resolved(
    automation: Automation,
    tx: &mut Tx,
    event: &Event,
) -> Result<(), AnyError> {
    for run in store::open_of_alert(tx, &event.subject).await? {
        let Some(mut run) = store::hold(tx, &run.id).await? else {
            continue;
        };
        let is_open = matches!(
            run.state,
            RunState::AwaitingApproval | RunState::AwaitingPerson | RunState::Queued
        );
        if !is_open || run.is_dry {
            continue;
        }
        for mut task in store::deciding(tx, &run.id, run.step).await? {
            if task.step == run.step && task.state == TaskState::Waiting {
                end_task(&mut task, TaskState::Cancelled, Some("withdrawn".into()), tx);
                store::save_task(tx, &run.id, &task).await?;
            }
        }
        let note = Some(reason(&run));
        finish(&automation, tx, &mut run, RunState::Cancelled, note).await?;
    }
    Ok(())
}
