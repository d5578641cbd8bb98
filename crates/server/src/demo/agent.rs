//! One made-up host at work: it samples every second, keeps what it could not send, and does what the server asks.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use kernel::{BoxFuture, Kernel};
use protocol::{Batch, Body, Command, CommandState, Gap, Sample, SeriesDef, ToAgent, ToServer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::curve::Random;
use super::facts;
use super::fault::Company;
use super::host::Host;
use super::line::{Link, Member};
use super::perform::{Report, perform};
use super::read;
use super::speech::{self, Mood};

const EVERY: Duration = Duration::from_secs(1);
const FACTS_EVERY_MS: i64 = 3_600_000;
/// Batches that are kept while there is no connection.
const KEPT: usize = 1800;
const PAUSE: Duration = Duration::from_millis(700);
/// Ids of commands that are remembered, so that none is done twice.
const REMEMBERED: usize = 500;

pub struct Agent {
    kernel: Kernel,
    company: Arc<Company>,
    host: Arc<Host>,
    member: Member,
    started_ms: i64,
    random: Random,
    define: Vec<SeriesDef>,
    seq: u64,
    /// Numbers of metric epochs; 0 is the live one of every connection.
    epoch: u64,
    /// What the server has not acknowledged, oldest first.
    kept: VecDeque<Batch>,
    lost: Gap,
    facts_ms: i64,
    seen: VecDeque<String>,
    /// Commands that have begun and whose end is not told yet, with what ends them early.
    working: HashMap<String, CancellationToken>,
    /// Ends that the server has not acknowledged.
    ends: Vec<(String, CommandState)>,
    running: FuturesUnordered<BoxFuture<'static, ()>>,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
}

enum Ended {
    Stop,
    Cut,
    Lost,
}

impl Agent {
    pub fn new(kernel: &Kernel, company: &Arc<Company>, host: &Arc<Host>, member: Member) -> Self {
        let now_ms = kernel.clock.now_ms();
        Self {
            kernel: kernel.clone(),
            company: company.clone(),
            host: host.clone(),
            member,
            started_ms: now_ms,
            random: Random::new(now_ms as u64 ^ (u64::from(host.spec.index) << 40)),
            define: define(host),
            seq: 0,
            epoch: 0,
            kept: VecDeque::new(),
            lost: no_gap(),
            facts_ms: 0,
            seen: VecDeque::new(),
            working: HashMap::new(),
            ends: Vec::new(),
            running: FuturesUnordered::new(),
            reports: mpsc::channel(64),
        }
    }

    /// Works until the kernel stops.
    pub async fn run(mut self) {
        // The fleet does not sample in one instant.
        let phase = EVERY.mul_f64(self.random.unit());
        tokio::time::sleep(phase).await;
        loop {
            if self.kernel.stop.is_cancelled() {
                return;
            }
            if self.host.lock().is_cut {
                self.keep_only().await;
                continue;
            }
            let running = self
                .ends
                .iter()
                .map(|(id, _)| id)
                .chain(self.working.keys())
                .cloned()
                .collect();
            match self.member.connect(&self.kernel, self.started_ms, running).await {
                Ok(link) => {
                    if let Ended::Stop = self.talk(link).await {
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!(host = self.host.spec.name, %error, "a made-up host does not get through")
                }
            }
            tokio::select! {
                () = self.kernel.stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Cut off: samples are taken and kept.
    async fn keep_only(&mut self) {
        tokio::select! {
            () = self.kernel.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
            () = self.host.changed.notified() => {}
        }
        let batch = self.collect(false);
        self.keep(batch);
    }

    async fn talk(&mut self, mut link: Link) -> Ended {
        self.facts_ms = 0;
        if self.resend(&mut link).await.is_err() {
            return Ended::Lost;
        }
        let mut is_defined = false;
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            if self.host.lock().is_cut {
                return Ended::Cut;
            }
            let sent = tokio::select! {
                () = self.kernel.stop.cancelled() => return Ended::Stop,
                _ = ticks.tick() => self.send_batch(&mut link, &mut is_defined).await,
                () = self.host.changed.notified() => self.send_batch(&mut link, &mut is_defined).await,
                Some(()) = self.running.next(), if !self.running.is_empty() => Ok(()),
                Some(report) = self.reports.1.recv() => self.tell(&mut link, report).await,
                message = link.inbox.recv() => match message {
                    Some(message) => self.obey(&mut link, message).await,
                    None => return Ended::Lost,
                },
            };
            if let Err(error) = sent {
                tracing::debug!(host = self.host.spec.name, %error, "the connection of a made-up host ended");
                return Ended::Lost;
            }
        }
    }

    /// Everything that was kept, with its own definitions, and ends of commands that may not have arrived.
    async fn resend(&mut self, link: &mut Link) -> anyhow::Result<()> {
        if self.lost.batches > 0 {
            let gap = std::mem::replace(&mut self.lost, no_gap());
            let batch = self.number(self.kernel.clock.now_ms(), vec![Body::Gap(gap)]);
            self.keep(batch);
        }
        for batch in &self.kept {
            self.epoch += 1;
            let mut batch = batch.clone();
            batch.spooled = true;
            for body in &mut batch.body {
                if let Body::Metrics { epoch, define, .. } = body {
                    *epoch = self.epoch;
                    define.clone_from(&self.define);
                }
            }
            link.send(&ToServer::Batch(batch)).await?;
        }
        for (id, state) in &self.ends {
            let message = ToServer::Command {
                id: id.clone(),
                at_ms: self.kernel.clock.now_ms(),
                state: state.clone(),
            };
            link.send(&message).await?;
        }
        Ok(())
    }

    async fn send_batch(&mut self, link: &mut Link, is_defined: &mut bool) -> anyhow::Result<()> {
        if self.host.lock().is_cut {
            return Ok(());
        }
        let batch = self.collect(!*is_defined);
        *is_defined = true;
        link.send(&ToServer::Batch(batch.clone())).await?;
        self.keep(batch);
        Ok(())
    }

    /// Everything that there is to tell right now.
    fn collect(&mut self, with_definitions: bool) -> Batch {
        let now_ms = self.kernel.clock.now_ms();
        self.company.settle(now_ms);
        self.host.advance(now_ms);
        let (state, units) = {
            let mut state = self.host.lock();
            let units = std::mem::take(&mut state.units);
            if std::mem::take(&mut state.has_news) || !units.is_empty() {
                self.facts_ms = 0;
            }
            (state.clone(), units)
        };
        let mut samples = Vec::with_capacity(self.define.len());
        read::read(&self.host, &state, self.host.boot_ms, now_ms, &mut |reading| {
            samples.push(Sample(samples.len() as u32, now_ms, reading.value));
        });
        let define = if with_definitions {
            self.define.clone()
        } else {
            Vec::new()
        };
        let mut body = vec![Body::Metrics {
            epoch: 0,
            define,
            samples,
        }];
        body.extend(self.lines(&units, now_ms));
        if !units.is_empty() {
            body.push(Body::Units { changes: units });
        }
        if now_ms - self.facts_ms > FACTS_EVERY_MS {
            self.facts_ms = now_ms;
            body.push(Body::Facts(Box::new(facts::facts(
                &self.host,
                &state,
                &self.company.specs,
                self.host.boot_ms,
            ))));
        }
        self.number(now_ms, body)
    }

    fn lines(&mut self, units: &[protocol::UnitChange], now_ms: i64) -> Vec<Body> {
        let mood = Mood::of(&self.host, !self.company.is_database_up());
        let is_troubled = mood.error_share > 0.0 || mood.is_disk_full;
        let mut said: Vec<_> = units
            .iter()
            .flat_map(|unit| {
                let told = speech::manager_line(&unit.name, &unit.state, unit.reason.as_deref());
                let killed = speech::killer_line(&unit.name, unit.reason.as_deref());
                killed.into_iter().chain([told])
            })
            .collect();
        let is_up = self.host.is_up(self.host.spec.role.unit) == Some(true);
        if is_up && self.random.unit() < if is_troubled { 0.9 } else { 0.22 } {
            said.push(speech::own_line(&self.host, mood, &mut self.random));
        }
        if self.random.unit() < 0.02 {
            said.push(speech::common_line(&mut self.random));
        }
        speech::bodies(said, now_ms)
    }

    fn number(&mut self, at_ms: i64, body: Vec<Body>) -> Batch {
        self.seq += 1;
        Batch {
            seq: self.seq,
            at_ms,
            spooled: false,
            body,
        }
    }

    fn keep(&mut self, batch: Batch) {
        if self.kept.len() == KEPT
            && let Some(oldest) = self.kept.pop_front()
        {
            let lost = &mut self.lost;
            lost.from_ms = if lost.batches == 0 {
                oldest.at_ms
            } else {
                lost.from_ms
            };
            lost.to_ms = oldest.at_ms;
            lost.batches += 1;
            for body in &oldest.body {
                match body {
                    Body::Metrics { samples, .. } => lost.samples += samples.len() as u64,
                    Body::Logs { lines, .. } => lost.lines += lines.len() as u64,
                    _ => {}
                }
            }
        }
        self.kept.push_back(batch);
    }

    async fn obey(&mut self, link: &mut Link, message: ToAgent) -> anyhow::Result<()> {
        match message {
            ToAgent::Ping { nonce } => link.send(&ToServer::Pong { nonce, now_ms: None }).await?,
            ToAgent::Ack { seq } => {
                while self.kept.front().is_some_and(|batch| batch.seq <= seq) {
                    self.kept.pop_front();
                }
            }
            ToAgent::Dispatch(command) => self.begin(command),
            ToAgent::Cancel { id } => {
                if let Some(cancel) = self.working.get(&id) {
                    cancel.cancel();
                }
            }
            ToAgent::CommandAck { id } => self.ends.retain(|(ended, _)| *ended != id),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, command: Command) {
        if self.seen.contains(&command.id) {
            return;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(command.id.clone());
        let cancel = CancellationToken::new();
        self.working.insert(command.id.clone(), cancel.clone());
        let (kernel, host, reports) = (self.kernel.clone(), self.host.clone(), self.reports.0.clone());
        self.running
            .push(Box::pin(perform(kernel, host, command, cancel, reports)));
    }

    async fn tell(&mut self, link: &mut Link, report: Report) -> anyhow::Result<()> {
        let message = match report {
            Report::State(id, state) => {
                if state.is_end() {
                    self.working.remove(&id);
                    self.ends.push((id.clone(), state.clone()));
                }
                ToServer::Command {
                    id,
                    at_ms: self.kernel.clock.now_ms(),
                    state,
                }
            }
            Report::Output(id, stream, offset, data) => ToServer::Output {
                id,
                stream,
                offset,
                data,
            },
        };
        link.send(&message).await
    }
}

fn no_gap() -> Gap {
    Gap {
        from_ms: 0,
        to_ms: 0,
        batches: 0,
        samples: 0,
        lines: 0,
        reason: "the spool was full".into(),
    }
}

/// Names the readings of a host, in their order.
fn define(host: &Host) -> Vec<SeriesDef> {
    let state = host.lock().clone();
    let mut define = Vec::new();
    read::read(host, &state, host.boot_ms, host.boot_ms + 1000, &mut |reading| {
        let own = reading
            .labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut labels: Vec<_> = own
            .chain([("__name__".to_owned(), reading.name.to_owned())])
            .collect();
        labels.sort();
        define.push(SeriesDef {
            id: define.len() as u32,
            labels,
        });
    });
    define
}
