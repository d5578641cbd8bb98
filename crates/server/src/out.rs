//! What the command line says to people and scripts.

use std::io::Write;

/// A line on standard output. A closed pipe ends nothing: who reads no more wants no more.
pub fn line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A line on standard error.
pub fn complain(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
