//! Runbooks as stored, runs, and their tasks.

use std::collections::BTreeMap;

use kernel::{Id, Prefix, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::template::AlertView;

impl Prefix for Runbook {
    const PREFIX: &'static str = "rbk";
}
pub type RunbookId = Id<Runbook>;

impl Prefix for Run {
    const PREFIX: &'static str = "run";
}
pub type RunId = Id<Run>;

/// A runbook as people keep it.
#[derive(Clone, Debug, PartialEq)]
pub struct Runbook {
    pub id: RunbookId,
    pub name: String,
    pub text: String,
    pub is_enabled: bool,
    pub updated_by: String,
    pub updated_by_name: String,
    pub updated_at: Timestamp,
    pub version: i64,
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant),* }
        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// Where a run stands.
    RunState {
        AwaitingApproval = "awaiting_approval", AwaitingPerson = "awaiting_person", Queued = "queued", Running = "running",
        Cancelling = "cancelling", Succeeded = "succeeded", Failed = "failed", Cancelled = "cancelled", Rejected = "rejected",
    }
}

words! {
    /// Where a step stands on one target.
    TaskState {
        Waiting = "waiting", Dispatched = "dispatched", Running = "running", Ok = "ok", Failed = "failed",
        Skipped = "skipped", Unknown = "unknown", Cancelled = "cancelled",
    }
}

impl RunState {
    pub fn is_end(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Rejected
        )
    }
}

impl TaskState {
    pub fn is_end(self) -> bool {
        !matches!(self, Self::Waiting | Self::Dispatched | Self::Running)
    }

    /// Ended in a way that takes the target out of the run.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Unknown | Self::Cancelled)
    }
}

/// A target of a run, as it was when the run was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunTarget {
    pub item_id: String,
    pub name: String,
    /// The host whose agent acts.
    pub host_id: String,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Id of the team whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

/// One execution of a runbook.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub id: RunId,
    pub runbook_id: String,
    pub runbook_name: String,
    pub runbook_version: i64,
    /// The document as it was.
    pub text: String,
    pub inputs: BTreeMap<String, String>,
    pub targets: Vec<RunTarget>,
    /// Indices into `targets`.
    pub waves: Vec<Vec<usize>>,
    pub state: RunState,
    pub wave: usize,
    pub step: usize,
    pub is_dry: bool,
    /// `person`, `schedule` or `alert`.
    pub source: String,
    pub incident_id: Option<String>,
    pub alert_id: Option<String>,
    pub alert_fingerprint: Option<String>,
    /// The alert as templates see it.
    pub alert: Option<AlertView>,
    pub change_id: Option<String>,
    pub plan_hash: String,
    pub requested_by: String,
    pub requested_by_name: String,
    pub requested_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Why it waits or how it ended.
    pub note: Option<String>,
    /// The event that told of its beginning: the cause of what it does.
    pub event_seq: Option<i64>,
}

/// A step on a target. Steps that are done once a run have the target `""`.
#[derive(Clone, Debug, PartialEq)]
pub struct RunTask {
    pub step: usize,
    pub item_id: String,
    pub attempt: u32,
    pub state: TaskState,
    pub command_id: Option<String>,
    pub exit_code: Option<i64>,
    pub note: Option<String>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// What events about runs carry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunData {
    pub run_id: String,
    pub runbook: String,
    pub state: RunState,
    pub source: String,
    pub is_dry: bool,
    pub targets: Vec<RunTarget>,
    pub incident_id: Option<String>,
    pub alert_id: Option<String>,
    pub change_id: Option<String>,
    pub note: Option<String>,
}

impl From<&Run> for RunData {
    fn from(run: &Run) -> Self {
        Self {
            run_id: run.id.to_string(),
            runbook: run.runbook_name.clone(),
            state: run.state,
            source: run.source.clone(),
            is_dry: run.is_dry,
            targets: run.targets.clone(),
            incident_id: run.incident_id.clone(),
            alert_id: run.alert_id.clone(),
            change_id: run.change_id.clone(),
            note: run.note.clone(),
        }
    }
}
