//! Everything that runs, wired: who feeds whom, who starts and who stops first.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use protocol::{AgentConfig, Identity, ToServer};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::act::Commander;
use crate::collect::sampler::Sampler;
use crate::collect::series::Series;
use crate::collect::{Collector, node, own};
use crate::error::Error;
use crate::observe::{self, Checkpoints, Observation, Observations};
use crate::services::{Services, Watch};
use crate::state::{Enrolment, State};
use crate::uplink::session::{self, Greeter};
use crate::uplink::{Batches, Figures, Renewal, Uplink, join};
use crate::{Options, Token, facts, logs, rt, tls};

/// The parts of a running agent.
pub(crate) struct Parts {
    options: Options,
    greeter: Arc<Credentials>,
    series: Series,
    figures: Arc<Figures>,
    config: watch::Receiver<AgentConfig>,
    /// Cancelled when the settings are the server's.
    settled: CancellationToken,
    uplink: Uplink,
    /// Ends commands.
    shutdown: CancellationToken,
}

impl Parts {
    pub(crate) fn open(state: Arc<State>, options: Options, enrolment: Enrolment) -> Result<Self, Error> {
        let roots = &options.roots;
        let series = Series::default();
        let figures = Arc::new(Figures::default());
        let settled = CancellationToken::new();
        let (config_sender, config) = watch::channel(saved_config(&state, &settled));
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
            servers: Mutex::new(enrolment.servers),
            // Parsed before, when the enrolment was looked for.
            token: options.token.as_deref().and_then(|text| Token::parse(text).ok()),
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
            settled: settled.clone(),
            renewal: Renewal::new(state.clone()),
            state,
            figures: figures.clone(),
        };
        Ok(Self {
            options,
            greeter: Arc::new(greeter),
            series,
            figures,
            config,
            settled,
            uplink,
            shutdown,
        })
    }

    /// Runs until `stop`, or until a duty has ended by itself; then collectors and commands end, and the uplink puts away all that
    /// they have said.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let stop = stop.child_token();
        let Self {
            options,
            greeter,
            series,
            figures,
            config,
            settled,
            uplink,
            shutdown,
        } = self;
        let (observations, observation_queue) = mpsc::channel(observe::QUEUE);
        let (events, event_queue) = mpsc::channel(64);
        let services_path = options.state_dir.join("services.json");
        let ground = Ground {
            services: Services::open(&services_path),
            checkpoints: uplink.checkpoints.clone(),
            options,
            series,
            figures,
            config,
            settled,
            observations,
            stop: stop.clone(),
        };
        let commands = rt::spawn("commands", greeter.commander.clone().run());
        let uplink_stop = CancellationToken::new();
        let connection = rt::spawn("session", session::keep(greeter, events, uplink_stop.clone()));
        let uplink = rt::spawn(
            "uplink",
            uplink.run(observation_queue, event_queue, uplink_stop.clone()),
        );
        let logs = ground.start_logs();
        let mut duties = ground.start(services_path);
        drop(ground);
        duties.extend([
            ("commands", commands),
            ("session", connection),
            ("uplink", uplink),
        ]);
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            name = first_ended(&mut duties) => Some(name).filter(|_| !stop.is_cancelled()),
        };
        stop.cancel();
        shutdown.cancel();
        let (transport, collecting): (Vec<_>, Vec<_>) = duties
            .into_iter()
            .partition(|(name, _)| matches!(*name, "session" | "uplink"));
        let collecting = collecting.into_iter().map(|(_, task)| task).chain([logs]);
        let _ = tokio::time::timeout(Duration::from_secs(8), all_ended(collecting)).await;
        uplink_stop.cancel();
        let transport = transport.into_iter().map(|(_, task)| task);
        let _ = tokio::time::timeout(Duration::from_secs(10), all_ended(transport)).await;
        ended.map_or(Ok(()), |name| Err(Error::DutyEnded(name)))
    }
}

/// A task and what it is called.
type Duty = (&'static str, JoinHandle<()>);

/// The first duty that ends, if only by a panic. All of them last as long as the agent.
async fn first_ended(duties: &mut [Duty]) -> &'static str {
    let waits = duties.iter_mut().map(|(name, task)| {
        Box::pin(async move {
            // A task that panicked has said so.
            let _ = task.await;
            *name
        })
    });
    futures_util::future::select_all(waits).await.0
}

async fn all_ended(tasks: impl Iterator<Item = JoinHandle<()>>) {
    for task in tasks.filter(|task| !task.is_finished()) {
        let _ = task.await;
    }
}

/// What everything that collects stands on.
struct Ground {
    options: Options,
    services: Services,
    checkpoints: Checkpoints,
    series: Series,
    figures: Arc<Figures>,
    config: watch::Receiver<AgentConfig>,
    settled: CancellationToken,
    observations: Observations,
    stop: CancellationToken,
}

