//! The kernel on real databases.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod event_log;
mod http;
mod turns;
