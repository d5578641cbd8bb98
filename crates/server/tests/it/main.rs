//! The binary as its users meet it: real processes, real ports, real files.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod cli;
mod faults;
mod house;
mod stories;
