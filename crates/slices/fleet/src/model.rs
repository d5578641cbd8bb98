//! Agents, join tokens and commands: types and states, no I/O.

use std::collections::BTreeMap;

use inventory::ItemId;
use kernel::{Actor, ActorKind, Id, Prefix, Timestamp};
use protocol::{Action, AgentConfig, CommandState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub type AgentId = Id<Agent>;
pub type CommandId = Id<Command>;
pub type TokenId = Id<JoinToken>;
pub type RequestId = Id<JoinRequest>;

/// An agent that was enrolled.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    pub id: AgentId,
    /// Its host.
    pub item: ItemId,
    pub state: AgentState,
    pub presence: Presence,
    pub version: String,
    /// Where it last connected from.
    pub address: String,
    pub identity: protocol::Identity,
    /// Settings of its own; the fleet's hold when `None`.
    pub config: Option<AgentConfig>,
    pub join_token: String,
    pub joined_at: Timestamp,
    /// Since when the presence is what it is.
    pub presence_at: Timestamp,
    /// When it was last heard, exact to half a minute while it is connected.
    pub heard_at: Timestamp,
    /// Number and time of its last batch that is known to be durable.
    pub seq: u64,
    pub seq_at_ms: i64,
    pub certificate_expires_at: Timestamp,
    /// The host's clock less the server's, as the agent last said it; exact to a second.
    pub clock_offset_ms: Option<i64>,
    /// Things of the last facts that were more than a host may have.
    pub refused_items: i64,
}

impl Prefix for Agent {
    const PREFIX: &'static str = "agt";
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    Active,
    /// A person took it out; its certificate opens nothing.
    Revoked,
    /// Its host was enrolled anew.
    Replaced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Enrolled, not yet connected.
    New,
    Connected,
    /// The connection ended a moment ago.
    Disconnected,
    /// Silent for longer than it may be.
    Lost,
}

macro_rules! texts {
    ($type:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        impl $type {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

texts!(AgentState { Active = "active", Revoked = "revoked", Replaced = "replaced" });
texts!(Presence { New = "new", Connected = "connected", Disconnected = "disconnected", Lost = "lost" });
texts!(RequestState { Pending = "pending", Approved = "approved", Denied = "denied", Used = "used" });
texts!(State {
    Queued = "queued",
    Accepted = "accepted",
    Running = "running",
    Exited = "exited",
    Failed = "failed",
    TimedOut = "timed_out",
    Cancelled = "cancelled",
    Interrupted = "interrupted",
    Expired = "expired",
    Lost = "lost",
});

/// Who may join, how often and until when.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinToken {
    pub id: TokenId,
    pub note: String,
    /// Given to the hosts that join with it.
    pub team: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub uses: i64,
    pub used: i64,
    pub created_by: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

impl Prefix for JoinToken {
    const PREFIX: &'static str = "jtk";
}

/// A join that would take over a host which is there already, or which its token does not cover.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinRequest {
    pub id: RequestId,
    pub token: TokenId,
    /// The host that would be taken over.
    pub item: ItemId,
    /// Hash of the name and the keys that were shown: what an approval is bound to.
    pub claim: String,
    /// `live` or `foreign`.
    pub reason: String,
    pub state: RequestState,
    /// The name that the machine gives itself.
    pub hostname: String,
    pub address: String,
    pub version: String,
    pub attempts: i64,
    pub created_at: Timestamp,
    pub seen_at: Timestamp,
    pub decided_at: Option<Timestamp>,
    pub decided_by: Option<String>,
}

impl Prefix for JoinRequest {
    const PREFIX: &'static str = "jrq";
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JoinRequestState)]
pub enum RequestState {
    Pending,
    /// The next join with the same token, name and keys takes the host over, within a day.
    Approved,
    Denied,
    /// The approval was used.
    Used,
}

/// A command for one host.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    pub id: CommandId,
    pub agent: AgentId,
    pub item: ItemId,
    /// The caller's own name for it.
    pub reference: String,
    pub action: Action,
    pub timeout_ms: u64,
    pub output_cap_bytes: u64,
    pub idempotent: bool,
    pub state: State,
    /// How it ended on the host, as the agent said it.
    pub result: Option<CommandState>,
    pub cancel_requested: bool,
    /// Who ordered it.
    pub actor: String,
    pub actor_name: String,
    /// The event that the order was a part of.
    pub cause: Option<i64>,
    pub created_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// When it is given up, unless something happens before.
    pub give_up_at: Timestamp,
}

impl Prefix for Command {
    const PREFIX: &'static str = "cmd";
}

impl Command {
    pub fn exit_code(&self) -> Option<i32> {
        match &self.result {
            Some(CommandState::Exited { exit_code, .. }) => *exit_code,
            _ => None,
        }
    }

    /// It ran and said that all is well.
    pub fn is_success(&self) -> bool {
        self.state == State::Exited && self.exit_code() == Some(0)
    }
}

/// Where a command stands, as the server knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CommandStatus)]
pub enum State {
    /// Stored; sent as soon as the agent is there.
    Queued,
    /// In the agent's journal.
    Accepted,
    Running,
    /// Ended by itself, with an exit code or by a signal.
    Exited,
    /// Could not begin.
    Failed,
    TimedOut,
    Cancelled,
    /// The agent died while it ran: whether it took effect is unknown.
    Interrupted,
    /// The agent was not there in time; it never began.
    Expired,
    /// The agent did not come back with its end: whether it took effect is unknown.
    Lost,
}

impl State {
    pub fn is_end(self) -> bool {
        !matches!(self, Self::Queued | Self::Accepted | Self::Running)
    }

    pub fn of(reported: &CommandState) -> Self {
        match reported {
            CommandState::Accepted => Self::Accepted,
            CommandState::Running => Self::Running,
            CommandState::Exited { .. } => Self::Exited,
            CommandState::Failed { .. } => Self::Failed,
            CommandState::TimedOut { .. } => Self::TimedOut,
            CommandState::Cancelled { .. } => Self::Cancelled,
            CommandState::Interrupted => Self::Interrupted,
        }
    }
}

/// The agent as an actor of events.
pub fn agent_actor(id: &AgentId, host_name: &str) -> Actor {
    Actor {
        kind: ActorKind::Agent,
        id: id.to_string(),
        name: host_name.to_owned(),
        grants: Vec::new(),
        only: None,
    }
}
