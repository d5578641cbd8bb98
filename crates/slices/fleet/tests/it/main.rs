//! The fleet with real databases and fake agents over real TLS.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod admission;
mod agent_kill;
mod api;
mod batches;
mod clock;
mod commands;
mod enrolment;
mod join_script;
mod kit;
mod presence;
mod real_agent;
mod restart;
mod takeover;
