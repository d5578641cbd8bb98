//! The kernel on real databases.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod check;
mod clock;
mod config;
mod connect;
mod event_log;
mod http;
mod metric;
mod page;
mod parked;
mod streams;
mod turns;
