//! The duties of automation: move runs on, look at what waits for a condition, start what is scheduled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use change::Source;
use kernel::{Actor, AnyError, Kernel, Task, Timestamp};

use crate::document::{Act, Document};
use crate::engine::{advance, say_task};
use crate::model::{Run, RunState, RunTask, TaskState};
use crate::plan::Wish;
use crate::start::{self, Start, StartError};
use crate::template::{self, RunView, Scope};
use crate::{Automation, plan, schedule, store};

const TICK: Duration = Duration::from_secs(1);
/// A condition is asked for at most this long.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

type Polled = Arc<Mutex<HashMap<(String, usize, String), Timestamp>>>;

pub(crate) fn tasks(automation: &Automation) -> Vec<Task> {
    let (first, second) = (automation.clone(), automation.clone());
    let polled = Polled::default();
    vec![
        Task::new(
            "automation.runs",
            TICK,
            automation.wake().clone(),
            move |kernel| {
                let (automation, polled) = (first.clone(), polled.clone());
                async move { move_on(&kernel, &automation, &polled).await }
            },
        ),
        Task::new(
            "automation.schedules",
            TICK,
            kernel::Wake::default(),
            move |kernel| {
                let automation = second.clone();
                async move { start_scheduled(&kernel, &automation).await }
            },
        ),
    ]
}

async fn move_on(kernel: &Kernel, automation: &Automation, polled: &Polled) -> Result<(), AnyError> {
    let runs = store::active(&mut *kernel.db.read().await?).await?;
    kernel
        .metrics
        .gauge("mainstay_runs_active", &[])
        .set(i64::try_from(runs.len()).unwrap_or(i64::MAX));
    for run in runs {
        if run.state == RunState::Running {
            look_at_waits(kernel, automation, polled, &run).await?;
        }
        if run.state != RunState::AwaitingPerson {
            advance(kernel, automation.fleet(), &run.id).await?;
        }
    }
    Ok(())
}

async fn look_at_waits(
    kernel: &Kernel,
    automation: &Automation,
    polled: &Polled,
    run: &Run,
) -> Result<(), AnyError> {
    let Ok(document) = crate::document::parse(&run.text) else {
        return Ok(());
    };
    let Some(step) = document.steps.get(run.step) else {
        return Ok(());
    };
    let Act::Wait { query, every } = &step.act else {
        return Ok(());
    };
    let tasks = store::tasks(&mut *kernel.db.read().await?, &run.id).await?;
    for task in tasks
        .into_iter()
        .filter(|t| t.step == run.step && t.state == TaskState::Waiting)
    {
        let key = (run.id.to_string(), task.step, task.item_id.clone());
        let now = kernel.clock.now();
        let last = polled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .copied();
        if last.is_some_and(|last| now.duration_since(last).unsigned_abs() < *every) {
            continue;
        }
        let outcome = ask(automation, run, &task, query).await;
        let age = task
            .started_at
            .map_or(Duration::ZERO, |at| now.duration_since(at).unsigned_abs());
        let end = match outcome {
            Ok(true) => Some((TaskState::Ok, None)),
            Ok(false) if age >= step.timeout => Some((
                TaskState::Failed,
                Some(format!(
                    "the condition did not hold within {} s",
                    step.timeout.as_secs()
                )),
            )),
            Err(error) if age >= step.timeout => Some((TaskState::Failed, Some(error))),
            _ => None,
        };
        remember(polled, &key, now, end.is_some());
        if let Some((state, note)) = end {
            end_wait(kernel, run, &document, task, state, note).await?;
        }
    }
    Ok(())
}

fn remember(polled: &Polled, key: &(String, usize, String), now: Timestamp, is_over: bool) {
    let mut polled = polled.lock().unwrap_or_else(PoisonError::into_inner);
    if is_over {
        polled.remove(key);
    } else {
        polled.insert(key.clone(), now);
    }
}

async fn ask(automation: &Automation, run: &Run, task: &RunTask, query: &str) -> Result<bool, String> {
    let target = run.targets.iter().find(|t| t.item_id == task.item_id);
    let scope = Scope {
        inputs: run.inputs.clone(),
        target: target.map(plan::view),
        alert: None,
        run: RunView {
            id: run.id.to_string(),
        },
    };
    let query = template::render(query, &scope)?;
    let answer = tokio::time::timeout(QUERY_TIMEOUT, automation.conditions().instant(&query)).await;
    let values = answer.map_err(|_| "the condition was not answered in time".to_owned())??;
    Ok(values.iter().any(|value| *value != 0.0 && !value.is_nan()))
}

async fn end_wait(
    kernel: &Kernel,
    run: &Run,
    document: &Document,
    mut task: RunTask,
    state: TaskState,
    note: Option<String>,
) -> Result<(), AnyError> {
    let mut tx = kernel.db.write().await?;
    tx.set_cause(run.event_seq);
    let is_waiting = store::tasks(&mut tx, &run.id).await?.iter().any(|t| {
        t.step == task.step
            && t.item_id == task.item_id
            && t.attempt == task.attempt
            && t.state == TaskState::Waiting
    });
    if !is_waiting {
        return Ok(());
    }
    task.state = state;
    task.note = note;
    task.finished_at = Some(tx.now());
    store::save_task(&mut tx, &run.id, &task).await?;
    if let Some(step) = document.steps.get(task.step) {
        say_task(&mut tx, run, step, &task).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Starts runbooks whose schedule has come. The mark of a schedule and the run are written together.
async fn start_scheduled(kernel: &Kernel, automation: &Automation) -> Result<(), AnyError> {
    let runbooks = store::enabled(&mut *kernel.db.read().await?).await?;
    let now = kernel.clock.now();
    for runbook in runbooks {
        let Ok(document) = crate::document::parse(&runbook.text) else {
            continue;
        };
        for (place, entry) in document.schedules.iter().enumerate() {
            let place = i64::try_from(place).unwrap_or(0);
            let mark = store::schedule_mark(&mut *kernel.db.read().await?, &runbook.id, place).await?;
            let Some(at) = schedule::due(
                &entry.cron,
                &entry.time_zone,
                mark.unwrap_or(runbook.updated_at),
                now,
            ) else {
                continue;
            };
            let mut tx = kernel.db.write().await?;
            if store::schedule_mark(&mut tx, &runbook.id, place)
                .await?
                .is_some_and(|mark| mark >= at)
            {
                continue;
            }
            store::mark_schedule(&mut tx, &runbook.id, place, at).await?;
            let start = Start {
                source: Source::Schedule,
                is_dry: false,
                asks: false,
                alert: None,
                incident: None,
                expected_hash: None,
                reason: format!("scheduled for {at}"),
            };
            let wish = Wish {
                inputs: entry.inputs.clone(),
                ..Wish::default()
            };
            match start::start(&mut tx, &Actor::system("schedule"), &runbook, &wish, &start).await {
                Ok(_) => {}
                Err(StartError::Db(error)) => return Err(error.into()),
                Err(other) => {
                    let data = serde_json::json!({ "runbook": runbook.name, "reason": other.to_string() });
                    let event = kernel::NewEvent::new("run.held_back", &runbook.id, &data);
                    tx.append(&Actor::system("schedule"), event).await?;
                }
            }
            tx.commit().await?;
            automation.wake().signal();
        }
    }
    Ok(())
}
