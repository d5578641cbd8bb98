//! From observations to numbered batches, and where each batch waits for its acknowledgement.
//!
//! Two modes. *Live*: the spool is empty; a batch goes straight over the wire and stays in memory (the window) until it
//! is acknowledged. *Drain*: there is something in the spool; every new batch is added to it and the wire is fed from
//! it, oldest first. The window goes to the spool when the connection ends, when it grows too long, and at the end of
//! the run. So batches always leave in the order of their numbers, which the cumulative acknowledgement needs.

mod encode;

use std::collections::{HashSet, VecDeque};
use std::path::Path;

use protocol::{Batch, Body, Facts, Gap, LogLine, LogSource, Sample, UnitChange};

use crate::collect::series::Series;
use crate::observe::{Checkpoints, Mark, Observation};
use crate::spool::{Meta, Sequence, Spool};
use encode::{definitions, frame, weight};

/// Batches in memory before they go to the spool.
const WINDOW: usize = 32;
const WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// Batches from the spool that may be on the wire without an acknowledgement.
const IN_FLIGHT: u64 = 32;
/// Largest batch, by parts.
const BATCH_SAMPLES: usize = 20_000;
const BATCH_LOG_BYTES: usize = 1024 * 1024;
/// The spool is forced to the disk this often: on a busy disk that takes a while, and the agent waits for it.
const SYNC_MS: i64 = 1000;

/// Series ids of live batches are scoped by this epoch, those of a spooled batch by its sequence number.
const LIVE_EPOCH: u64 = 0;

/// Observations that are not in a batch yet.
#[derive(Default)]
struct Pending {
    samples: Vec<Sample>,
    logs: Vec<(LogSource, Vec<LogLine>)>,
    log_bytes: usize,
    units: Vec<UnitChange>,
    facts: Option<Box<Facts>>,
    gaps: Vec<Gap>,
    marks: Vec<Mark>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.samples.is_empty()
            && self.logs.is_empty()
            && self.units.is_empty()
            && self.facts.is_none()
            && self.gaps.is_empty()
    }
}

/// A batch that was sent live.
struct Held {
    batch: Batch,
    marks: Vec<Mark>,
    bytes: usize,
}

pub(crate) struct Batches {
    series: Series,
    checkpoints: Checkpoints,
    sequence: Sequence,
    spool: Spool,
    pending: Pending,
    window: VecDeque<Held>,
    window_bytes: usize,
    /// Series that the server knows on this connection.
    defined: HashSet<u32>,
    connected: bool,
    /// The last number from the spool that went over this connection.
    drained: u64,
    /// When the spool was last forced to the disk.
    synced_ms: i64,
    /// What was lost for good since the start.
    pub(crate) lost: Lost,
}

/// Observations that will never reach the server. The server is told of them in a [`Gap`] as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) batches: u64,
    pub(crate) samples: u64,
    pub(crate) lines: u64,
}

impl Batches {
    pub(crate) fn open(
        folder: &Path,
        spool_bytes: u64,
        series: Series,
        checkpoints: Checkpoints,
        boot_id: &str,
        now_ms: i64,
    ) -> std::io::Result<Self> {
        let mut spool = Spool::open(&folder.join("spool"), spool_bytes)?;
        let (sequence, gap) = Sequence::open(&folder.join("sequence"), spool.last_seq(), boot_id, now_ms)?;
        spool.ack(sequence.acked());
        let pending = Pending {
            gaps: gap.into_iter().collect(),
            ..Pending::default()
        };
        Ok(Self {
            series,
            checkpoints,
            sequence,
            spool,
            pending,
            window: VecDeque::new(),
            window_bytes: 0,
            defined: HashSet::new(),
            connected: false,
            drained: 0,
            synced_ms: 0,
            lost: Lost::default(),
        })
    }

    /// Takes an observation. True when it should not wait.
    pub(crate) fn add(&mut self, observation: Observation) -> bool {
        let pending = &mut self.pending;
        match observation {
            Observation::Samples(samples) => {
                pending.samples.extend(samples);
                true
            }
            Observation::Units { changes, samples } => {
                pending.units.extend(changes);
                pending.samples.extend(samples);
                true
            }
            Observation::Logs { lines, mark, .. } if lines.is_empty() => {
                pending.marks.push(mark);
                false
            }
            Observation::Logs { source, lines, mark } => {
                pending.log_bytes += lines.iter().map(|line| line.text.len() + 32).sum::<usize>();
                match pending.logs.iter_mut().find(|(known, _)| *known == source) {
                    Some((_, known)) => known.extend(lines),
                    None => pending.logs.push((source, lines)),
                }
                pending.marks.push(mark);
                pending.log_bytes > BATCH_LOG_BYTES
            }
            Observation::Facts(facts) => {
                pending.facts = Some(facts);
                false
            }
        }
    }

