//! Counters and notices that tell operators how the store is doing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sample::{Outcome, Reason};

/// A snapshot of the store's figures. Counts run since the store was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Series in the head.
    pub head_series: u64,
    /// Samples in the head (late ones that were cut twice count twice).
    pub head_samples: u64,
    /// Series created since the start.
    pub series_created: u64,
    /// Series removed from the head because they were idle.
    pub series_removed: u64,
    /// Samples stored.
    pub samples_appended: u64,
    /// Samples that were there already.
    pub samples_duplicate: u64,
    /// Samples not stored, by reason.
    pub samples_rejected: [(&'static str, u64); Reason::ALL.len()],
    /// Appends that failed because the disk refused.
    pub append_failures: u64,
    /// `fdatasync` calls of the log; fewer than appends when callers share them.
    pub wal_syncs: u64,
    /// Bytes of all log segments.
    pub wal_bytes: u64,
    /// Number of log segments.
    pub wal_segments: u64,
    /// Samples read back from the log at the start.
    pub wal_replayed_samples: u64,
    /// Bytes of a torn tail cut off at the start.
    pub wal_torn_bytes: u64,
    /// Damaged places in the middle of the log that were skipped.
    pub wal_corruptions: u64,
    /// Blocks on disk.
    pub blocks: u64,
    /// Bytes of all blocks.
    pub block_bytes: u64,
    /// Samples in all blocks.
    pub block_samples: u64,
    /// Blocks cut from the head.
    pub blocks_cut: u64,
    /// Merges of blocks.
    pub compactions: u64,
    /// Blocks deleted by retention.
    pub blocks_expired: u64,
    /// Damaged blocks put aside, and damaged chunks skipped in queries.
    pub block_corruptions: u64,
    /// Reads of blocks that failed because the disk refused; the samples are missing from those answers.
    pub block_read_failures: u64,
    /// Rounds of housekeeping in which some duty failed.
    pub maintain_failures: u64,
    /// Bytes of cached block indexes.
    pub index_cache_bytes: u64,
    /// Time of the newest sample ever stored, if there is one.
    pub newest_ms: Option<i64>,
}

/// Something an operator should read; kept until the store is closed (the last 100).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// A sentence that says what happened, where, and what it means.
    pub text: String,
}

const MAX_NOTICES: usize = 100;

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) series_created: Counter,
    pub(crate) series_removed: Counter,
    pub(crate) appended: Counter,
    pub(crate) duplicate: Counter,
    pub(crate) rejected: [Counter; Reason::ALL.len()],
    pub(crate) append_failures: Counter,
    pub(crate) wal_syncs: Counter,
    pub(crate) wal_replayed: Counter,
    pub(crate) wal_torn_bytes: Counter,
    pub(crate) wal_corruptions: Counter,
    pub(crate) blocks_cut: Counter,
    pub(crate) compactions: Counter,
    pub(crate) blocks_expired: Counter,
    pub(crate) block_corruptions: Counter,
    pub(crate) block_read_failures: Counter,
    pub(crate) maintain_failures: Counter,
    notices: Mutex<VecDeque<Notice>>,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn count(&self, outcome: &Outcome) {
        self.appended.add(outcome.accepted);
        self.duplicate.add(outcome.duplicates);
        for (counter, n) in self.rejected.iter().zip(outcome.rejected) {
            counter.add(n);
        }
    }

    pub(crate) fn notice(&self, text: String) {
        let mut notices = lock(&self.notices);
        if notices.len() == MAX_NOTICES {
            notices.pop_front();
        }
        notices.push_back(Notice { text });
    }

    pub(crate) fn notices(&self) -> Vec<Notice> {
        lock(&self.notices).iter().cloned().collect()
    }

    /// The counters' part of [`Stats`].
    pub(crate) fn stats(&self) -> Stats {
        let mut samples_rejected = Reason::ALL.map(|reason| (reason.as_str(), 0));
        for (slot, counter) in samples_rejected.iter_mut().zip(&self.rejected) {
            slot.1 = counter.get();
        }
        Stats {
            series_created: self.series_created.get(),
            series_removed: self.series_removed.get(),
            samples_appended: self.appended.get(),
            samples_duplicate: self.duplicate.get(),
            samples_rejected,
            append_failures: self.append_failures.get(),
            wal_syncs: self.wal_syncs.get(),
            wal_replayed_samples: self.wal_replayed.get(),
            wal_torn_bytes: self.wal_torn_bytes.get(),
            wal_corruptions: self.wal_corruptions.get(),
            blocks_cut: self.blocks_cut.get(),
            compactions: self.compactions.get(),
            blocks_expired: self.blocks_expired.get(),
            block_corruptions: self.block_corruptions.get(),
            block_read_failures: self.block_read_failures.get(),
            maintain_failures: self.maintain_failures.get(),
            ..Stats::default()
        }
    }
}

/// Locks; a panic elsewhere does not take the store down with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
