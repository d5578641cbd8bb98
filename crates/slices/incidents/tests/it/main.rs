//! Incidents on real databases.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod api;
mod grouping;
mod growth;
mod merging;
mod messages;
mod parts;
mod retention;
mod story;
mod suspects;
mod volume;
