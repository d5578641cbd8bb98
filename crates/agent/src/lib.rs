//! The agent: everything that Mainstay does on a watched host.
//!
//! [`run`] joins if it must, then collects, sends, and executes commands until it is told to stop. `collect` reads the
//! host, `services`, `facts` and `logs` too; `uplink` and `spool` bring what they say to the server; `act` does what the
//! server asks. The agent imports `protocol` and nothing else of the house.

mod act;
mod clock;
mod collect;
mod error;
mod facts;
#[doc(hidden)]
pub mod fuzz;
mod host;
mod logs;
mod observe;
mod parts;
mod rt;
mod services;
mod spool;
mod state;
pub mod tls;
mod token;
mod uplink;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use collect::{CollectError, Roots};
pub use error::Error;
pub use token::Token;

use parts::Parts;
use state::{Enrolment, State};

/// How the agent is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the agent keeps its key, spool and journals. Made when it is missing.
    pub state_dir: PathBuf,
    /// Joins with it when the host has not joined yet, when it has joined an authority other than the token's, or when the
    /// server does not take the agent any more (revoked, or away for too long).
    pub token: Option<String>,
    /// Shown to the server.
    pub version: String,
    /// Where the host's files are; [`Roots::default`] but in tests.
    pub roots: Roots,
    /// The D-Bus address of systemd where it is not the system bus.
    pub bus: Option<String>,
}

impl Options {
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            token: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            roots: Roots::default(),
            bus: None,
        }
    }

    /// Watches the host whose files are under `root`, with its systemd, in place of the machine that the agent runs on.
    pub fn watching(mut self, root: &Path) -> Self {
        self.roots = Roots::under(root);
        if self.roots.root("run/systemd/system").is_dir() {
            let bus = self.roots.root("run/dbus/system_bus_socket");
            self.bus = Some(format!("unix:path={}", bus_escaped(&bus)));
        }
        self
    }
}

/// A path in a D-Bus address: other bytes than these stand as `%XX` (D-Bus specification, "Server Addresses").
fn bus_escaped(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt;
    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-_/.\\*".contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

/// What a join gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub agent_id: String,
    pub servers: Vec<String>,
}

/// Joins once and writes the enrolment into `state_dir`; [`run`] then needs no token.
pub async fn join(token: &str, state_dir: &Path) -> Result<Joined, Error> {
    let options = Options {
        token: Some(token.to_owned()),
        ..Options::new(state_dir)
    };
    let state = State::open_soon(state_dir).await?;
    let enrolment = enrol(&Token::parse(token)?, &state, &options).await?;
    Ok(Joined {
        agent_id: enrolment.agent_id,
        servers: enrolment.servers,
    })
}

async fn enrol(token: &Token, state: &State, options: &Options) -> Result<Enrolment, Error> {
    let identity = facts::identity::identity(&options.roots);
    let hostname = facts::identity::hostname(&options.roots);
    uplink::join::join(token, state, identity, hostname, &options.version).await
}

/// Runs the agent until `stop` is cancelled. Returns early only for what waiting cannot mend.
pub async fn run(options: Options, stop: CancellationToken) -> Result<(), Error> {
    let state = Arc::new(State::open_soon(&options.state_dir).await?);
    let Some(enrolment) = enrolment(&state, &options, &stop).await? else {
        return Ok(());
    };
    tracing::info!(agent_id = enrolment.agent_id, "the agent starts");
    let parts = Parts::open(state, options, enrolment)?;
    parts.run(stop).await
}

/// Between two attempts of a join that waits for an approval.
const APPROVAL_PAUSE: Duration = Duration::from_secs(30);

/// The enrolment, after joining if there is none; `None` when stopped before.
async fn enrolment(
    state: &State,
    options: &Options,
    stop: &CancellationToken,
) -> Result<Option<Enrolment>, Error> {
    let token = options.token.as_deref().map(Token::parse).transpose()?;
    let known = state.enrolment()?;
    let Some(token) = token else {
        return known.map(Some).ok_or(Error::NotJoined);
    };
    if let Some(known) = known.filter(|known| known.ca_fingerprint == token.fingerprint) {
        return Ok(Some(known));
    }
    let mut pause = Duration::from_millis(200);
    loop {
        let error = tokio::select! {
            joined = enrol(&token, state, options) => match joined {
                Ok(enrolment) => return Ok(Some(enrolment)),
                Err(error @ Error::Unreachable { .. }) => error,
                // Somebody has to let it in; asking often helps nobody.
                Err(Error::Refused(reason)) if reason.contains(protocol::AWAITING_APPROVAL) => {
                    pause = APPROVAL_PAUSE;
                    Error::Refused(reason)
                }
                Err(error) => return Err(error),
            },
            () = stop.cancelled() => return Ok(None),
        };
        tracing::warn!(%error, "failed to join; trying again");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return Ok(None),
        }
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}
