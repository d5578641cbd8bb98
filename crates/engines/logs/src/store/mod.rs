//! The store itself: its folder, its locks, and the public functions.
//!
//! Locks are taken in this order: `duty` (sealing, retention, snapshots), `writer`, `tails`, `view`. No lock
//! is held while a query runs; `view` is never held over disk access.

mod append;
mod maintain;
mod open;

pub use append::{AppendOutcome, Refusal};
pub use maintain::Maintained;

use crate::disk::FaultHook;
use crate::error::Result;
use crate::head::{Frozen, Head};
use crate::labels::Labels;
use crate::mark::Marks;
use crate::query::{Histogram, Page, Query, Selection};
use crate::record::Found;
use crate::scan::{self, Snapshot};
use crate::segment::Segment;
use crate::stats::{Counters, Notice, Stats};
use crate::tail::{Delivery, Tail, Tails};
use crate::wal;
use append::Pending;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How a store behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Lines older than this are removed, segment by segment.
    pub retention_ms: i64,
    /// When all files together are larger than this, the oldest segments are removed.
    pub max_bytes: u64,
    /// A head is frozen and sealed at about this much memory.
    pub segment_bytes: u64,
    /// A head is sealed at this age even when small.
    pub segment_age_ms: i64,
    /// Text bytes in a block of a segment, the unit of reading.
    pub block_bytes: usize,
    /// Longer lines are cut to this many bytes.
    pub max_text_bytes: usize,
    /// Wait for the disk on every commit. Without it lines survive the death of the process but not of the machine.
    pub fsync: bool,
    /// A seam for tests; does nothing by default.
    pub faults: FaultHook,
}

impl Options {
    fn mode(&self) -> wal::Mode {
        wal::Mode {
            sync: self.fsync,
            faults: self.faults.clone(),
        }
    }
}

impl Default for Options {
    /// 30 days, 10 GiB, 32 MiB or 6 hours to a segment, 256 KiB to a block, lines up to 256 KiB, synced.
    fn default() -> Self {
        Options {
            retention_ms: 30 * 24 * 3_600_000,
            max_bytes: 10 << 30,
            segment_bytes: 32 << 20,
            segment_age_ms: 6 * 3_600_000,
            block_bytes: 256 << 10,
            max_text_bytes: 256 << 10,
            fsync: true,
            faults: FaultHook::default(),
        }
    }
}

/// An open log store. All functions may be called from many threads.
#[derive(Debug)]
pub struct Logs {
    dir: PathBuf,
    options: Options,
    queue: Mutex<Vec<Arc<Pending>>>,
    writer: Mutex<Writer>,
    view: RwLock<View>,
    tails: Mutex<Tails>,
    /// Files that nobody needs any more and that could not be removed yet.
    duty: Mutex<Vec<PathBuf>>,
    /// The time that `maintain` was last given; `i64::MAX` before the first call.
    clock_ms: AtomicI64,
    counters: Counters,
    /// Held for its lock on the folder.
    _lock: File,
}

#[derive(Debug)]
struct Writer {
    wal: wal::Writer,
    generation: u64,
    next_seq: u64,
    marks: Marks,
    /// Why the file must not be written any more: the next commit begins a new one.
    broken: Option<String>,
}

impl Writer {
    fn append(&mut self, frames: &[u8]) -> Result<()> {
        self.wal.write(frames).map_err(|(error, is_unsure)| {
            if is_unsure {
                self.broken = Some(error.to_string());
            }
            error
        })
    }
}

/// Puts the marks at the start of a write-ahead log, so that those before it may go.
fn write_marks(wal: &mut wal::Writer, first_seq: u64, marks: &Marks) -> Result<()> {
    if marks.is_empty() {
        return Ok(());
    }
    let mut frame = Vec::new();
    wal::put_frame(&mut frame, first_seq, Some(marks), &[]);
    wal.write(&frame).map_err(|(error, _)| error)
}

#[derive(Debug)]
struct View {
    head: Head,
    frozen: Vec<Arc<Frozen>>,
    segments: Vec<Arc<Segment>>,
}

/// Most notices that are kept; older ones are dropped and counted.
const MAX_NOTICES: usize = 256;

impl Logs {
    /// The lines that a query selects, a page at a time.
    pub fn query(&self, query: &Query) -> Result<Page> {
        let page = scan::page(&self.snapshot_view(), query)?;
        self.counters
            .read_failures
            .fetch_add(page.damaged_blocks, Ordering::Relaxed);
        Ok(page)
    }

    /// Counts by time and severity over the query's span; `limit`, `direction` and `after` play no part.
    pub fn histogram(&self, query: &Query, step_ms: i64) -> Result<Histogram> {
        let histogram = scan::histogram(&self.snapshot_view(), query, step_ms)?;
        self.counters
            .read_failures
            .fetch_add(histogram.damaged_blocks, Ordering::Relaxed);
        Ok(histogram)
    }

    /// Streams with lines in `from_ms..to_ms`, to the precision of a block. Text conditions are not asked.
    pub fn streams(&self, selection: &Selection, from_ms: i64, to_ms: i64) -> BTreeSet<Labels> {
        scan::streams(&self.snapshot_view(), selection, from_ms, to_ms)
    }

