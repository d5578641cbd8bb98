//! The messages of both directions, and the batches that carry observations.

use serde::{Deserialize, Serialize};

use crate::command::{Command, CommandState, Stream};
use crate::fact::{Facts, Identity};

/// A label set as sorted `(name, value)` pairs; the metric's name is the label `__name__`.
pub type Labels = Vec<(String, String)>;

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToServer {
    /// The only message that a connection without a client certificate may send. With the certificate of an agent before, the
    /// connection proves that this is the host that the agent was enrolled on.
    Join {
        protocol: u32,
        token: String,
        csr_pem: String,
        identity: Identity,
        hostname: String,
        agent_version: String,
    },
    /// First message of an enrolled agent. `running` lists the commands that it still runs or whose end has not been acknowledged.
    Hello {
        protocol: u32,
        agent_version: String,
        identity: Identity,
        hostname: String,
        started_at_ms: i64,
        running: Vec<String>,
        /// The agent's clock when it said this, Unix milliseconds; agents from before it was sent do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        now_ms: Option<i64>,
    },
    /// Asks for a new certificate for the same agent.
    Renew { csr_pem: String },
    /// Observations, kept by the agent until acknowledged.
    Batch(Batch),
    /// A command has been written to the agent's journal (`Accepted`), has begun, or has ended. Ends are repeated until `CommandAck`.
    Command {
        id: String,
        at_ms: i64,
        state: CommandState,
    },
    /// Output of a running command. `offset` counts the bytes of the stream, so a repeat is harmless.
    Output {
        id: String,
        stream: Stream,
        offset: u64,
        #[serde(with = "bytes_as_bin")]
        data: Vec<u8>,
    },
    /// Answer to `Ping`, with the agent's clock (Unix milliseconds) where the agent says it.
    Pong {
        nonce: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        now_ms: Option<i64>,
    },
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToAgent {
    /// Answer to `Join`: the agent's name for itself, its certificate, and the certificate authority to trust.
    Joined {
        agent_id: String,
        certificate_pem: String,
        ca_pem: String,
    },
    /// Answer to `Renew`.
    Renewed {
        certificate_pem: String,
        ca_pem: String,
    },
    /// Answer to `Hello`.
    Welcome {
        protocol: u32,
        agent_id: String,
        now_ms: i64,
        config: AgentConfig,
    },
    /// The connection is refused: what, why and what to do. The server closes after it.
    Refused {
        reason: String,
    },
    /// Every batch up to and including `seq` is on disk.
    Ack {
        seq: u64,
    },
    /// The agent should slow down: at least this long between batches, until told otherwise with 0.
    Throttle {
        min_interval_ms: u64,
    },
    /// Run a command. The agent answers with `ToServer::Command` in state `Accepted` once it is in its journal.
    Dispatch(Command),
    /// End a command: its whole process group.
    Cancel {
        id: String,
    },
    /// The end of a command has been recorded; the agent may forget it.
    CommandAck {
        id: String,
    },
    /// Settings changed.
    Config(AgentConfig),
    Ping {
        nonce: u64,
    },
}

/// Settings that the server gives to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentConfig {
    /// Period of the fast collectors (CPU, memory, disks, network), milliseconds.
    pub sample_interval_ms: u64,
    /// Services that are watched closely: process exit wakes the agent at once.
    pub watched_services: Vec<String>,
    /// Log files to tail, as globs.
    pub log_files: Vec<String>,
    /// Read the journal where there is one.
    pub journal: bool,
    /// Certificate files and directories to watch for expiry.
    pub certificate_paths: Vec<String>,
    /// Largest size of the spool on disk.
    pub spool_bytes: u64,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            sample_interval_ms: 1000,
            watched_services: Vec::new(),
            log_files: [
                "/var/log/syslog",
                "/var/log/messages",
                "/var/log/auth.log",
                "/var/log/*.log",
            ]
            .map(String::from)
            .to_vec(),
            journal: true,
            certificate_paths: vec!["/etc/ssl/private".into(), "/etc/letsencrypt/live".into()],
            spool_bytes: 256 * 1024 * 1024,
        }
    }
}

/// A numbered, self-contained parcel of observations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Rises by one per batch over the whole life of an enrolment.
    pub seq: u64,
    /// When the agent made it, Unix milliseconds.
    pub at_ms: i64,
    /// True when it went through the spool instead of straight over the wire.
    #[serde(default)]
    pub spooled: bool,
    pub body: Vec<Body>,
}

/// One kind of observation in a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Samples. Ids are scoped by `epoch`; a definition is sent once per epoch *and connection*. A spooled batch has an
    /// epoch of its own and defines everything that it uses. The server keeps at most the epochs of one connection.
    Metrics {
        epoch: u64,
        define: Vec<SeriesDef>,
        samples: Vec<Sample>,
    },
    Logs {
        source: LogSource,
        lines: Vec<LogLine>,
    },
    /// A service or unit changed state.
    Units {
        changes: Vec<UnitChange>,
    },
    /// What the host is made of; sent on change and at least once an hour.
    Facts(Box<Facts>),
    /// Observations were lost: the spool was full, or a queue ran over.
    Gap(Gap),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesDef {
    pub id: u32,
    /// Sorted by name, `__name__` among them; without the host's own labels, which the server adds.
    pub labels: Labels,
}

/// `(series id, Unix milliseconds, value)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample(pub u32, pub i64, pub f64);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogSource {
    /// `journal` or `file`.
    pub kind: String,
    /// Unit or file path.
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    pub at_ms: i64,
    /// syslog severity 0 (emergency) to 7 (debug), where known.
    pub severity: Option<u8>,
    /// Program or unit that spoke.
    pub program: Option<String>,
    pub pid: Option<u32>,
    pub text: String,
}

/// A change of a service's state, as it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitChange {
    pub at_ms: i64,
    pub name: String,
    /// `systemd`, `init` or `process`.
    pub manager: String,
    /// `active`, `activating`, `deactivating`, `inactive`, `failed`.
    pub state: String,
    /// What the manager said of it, for instance `exit-code` or `signal 9`.
    pub reason: Option<String>,
}

/// Observations that were dropped, and how many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    pub from_ms: i64,
    pub to_ms: i64,
    pub batches: u64,
    pub samples: u64,
    pub lines: u64,
    pub reason: String,
}

mod bytes_as_bin {
    use serde::{Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<Vec<u8>, E> {
                Ok(v.to_vec())
            }
            fn visit_byte_buf<E: de::Error>(self, v: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(v)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
                let mut out = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    out.push(byte);
                }
                Ok(out)
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}
