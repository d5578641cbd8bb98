//! Inventory on real databases.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod api;
mod facts;
mod items;
mod kit;
mod limits;
mod scope;
