//! The agent: everything that Mainstay does on a watched host.
//!
//! [`run`] joins if it must, then collects, sends, and executes commands until it is told to stop. `collect` reads the
//! host, `services`, `facts` and `logs` too; `uplink` and `spool` bring what they say to the server; `act` does what the
//! server asks. The agent imports `protocol` and nothing else of the house.

mod act;
mod collect;
mod error;
mod facts;
mod host;
mod observe;
mod rt;
mod services;
mod spool;
mod state;
mod tls;
mod token;
mod uplink;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::{AgentConfig, Identity, ToServer};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use collect::{CollectError, Roots};
pub use error::Error;

use act::Commander;
use collect::sampler::Sampler;
use collect::series::Series;
use observe::{Checkpoints, Observation, Observations};
use services::{Services, Watch};
use state::{Enrolment, State};
use token::Token;
use uplink::session::{self, Greeter};
use uplink::{Batches, Figures, Renewal, Uplink};

/// How the agent is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the agent keeps its key, spool and journals. Made when it is missing.
    pub state_dir: PathBuf,
    /// Joins with it when the host has not joined yet, or has joined an authority other than the token's.
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
    let state = State::open(state_dir)?;
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
    let state = Arc::new(State::open(&options.state_dir)?);
    let Some(enrolment) = enrolment(&state, &options, &stop).await? else {
        return Ok(());
    };
    tracing::info!(agent_id = enrolment.agent_id, "the agent starts");
    let parts = Parts::open(state, options, enrolment)?;
    parts.run(stop).await;
    Ok(())
}

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

/// Everything that runs, wired.
struct Parts {
    options: Options,
    greeter: Arc<Credentials>,
    series: Series,
    figures: Arc<Figures>,
    config: watch::Receiver<AgentConfig>,
    uplink: Uplink,
    /// Ends commands.
    shutdown: CancellationToken,
}

impl Parts {
    fn open(state: Arc<State>, options: Options, enrolment: Enrolment) -> Result<Self, Error> {
        let roots = &options.roots;
        let series = Series::default();
        let figures = Arc::new(Figures::default());
        let (config_sender, config) = watch::channel(AgentConfig::default());
        let checkpoints = Checkpoints::open(&state.path("checkpoints.json"));
        let boot_id = facts::identity::boot_id(roots).unwrap_or_default();
        let folder = state.path("");
        let limit = config.borrow().spool_bytes;
        let batches = Batches::open(
            &folder,
            limit,
            series.clone(),
            checkpoints.clone(),
            &boot_id,
            rt::now_ms(),
        )
        .map_err(|source| Error::state("open the spool in", &folder, source))?;
        let commands = state.path("commands");
        let shutdown = CancellationToken::new();
        let commander = Commander::open(&commands, roots, boot_id, shutdown.clone())
            .map_err(|source| Error::state("open the journal in", &commands, source))?;
        let greeter = Credentials {
            state: state.clone(),
            enrolment,
            version: options.version.clone(),
            identity: facts::identity::identity(roots),
            hostname: facts::identity::hostname(roots),
            started_at_ms: rt::now_ms(),
            commander: commander.clone(),
        };
        let uplink = Uplink {
            batches,
            checkpoints,
            commander,
            config: config_sender,
            renewal: Renewal::new(state),
            figures: figures.clone(),
        };
        Ok(Self { options, greeter: Arc::new(greeter), series, figures, config, uplink, shutdown })
    }

    async fn run(self, stop: CancellationToken) {
        let Self { options, greeter, series, figures, config, uplink, shutdown } = self;
        let services_path = options.state_dir.join("services.json");
        let (observations, observation_queue) = mpsc::channel(observe::QUEUE);
        let (events, event_queue) = mpsc::channel(64);
        // Collectors stop first, so that the uplink can put away all that they have said.
        let uplink_stop = CancellationToken::new();
        let services = Services::open(&services_path);
        let roots = &options.roots;
        let mut collectors = collect::node::all(roots, &collect::node::Choice::default());
        collectors.push(Box::new(collect::own::OwnFigures::new(series.clone(), figures)));
        collectors.push(Box::new(collect::own::ServiceStates(services.clone())));
        collectors.push(Box::new(collect::own::ProcessGroups::new(roots)));
        collectors.push(Box::new(collect::own::Certificates::new(roots, config.clone())));
        let sampler = Sampler::new(collectors, &series);
        let watch = Watch { roots: roots.clone(), services, path: services_path, series, bus: options.bus.clone() };
        let mut collecting = vec![
            rt::spawn("sampler", sample(sampler, config.clone(), observations.clone(), stop.clone())),
            rt::spawn("services", watch.run(config, observations.clone(), stop.clone())),
        ];
        drop(observations);
        let commands = rt::spawn("commands", greeter.commander.clone().run());
        let connection = rt::spawn("session", session::keep(greeter, events, uplink_stop.clone()));
        let uplink = rt::spawn(
            "uplink",
            uplink.run(observation_queue, event_queue, uplink_stop.clone()),
        );
        stop.cancelled().await;
        shutdown.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(8), commands).await;
        for task in collecting.drain(..) {
            // A task that panicked has said so.
            let _ = tokio::time::timeout(Duration::from_secs(5), task).await;
        }
        uplink_stop.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(10), uplink).await;
        connection.abort();
    }
}

/// Ticks at the configured interval, aligned to whole multiples of it.
async fn sample(
    mut sampler: Sampler,
    mut config: watch::Receiver<AgentConfig>,
    observations: Observations,
    stop: CancellationToken,
) {
    loop {
        let interval_ms = config.borrow_and_update().sample_interval_ms.clamp(100, 600_000);
        let interval = Duration::from_millis(interval_ms);
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = config.changed() => break,
                () = stop.cancelled() => return,
            }
            let samples = sampler.tick(rt::now_ms(), interval.mul_f64(0.8)).await;
            if observations.send(Observation::Samples(samples)).await.is_err() {
                return;
            }
        }
    }
}

/// What the session shows to the server.
struct Credentials {
    state: Arc<State>,
    enrolment: Enrolment,
    version: String,
    identity: Identity,
    hostname: String,
    started_at_ms: i64,
    commander: Commander,
}

impl Greeter for Credentials {
    fn tls(&self) -> Result<rustls::ClientConfig, Error> {
        let read = |name| self.state.read(name);
        tls::member(&read("agent.key")?, &read("agent.crt")?, &read("ca.crt")?)
    }

    fn servers(&self) -> Vec<String> {
        self.enrolment.servers.clone()
    }

    fn hello(&self) -> ToServer {
        let running = self.commander.unfinished();
        session::hello(
            &self.version,
            &self.identity,
            &self.hostname,
            self.started_at_ms,
            running,
        )
    }
}
