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
mod react;
mod silence;
pub mod store;
mod tasks;
mod window;

pub use api::alerts::AlertView;
pub use api::version::IfMatch;
use kernel::{Kernel, Migration, Slice};
pub use model::{Alert, AlertData, AlertId, Labels, Severity, Signal};
pub use observe::{observe, reconcile};
pub use react::HOST_LOST;
pub use silence::{Silence, SilenceId};
pub use tasks::settle_all;
pub use window::{Window, WindowId};

pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "alert",
    sql: include_str!("../migrations/0001_alert.sql"),
}];

/// The slice's handle. Cheap to clone.
#[derive(Clone)]
pub struct Alerting {
    kernel: Kernel,
}

impl Alerting {
    pub fn new(kernel: &Kernel) -> Self {
        Self {
            kernel: kernel.clone(),
        }
    }
}

pub fn slice(alerting: &Alerting) -> Slice {
    Slice {
        migrations: MIGRATIONS,
        routes: api::routes(alerting),
        consumers: vec![react::presence()],
        tasks: vec![tasks::timekeeper()],
        permissions: api::PERMISSIONS,
        ..Slice::named("alerting")
    }
}
