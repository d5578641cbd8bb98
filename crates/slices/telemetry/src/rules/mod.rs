//! Rules: Prometheus rule files, the built-in packs, and their evaluation.

mod active;
pub(crate) mod api;
pub(crate) mod engine;
mod file;
mod locality;
pub(crate) mod model;
pub(crate) mod pack;
pub(crate) mod store;
pub(crate) mod tasks;
mod template;

mod known;

pub(crate) use engine::RuleEngine;
pub use file::{FileError, check};
pub(crate) use known::known;
