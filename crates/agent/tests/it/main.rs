//! The agent as a whole against a server made for the test.

mod act;
mod host;
mod server;
mod uplink;
