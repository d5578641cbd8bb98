//! The binary as its users meet it: real processes, real ports, real files.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod cli;
mod clock;
mod demo;
mod disk;
mod faults;
mod full;
mod house;
mod remote;
mod runs;
mod stories;
mod three_am;
mod three_am_clock;
mod views;
