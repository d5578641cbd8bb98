//! Housekeeping, called from time to time: expire old blocks, cut full windows of the head into
//! blocks, drop log segments, merge blocks, forget idle series.
//!
//! A cut in steps, each safe to stop after: (1) under the writer lock the log begins a new segment and
//! the windows freeze, so all their samples are in segments below it; (2) the block is written aside and
//! renamed into place, its meta file naming window and segment, so that a replay skips those samples;
//! (3) readers see it; (4) the segments are released; (5) the frozen window leaves the head once no
//! reader from before step 3 is left. A failed step is tried again by the next call.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::{Tsdb, compact};
use crate::block::{self, Block, BlockWriter, Cut, Found};
use crate::error::Result;
use crate::stats::lock;

/// What one call of [`Tsdb::maintain`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Blocks written from the head.
    pub cut: u64,
    /// Merges of blocks.
    pub compacted: u64,
    /// Blocks deleted by retention.
    pub expired: u64,
    /// Idle series that left the head.
    pub series_removed: u64,
}

/// State of the housekeeping; its lock also keeps blocks and closed segments in place.
#[derive(Debug)]
pub(super) struct Maintenance {
    pub(super) next_block: u64,
    next_cut: u64,
    /// Frozen windows that are in no block yet.
    pending: Vec<PendingCut>,
    /// Frozen windows that are in blocks, until their epoch's readers are gone.
    leaving: Vec<(Weak<()>, i64, u64)>,
    /// Up to where windows were cut, and when that was.
    cut_until: i64,
    cut_at: Option<i64>,
    pub(super) compaction: compact::State,
    /// Blocks that are in no list any more and still on disk.
    pub(super) doomed: Vec<Arc<Block>>,
}

#[derive(Debug, Clone, Copy)]
struct PendingCut {
    key: i64,
    cut: u64,
    below: u64,
}

/// Late samples are written out with the next regular window, or when there are this many.
const LATE_SAMPLES: u64 = 1_000_000;

impl Maintenance {
    pub(super) fn new(found: &Found) -> Self {
        Maintenance {
            next_block: found.next_seq,
            next_cut: 1,
            pending: Vec::new(),
            leaving: Vec::new(),
            cut_until: found
                .blocks
                .iter()
                .map(|b| b.meta.span.1)
                .max()
                .unwrap_or(i64::MIN),
            cut_at: None,
            compaction: compact::State::default(),
            doomed: Vec::new(),
        }
    }

    pub(super) fn take_block_number(&mut self) -> u64 {
        let seq = self.next_block;
        self.next_block += 1;
        seq
    }
}

impl Tsdb {
    /// Does the due housekeeping and takes `now_ms` as the clock. Call it about once a minute; it may
    /// take long, appends and reads go on meanwhile. Each duty is tried whatever became of the others; on
    /// an error the rest is done by the next call.
    pub fn maintain(&self, now_ms: i64) -> Result<Maintained> {
        self.maintain_aged(now_ms, now_ms)
    }

    /// As [`Tsdb::maintain`], with the time that retention counts from: earlier than `now_ms` while the caller
    /// does not trust a clock that has just jumped ahead.
    pub fn maintain_aged(&self, now_ms: i64, age_ms: i64) -> Result<Maintained> {
        self.set_clock(now_ms);
        let mut state = lock(&self.maintenance);
        let state = &mut *state;
        let mut done = Maintained::default();
        // What frees space comes first: on a full disk the rest may fail.
        let expired = self.expire(state, age_ms, &mut done);
        self.let_go(state);
        let flushed = self.flush();
        let left = self.write_cuts(state, &mut done);
        let begun = self.begin_cuts(state, now_ms);
        let cut = self.write_cuts(state, &mut done);
        self.let_go(state);
        let compacted = self.compact(state, now_ms, &mut done);
        done.series_removed = self.remove_idle();
        let results = [expired, flushed, left, begun, cut, compacted];
        let first = results.into_iter().find_map(Result::err);
        first.map_or(Ok(done), |error| {
            self.counters.maintain_failures.add(1);
            Err(error)
        })
    }

    fn expire(&self, state: &mut Maintenance, now_ms: i64, done: &mut Maintained) -> Result<()> {
        // Counted from the newest sample, not only from the clock: a clock that jumps ahead must not delete
        // the past.
        let now_ms = now_ms.min(self.newest_ms.load(Ordering::Relaxed));
        let oldest = now_ms.saturating_sub(self.options.retention_ms);
        let gone: Vec<_> = self
            .blocks()
            .iter()
            .filter(|b| b.meta.max_t < oldest)
            .cloned()
            .collect();
        if !gone.is_empty() {
            self.change_blocks(|list| list.retain(|b| b.meta.max_t >= oldest));
            self.counters.blocks_expired.add(gone.len() as u64);
            done.expired = gone.len() as u64;
            state.doomed.extend(gone);
        }
        self.delete_doomed(state)
    }

