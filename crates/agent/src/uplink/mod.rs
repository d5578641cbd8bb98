//! The uplink: one task that owns the batches and answers the server.
//!
//! Flow: observations → [`batches`] → the connection of [`session`] → acknowledgements → forgotten. Commands go to
//! `act`, settings to everybody who watches them. It does not collect and does not execute.

mod batches;
pub(crate) mod join;
mod renewal;
pub(crate) mod session;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::{AgentConfig, ToAgent, ToServer};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::act::Commander;
use crate::clock::Steps;
use crate::observe::{Checkpoints, Observation};
use crate::rt;
use crate::state::State;
pub(crate) use batches::Batches;
pub(crate) use renewal::Renewal;
use session::{Event, Link};

/// Logs and facts wait at most this long for company.
const LINGER: Duration = Duration::from_secs(1);
const HOUSEKEEPING: Duration = Duration::from_secs(2);

/// Figures of the uplink, for the agent's own metrics.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) spool_bytes: AtomicU64,
    pub(crate) dropped_batches: AtomicU64,
    pub(crate) connected: AtomicU64,
    pub(crate) reconnects: AtomicU64,
    pub(crate) clock_offset_ms: AtomicI64,
    pub(crate) log_lines: AtomicU64,
    pub(crate) log_cut_lines: AtomicU64,
    pub(crate) bounds: Bounds,
}

impl Figures {
    /// So many are left out now because of a bound or a fault.
    pub(crate) fn left_out(&self, what: &'static str, count: u64) {
        self.bounds.lock().left_out.insert(what, count);
    }

    /// So many more are lost for good.
    pub(crate) fn dropped(&self, what: &'static str, count: u64) {
        *self.bounds.lock().dropped.entry(what).or_default() += count;
    }
}

/// What the agent's bounds cost: every one is counted here, and built-in rules of the server look at it.
#[derive(Debug, Default)]
pub(crate) struct Bounds(Mutex<Counts>);

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) left_out: BTreeMap<&'static str, u64>,
    pub(crate) dropped: BTreeMap<&'static str, u64>,
}

impl Bounds {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Uplink {
    pub(crate) batches: Batches,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) commander: Commander,
    pub(crate) config: watch::Sender<AgentConfig>,
    /// Cancelled once the server has given its settings.
    pub(crate) settled: CancellationToken,
    pub(crate) renewal: Renewal,
    pub(crate) state: Arc<State>,
    pub(crate) figures: Arc<Figures>,
}

/// A step of the clock that is larger than this is told to the server at once, by a new greeting: it corrects times by the
/// offset that it knows. Smaller ones it sees in the answer to its next ping.
const STEP_MS: i64 = 5000;

/// What changes while the uplink runs.
struct Live {
    steps: Steps,
    link: Option<Link>,
    flush_at: Option<Instant>,
    min_interval: Duration,
    last_flush: Instant,
    /// When something was last sent from the spool.
    last_fed: Instant,
}

impl Uplink {
    /// Runs until `stop`; then everything that is not acknowledged is on disk.
    pub(crate) async fn run(
        mut self,
        mut observations: mpsc::Receiver<Observation>,
        mut events: mpsc::Receiver<Event>,
        stop: CancellationToken,
    ) {
        let now = Instant::now();
        let mut live = Live {
            steps: Steps::new(),
            link: None,
            flush_at: None,
            min_interval: Duration::ZERO,
            last_flush: now,
            last_fed: now,
        };
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        loop {
            let flush_at = live.flush_at;
            tokio::select! {
                Some(observation) = observations.recv() => {
                    let urgent = self.batches.add(observation);
                    live.schedule(urgent);
                    if self.batches.is_heavy() {
                        live.flush_at = Some(Instant::now());
                    }
                }
                Some(event) = events.recv() => self.on_event(event, &mut live).await,
                () = sleep_until(flush_at.unwrap_or_else(Instant::now)), if flush_at.is_some() => {}
                _ = housekeeping.tick() => self.keep_house(&mut live).await,
                () = stop.cancelled() => break,
            }
            if live.flush_at.is_some_and(|at| at <= Instant::now()) {
                self.flush(&mut live).await;
            }
        }
        observations.close();
        while let Ok(observation) = observations.try_recv() {
            self.batches.add(observation);
        }
        self.batches.close(rt::now_ms());
    }

    /// After the clock of this host was set, what it says goes out only once the server knows of it.
    fn check_clock(&mut self, live: &mut Live) {
        let Some(step_ms) = live.steps.look() else { return };
        let offset_ms = self.figures.clock_offset_ms.fetch_sub(step_ms, Ordering::Relaxed) - step_ms;
        tracing::warn!(step_ms, offset_ms, "the clock of this host was set");
        if step_ms.saturating_abs() > STEP_MS && live.link.is_some() {
            self.lose_link(live);
        }
    }

    async fn flush(&mut self, live: &mut Live) {
        self.check_clock(live);
        let may_send = live.min_interval.is_zero() || live.last_flush.elapsed() >= live.min_interval;
        live.flush_at = None;
        live.last_flush = Instant::now();
        let frames = self.batches.flush(rt::now_ms(), may_send);
        self.send(frames, live).await;
        self.feed(live).await;
        self.figures
            .spool_bytes
            .store(self.batches.spool_bytes(), Ordering::Relaxed);
        let lost = self.batches.lost;
        self.figures
            .dropped_batches
            .store(lost.batches, Ordering::Relaxed);
        let mut counts = self.figures.bounds.lock();
        for (what, count) in [
            ("batches", lost.batches),
            ("samples", lost.samples),
            ("log_lines", lost.lines),
        ] {
            counts.dropped.insert(what, count);
        }
    }

