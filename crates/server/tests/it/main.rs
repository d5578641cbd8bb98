//! The binary as its users meet it: real processes, real ports, real files.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod cli;
mod disk;
mod faults;
mod full;
mod house;
mod remote;
mod runs;
mod stories;
mod views;
