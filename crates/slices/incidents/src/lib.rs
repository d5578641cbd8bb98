//! Alerts that belong together, and the people who deal with them.
//!
//! Flow: `alert.fired` → [`decide::group`] by the inventory graph → the incident is opened, grows or swallows others → events and
//! pages in the same transaction. People acknowledge, assign, comment, merge, resolve and reopen over HTTP. The story of an
//! incident is the events that were linked to it. Conditions belong to alerting, delivery to notify, acting to automation.

mod api;
pub mod decide;
pub mod events;
pub mod model;
mod place;
mod react;
mod retention;
mod settings;
pub mod store;
mod suspect;
mod tasks;
mod work;

use kernel::{Kernel, Migration, Slice, Wake};
pub use model::{Incident, IncidentId, Severity, State};
pub use retention::{bounds, held_events};
pub use settings::Settings;

pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "incident",
        sql: include_str!("../migrations/0001_incident.sql"),
    },
    Migration {
        version: 2,
        name: "kin",
        sql: include_str!("../migrations/0002_kin.sql"),
    },
    Migration {
        version: 3,
        name: "growth",
        sql: include_str!("../migrations/0003_growth.sql"),
    },
];

/// The slice's handle. Cheap to clone.
#[derive(Clone)]
pub struct Incidents {
    kernel: Kernel,
    settings: Settings,
    map: place::Map,
    wake: Wake,
    telemetry: Option<telemetry::Telemetry>,
}

impl Incidents {
    pub fn new(kernel: &Kernel, settings: Settings) -> Self {
        Self {
            kernel: kernel.clone(),
            settings,
            map: place::Map::default(),
            wake: Wake::default(),
            telemetry: None,
        }
    }

    /// Suspects are also sought in samples and log lines.
    pub fn with_telemetry(self, telemetry: &telemetry::Telemetry) -> Self {
        Self {
            telemetry: Some(telemetry.clone()),
            ..self
        }
    }
}

pub fn slice(incidents: &Incidents) -> Slice {
    Slice {
        migrations: MIGRATIONS,
        routes: api::routes(incidents),
        consumers: vec![react::consumer(incidents)],
        tasks: vec![tasks::timekeeper(incidents), retention::task(&incidents.settings)],
        permissions: api::PERMISSIONS,
        ..Slice::named("incidents")
    }
}
