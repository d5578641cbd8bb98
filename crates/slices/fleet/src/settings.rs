//! The slice's section of the configuration.

use protocol::AgentConfig;
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `host:port` under which agents reach this server; goes into join tokens. When empty: the host of the public address.
    pub addresses: Vec<String>,
    /// An agent that has not been heard for this long is lost. Below 2000 a busy server may take a busy agent for lost.
    pub lost_after_ms: u64,
    /// After a start of the server agents have this much longer to come back.
    pub start_grace_ms: u64,
    /// Life of an agent's certificate; it is renewed at half.
    pub certificate_days: u64,
    /// A certificate that ran out less than this ago may still be renewed.
    pub certificate_grace_days: u64,
    /// Output of commands that ended longer ago than this is deleted.
    pub keep_output_days: u64,
    /// Days that a command is kept after its end, without its output once that is deleted; 0: for ever.
    pub keep_commands_days: u32,
    /// Connections from agents at the same time.
    pub max_connections: usize,
    /// Connections that have not said who they are, at the same time; when there are none left, the address with the most gives
    /// up its oldest.
    pub max_handshakes: usize,
    /// Settings of agents that have none of their own.
    pub agent: AgentConfig,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            lost_after_ms: 5000,
            start_grace_ms: 15_000,
            certificate_days: 7,
            certificate_grace_days: 90,
            keep_output_days: 90,
            keep_commands_days: 400,
            max_connections: 20_000,
            max_handshakes: 2_048,
            agent: AgentConfig::default(),
        }
    }
}
