//! Alerting on real databases.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod api;
mod life;
mod mutes;
mod parts;
mod reach;
mod volume;
