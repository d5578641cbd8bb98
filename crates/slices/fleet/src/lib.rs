//! Fleet: agents — how they join, whether they are there, what they observe, and what they are told to do.
//!
//! Flow of a connection: [`session`] (TLS, join or hello) → batches to the [`Intake`] and to inventory, acknowledged once durable;
//! commands from the database to the agent and their reports back ([`command`]). [`presence`] says who is lost.

pub mod api;
mod authority;
mod clock;
mod command;
mod decide;
pub mod dist;
mod error;
pub mod events;
mod hub;
mod intake;
pub mod model;
mod presence;
mod secret;
mod session;
mod settings;
pub mod store;
mod tls;
pub mod token;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kernel::{Actor, DbError, Kernel, Migration, Slice, Timestamp, Tx};
use protocol::Stream;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_rustls::TlsAcceptor;

pub use command::{Order, Target};
pub use error::{DispatchError, FleetError};
pub use intake::{HostRef, Intake, Rejected, Renew};
pub use model::{
    Agent, AgentId, Command, CommandId, JoinRequest, JoinToken, Presence, RequestId, State, TokenId,
};
pub use secret::{Secret, SecretSource};
pub use settings::Settings;
pub use store::OutputChunk;

use authority::Authority;
use hub::Hub;

pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "fleet",
        sql: include_str!("../migrations/0001_fleet.sql"),
    },
    Migration {
        version: 2,
        name: "ended",
        sql: include_str!("../migrations/0002_ended.sql"),
    },
    Migration {
        version: 3,
        name: "join_request",
        sql: include_str!("../migrations/0003_join_request.sql"),
    },
    Migration {
        version: 4,
        name: "clock",
        sql: include_str!("../migrations/0004_clock.sql"),
    },
];

/// The slice's handle.
#[derive(Clone)]
pub struct Fleet(Arc<Inner>);

struct Inner {
    kernel: Kernel,
    settings: Settings,
    public_url: String,
    /// Where agents are listened for.
    listen: SocketAddr,
    authority: Authority,
    server_key: Arc<tls::ServerKey>,
    tls: TlsAcceptor,
    hub: Hub,
    intake: RwLock<Option<Arc<dyn Intake>>>,
    secrets: RwLock<Option<Arc<dyn SecretSource>>>,
    program: dist::Program,
}

/// Who may join with a new token.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub note: String,
    pub team: Option<String>,
    pub tags: std::collections::BTreeMap<String, String>,
    pub uses: i64,
    pub life: Duration,
    /// `host:port` under which the server is reached; the configured ones when empty.
    pub addresses: Vec<String>,
    /// SHA-256 of the program that hosts are to fetch, in hex; for a host that has the program already none.
    pub program: Option<String>,
}

impl Fleet {
    /// Opens the fleet; on a new database its certificate authority is made. `public_url`: where people reach the server;
    /// `agents`: where agents are listened for.
    pub async fn new(
        kernel: &Kernel,
        settings: Settings,
        public_url: &str,
        agents: SocketAddr,
    ) -> Result<Self, FleetError> {
        let authority = Authority::load_or_create(kernel).await?;
        let server_key = Arc::new(tls::ServerKey::new(&authority, kernel.clock.now())?);
        let grace = Duration::from_secs(settings.certificate_grace_days * 24 * 3600);
        let config = tls::server_config(&authority, server_key.clone(), grace)?;
        Ok(Self(Arc::new(Inner {
            kernel: kernel.clone(),
            settings,
            public_url: public_url.trim_end_matches('/').to_owned(),
            listen: agents,
            authority,
            server_key,
            tls: TlsAcceptor::from(Arc::new(config)),
            hub: Hub::default(),
            intake: RwLock::default(),
            secrets: RwLock::default(),
            program: dist::Program::default(),
        })))
    }

    /// Who keeps the secrets that commands name.
    pub fn set_secrets(&self, secrets: Arc<dyn SecretSource>) {
        *self.0.secrets.write().unwrap_or_else(PoisonError::into_inner) = Some(secrets);
    }

    /// The secrets of a command that was ordered under this reference.
    pub(crate) async fn secrets_of(&self, reference: &str) -> Result<secret::Shared, DbError> {
        let source = self
            .0
            .secrets
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(source) = source else {
            return Ok(Arc::default());
        };
        let mut reader = self.0.kernel.db.read().await?;
        Ok(Arc::new(source.secrets(&mut reader, reference).await?))
    }

    /// Where batches go. Without one, observations other than facts and service changes are acknowledged and dropped.
    pub fn set_intake(&self, intake: Arc<dyn Intake>) {
        *self.0.intake.write().unwrap_or_else(PoisonError::into_inner) = Some(intake);
    }

