//! Runbooks and runs: what is to be done, written down, and done durably under a permit. See the README.

mod api;
mod begin;
mod cache;
mod decide;
mod document;
mod engine;
mod input;
mod model;
mod overdue;
mod place;
mod plan;
mod reach;
mod react;
mod read;
mod read_only;
mod retention;
mod schedule;
mod scheduled;
mod secrets;
mod start;
pub mod store;
mod tasks;
mod template;
mod waits;
mod withdraw;

use std::sync::Arc;

use fleet::Fleet;
use kernel::{BoxFuture, DbError, Kernel, Migration, Slice, Tx, Wake};
use serde::Serialize;
use sqlx::AnyConnection;
use utoipa::ToSchema;

pub use document::{Document, DocumentError, parse as parse_document};
pub use engine::order;
pub use input::Scalar;
pub use model::{Run, RunData, RunId, RunState, RunTarget, RunTask, Runbook, RunbookId, TaskState};
pub use plan::{Plan, PlanError, PlannedStep, Wish, plan};
pub use read_only::reads;
pub use retention::{Settings, bounds};
pub use start::{Start, StartError, Trigger, start};
pub use template::AlertView;

pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "runbook",
        sql: include_str!("../migrations/0001_runbook.sql"),
    },
    Migration {
        version: 2,
        name: "alert",
        sql: include_str!("../migrations/0002_alert.sql"),
    },
    Migration {
        version: 3,
        name: "finished",
        sql: include_str!("../migrations/0003_finished.sql"),
    },
    Migration {
        version: 4,
        name: "announced",
        sql: include_str!("../migrations/0004_announced.sql"),
    },
    Migration {
        version: 5,
        name: "secret",
        sql: include_str!("../migrations/0005_secret.sql"),
    },
];

/// What runs ask of slices that automation does not know: conditions in PromQL, and whether an alert still fires.
pub trait Query: Send + Sync {
    /// The values of the result at this moment.
    fn instant<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Vec<f64>, String>>;

    /// Whether the alert with this id has not resolved, read in the caller's transaction. False when there is none.
    fn is_firing<'a>(
        &'a self,
        connection: &'a mut AnyConnection,
        alert_id: &'a str,
    ) -> BoxFuture<'a, Result<bool, DbError>>;
}

/// The handle of the slice. Cheap to clone.
#[derive(Clone)]
pub struct Automation(Arc<Inner>);

struct Inner {
    kernel: Kernel,
    fleet: Fleet,
    conditions: Arc<dyn Query>,
    documents: cache::Documents,
    wake: Wake,
    wait_wake: Wake,
    settings: Settings,
}

impl Automation {
    pub fn new(kernel: &Kernel, fleet: Fleet, conditions: Arc<dyn Query>) -> Self {
        Self::with(kernel, fleet, conditions, Settings::default())
    }

    pub fn with(kernel: &Kernel, fleet: Fleet, conditions: Arc<dyn Query>, settings: Settings) -> Self {
        fleet.set_secrets(Arc::new(secrets::OfRuns(kernel.clone())));
        Self(Arc::new(Inner {
            kernel: kernel.clone(),
            fleet,
            conditions,
            documents: cache::Documents::default(),
            wake: Wake::default(),
            wait_wake: Wake::default(),
            settings,
        }))
    }

    pub(crate) fn kernel(&self) -> &Kernel {
        &self.0.kernel
    }

    pub(crate) fn fleet(&self) -> &Fleet {
        &self.0.fleet
    }

    pub(crate) fn conditions(&self) -> &dyn Query {
        &*self.0.conditions
    }

    /// There is a run to move on.
    pub(crate) fn wake(&self) -> &Wake {
        &self.0.wake
    }

    /// There is a new condition to look at.
    pub(crate) fn wait_wake(&self) -> &Wake {
        &self.0.wait_wake
    }

    /// Moves runs on once the transaction is durable.
    pub(crate) fn wake_after(&self, tx: &mut Tx) {
        let wake = self.0.wake.clone();
        tx.after_commit(move || wake.signal());
    }

    pub(crate) fn documents(&self) -> &cache::Documents {
        &self.0.documents
    }

    /// What a run carries out.
    pub(crate) fn document(&self, run: &Run) -> Result<Arc<Document>, Vec<DocumentError>> {
        self.0
            .documents
            .get(&run.runbook_id, run.runbook_version, &run.text)
    }
}

/// The capability.
pub fn slice(automation: &Automation) -> Slice {
    Slice {
        migrations: MIGRATIONS,
        routes: api::routes(automation),
        consumers: react::consumers(automation),
        tasks: tasks(automation),
        permissions: api::PERMISSIONS,
        ..Slice::named("automation")
    }
}

fn tasks(automation: &Automation) -> Vec<kernel::Task> {
    let mut all = tasks::tasks(automation);
    all.push(retention::task(&automation.0.settings));
    all
}

/// A runbook that fits an alert.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Suggestion {
    pub runbook_id: String,
    pub name: String,
    pub description: String,
    /// Inputs as the trigger fills them for this alert.
    pub inputs: std::collections::BTreeMap<String, String>,
    /// Selector of the targets that the alert stands for, when the runbook names none.
    pub targets: Option<String>,
}

/// Runbooks whose triggers fit an alert of this name and labels, to offer them beside it.
pub async fn suggest(
    connection: &mut AnyConnection,
    name: &str,
    labels: &std::collections::BTreeMap<String, String>,
) -> Result<Vec<Suggestion>, DbError> {
    let mut found = Vec::new();
    for runbook in store::enabled(connection).await? {
        let Ok(document) = document::parse(&runbook.text) else {
            continue;
        };
        let Some(inputs) = react::inputs_for(&document, name, labels) else {
            continue;
        };
        let is_plain = |host: &&String| !host.contains(['"', '\\', '*']);
        let host = labels
            .get("instance")
            .filter(is_plain)
            .filter(|_| document.targets.is_none());
        found.push(Suggestion {
            runbook_id: runbook.id.to_string(),
            name: runbook.name,
            description: document.description,
            inputs,
            targets: host.map(|host| format!("kind=host name=\"{host}\"")),
        });
    }
    Ok(found)
}
