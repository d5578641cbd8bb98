//! Starting a run: plan, ask for a permit, write the run, put it in line.

use std::collections::BTreeMap;

use change::{Decision, Proposal, Source, Target};
use kernel::secret::Secrets;
use kernel::{Actor, DbError, NewEvent, Tx};
use notify::{Page, PageKind, Severity};

use crate::document::Document;
use crate::engine;
use crate::model::{Run, RunData, RunId, RunState, RunTarget, Runbook};
use crate::plan::{self, Plan, PlanError, Wish};
use crate::store;
use crate::template::AlertView;

const SUMMARY_LINES: usize = 50;
/// Lines of the plan in a message.
const PAGE_LINES: usize = 10;
/// How long the message about a run waits for the incident of its alert.
const INCIDENT_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// The alert that starts a run.
#[derive(Clone, Debug)]
pub struct Trigger {
    pub alert_id: String,
    pub fingerprint: String,
    /// What templates see of it.
    pub view: AlertView,
}

/// How a run is started.
#[derive(Clone, Debug)]
pub struct Start {
    pub source: Source,
    pub is_dry: bool,
    /// Waits for a person before it begins.
    pub asks: bool,
    pub alert: Option<Trigger>,
    pub incident: Option<String>,
    /// The hash of the plan that somebody has read; another plan is refused.
    pub expected_hash: Option<String>,
    pub reason: String,
}

/// Why a run does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("the plan has changed since you read it; read the new one and start again")]
    OtherPlan,
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Writes the run and, where change grants it, puts it in line.
pub async fn start(
    tx: &mut Tx,
    actor: &Actor,
    runbook: &Runbook,
    (wish, secrets): (&Wish, &Secrets),
    start: &Start,
) -> Result<Run, StartError> {
    let plan = plan::plan(tx, actor, runbook, wish).await?;
    if start
        .expected_hash
        .as_ref()
        .is_some_and(|hash| *hash != plan.hash)
    {
        return Err(StartError::OtherPlan);
    }
    let mut run = new_run(&plan, actor, start, tx.now());
    crate::secrets::keep(tx, secrets, run.id.as_str(), &plan.secrets).await?;
    if start.is_dry {
        run.state = RunState::Queued;
        insert(tx, actor, &mut run).await?;
        return Ok(run);
    }
    if start.asks {
        run.state = RunState::AwaitingPerson;
        run.note = Some(format!("{}: start it?", start.reason));
        insert(tx, actor, &mut run).await?;
        say_waiting(tx, &run).await?;
        return Ok(run);
    }
    request(tx, actor, &plan, start, &mut run).await?;
    Ok(run)
}

/// A person has agreed to a run that asked before its beginning: now it needs its permit.
pub(crate) async fn confirm(tx: &mut Tx, actor: &Actor, run: &mut Run) -> Result<(), StartError> {
    let document = crate::document::parse(&run.text).map_err(PlanError::Document)?;
    let proposal = Proposal {
        title: title(&run.runbook_name, run),
        kind: "runbook".into(),
        source: Source::Person,
        risk: document.risk,
        is_standard: document.is_standard,
        reason: run.note.clone().unwrap_or_default(),
        plan_hash: run.plan_hash.clone(),
        plan_summary: summary(&document, run, &crate::secrets::named(tx, "").await?),
        targets: targets(run),
    };
    run.state = RunState::AwaitingApproval;
    settle(tx, actor, &proposal, run, true).await
}

fn new_run(plan: &Plan, actor: &Actor, start: &Start, now: kernel::Timestamp) -> Run {
    Run {
        id: RunId::new(),
        runbook_id: plan.runbook.id.to_string(),
        runbook_name: plan.runbook.name.clone(),
        runbook_version: plan.runbook.version,
        text: plan.runbook.text.clone(),
        inputs: plan.inputs.clone(),
        targets: plan.targets.clone(),
        waves: plan.waves.clone(),
        state: RunState::AwaitingApproval,
        wave: 0,
        step: 0,
        is_dry: start.is_dry,
        source: start.source.as_str().into(),
        incident_id: start.incident.clone(),
        alert_id: start.alert.as_ref().map(|alert| alert.alert_id.clone()),
        alert_fingerprint: start.alert.as_ref().map(|alert| alert.fingerprint.clone()),
        alert: start.alert.as_ref().map(|alert| alert.view.clone()),
        change_id: None,
        plan_hash: plan.hash.clone(),
        requested_by: actor.key(),
        requested_by_name: actor.name.clone(),
        requested_at: now,
        started_at: None,
        finished_at: None,
        note: None,
        event_seq: None,
    }
}

fn title(name: &str, run: &Run) -> String {
    match &run.targets[..] {
        [] => name.to_owned(),
        [one] => format!("{name} on {}", one.name),
        many => format!("{name} on {} targets", many.len()),
    }
}

/// What the run will do, for the person who approves: the first lines of it.
fn summary(document: &Document, run: &Run, secrets: &BTreeMap<String, String>) -> String {
    let mut lines = Vec::new();
    let scope = |target| crate::template::Scope {
        secrets: secrets.clone(),
        ..plan::scope(run, document, target)
    };
    for step in &document.steps {
        let on_each: Vec<Option<&RunTarget>> = match step.act.is_once() {
            true => vec![None],
            false => run.targets.iter().map(Some).collect(),
        };
        for target in on_each {
            if lines.len() == SUMMARY_LINES {
                lines.push("…".to_owned());
                return lines.join("\n");
            }
            let what = plan::describe_step(step, &scope(target)).unwrap_or_else(|error| error);
            lines.push(match target {
                Some(target) => format!("{}: {what}", target.name),
                None => what,
            });
        }
    }
    lines.join("\n")
}

