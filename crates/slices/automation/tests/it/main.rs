//! Automation on both databases, against the real fleet: a server that can be killed, and agents that do what a test says.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod approvals;
mod client;
mod durability;
mod kit;
mod real_agent;
mod rights;
mod robot;
mod runbooks;
mod runs;
mod secrets;
mod steering;
mod triggers;
mod withdrawn;
