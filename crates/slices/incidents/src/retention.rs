//! How long incidents are remembered, and which events must stay because an open one needs them.

use kernel::retention::Bound;
use kernel::{BoxFuture, DbError, Task};
use sqlx::AnyConnection;

use crate::{Settings, store};

/// Incidents have some dozens of rows each, and a batch counts rows.
const ROWS_EACH: i64 = 25;

pub fn task(settings: &Settings) -> Task {
    kernel::retention::task("incidents.retention", bounds(settings))
}

/// What is kept how long.
pub fn bounds(settings: &Settings) -> Vec<Bound> {
    vec![
        Bound::new("incident_event", settings.timeline_days, |tx, before_us, most| {
            Box::pin(async move { store::old::delete_stories(tx, before_us, most / ROWS_EACH).await })
        }),
        Bound::new("incident", settings.history_days, |tx, before_us, most| {
            Box::pin(async move { store::old::delete_incidents(tx, before_us, most / ROWS_EACH).await })
        }),
    ]
}

/// The events between two numbers that tell the story of an incident that is not over.
pub fn held_events(
    connection: &mut AnyConnection,
    between: (i64, i64),
) -> BoxFuture<'_, Result<Vec<i64>, DbError>> {
    Box::pin(store::link::of_open(connection, between))
}
