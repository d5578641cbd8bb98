//! Conditions that runs wait for: asked side by side, each question once, so that one that hangs holds up no run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use kernel::{AnyError, Kernel, Timestamp};

use crate::document::{Act, Document, Step};
use crate::engine::{end_task, say_task};
use crate::model::{Run, RunState, RunTask, TaskState};
use crate::place::Place;
use crate::template::Scope;
use crate::{Automation, plan, store, template};

/// A condition is asked for at most this long.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);
/// Questions at once.
const AT_ONCE: usize = 16;

type Key = (String, usize, String);
/// When each condition was last asked for.
pub(crate) type Polled = Arc<Mutex<HashMap<Key, Timestamp>>>;

type Answer = Result<bool, String>;

struct Waiting {
    run: Arc<Run>,
    document: Arc<Document>,
    task: RunTask,
    /// The condition, or why there is none.
    query: Result<String, String>,
}

/// Looks at every condition that is due.
pub(crate) async fn look(kernel: &Kernel, automation: &Automation, polled: &Polled) -> Result<(), AnyError> {
    let all = waiting(kernel, automation).await?;
    let now = kernel.clock.now();
    let due = due(all, now, polled);
    let questions: BTreeSet<String> = due.iter().filter_map(|w| w.query.clone().ok()).collect();
    let answers: BTreeMap<String, Answer> = stream::iter(questions)
        .map(|query| async move {
            let answer = ask(automation, &query).await;
            (query, answer)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    for waiting in due {
        let answer = match &waiting.query {
            Ok(query) => answers.get(query).cloned().unwrap_or(Ok(false)),
            Err(error) => Err(error.clone()),
        };
        if let Some((state, note)) = outcome(&waiting, answer, now) {
            end_wait(automation, &waiting, state, note).await?;
        }
    }
    Ok(())
}

async fn waiting(kernel: &Kernel, automation: &Automation) -> Result<Vec<Waiting>, AnyError> {
    let mut reader = kernel.db.read().await?;
    let mut all = Vec::new();
    for run in store::active(&mut reader).await? {
        if run.state != RunState::Running {
            continue;
        }
        let Ok(document) = automation.document(&run) else {
            continue;
        };
        let Some(Act::Wait { query, .. }) = document.steps.get(run.step).map(|step| &step.act) else {
            continue;
        };
        let run = Arc::new(run);
        let tasks = store::deciding(&mut reader, &run.id, run.step).await?;
        for task in tasks
            .into_iter()
            .filter(|t| t.step == run.step && t.state == TaskState::Waiting)
        {
            let target = run.targets.iter().find(|t| t.item_id == task.item_id);
            all.push(Waiting {
                query: readable(query, &plan::scope(&run, &document, target)),
                run: run.clone(),
                document: document.clone(),
                task,
            });
        }
    }
    Ok(all)
}

/// The query of a wait, or what is wrong with it.
fn readable(query: &str, scope: &Scope) -> Result<String, String> {
    let query = template::render_in(query, scope, Place::Query)?;
    promql::parse(&query).map_err(|error| format!("the condition \"{query}\" does not read: {error}"))?;
    Ok(query)
}

impl Waiting {
    fn step(&self) -> Option<&Step> {
        self.document.steps.get(self.task.step)
    }

    fn every(&self) -> Duration {
        match self.step().map(|step| &step.act) {
            Some(Act::Wait { every, .. }) => *every,
            _ => Duration::ZERO,
        }
    }
}

/// Those whose turn it is; what does not wait any more is forgotten.
fn due(all: Vec<Waiting>, now: Timestamp, polled: &Polled) -> Vec<Waiting> {
    let mut polled = polled.lock().unwrap_or_else(PoisonError::into_inner);
    let mut asked = HashMap::new();
    let mut due = Vec::new();
    for waiting in all {
        let task = &waiting.task;
        let key = (waiting.run.id.to_string(), task.step, task.item_id.clone());
        let last = polled.get(&key).copied();
        // A new attempt is looked at at once, and so is one that a clock set back has put into the future.
        let last = last.filter(|last| task.started_at.is_none_or(|began| *last >= began) && *last <= now);
        match last {
            Some(last) if now.duration_since(last).unsigned_abs() < waiting.every() => {
                asked.insert(key, last);
            }
            _ => {
                asked.insert(key, now);
                due.push(waiting);
            }
        }
    }
    *polled = asked;
    due
}

async fn ask(automation: &Automation, query: &str) -> Answer {
    let answer = tokio::time::timeout(QUERY_TIMEOUT, automation.conditions().instant(query)).await;
    let values = answer.map_err(|_| "the condition was not answered in time".to_owned())??;
    Ok(values.iter().any(|value| *value != 0.0 && !value.is_nan()))
}

fn outcome(waiting: &Waiting, answer: Answer, now: Timestamp) -> Option<(TaskState, Option<String>)> {
    let timeout = waiting.step()?.timeout;
    let began = waiting.task.started_at.unwrap_or(now);
    let is_late = now.duration_since(began) >= jiff::SignedDuration::try_from(timeout).ok()?;
    match (answer, is_late) {
        (Ok(true), _) => Some((TaskState::Ok, None)),
        (Ok(false), true) => Some((
            TaskState::Failed,
            Some(format!(
                "the condition did not hold within {} s",
                timeout.as_secs_f64()
            )),
        )),
        // What does not read now will not read later either.
        (Err(error), is_late) if is_late || waiting.query.is_err() => Some((TaskState::Failed, Some(error))),
        _ => None,
    }
}

async fn end_wait(
    automation: &Automation,
    waiting: &Waiting,
    state: TaskState,
    note: Option<String>,
) -> Result<(), AnyError> {
    let mut tx = automation.kernel().db.write().await?;
    let Some(run) = store::hold(&mut tx, &waiting.run.id).await? else {
        return Ok(());
    };
    tx.set_cause(run.event_seq);
    let mut task = waiting.task.clone();
    let is_waiting = store::deciding(&mut tx, &run.id, task.step)
        .await?
        .iter()
        .any(|t| {
            t.step == task.step
                && t.item_id == task.item_id
                && t.attempt == task.attempt
                && t.state == TaskState::Waiting
        });
    if !is_waiting {
        return Ok(());
    }
    end_task(&mut task, state, note, &tx);
    store::save_task(&mut tx, &run.id, &task).await?;
    if let Some(step) = waiting.step() {
        say_task(&mut tx, &run, step, &task).await?;
    }
    automation.wake_after(&mut tx);
    tx.commit().await?;
    Ok(())
}
