//! Appending: many callers, one log write and one sync.
//!
//! A caller looks its series up, queues its rows and asks for the writer lock. Whoever gets the lock
//! takes the whole queue: it admits rows by time, logs them, syncs, then applies them to the head in
//! the order of the log, so that a replay ends in the same state. The others wake up to a finished
//! result. Nothing reaches the head that is not in the log; nothing is answered before the sync.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use super::{NEVER, Tsdb, Writer};
use crate::error::{Error, Result};
use crate::head::{Inserted, MemSeries, Wanted};
use crate::labels::Labels;
use crate::options::Durability;
use crate::sample::{Batch, Outcome, Reason, Sample, Target};
use crate::stats::lock;
use crate::wal::Encoder;

const MAX_LABEL_BYTES: usize = 64 << 10;

type Slot = Arc<OnceLock<Result<Outcome>>>;

/// One append on its way through the queue.
#[derive(Debug)]
pub(super) struct Entry {
    series: Vec<Option<Arc<MemSeries>>>,
    rows: Vec<Row>,
    outcome: Outcome,
    sync: bool,
    slot: Slot,
}

#[derive(Debug)]
struct Row {
    /// Position in the caller's batch.
    at: usize,
    target: u32,
    sample: Sample,
}

impl Tsdb {
    /// Stores a batch; durable on return as the options say. Samples that cannot be stored are counted
    /// in the outcome, each with its reason; an error means that none was acknowledged and the whole
    /// batch may be repeated. Of two values for one series and instant the first stays; repeating a
    /// sample with the same value is no error. A conflict with a sample that is in a block already is
    /// not noticed here: the late sample counts as accepted, reads return the first one.
    pub fn append(&self, batch: &Batch) -> Result<Outcome> {
        self.append_with(batch, self.options.durability)
    }

    /// As [`Tsdb::append`], with another durability than the options'.
    pub fn append_with(&self, batch: &Batch, durability: Durability) -> Result<Outcome> {
        let slot = self.enqueue(batch, durability);
        self.drive(&slot)
    }

    /// Stores several batches with one log write and one sync; an outcome each.
    pub fn append_many(&self, batches: &[Batch]) -> Vec<Result<Outcome>> {
        let slots: Vec<Slot> = batches
            .iter()
            .map(|b| self.enqueue(b, self.options.durability))
            .collect();
        slots.iter().map(|slot| self.drive(slot)).collect()
    }

    fn enqueue(&self, batch: &Batch, durability: Durability) -> Slot {
        let (series, refusals) = self.look_up(&batch.targets);
        let mut outcome = Outcome::default();
        let mut rows = Vec::with_capacity(batch.rows.len());
        for (at, (target, sample)) in batch.rows.iter().enumerate() {
            if let Some(Some(reason)) = refusals.get(*target as usize) {
                outcome.reject(at, *reason);
            } else {
                rows.push(Row {
                    at,
                    target: *target,
                    sample: *sample,
                });
            }
        }
        let slot = Slot::default();
        let entry = Entry {
            series,
            rows,
            outcome,
            sync: durability == Durability::Sync,
            slot: Arc::clone(&slot),
        };
        lock(&self.queue).push(entry);
        slot
    }

    /// The series of each target, or why there is none.
    fn look_up(&self, targets: &[Target]) -> (Vec<Option<Arc<MemSeries>>>, Vec<Option<Reason>>) {
        let mut series = vec![None; targets.len()];
        let wanted = targets.iter().map(|t| match t {
            Target::Labels(labels) => Wanted::Labels(labels),
            Target::Ref(id) => Wanted::Id(id.0),
        });
        self.head.get_many(series.iter_mut().zip(wanted));
        let mut refusals = vec![None; targets.len()];
        for ((slot, target), refusal) in series.iter_mut().zip(targets).zip(&mut refusals) {
            if slot.is_some() {
                continue;
            }
            *refusal = match target {
                Target::Ref(_) => Some(Reason::UnknownSeries),
                Target::Labels(labels) if !is_valid(labels) => Some(Reason::InvalidLabels),
                Target::Labels(labels) => {
                    *slot = self.register(labels);
                    slot.is_none().then_some(Reason::SeriesLimit)
                }
            };
        }
        (series, refusals)
    }

    /// Waits for the slot's result, committing for everybody if nobody else does.
    fn drive(&self, slot: &Slot) -> Result<Outcome> {
        if slot.get().is_none() {
            let mut writer = lock(&self.writer);
            if slot.get().is_none() {
                let group = std::mem::take(&mut *lock(&self.queue));
                self.commit(&mut writer, group);
            }
        }
        slot.get().cloned().unwrap_or_else(|| {
            Err(Error::Invalid {
                what: "the append was interrupted by a failure inside the store".to_owned(),
            })
        })
    }

