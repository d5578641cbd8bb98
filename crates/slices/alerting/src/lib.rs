//! From signals to alerts: each condition has one life (pending, firing, resolved), kept in the database and told on the timeline.
//!
//! Rules and agents call [`observe`] in their transaction; the pure life cycle is in [`decide`], the time keeping in `tasks`.
//! Silences and maintenance windows mute alerts without touching their lives. Grouping, paging and people belong to incidents.

mod api;
pub mod decide;
pub mod events;
pub mod matcher;
pub mod model;
mod mute;
mod observe;
mod place;
mod reach;
mod react;
mod silence;
pub mod store;
mod tasks;
mod window;

pub use api::alerts::AlertView;
pub use api::version::IfMatch;
use kernel::{Kernel, Migration, Slice};
pub use model::{Alert, AlertData, AlertId, Labels, Severity, Signal};
pub use observe::{follow_step, observe, reconcile};
pub use react::HOST_LOST;
use serde::Deserialize;
pub use silence::{Silence, SilenceId};
pub use tasks::{bounds, settle_all};
pub use window::{Window, WindowId};

pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "alert",
        sql: include_str!("../migrations/0001_alert.sql"),
    },
    Migration {
        version: 2,
        name: "alert_resolved",
        sql: include_str!("../migrations/0002_alert_resolved.sql"),
    },
    Migration {
        version: 3,
        name: "alert_sequence",
        sql: include_str!("../migrations/0003_alert_sequence.sql"),
    },
    Migration {
        version: 4,
        name: "mute_scope",
        sql: include_str!("../migrations/0004_mute_scope.sql"),
    },
];

/// `[alerting]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Days that alerts, silences and maintenance windows are shown after they have ended; 0: for ever.
    pub history_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { history_days: 400 }
    }
}

/// The slice's handle. Cheap to clone.
#[derive(Clone)]
pub struct Alerting {
    kernel: Kernel,
    settings: Settings,
}

impl Alerting {
    pub fn new(kernel: &Kernel) -> Self {
        Self::with(kernel, Settings::default())
    }

    pub fn with(kernel: &Kernel, settings: Settings) -> Self {
        Self {
            kernel: kernel.clone(),
            settings,
        }
    }
}

pub fn slice(alerting: &Alerting) -> Slice {
    Slice {
        migrations: MIGRATIONS,
        routes: api::routes(alerting),
        consumers: vec![react::presence()],
        tasks: vec![tasks::timekeeper(), tasks::retention(&alerting.settings)],
        permissions: api::PERMISSIONS,
        ..Slice::named("alerting")
    }
}
