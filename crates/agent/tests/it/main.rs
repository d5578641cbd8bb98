//! The agent as a whole against a server made for the test.

mod act;
mod server;
mod uplink;
