//! The fleet with real databases and fake agents over real TLS.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod api;
mod batches;
mod commands;
mod enrolment;
mod kit;
mod presence;
mod real_agent;
mod restart;
