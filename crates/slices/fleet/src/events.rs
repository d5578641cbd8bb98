//! What fleet says: the public shapes of its events.
//!
//! `agent.joined`, `agent.connected`, `agent.disconnected`, `agent.lost`, `agent.returned`, `agent.revoked`, `agent.replaced`,
//! `agent.duplicated` (subject: the agent); `service.changed` (subject: the service item); `command.queued`,
//! `command.finished`, `command.late` (subject: the command); `join_token.created`, `join_token.revoked`.

use kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::State;

/// Every `agent.*` event; fields that do not apply are absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentEvent {
    pub agent_id: String,
    /// The host.
    pub item_id: String,
    /// The host's name.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Why it went, was refused or replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `agent.lost`: when it was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_at: Option<Timestamp>,
    /// `agent.returned`: how long it was not heard, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_s: Option<i64>,
}

/// `service.changed`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceChanged {
    /// The service.
    pub item: String,
    pub name: String,
    /// The host.
    pub host: String,
    pub host_name: String,
    /// `systemd`, `init` or `process`.
    pub manager: String,
    /// `active`, `activating`, `deactivating`, `inactive`, `failed`.
    pub state: String,
    pub before: Option<String>,
    pub reason: Option<String>,
    pub at: Timestamp,
}

/// `command.queued`, `command.finished`, `command.late`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandEvent {
    pub command_id: String,
    /// The caller's own name for it.
    pub order: String,
    pub agent_id: String,
    pub item_id: String,
    pub state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// `join_token.created`, `join_token.revoked`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenEvent {
    pub note: String,
    pub uses: i64,
    pub expires_at: Timestamp,
}
