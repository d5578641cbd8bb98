//! The error of reading and decoding: what is wrong and where.

use thiserror::Error;

/// Line and column count from 1.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}, column {column}: {message}")]
pub struct Error {
    pub line: u32,
    pub column: u32,
    pub message: String,
}

impl Error {
    pub fn new(line: u32, column: u32, message: impl Into<String>) -> Error {
        Error {
            line,
            column,
            message: message.into(),
        }
    }
}
