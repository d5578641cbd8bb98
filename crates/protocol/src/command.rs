//! Commands: what the server may ask an agent to do, and how it ends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One command for one host. The agent writes it to its journal before it begins and never begins an id twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    pub id: String,
    pub action: Action,
    /// After this long the whole process group is ended and the state is `TimedOut`.
    pub timeout_ms: u64,
    /// Output beyond this many bytes a stream is dropped and counted.
    pub output_cap_bytes: u64,
    /// After a crash of the agent in the middle of the command: begin again (`true`) or report `Interrupted` (`false`).
    pub idempotent: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// A program with arguments, without a shell.
    Exec {
        argv: Vec<String>,
        env: BTreeMap<String, String>,
        cwd: Option<String>,
        user: Option<String>,
        stdin: Option<String>,
    },
    /// A script handed to `interpreter` from a private file; without one, to what its first line says (`#!`), else to `/bin/sh`.
    Script {
        interpreter: Option<String>,
        script: String,
        args: Vec<String>,
        env: BTreeMap<String, String>,
        user: Option<String>,
    },
    /// An action on a service, by whichever manager runs it (systemd, init script).
    Service { name: String, verb: ServiceVerb },
    /// An HTTP request made from the host.
    Http {
        method: HttpMethod,
        url: String,
        headers: BTreeMap<String, String>,
        body: Option<String>,
        expect_status: Vec<u16>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceVerb {
    Start,
    Stop,
    Restart,
    Reload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

/// Where a command stands on the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum CommandState {
    /// In the journal, not begun.
    Accepted,
    /// Begun.
    Running,
    /// Ended by itself. `exit_code` is `None` when a signal ended it.
    Exited {
        exit_code: Option<i32>,
        signal: Option<i32>,
        duration_ms: u64,
        dropped_bytes: u64,
    },
    /// Could not begin: no such program, user or service.
    Failed {
        error: String,
    },
    TimedOut {
        duration_ms: u64,
    },
    Cancelled {
        duration_ms: u64,
    },
    /// The agent died while it ran and it is not idempotent: whether it took effect is unknown.
    Interrupted,
}

impl CommandState {
    /// True when nothing more will happen.
    pub fn is_end(&self) -> bool {
        !matches!(self, Self::Accepted | Self::Running)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
}
