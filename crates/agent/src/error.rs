//! What can keep the agent from starting, and what to do about it.

use std::path::{Path, PathBuf};

/// Errors end the agent; what it can wait out (a server that is away) it waits out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("failed to {action} {path}: {source}; check that the folder exists, is writable and has space")]
    State {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("another agent runs on {0}; stop it or give this one a state folder of its own")]
    Locked(PathBuf),
    #[error("the file {path} is damaged ({what}); remove the state folder and join again with a new token")]
    Damaged { path: PathBuf, what: String },
    #[error(
        "this host has not joined yet; run `mainstay agent join` with a token from the server on standard input"
    )]
    NotJoined,
    #[error("the join token is not valid: {0}; copy it again, whole, from the server's page")]
    Token(String),
    #[error("failed to reach the server at {address}: {reason}")]
    Unreachable { address: String, reason: String },
    #[error("the server refused: {0}")]
    Refused(String),
    /// Waiting does not help: the host must join again.
    #[error("the server does not take this agent any more: {0}")]
    Expelled(String),
    #[error("failed to make the agent's key: {0}")]
    Key(String),
    /// A fault of the agent: it is to be started again as a whole, not to go on without one of its duties.
    #[error("the duty {0} of the agent ended by itself; the log says why")]
    DutyEnded(&'static str),
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl Error {
    pub(crate) fn state(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::State {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
