//! How long finished runs are remembered.

use kernel::Task;
use kernel::retention::Bound;
use serde::Deserialize;

use crate::store;

/// A run has a row for each of its tasks, and a batch counts rows.
const ROWS_EACH: i64 = 25;

/// `[automation]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Days that a run is kept after its end; 0: for ever.
    pub history_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { history_days: 400 }
    }
}

pub(crate) fn task(settings: &Settings) -> Task {
    kernel::retention::task("automation.retention", bounds(settings))
}

/// What is kept how long.
pub fn bounds(settings: &Settings) -> Vec<Bound> {
    vec![Bound::new("run", settings.history_days, |tx, before_us, most| {
        Box::pin(async move { store::delete_old_runs(tx, before_us, most / ROWS_EACH).await })
    })]
}