    fn commit(&self, writer: &mut Writer, mut group: Vec<Entry>) {
        let newest = self.admit(writer.newest, &mut group);
        match self.log(writer, &group) {
            Ok(()) => {
                writer.newest = newest;
                self.newest_ms.store(newest, Ordering::Relaxed);
                for entry in group {
                    let (slot, outcome) = self.apply(writer, entry);
                    self.counters.count(&outcome);
                    let _ = slot.set(Ok(outcome));
                }
            }
            Err(e) => {
                self.counters.append_failures.add(group.len() as u64);
                for entry in group {
                    let _ = entry.slot.set(Err(e.clone()));
                }
            }
        }
    }

    /// Rejects rows by their time; returns the newest time of the rest.
    fn admit(&self, mut newest: i64, group: &mut [Entry]) -> i64 {
        let clock = self.clock_ms.load(Ordering::Relaxed);
        let ceiling = self.ceiling();
        let expired = if clock == NEVER {
            i64::MIN
        } else {
            clock.saturating_sub(self.options.retention_ms)
        };
        for entry in group {
            let outcome = &mut entry.outcome;
            entry.rows.retain(|row| {
                let t = row.sample.t_ms;
                // What was stored while the clock was ahead must not make honest samples too old.
                let floor = newest.min(ceiling).saturating_sub(self.options.out_of_order_ms);
                let floor = floor.max(expired);
                let reason = if t > ceiling {
                    Reason::TooNew
                } else if t < floor {
                    Reason::TooOld
                } else {
                    newest = newest.max(t);
                    return true;
                };
                outcome.reject(row.at, reason);
                false
            });
        }
        newest
    }

    /// The latest time that a sample may have.
    pub(super) fn ceiling(&self) -> i64 {
        match self.clock_ms.load(Ordering::Relaxed) {
            NEVER => i64::MAX,
            clock => clock.saturating_add(self.options.max_future_ms),
        }
    }

    fn log(&self, writer: &mut Writer, group: &[Entry]) -> Result<()> {
        let mut before = None;
        if group.iter().any(|e| !e.rows.is_empty()) {
            let segment = writer.wal.ready()?;
            before = writer.wal.position();
            let (frames, windows) = self.encode(segment, group);
            writer.wal.write(&frames, &windows)?;
        }
        // Also when all rows were repeated ones: an earlier append may have logged them without a sync.
        if group.iter().any(|e| e.sync) {
            let synced = writer.wal.sync(before)?;
            self.counters.wal_syncs.add(u64::from(synced));
        }
        Ok(())
    }

    fn encode(&self, segment: u64, group: &[Entry]) -> (Vec<u8>, BTreeSet<i64>) {
        let mut encoder = Encoder::default();
        let mut windows = BTreeSet::new();
        let mut last = None;
        for entry in group {
            for row in &entry.rows {
                let Some(Some(series)) = entry.series.get(row.target as usize) else {
                    continue;
                };
                // A failed write ends its segment, so a mark that came too early is never trusted.
                if series.logged_in.swap(segment, Ordering::Relaxed) != segment {
                    encoder.define(series.id, &series.labels);
                }
                encoder.sample(series.id, row.sample);
                let window = self.window_of(row.sample.t_ms);
                if last != Some(window) {
                    windows.insert(window);
                    last = Some(window);
                }
            }
        }
        (encoder.finish(), windows)
    }

    fn apply(&self, writer: &mut Writer, entry: Entry) -> (Slot, Outcome) {
        let mut outcome = entry.outcome;
        for row in entry.rows {
            let Some(Some(series)) = entry.series.get(row.target as usize) else {
                continue;
            };
            let key = self.window_of(row.sample.t_ms);
            let inserted = series.state().insert(key, row.sample);
            // Also for a sample that is not stored: it is in the log, which waits for a cut of its window.
            let in_window = writer.windows.entry(key).or_default();
            match inserted {
                Inserted::New => {
                    outcome.accepted += 1;
                    *in_window += 1;
                }
                Inserted::Duplicate => outcome.duplicates += 1,
                Inserted::Conflict => outcome.reject(row.at, Reason::Conflicting),
            }
            if inserted != Inserted::Conflict {
                outcome.newest_ms = outcome.newest_ms.max(Some(row.sample.t_ms));
            }
        }
        self.head.samples.add(outcome.accepted);
        (entry.slot, outcome)
    }
}

pub(super) fn is_valid(labels: &Labels) -> bool {
    !labels.is_empty() && labels.text_len() <= MAX_LABEL_BYTES
}
