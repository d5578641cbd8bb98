//! All SQL of the slice. Rows of alerts are read and written in batches: ten thousand of them take a second, not minutes.

pub mod alert;
pub mod list;
pub mod silence;
pub mod window;

pub use alert::{by_id, get};
pub use list::list;

use std::fmt::Write;

/// `$1, $2, … $n` for an IN list; `from` is the number of the first.
fn places(from: usize, count: usize) -> String {
    let mut out = String::new();
    for index in from..from + count {
        let comma = if index == from { "" } else { ", " };
        let _ = write!(out, "{comma}${index}");
    }
    out
}