    /// Serves agents until the kernel stops.
    pub async fn run(&self, listener: TcpListener) {
        session::accept(self, listener).await;
    }

    /// A token for the agent on the server's own host, good for one join within ten minutes.
    pub async fn local_join_token(&self) -> Result<String, FleetError> {
        let ip = self.0.listen.ip();
        let host = match ip.is_unspecified() {
            true if ip.is_ipv6() => "[::1]".to_owned(),
            true => "127.0.0.1".to_owned(),
            false if ip.is_ipv6() => format!("[{ip}]"),
            false => ip.to_string(),
        };
        let new = NewToken {
            note: "the server's own host".into(),
            team: None,
            tags: Default::default(),
            uses: 1,
            life: Duration::from_secs(600),
            addresses: vec![format!("{host}:{}", self.0.listen.port())],
            program: None,
        };
        let mut tx = self.0.kernel.db.write().await?;
        let (_, text) = self.create_token(&mut tx, &Actor::system("fleet"), new).await?;
        tx.commit().await?;
        Ok(text)
    }

    /// Makes a join token. Its text is given once and not stored.
    pub async fn create_token(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        new: NewToken,
    ) -> Result<(JoinToken, String), DbError> {
        session::join::create_token(self, tx, actor, new).await
    }

    /// Orders a command. It is durable with the transaction and sent at once after it, or when the agent comes.
    pub async fn dispatch(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        order: &Order,
    ) -> Result<CommandId, DispatchError> {
        command::dispatch(self, tx, actor, order).await
    }

    /// Asks for a command to be ended. False when it has ended already.
    pub async fn cancel(&self, tx: &mut Tx, actor: &Actor, id: &CommandId) -> Result<bool, DbError> {
        command::cancel(self, tx, actor, id).await
    }

    /// Stored output after a chunk's `seq` (0 for all): at most 200 chunks, of one stream or of both.
    pub async fn output(
        &self,
        id: &CommandId,
        stream: Option<Stream>,
        after: i64,
    ) -> Result<Vec<OutputChunk>, DbError> {
        let mut reader = self.0.kernel.db.read().await?;
        store::output(&mut reader, id, stream, after, 200).await
    }

    /// Output as it is stored, from now on; closed when the command ends. Read [`Fleet::output`] after subscribing for what came before.
    pub fn watch_output(&self, id: &CommandId) -> broadcast::Receiver<OutputChunk> {
        self.0.hub.watch_output(id.as_str())
    }

    /// Is the agent connected right now?
    pub fn is_connected(&self, agent: &AgentId) -> bool {
        self.0.hub.session(agent).is_some()
    }

    pub(crate) fn kernel(&self) -> &Kernel {
        &self.0.kernel
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.0.authority
    }

    pub(crate) fn intake(&self) -> Option<Arc<dyn Intake>> {
        self.0
            .intake
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn lost_after(&self) -> Duration {
        Duration::from_millis(self.0.settings.lost_after_ms)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.kernel.clock.now()
    }

    /// Where agents reach the server.
    pub(crate) fn addresses(&self) -> Vec<String> {
        if !self.0.settings.addresses.is_empty() {
            return self.0.settings.addresses.clone();
        }
        let rest = self.0.public_url.split("://").nth(1).unwrap_or_default();
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => authority,
        };
        let host = if host.is_empty() { "127.0.0.1" } else { host };
        vec![format!("{host}:{}", self.0.listen.port())]
    }
}

fn tasks(fleet: &Fleet) -> Vec<kernel::Task> {
    let mut all = presence::tasks(fleet);
    all.push(kernel::retention::task(
        "fleet.retention",
        bounds(fleet.settings().keep_commands_days),
    ));
    all
}

/// Joins that wait for an approval are forgotten when they are not repeated for so long.
const KEEP_REQUESTS_DAYS: u32 = 30;

/// What is kept how long.
pub fn bounds(keep_commands_days: u32) -> Vec<kernel::retention::Bound> {
    vec![
        kernel::retention::Bound::delete("command", keep_commands_days, store::DELETE_OLD_COMMANDS),
        kernel::retention::Bound::delete("join_request", KEEP_REQUESTS_DAYS, store::DELETE_OLD_REQUESTS),
    ]
}

pub fn slice(fleet: &Fleet) -> Slice {
    let metrics = fleet.clone();
    fleet.kernel().metrics.reader(move |out| {
        out.push(kernel::metric::Reading {
            name: "mainstay_agents_connected",
            labels: Vec::new(),
            value: metrics.hub().count() as f64,
        });
    });
    Slice {
        migrations: MIGRATIONS,
        routes: api::routes(fleet),
        consumers: vec![presence::rename_consumer(fleet)],
        tasks: tasks(fleet),
        permissions: api::PERMISSIONS,
        ..Slice::named("fleet")
    }
}
