//! The runbook document: what may be in it, and reading it strictly, with the line and column of every fault.

use std::collections::BTreeMap;
use std::time::Duration;

use change::Risk;
use protocol::{HttpMethod, ServiceVerb};
use serde::Serialize;
use utoipa::ToSchema;

use crate::input::InputSpec;
pub use crate::read::{DocumentError, parse};

/// A runbook, ready to be planned.
#[derive(Clone, Debug)]
pub struct Document {
    pub name: String,
    pub description: String,
    pub risk: Risk,
    /// Agreed beforehand: medium risk needs no approval when nobody asked in person.
    pub is_standard: bool,
    pub inputs: Vec<InputSpec>,
    /// Selector of the targets, a template over inputs and the alert.
    pub targets: Option<String>,
    /// More targets than this are refused: the blast radius.
    pub max_targets: usize,
    pub strategy: Strategy,
    pub schedules: Vec<Schedule>,
    pub alerts: Vec<AlertTrigger>,
    pub steps: Vec<Step>,
}

/// How the targets are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strategy {
    pub batch: Batch,
    /// Targets that may fail before the run stops.
    pub max_failures: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    All,
    Count(usize),
    Percent(usize),
}

impl Batch {
    /// Targets of one wave.
    pub fn size(self, targets: usize) -> usize {
        match self {
            Self::All => targets.max(1),
            Self::Count(count) => count.max(1),
            Self::Percent(percent) => (targets * percent).div_ceil(100).max(1),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Schedule {
    pub cron: String,
    pub time_zone: String,
    pub inputs: BTreeMap<String, String>,
}

/// Starts the runbook when an alert fires, within guard rails.
#[derive(Clone, Debug)]
pub struct AlertTrigger {
    /// Name of the alert; `*` at the end matches any ending.
    pub alert: String,
    /// Labels that must be on it.
    pub labels: BTreeMap<String, String>,
    /// Templates over the alert.
    pub inputs: BTreeMap<String, String>,
    pub mode: Mode,
    /// At least this long between two runs for the same item.
    pub cooldown: Duration,
    /// Runs of this runbook by alerts in an hour.
    pub max_per_hour: u32,
    /// Runs of this runbook by alerts that have not ended.
    pub max_active: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Say what would be done.
    DryRun,
    /// Make ready and wait for a person.
    Ask,
    /// Run.
    Run,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub name: String,
    pub act: Act,
    pub timeout: Duration,
    pub retries: u32,
    pub is_idempotent: bool,
    pub ignores_errors: bool,
    /// A condition over inputs and the target; the step is skipped where it does not hold.
    pub when: Option<String>,
}

/// What a step does. Texts are templates, but for scripts, which get the inputs as `INPUT_…` in their environment.
#[derive(Clone, Debug)]
pub enum Act {
    Command {
        argv: Vec<String>,
        user: Option<String>,
    },
    Script {
        interpreter: Option<String>,
        script: String,
        user: Option<String>,
    },
    Service {
        name: String,
        verb: ServiceVerb,
    },
    Http {
        method: HttpMethod,
        url: String,
        headers: BTreeMap<String, String>,
        body: Option<String>,
        expect: Vec<u16>,
    },
    /// Until the PromQL condition has a result that is not zero.
    Wait {
        query: String,
        every: Duration,
    },
    Approval {
        text: String,
    },
    Notify {
        title: String,
        text: String,
        severity: notify::Severity,
    },
}

impl Act {
    /// Once a run instead of once a target.
    pub fn is_once(&self) -> bool {
        matches!(self, Self::Approval { .. } | Self::Notify { .. })
    }

    /// Carried out by the target's agent.
    pub fn is_on_host(&self) -> bool {
        !matches!(
            self,
            Self::Wait { .. } | Self::Approval { .. } | Self::Notify { .. }
        )
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Command { .. } => "command",
            Self::Script { .. } => "script",
            Self::Service { .. } => "service",
            Self::Http { .. } => "http",
            Self::Wait { .. } => "wait",
            Self::Approval { .. } => "approval",
            Self::Notify { .. } => "notify",
        }
    }
}