    /// So much is pending that it must not wait, whatever the server asks for.
    pub(crate) fn is_heavy(&self) -> bool {
        self.pending.log_bytes > 2 * BATCH_LOG_BYTES || self.pending.samples.len() > 4 * BATCH_SAMPLES
    }

    /// Makes batches of what is pending. The returned frames are to be sent now, in this order; without `may_send` all of
    /// it goes to the spool.
    pub(crate) fn flush(&mut self, now_ms: i64, may_send: bool) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        self.take_gap();
        while !self.pending.is_empty() {
            let seq = match self.sequence.take(now_ms) {
                Ok(seq) => seq,
                Err(error) => {
                    // Without a number there is no batch. The observations stay until there is space again, within bounds.
                    tracing::error!(%error, "failed to number a batch; is the disk full?");
                    self.shed(now_ms);
                    break;
                }
            };
            let marks = std::mem::take(&mut self.pending.marks);
            let body = self.next_body();
            let batch = Batch {
                seq,
                at_ms: now_ms,
                spooled: false,
                body,
            };
            let bytes = weight(&batch);
            let has_room = self.window.len() < WINDOW && self.window_bytes + bytes <= WINDOW_BYTES;
            if may_send
                && self.connected
                && self.spool.is_empty()
                && has_room
                && let Some(frame) = self.live_frame(&batch)
            {
                frames.push(frame);
                self.window_bytes += bytes;
                self.window.push_back(Held { batch, marks, bytes });
            } else {
                self.window_to_spool(true);
                self.store(batch, marks);
            }
        }
        if !self.spool.is_empty() && !(0..SYNC_MS).contains(&(now_ms - self.synced_ms)) {
            self.synced_ms = now_ms;
            self.sync_spool();
        }
        frames
    }

    /// What the spool has dropped goes into the next batch, and is counted.
    fn take_gap(&mut self) {
        let Some(gap) = self.spool.take_gap() else { return };
        self.lost.batches += gap.batches;
        self.lost.samples += gap.samples;
        self.lost.lines += gap.lines;
        self.pending.gaps.push(gap);
    }

    fn sync_spool(&mut self) {
        if let Err(error) = self.spool.sync() {
            tracing::warn!(%error, "failed to force the spool to the disk");
        }
    }

    /// The next frames from the spool that may be on the wire now; at most `room`.
    pub(crate) fn drain(&mut self, room: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while self.connected
            && frames.len() < room
            && self.drained.saturating_sub(self.sequence.acked()) < IN_FLIGHT
        {
            let Some((meta, frame)) = self.spool.next() else {
                break;
            };
            self.drained = meta.seq;
            frames.push(frame);
        }
        frames
    }

    pub(crate) fn ack(&mut self, seq: u64) {
        self.sequence.ack(seq);
        while let Some(held) = self.window.pop_front_if(|held| held.batch.seq <= seq) {
            self.window_bytes = self.window_bytes.saturating_sub(held.bytes);
            for mark in held.marks {
                self.checkpoints.set(mark);
            }
        }
        self.spool.ack(seq);
    }

    pub(crate) fn connected(&mut self) {
        self.connected = true;
        self.defined.clear();
        self.drained = self.sequence.acked();
        self.spool.rewind();
    }

    pub(crate) fn disconnected(&mut self) {
        self.connected = false;
        self.window_to_spool(false);
    }

    /// Everything that is not acknowledged goes to disk.
    pub(crate) fn close(&mut self, now_ms: i64) {
        self.connected = false;
        self.window_to_spool(false);
        self.flush(now_ms, false);
        self.sync_spool();
        self.checkpoints.save();
        if let Err(error) = self.sequence.close() {
            tracing::warn!(%error, "failed to note that the run ended well");
        }
    }

    pub(crate) fn set_limit(&mut self, bytes: u64) {
        self.spool.set_limit(bytes);
    }

    pub(crate) fn spool_bytes(&self) -> u64 {
        self.spool.bytes()
    }

    fn next_body(&mut self) -> Vec<Body> {
        let pending = &mut self.pending;
        let mut body = Vec::new();
        body.extend(pending.gaps.drain(..).map(Body::Gap));
        if !pending.units.is_empty() {
            body.push(Body::Units {
                changes: std::mem::take(&mut pending.units),
            });
        }
        if !pending.samples.is_empty() {
            let rest = pending
                .samples
                .split_off(pending.samples.len().min(BATCH_SAMPLES));
            let samples = std::mem::replace(&mut pending.samples, rest);
            body.push(Body::Metrics {
                epoch: LIVE_EPOCH,
                define: Vec::new(),
                samples,
            });
        }
        let logs = std::mem::take(&mut pending.logs);
        body.extend(
            logs.into_iter()
                .map(|(source, lines)| Body::Logs { source, lines }),
        );
        pending.log_bytes = 0;
        body.extend(pending.facts.take().map(Body::Facts));
        body
    }

    /// The frame of a live batch: definitions only of series that are new on this connection. Series that are gone need not be
    /// remembered as defined: their numbers do not come again.
    fn live_frame(&mut self, batch: &Batch) -> Option<Vec<u8>> {
        if self.defined.len() > 2 * self.series.len() + 10_000 {
            self.defined.retain(|id| self.series.labels(*id).is_some());
        }
        let mut batch = batch.clone();
        for body in &mut batch.body {
            if let Body::Metrics { define, samples, .. } = body {
                let fresh: Vec<u32> = samples
                    .iter()
                    .map(|sample| sample.0)
                    .filter(|id| self.defined.insert(*id))
                    .collect();
                *define = definitions(&self.series, fresh);
            }
        }
        frame(batch)
    }

    fn window_to_spool(&mut self, still_connected: bool) {
        self.window_bytes = 0;
        for held in std::mem::take(&mut self.window) {
            let seq = held.batch.seq;
            self.store(held.batch, held.marks);
            if still_connected {
                // It is on the wire already: the cursor passes over it.
                self.drained = seq;
                let _ = self.spool.next();
            }
        }
    }

    /// Writes a batch to the spool, complete in itself.
    fn store(&mut self, mut batch: Batch, marks: Vec<Mark>) {
        batch.spooled = true;
        let mut meta = Meta {
            seq: batch.seq,
            at_ms: batch.at_ms,
            samples: 0,
            lines: 0,
        };
        for body in &mut batch.body {
            match body {
                Body::Metrics {
                    epoch,
                    define,
                    samples,
                } => {
                    let mut seen = HashSet::new();
                    let ids = samples
                        .iter()
                        .map(|sample| sample.0)
                        .filter(|id| seen.insert(*id))
                        .collect();
                    *epoch = batch.seq;
                    *define = definitions(&self.series, ids);
                    meta.samples += u32::try_from(samples.len()).unwrap_or(u32::MAX);
                }
                Body::Logs { lines, .. } => meta.lines += u32::try_from(lines.len()).unwrap_or(u32::MAX),
                _ => {}
            }
        }
        let stored = match frame(batch) {
            Some(frame) => self.spool.append(meta, &frame),
            None => Err(std::io::Error::other("it cannot be encoded")),
        };
        match stored {
            Ok(()) => {
                for mark in marks {
                    self.checkpoints.set(mark);
                }
            }
            Err(error) => {
                tracing::error!(%error, "failed to write to the spool; the batch is lost");
                self.spool.count_lost(&[meta], "the spool could not be written");
            }
        }
    }

    /// Keeps memory bounded while nothing can be written.
    fn shed(&mut self, now_ms: i64) {
        if self.pending.samples.len() > 4 * BATCH_SAMPLES || self.pending.log_bytes > 4 * BATCH_LOG_BYTES {
            let meta = Meta {
                seq: 0,
                at_ms: now_ms,
                samples: u32::try_from(self.pending.samples.len()).unwrap_or(u32::MAX),
                lines: u32::try_from(
                    self.pending
                        .logs
                        .iter()
                        .map(|(_, lines)| lines.len())
                        .sum::<usize>(),
                )
                .unwrap_or(u32::MAX),
            };
            self.spool.count_lost(&[meta], "the disk of the agent was full");
            self.pending = Pending {
                facts: self.pending.facts.take(),
                gaps: std::mem::take(&mut self.pending.gaps),
                ..Pending::default()
            };
        }
    }
}

#[cfg(test)]
mod tests;