    /// Hands live frames to the wire. A wire that does not take them is as good as broken: what is in the window goes
    /// to the spool and is sent again on the next connection.
    async fn send(&mut self, frames: Vec<Vec<u8>>, live: &mut Live) {
        for frame in frames {
            let Some(link) = &live.link else { return };
            if link.frames.send(frame).await.is_err() {
                self.lose_link(live);
                return;
            }
        }
    }

    /// Sends from the spool as far as acknowledgements and the wire allow.
    async fn feed(&mut self, live: &mut Live) {
        if !live.min_interval.is_zero() && live.last_fed.elapsed() < live.min_interval {
            return;
        }
        let Some(link) = &live.link else { return };
        // Half of the queue stays free, so that handing over never waits for the wire.
        let room = (session::FRAMES / 2).saturating_sub(session::FRAMES - link.frames.capacity());
        let room = if live.min_interval.is_zero() {
            room
        } else {
            room.min(1)
        };
        let frames = self.batches.drain(room);
        if !frames.is_empty() {
            live.last_fed = Instant::now();
        }
        self.send(frames, live).await;
    }

    async fn on_event(&mut self, event: Event, live: &mut Live) {
        match event {
            Event::Up(link) => {
                tracing::info!(clock_offset_ms = link.clock_offset_ms, "connected to the server");
                self.figures.connected.store(1, Ordering::Relaxed);
                self.figures.reconnects.fetch_add(1, Ordering::Relaxed);
                self.figures
                    .clock_offset_ms
                    .store(link.clock_offset_ms, Ordering::Relaxed);
                self.apply(link.config.clone());
                self.commander.connected(link.messages.clone());
                self.batches.connected();
                live.min_interval = Duration::ZERO;
                live.link = Some(link);
                self.renewal.read();
                self.renew_if_due(live);
                self.feed(live).await;
            }
            Event::Down => self.lose_link(live),
            Event::Message(message) => self.on_message(message, live).await,
        }
    }

    fn lose_link(&mut self, live: &mut Live) {
        live.link = None;
        self.figures.connected.store(0, Ordering::Relaxed);
        self.commander.disconnected();
        self.batches.disconnected();
    }

    async fn on_message(&mut self, message: ToAgent, live: &mut Live) {
        match message {
            ToAgent::Ack { seq } => {
                self.batches.ack(seq);
                self.feed(live).await;
            }
            ToAgent::Ping { nonce } => live.say(ToServer::Pong {
                nonce,
                now_ms: Some(rt::now_ms()),
            }),
            ToAgent::Throttle { min_interval_ms } => {
                live.min_interval = Duration::from_millis(min_interval_ms.min(60_000));
                self.feed(live).await;
            }
            ToAgent::Config(config) => self.apply(config),
            ToAgent::Dispatch(command) => self.commander.dispatch(command),
            ToAgent::Cancel { id } => self.commander.cancel(&id),
            ToAgent::CommandAck { id } => self.commander.acknowledged(&id),
            ToAgent::Renewed {
                certificate_pem,
                ca_pem,
            } => self.renewal.renewed(&certificate_pem, &ca_pem),
            ToAgent::Joined { .. } | ToAgent::Welcome { .. } | ToAgent::Refused { .. } => {
                tracing::warn!("the server sent a greeting in the middle of a connection");
            }
        }
    }

    fn apply(&mut self, config: AgentConfig) {
        self.batches.set_limit(config.spool_bytes);
        let text = serde_json::to_vec(&config).unwrap_or_default();
        let changed = self.config.send_if_modified(|now| {
            let changed = *now != config;
            *now = config;
            changed
        });
        if (changed || !self.settled.is_cancelled())
            && let Err(error) = self.state.write("config.json", &text)
        {
            tracing::warn!(%error, "failed to keep the server's settings");
        }
        self.settled.cancel();
    }

    async fn keep_house(&mut self, live: &mut Live) {
        self.checkpoints.save();
        self.renew_if_due(live);
        self.feed(live).await;
    }

    /// By this host's clock or the server's, whichever is later: one that is behind must not let the certificate run out.
    fn latest_ms(&self) -> i64 {
        let (now_ms, offset_ms) = (rt::now_ms(), self.figures.clock_offset_ms.load(Ordering::Relaxed));
        now_ms.max(now_ms.saturating_add(offset_ms))
    }

    fn renew_if_due(&mut self, live: &Live) {
        if live.link.is_some()
            && let Some(csr_pem) = self.renewal.due(self.latest_ms())
        {
            live.say(ToServer::Renew { csr_pem });
        }
    }
}

impl Live {
    /// Urgent observations leave at once unless the server has asked for patience.
    fn schedule(&mut self, urgent: bool) {
        let now = Instant::now();
        let wanted = if urgent { now } else { now + LINGER };
        let allowed = if self.min_interval.is_zero() {
            wanted
        } else {
            wanted.max(self.last_flush + self.min_interval)
        };
        self.flush_at = Some(self.flush_at.map_or(allowed, |at| at.min(allowed)));
    }

    /// Says something small. The queue is bounded; what does not fit is said again when it is due again.
    fn say(&self, message: ToServer) {
        if let Some(link) = &self.link
            && link.messages.try_send(message).is_err()
        {
            tracing::warn!("the connection is too busy for a small message");
        }
    }
}
