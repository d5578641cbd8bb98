//! How long items are remembered that are gone.

use kernel::Task;
use kernel::retention::Bound;
use serde::Deserialize;

use crate::store;

/// A host has hundreds of rows, most of them packages, and a batch counts rows.
const ROWS_EACH: i64 = 50;

/// `[inventory]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Days that an item is kept after it was retired; 0: for ever. What it was stays on the timeline as long as that is kept.
    pub retired_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { retired_days: 400 }
    }
}

pub(crate) fn task(settings: &Settings) -> Task {
    kernel::retention::task("inventory.retention", bounds(settings))
}

/// What is kept how long.
pub fn bounds(settings: &Settings) -> Vec<Bound> {
    vec![Bound::new(
        "item",
        settings.retired_days,
        |tx, before_us, most| {
            Box::pin(async move { store::delete_retired(tx, before_us, most / ROWS_EACH).await })
        },
    )]
}
