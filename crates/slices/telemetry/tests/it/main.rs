//! Telemetry on both databases: from a sample to an alert, and the APIs over real stores.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod api;
mod clock;
mod field;
mod grafana;
mod hosts;
mod log_time;
mod repeat;
mod scope;
mod story;
mod support;
mod tuning;
mod up;
mod warnings;