pub(crate) fn targets(run: &Run) -> Vec<Target> {
    let target = |t: &RunTarget| Target {
        item_id: t.item_id.clone(),
        name: t.name.clone(),
        tags: t.tags.clone(),
        team: t.team.clone(),
    };
    run.targets.iter().map(target).collect()
}

async fn insert(tx: &mut Tx, actor: &Actor, run: &mut Run) -> Result<(), DbError> {
    let seq = tx
        .append(
            actor,
            NewEvent::new("run.requested", &run.id, &RunData::from(&*run)),
        )
        .await?;
    run.event_seq = Some(seq);
    store::insert_run(tx, run).await
}

async fn say_waiting(tx: &mut Tx, run: &Run) -> Result<(), DbError> {
    let event = NewEvent::new("run.waiting", &run.id, &RunData::from(run)).caused_by(run.event_seq);
    tx.append(&Actor::system("automation"), event).await?;
    // What an alert asks for is told after the incident that it belongs to: `announce` does it.
    if run.alert_id.is_some() && run.incident_id.is_none() {
        return store::set_announced(tx, &run.id, false).await;
    }
    page_waiting(tx, run).await
}

pub(crate) fn waiting_title(run: &Run) -> String {
    format!("Approval required: {}", title(&run.runbook_name, run))
}

/// Asks people for their word: what would be done, where, and why.
async fn page_waiting(tx: &mut Tx, run: &Run) -> Result<(), DbError> {
    let note = run.note.clone().unwrap_or_default();
    let secrets = crate::secrets::named(tx, "").await?;
    let plan = crate::document::parse(&run.text)
        .map_or_else(|_| String::new(), |document| summary(&document, run, &secrets));
    let lines: Vec<&str> = plan.lines().take(PAGE_LINES).collect();
    let page = Page {
        dedup_key: format!("run:{}:{}", run.id, run.state.as_str()),
        title: waiting_title(run),
        ..engine::page(
            run,
            PageKind::RunWaiting,
            Severity::Warning,
            "waiting",
            &format!("{note}\n\nIf you approve:\n{}", lines.join("\n")),
        )
    };
    notify::page(tx, &Actor::system("automation"), &page).await?;
    Ok(())
}

/// Tells of runs that alerts made ready, once their incident has been told of, or has not come for a while.
pub(crate) async fn announce(kernel: &kernel::Kernel) -> Result<(), kernel::AnyError> {
    let waiting = store::unannounced(&mut *kernel.db.read().await?).await?;
    let now = kernel.clock.now();
    for run in waiting {
        let waited = now.duration_since(run.requested_at).unsigned_abs();
        if run.incident_id.is_none() && waited < INCIDENT_WITHIN {
            continue;
        }
        let mut tx = kernel.db.write().await?;
        let held = store::hold(&mut tx, &run.id).await?;
        if let Some(run) =
            held.filter(|run| matches!(run.state, RunState::AwaitingPerson | RunState::AwaitingApproval))
        {
            tx.set_cause(run.event_seq);
            page_waiting(&mut tx, &run).await?;
        }
        store::set_announced(&mut tx, &run.id, true).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn request(
    tx: &mut Tx,
    actor: &Actor,
    plan: &Plan,
    start: &Start,
    run: &mut Run,
) -> Result<(), StartError> {
    let proposal = Proposal {
        title: title(&plan.runbook.name, run),
        kind: "runbook".into(),
        source: start.source,
        risk: plan.document.risk,
        is_standard: plan.document.is_standard,
        reason: start.reason.clone(),
        plan_hash: plan.hash.clone(),
        plan_summary: summary(&plan.document, run, &crate::secrets::named(tx, "").await?),
        targets: targets(run),
    };
    settle(tx, actor, &proposal, run, false).await
}

/// Asks change, and writes what it answers. `is_stored` when the run has a row already.
async fn settle(
    tx: &mut Tx,
    actor: &Actor,
    proposal: &Proposal,
    run: &mut Run,
    is_stored: bool,
) -> Result<(), StartError> {
    match change::request(tx, actor, proposal).await? {
        Decision::Refused { reason, .. } => return Err(StartError::Refused(reason)),
        Decision::NeedsApproval { id, reason } => {
            run.change_id = Some(id.to_string());
            run.note = Some(reason);
            save(tx, actor, run, is_stored).await?;
            say_waiting(tx, run).await?;
        }
        Decision::Granted(permit) => {
            save(tx, actor, run, is_stored).await?;
            engine::order(tx, &permit, &run.id).await?;
            run.state = RunState::Queued;
            run.change_id = Some(permit.change_id().to_string());
        }
    }
    Ok(())
}

async fn save(tx: &mut Tx, actor: &Actor, run: &mut Run, is_stored: bool) -> Result<(), DbError> {
    if is_stored {
        store::save_run(tx, run).await
    } else {
        insert(tx, actor, run).await
    }
}

/// Tells why an alert or a schedule has not started a runbook.
pub(crate) async fn say_held_back(
    tx: &mut Tx,
    actor: &Actor,
    runbook: &Runbook,
    alert_id: Option<&str>,
    reason: &str,
) -> Result<(), DbError> {
    tracing::info!(runbook = runbook.name, reason, "not started");
    let data = serde_json::json!({ "runbook": runbook.name, "alert_id": alert_id, "reason": reason });
    tx.append(actor, NewEvent::new("run.held_back", &runbook.id, &data))
        .await?;
    Ok(())
}
