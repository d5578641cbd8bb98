//! What tests stand on: a kernel over a fresh SQLite file or a fresh PostgreSQL database, with a clock that may be held.
//!
//! Everything here may panic: a test that cannot stand is a failed test.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test support fails by panicking"
)]

pub mod agent;
mod bed;
mod host;
pub mod postgres;

pub use agent::{FakeAgent, FakeLink};
pub use bed::{Bed, age_into_the_future};
pub use host::TestHost;
