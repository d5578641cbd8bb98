//! A run as clients see it.

use std::collections::BTreeMap;

use kernel::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Automation;
use crate::model::{Run, RunState, RunTarget, RunTask, TaskState};

/// A run with its tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunView {
    id: String,
    runbook_id: String,
    runbook: String,
    runbook_version: i64,
    state: RunState,
    is_dry: bool,
    /// `person`, `schedule` or `alert`.
    source: String,
    inputs: BTreeMap<String, String>,
    targets: Vec<RunTarget>,
    /// Wave and step that are being worked on, from 0.
    wave: usize,
    waves: usize,
    step: usize,
    steps: Vec<RunStep>,
    tasks: Vec<TaskView>,
    incident_id: Option<String>,
    alert_id: Option<String>,
    change_id: Option<String>,
    requested_by: String,
    #[schema(value_type = String, format = DateTime)]
    requested_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// Why it waits or how it ended.
    note: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct RunStep {
    name: String,
    kind: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct TaskView {
    step: usize,
    /// Empty for steps that are done once.
    item_id: String,
    target: String,
    attempt: u32,
    state: TaskState,
    /// Its output is at `/api/v1/commands/{id}/output`.
    command_id: Option<String>,
    exit_code: Option<i64>,
    note: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

pub(super) fn view(automation: &Automation, run: Run, tasks: Vec<RunTask>) -> RunView {
    let document = automation.document(&run).ok();
    let steps = document.as_deref().map_or(&[][..], |d| &d.steps);
    let target = |id: &str| {
        run.targets
            .iter()
            .find(|t| t.item_id == id)
            .map(|t| t.name.clone())
            .unwrap_or_default()
    };
    let is_shown = |task: &RunTask| {
        task.item_id.is_empty() || run.targets.iter().any(|target| target.item_id == task.item_id)
    };
    let tasks = tasks.into_iter().filter(is_shown).map(|task| TaskView {
        step: task.step,
        target: target(&task.item_id),
        item_id: task.item_id,
        attempt: task.attempt,
        state: task.state,
        command_id: task.command_id,
        exit_code: task.exit_code,
        note: task.note,
        started_at: task.started_at,
        finished_at: task.finished_at,
    });
    RunView {
        tasks: tasks.collect(),
        id: run.id.to_string(),
        runbook_id: run.runbook_id,
        runbook: run.runbook_name,
        runbook_version: run.runbook_version,
        state: run.state,
        is_dry: run.is_dry,
        source: run.source,
        inputs: run.inputs,
        wave: run.wave,
        waves: run.waves.len(),
        step: run.step,
        steps: steps
            .iter()
            .map(|s| RunStep {
                name: s.name.clone(),
                kind: s.act.kind().into(),
            })
            .collect(),
        targets: run.targets,
        incident_id: run.incident_id,
        alert_id: run.alert_id,
        change_id: run.change_id,
        requested_by: run.requested_by_name,
        requested_at: run.requested_at,
        started_at: run.started_at,
        finished_at: run.finished_at,
        note: run.note,
    }
}