impl Ground {
    fn start(&self, services_path: PathBuf) -> Vec<Duty> {
        let roots = &self.options.roots;
        let watch = Watch {
            roots: roots.clone(),
            services: self.services.clone(),
            path: services_path,
            series: self.series.clone(),
            bus: self.options.bus.clone(),
        };
        let sampler = Sampler::new(self.collectors(), &self.series);
        let (config, observations, stop) = (&self.config, &self.observations, &self.stop);
        let services = watch.run(config.clone(), observations.clone(), stop.clone());
        let facts = facts::follow(
            facts::Sources {
                roots: roots.clone(),
                services: self.services.clone(),
                figures: self.figures.clone(),
            },
            config.clone(),
            observations.clone(),
            stop.clone(),
        );
        let samples = sample(sampler, config.clone(), observations.clone(), stop.clone());
        vec![
            ("sampler", rt::spawn("sampler", samples)),
            ("services", rt::spawn("services", services)),
            ("facts", rt::spawn("facts", facts)),
        ]
    }

    fn collectors(&self) -> Vec<Box<dyn Collector>> {
        let roots = &self.options.roots;
        let mut collectors = node::all(roots, &node::Choice::default());
        collectors.push(Box::new(own::OwnFigures::new(
            self.series.clone(),
            self.figures.clone(),
        )));
        collectors.push(Box::new(own::ServiceStates(self.services.clone())));
        collectors.push(Box::new(own::ProcessGroups::new(roots)));
        collectors.push(Box::new(own::Certificates::new(roots, self.config.clone())));
        collectors
    }

    /// Logs wait for the server's settings: what it does not want must not be read.
    fn start_logs(&self) -> JoinHandle<()> {
        let roots = self.options.roots.clone();
        let (checkpoints, observations) = (self.checkpoints.clone(), self.observations.clone());
        let (figures, config) = (self.figures.clone(), self.config.clone());
        let (settled, stop) = (self.settled.clone(), self.stop.clone());
        rt::spawn("logs", async move {
            tokio::select! {
                () = settled.cancelled() => {}
                () = stop.cancelled() => return,
            }
            let with_journal = config.borrow().journal && logs::has_journal(&roots);
            logs::follow_files(logs::Files {
                roots,
                config,
                checkpoints: checkpoints.clone(),
                observations: observations.clone(),
                figures: figures.clone(),
                stop: stop.clone(),
                beside_journal: with_journal,
            });
            if with_journal {
                let program = "journalctl".to_owned();
                logs::follow_journal(
                    logs::Journal {
                        checkpoints,
                        observations,
                        figures,
                        program,
                    },
                    stop,
                )
                .await;
            }
        })
    }
}

/// The settings of the last run, so that the agent does the same while the server is away.
fn saved_config(state: &State, settled: &CancellationToken) -> AgentConfig {
    let saved = std::fs::read(state.path("config.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if saved.is_some() {
        settled.cancel();
    }
    saved.unwrap_or_default()
}

/// Ticks at the configured interval, aligned to whole multiples of it.
async fn sample(
    mut sampler: Sampler,
    mut config: watch::Receiver<AgentConfig>,
    observations: Observations,
    stop: CancellationToken,
) {
    let started = tokio::time::Instant::now();
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
            let samples = sampler
                .tick(rt::now_ms(), started.elapsed(), interval.mul_f64(0.8))
                .await;
            if observations.send(Observation::Samples(samples)).await.is_err() {
                return;
            }
        }
    }
}

/// What the session shows to the server.
struct Credentials {
    state: Arc<State>,
    servers: Mutex<Vec<String>>,
    /// To join again with, when the server does not take the agent any more.
    token: Option<Token>,
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
        self.servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn rejoin(&self) -> BoxFuture<'_, bool> {
        Box::pin(async {
            let Some(token) = &self.token else { return false };
            let (identity, hostname) = (self.identity.clone(), self.hostname.clone());
            match join::join(token, &self.state, identity, hostname, &self.version).await {
                Ok(enrolment) => {
                    *self.servers.lock().unwrap_or_else(PoisonError::into_inner) = enrolment.servers;
                    true
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to join again");
                    false
                }
            }
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_duty_that_ends_by_itself_is_noticed_and_the_others_can_still_be_waited_for() {
        let stop = CancellationToken::new();
        let until = stop.clone();
        let mut duties = vec![
            (
                "lasts",
                rt::spawn("lasts", async move { until.cancelled().await }),
            ),
            ("breaks", rt::spawn("breaks", async { panic!("a fault") })),
        ];
        assert_eq!(first_ended(&mut duties).await, "breaks");
        stop.cancel();
        all_ended(duties.into_iter().map(|(_, task)| task)).await;
    }
}
