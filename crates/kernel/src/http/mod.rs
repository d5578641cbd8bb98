//! HTTP for slices: extractors whose refusals are problems, paging, and the assembly of all routes behind one guard.

pub mod app;
mod extract;
mod guard;
mod names;
pub mod page;
pub mod problem;
mod streams;

pub use app::{App, assemble};
pub use extract::{Json, Path, Query};
pub use guard::{Authenticate, LookedAtAgain, RequestId};