    /// Deletes the blocks that nobody reads any more. One that cannot be deleted is tried again by the next call and
    /// does not keep the others.
    pub(super) fn delete_doomed(&self, state: &mut Maintenance) -> Result<()> {
        let mut failed = None;
        state.doomed.retain(|block| {
            let deleted = self.delete_block(block);
            let is_left = deleted.is_err();
            failed = failed.take().or(deleted.err());
            is_left
        });
        failed.map_or(Ok(()), Err)
    }

    fn delete_block(&self, block: &Block) -> Result<()> {
        self.cache.forget(block.meta.seq);
        block::delete(&self.blocks_dir(), block, &self.options.faults)
    }

    /// Freezes the windows that are due (step 1).
    fn begin_cuts(&self, state: &mut Maintenance, now_ms: i64) -> Result<()> {
        let mut writer = lock(&self.writer);
        let horizon = self.horizon(now_ms).saturating_sub(self.options.cut_delay_ms());
        let keys: Vec<i64> = writer
            .windows
            .keys()
            .copied()
            .filter(|key| self.span_of(*key).1 <= horizon)
            .collect();
        let regular = keys.iter().any(|key| self.span_of(*key).1 > state.cut_until);
        let samples: u64 = keys.iter().filter_map(|key| writer.windows.get(key)).sum();
        let waited = state
            .cut_at
            .is_none_or(|at| now_ms.saturating_sub(at) >= self.options.block_ms);
        if keys.is_empty() || !(regular || waited || samples >= LATE_SAMPLES) {
            return Ok(());
        }
        let below = writer.wal.rotate()?;
        let cut = state.next_cut;
        state.next_cut += 1;
        self.head.freeze(&keys, cut);
        for key in keys {
            writer.windows.remove(&key);
            state.pending.push(PendingCut { key, cut, below });
            state.cut_until = state.cut_until.max(self.span_of(key).1);
        }
        state.cut_at = Some(now_ms);
        Ok(())
    }

    /// Writes the frozen windows (steps 2 to 4).
    fn write_cuts(&self, state: &mut Maintenance, done: &mut Maintained) -> Result<()> {
        while let Some(pending) = state.pending.first().copied() {
            let written = self.write_cut(state.take_block_number(), pending)?;
            state.pending.remove(0);
            state
                .leaving
                .push((self.head.next_epoch(), pending.key, pending.cut));
            done.cut += u64::from(written);
            self.counters.blocks_cut.add(u64::from(written));
            lock(&self.writer).wal.release(pending.key, pending.below)?;
        }
        // Segments that an earlier call failed to delete.
        lock(&self.writer).wal.delete_done()
    }

    /// False if there was nothing to write: the log held repeated samples only.
    fn write_cut(&self, seq: u64, pending: PendingCut) -> Result<bool> {
        let span = self.span_of(pending.key);
        let mut block = BlockWriter::create(&self.blocks_dir(), seq, span, &self.options.faults)?;
        for series in self.head.sorted() {
            let chunks = series.state().frozen_chunks(pending.key, pending.cut);
            if !chunks.is_empty()
                && let Err(e) = block.add(&series.labels, &chunks)
            {
                block.discard();
                return Err(e);
            }
        }
        if block.is_empty() {
            block.discard();
            return Ok(false);
        }
        let cut = Cut {
            start: span.0,
            end: span.1,
            below: pending.below,
        };
        let dir = block.finish(|meta| meta.cuts.push(cut))?;
        let block = Arc::new(Block::open(&dir)?);
        self.change_blocks(|list| list.push(block));
        Ok(true)
    }

    /// Drops frozen windows that nobody can need any more (step 5): those whose epoch and all earlier
    /// ones are over, because a reader of an earlier epoch may know none of the later blocks.
    fn let_go(&self, state: &mut Maintenance) {
        let in_use = state
            .leaving
            .iter()
            .position(|(epoch, ..)| epoch.strong_count() > 0);
        for (_, key, cut) in state.leaving.drain(..in_use.unwrap_or(state.leaving.len())) {
            self.head.drop_frozen(key, cut);
        }
    }

    fn remove_idle(&self) -> u64 {
        let removed = self.head.remove_idle();
        self.counters.series_removed.add(removed);
        removed
    }

    /// The newest time that matters: of the clock or of the samples, but for those that a clock which was ahead left.
    pub(super) fn horizon(&self, now_ms: i64) -> i64 {
        let newest = self.newest_ms.load(Ordering::Relaxed);
        newest
            .min(now_ms.saturating_add(self.options.max_future_ms))
            .max(now_ms)
    }

    /// First and (excluded) last millisecond of a window.
    fn span_of(&self, key: i64) -> (i64, i64) {
        let start = key.saturating_mul(self.options.block_ms);
        (start, start.saturating_add(self.options.block_ms))
    }
}