    /// The label names of those streams, sorted.
    pub fn labels(&self, selection: &Selection, from_ms: i64, to_ms: i64) -> BTreeSet<String> {
        let streams = self.streams(selection, from_ms, to_ms);
        streams
            .iter()
            .flat_map(Labels::iter)
            .map(|(name, _)| name.to_string())
            .collect()
    }

    /// The values of one label in those streams, sorted.
    pub fn label_values(
        &self,
        name: &str,
        selection: &Selection,
        from_ms: i64,
        to_ms: i64,
    ) -> BTreeSet<String> {
        let streams = self.streams(selection, from_ms, to_ms);
        streams
            .iter()
            .map(|labels| labels.get(name).to_string())
            .filter(|value| !value.is_empty())
            .collect()
    }

    /// New lines as they become durable, at most `capacity` waiting; more are dropped and counted.
    pub fn subscribe(&self, selection: Selection, capacity: usize) -> Tail {
        let writer = self.lock_writer();
        self.lock_tails()
            .add_channel(selection, capacity, writer.next_seq)
    }

    /// Calls `sink` with new lines on the appending thread: it must neither wait nor call this store. Returns
    /// the number from which on lines come through, and the counter of those for which `sink` said `Dropped`. The
    /// subscription ends when that counter is let go.
    pub fn subscribe_with(
        &self,
        selection: Selection,
        sink: impl FnMut(Found) -> Delivery + Send + 'static,
    ) -> (u64, Arc<AtomicU64>) {
        let writer = self.lock_writer();
        let dropped = self.lock_tails().add(selection, Box::new(sink));
        (writer.next_seq, dropped)
    }

    /// What happened to the files since the last call, oldest first.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.counters
            .notices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
            .collect()
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Live subscriptions.
    pub fn subscribers(&self) -> u64 {
        self.lock_tails().len() as u64
    }

    /// Sizes and counters.
    pub fn stats(&self) -> Stats {
        let (wal_now, subscribers) = (self.lock_writer().wal.len(), self.lock_tails().len() as u64);
        let Snapshot { heads, segments } = self.snapshot_view();
        let (waiting, head) = heads.split_at(heads.len() - 1);
        let chunks = || heads.iter().flat_map(|head| &head.chunks);
        let oldest = chunks()
            .map(|chunk| chunk.first.at_ms)
            .chain(segments.iter().map(|one| one.oldest_ms()))
            .min();
        let newest = chunks()
            .map(|chunk| chunk.last.at_ms)
            .chain(segments.iter().map(|one| one.newest_ms()))
            .max();
        let waiting_wals = waiting.iter().map(|frozen| self.wal_bytes(frozen.generation));
        let head_records = heads.iter().map(|head| head.rows).sum();
        let total = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            records: segments.iter().map(|one| one.rows()).sum::<u64>() + head_records,
            segments: segments.len() as u64,
            head_records,
            head_bytes: heads.iter().map(|head| head.bytes).sum(),
            head_streams: head.iter().map(|head| head.streams.len() as u64).sum(),
            waiting_to_seal: waiting.len() as u64,
            segment_bytes: segments.iter().map(|one| one.file_bytes).sum(),
            wal_bytes: wal_now + waiting_wals.sum::<u64>(),
            oldest_ms: oldest,
            newest_ms: newest,
            subscribers,
            appended_total: total(&self.counters.appended),
            refused_total: total(&self.counters.refused),
            shortened_total: total(&self.counters.shortened),
            repeated_total: total(&self.counters.repeated),
            commits_total: total(&self.counters.commits),
            expired_by_age_total: total(&self.counters.expired_by_age),
            expired_by_size_total: total(&self.counters.expired_by_size),
            quarantined_total: total(&self.counters.quarantined),
            notices_lost_total: total(&self.counters.notices_lost),
            append_failures_total: total(&self.counters.append_failures),
            maintain_failures_total: total(&self.counters.maintain_failures),
            sources_forgotten_total: total(&self.counters.sources_forgotten),
            read_failures_total: total(&self.counters.read_failures),
            tail_dropped_total: self.lock_tails().dropped_total(),
        }
    }

    fn wal_bytes(&self, generation: u64) -> u64 {
        std::fs::metadata(wal::path(&self.dir, generation)).map_or(0, |meta| meta.len())
    }

    fn snapshot_view(&self) -> Snapshot {
        let view = self.read_view();
        let mut heads: Vec<Frozen> = view.frozen.iter().map(|frozen| Frozen::clone(frozen)).collect();
        heads.push(view.head.view().clone());
        Snapshot {
            heads,
            segments: view.segments.clone(),
        }
    }

    fn notice(&self, path: &Path, message: String) {
        self.counters.notice(path, message);
    }

    // A panic on another thread leaves no half-done change behind these locks: each change is one assignment.
    fn lock_writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_tails(&self) -> MutexGuard<'_, Tails> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_duty(&self) -> maintain::Duty<'_> {
        self.duty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_view(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    fn notice(&self, path: &Path, message: String) {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.len() == MAX_NOTICES {
            notices.pop_front();
            self.notices_lost.fetch_add(1, Ordering::Relaxed);
        }
        notices.push_back(Notice {
            path: path.to_path_buf(),
            message,
        });
    }
}
