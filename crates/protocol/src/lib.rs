//! What a server and an agent say to each other: serde types and their framing, nothing else.
//!
//! One TLS connection, opened by the agent, carries frames both ways. A frame is a 4-byte big-endian length,
//! one flag byte (0 = plain, 1 = snappy) and a MessagePack map. The first frame of either side states the
//! protocol version ([`PROTOCOL`]); the lower of the two is spoken. Unknown fields are ignored and unknown
//! message kinds are counted and skipped, so that either side may be newer.
//!
//! Delivery: every [`Batch`] carries a sequence number that the agent keeps across restarts; the server
//! acknowledges it with [`ToAgent::Ack`] once it is on disk. What is not acknowledged stays in the agent's spool and is sent
//! again, so the server must take a batch twice without harm (samples are idempotent by series and time; log
//! lines and events by sequence number).

mod codec;
mod command;
mod fact;
mod message;

pub use codec::{CodecError, MAX_FRAME, decode, encode, frame_len};
pub use command::{Action, Command, CommandState, HttpMethod, ServiceVerb, Stream};
pub use fact::{
    CertificateFact, ContainerFact, DatabaseFact, DiskFact, Facts, Identity, InterfaceFact, ListenFact,
    PackageFact, PeerFact, ServiceFact,
};
pub use message::{
    AgentConfig, Batch, Body, Gap, Labels, LogLine, LogSource, Sample, SeriesDef, ToAgent, ToServer,
    UnitChange,
};

/// The protocol version that this build speaks.
pub const PROTOCOL: u32 = 1;

/// The ALPN name of the agent connection.
pub const ALPN: &[u8] = b"mainstay-agent";

/// The TLS server name that agents ask for and that the server's certificate carries.
pub const SERVER_NAME: &str = "mainstay-server";

/// A refusal of a join with these words is one that somebody may lift: the agent asks again now and then.
pub const AWAITING_APPROVAL: &str = "awaits an approval";
