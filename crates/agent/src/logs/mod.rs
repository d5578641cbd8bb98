//! Log lines: from the journal where there is one, and from files.
//!
//! Each source says with its lines how far it has been taken (a [`crate::observe::Mark`]); the uplink keeps that once
//! the lines are safe, and the next run begins there. A full queue stops the readers: the files are the buffer.

mod files;
pub(crate) mod glob;
pub(crate) mod journal;
pub(crate) mod line;
mod position;
mod tail;
mod wake;

pub(crate) use files::{Files, follow as follow_files};
pub(crate) use journal::{Journal, exists as has_journal, follow as follow_journal};

/// Longer lines are cut, and say so.
pub(crate) const MAX_LINE: usize = 16 * 1024;
