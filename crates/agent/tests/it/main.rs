//! The agent as a whole against a server made for the test.
#![expect(clippy::unwrap_used, reason = "tests")]

mod act;
mod cost;
mod host;
mod http;
mod hundred;
mod kill;
mod server;
mod uplink;
