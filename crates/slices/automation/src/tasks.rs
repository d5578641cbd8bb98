//! The duties of automation: move runs on, look at what waits for a condition, start what is scheduled, end what waits in vain.

use std::collections::HashMap;
use std::time::Duration;

use kernel::{AnyError, Kernel, Task, Wake};

use crate::decide::{self, Next};
use crate::engine::{advance, explain, waits_for, wind_down};
use crate::model::{Run, RunState};
use crate::waits::{self, Polled};
use crate::{Automation, overdue, scheduled, store};

const TICK: Duration = Duration::from_secs(1);
/// How often is looked for what waits in vain.
const OVERDUE_TICK: Duration = Duration::from_secs(2);

pub(crate) fn tasks(automation: &Automation) -> Vec<Task> {
    let (runs, conditions) = (automation.clone(), automation.clone());
    let (schedules, late) = (automation.clone(), automation.clone());
    let polled = Polled::default();
    vec![
        Task::new(
            "automation.runs",
            TICK,
            automation.wake().clone(),
            move |kernel| {
                let automation = runs.clone();
                async move { move_on(&kernel, &automation).await }
            },
        ),
        Task::new(
            "automation.conditions",
            TICK,
            automation.wait_wake().clone(),
            move |kernel| {
                let (automation, polled) = (conditions.clone(), polled.clone());
                async move { waits::look(&kernel, &automation, &polled).await }
            },
        ),
        Task::new("automation.schedules", TICK, Wake::default(), move |kernel| {
            let automation = schedules.clone();
            async move { scheduled::start_due(&kernel, &automation).await }
        }),
        Task::new(
            "automation.overdue",
            OVERDUE_TICK,
            Wake::default(),
            move |kernel| {
                let automation = late.clone();
                async move {
                    crate::start::announce(&kernel).await?;
                    overdue::end(&kernel, &automation).await
                }
            },
        ),
    ]
}

/// Moves every run on that can move. What can is found by reading: only those runs are written.
async fn move_on(kernel: &Kernel, automation: &Automation) -> Result<(), AnyError> {
    let mut reader = kernel.db.read().await?;
    let runs = store::active(&mut reader).await?;
    let mut taken = store::locks(&mut reader).await?;
    drop(reader);
    kernel
        .metrics
        .gauge("mainstay_runs_active", &[])
        .set(i64::try_from(runs.len()).unwrap_or(i64::MAX));
    for run in runs {
        match run.state {
            RunState::Queued => in_line(automation, &run, &mut taken).await?,
            RunState::Running if is_still(kernel, automation, &run).await? => {}
            RunState::Running => advance(automation, &run.id).await?,
            RunState::Cancelling => wind_down(automation, &run).await?,
            _ => {}
        }
    }
    Ok(())
}

/// Begins a run whose targets are free. Those of a run that waits are kept for it: nobody who came later gets in before.
async fn in_line(
    automation: &Automation,
    run: &Run,
    taken: &mut HashMap<String, String>,
) -> Result<(), AnyError> {
    if run.is_dry {
        return Ok(advance(automation, &run.id).await?);
    }
    let own = run.id.as_str();
    let held = run.targets.iter().find_map(|target| {
        let holder = taken.get(&target.item_id).filter(|holder| *holder != own)?;
        Some(waits_for(holder, &target.name))
    });
    for target in &run.targets {
        taken
            .entry(target.item_id.clone())
            .or_insert_with(|| own.to_owned());
    }
    match held {
        None => advance(automation, &run.id).await?,
        Some(note) if run.note.as_ref() != Some(&note) => explain(automation, &run.id, note).await?,
        Some(_) => {}
    }
    Ok(())
}

/// Is there nothing to do for a run until something of it ends?
async fn is_still(kernel: &Kernel, automation: &Automation, run: &Run) -> Result<bool, AnyError> {
    let Ok(document) = automation.document(run) else {
        return Ok(false);
    };
    let tasks = store::deciding(&mut *kernel.db.read().await?, &run.id, run.step).await?;
    Ok(decide::next(run, &tasks, &document) == Next::Wait)
}
