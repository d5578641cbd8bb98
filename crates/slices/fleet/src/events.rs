//! What fleet says: the public shapes of its events.
//!
//! `agent.joined`, `agent.connected`, `agent.disconnected`, `agent.lost`, `agent.returned`, `agent.revoked`, `agent.replaced`,
//! `agent.duplicated` (subject: the agent); `service.changed` (subject: the service item); `command.queued`,
//! `command.finished`, `command.late` (subject: the command); `join_token.created`, `join_token.revoked`;
//! `join_request.created`, `join_request.approved`, `join_request.denied` (subject: the request).

use kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{JoinRequest, State};

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

/// `join_request.created`, `join_request.approved`, `join_request.denied`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JoinRequestEvent {
    /// The host that would be taken over.
    pub item_id: String,
    /// Its name.
    pub name: String,
    /// The name that the joining machine gives itself.
    pub hostname: String,
    pub address: String,
    pub token: String,
    /// `live`: the host's agent is connected; `foreign`: the token does not cover the host.
    pub reason: String,
}

impl JoinRequestEvent {
    pub(crate) fn of(request: &JoinRequest, name: &str) -> Self {
        Self {
            item_id: request.item.to_string(),
            name: name.to_owned(),
            hostname: request.hostname.clone(),
            address: request.address.clone(),
            token: request.token.to_string(),
            reason: request.reason.clone(),
        }
    }
}

/// `join_token.created`, `join_token.revoked`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenEvent {
    pub note: String,
    pub uses: i64,
    pub expires_at: Timestamp,
}
