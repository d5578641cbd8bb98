//! Tests of the store through its public face, on real files.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod basics;
mod blocks;
mod duties;
mod faults;
mod kill;
mod model;
mod support;
mod wal;
