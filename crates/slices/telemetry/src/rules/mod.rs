//! Rules: Prometheus rule files, the built-in packs, and their evaluation.

pub(crate) mod active;
pub(crate) mod api;
mod ask;
mod audience;
pub(crate) mod engine;
mod file;
mod known;
mod locality;
pub(crate) mod model;
pub(crate) mod pack;
mod record;
pub(crate) mod store;
pub(crate) mod tasks;
pub(crate) mod template;
pub(crate) mod tuning;

pub(crate) use engine::{RuleEngine, Taken};
pub use file::{FileError, check};
pub(crate) use known::known;
pub use template::preview;
