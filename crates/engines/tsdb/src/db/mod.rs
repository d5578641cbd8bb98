//! The store itself: opening it, its state, and the small calls. Appending is in `commit`, reading in
//! `query`, cutting and expiring in `maintain`, merging in `compact`, backfill in `import`, backups in
//! `snapshot`, reading the log back in `replay`.
//!
//! Lock order: maintenance, then writer, then head index or block list, then one series.

mod commit;
mod compact;
mod import;
mod maintain;
mod query;
mod replay;
mod snapshot;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::block::{self, Block, IndexCache};
use crate::disk;
use crate::error::{Error, Result};
use crate::head::{Head, MemSeries};
use crate::labels::Labels;
use crate::options::Options;
use crate::sample::{Reason, SeriesRef};
use crate::stats::{Counters, Notice, Stats, lock};
use crate::wal::{self, Wal};

use replay::Replay;

pub use maintain::Maintained;
pub use query::SeriesStream;
pub use snapshot::Snapshot;

/// Format of the whole folder; a folder with a higher number belongs to a newer program.
const VERSION: u32 = 1;
const VERSION_PREFIX: &str = "mainstay metric store ";
/// No time yet: no clock was set, no sample was stored.
const NEVER: i64 = i64::MIN;

/// An open store. Share it between threads by `Arc`; all methods take `&self`.
#[derive(Debug)]
pub struct Tsdb {
    dir: PathBuf,
    options: Options,
    head: Head,
    writer: Mutex<Writer>,
    queue: Mutex<Vec<commit::Entry>>,
    blocks: RwLock<Blocks>,
    cache: IndexCache,
    maintenance: Mutex<maintain::Maintenance>,
    clock_ms: AtomicI64,
    newest_ms: AtomicI64,
    counters: Arc<Counters>,
    _lock: File,
}

/// The blocks in use, oldest data first. Readers take the list as it is; writers replace it.
type Blocks = Arc<Vec<Arc<Block>>>;

/// What only one thread at a time may touch: the log, and which windows the head holds.
#[derive(Debug)]
struct Writer {
    wal: Wal,
    /// Samples per open window of the head.
    windows: BTreeMap<i64, u64>,
    newest: i64,
}

impl Tsdb {
    /// Opens the store in `dir`, which is created if it is missing; reads the log back.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Tsdb> {
        options.check()?;
        let dir = dir.as_ref().to_owned();
        disk::create_dir(&dir)?;
        let lock_file = take_lock(&dir)?;
        check_version(&dir)?;
        let (wal_dir, blocks_dir) = (dir.join("wal"), dir.join("blocks"));
        disk::create_dir(&wal_dir)?;
        disk::create_dir(&blocks_dir)?;
        disk::sync_dir(&dir)?;
        let counters = Arc::new(Counters::default());
        let found = block::open_all(&blocks_dir, &options.faults, &counters)?;
        let head = Head::default();
        let mut replay = Replay::new(&head, options.block_ms, &found.blocks);
        let replayed = wal::replay_dir(&wal_dir, &mut replay, &counters)?;
        let (windows, newest) = (replay.windows, replay.newest);
        // Invariant: segment numbers are never used twice, or a block's cut would hide new samples.
        let used = found
            .blocks
            .iter()
            .flat_map(|b| b.meta.cuts.iter().map(|c| c.below));
        let next_seq = used.max().unwrap_or(1).max(replayed.next_seq);
        let mut wal = Wal::new(
            &wal_dir,
            options.wal_segment_bytes,
            options.faults.clone(),
            replayed.closed,
            next_seq,
        );
        // What cannot be deleted now is tried again by the housekeeping, which reports the reason.
        let _ = wal.delete_done();
        Ok(Tsdb {
            maintenance: Mutex::new(maintain::Maintenance::new(&found)),
            blocks: RwLock::new(Arc::new(found.blocks)),
            cache: IndexCache::new(options.index_cache_bytes),
            dir,
            head,
            writer: Mutex::new(Writer { wal, windows, newest }),
            queue: Mutex::default(),
            clock_ms: AtomicI64::new(NEVER),
            newest_ms: AtomicI64::new(newest),
            counters,
            options,
            _lock: lock_file,
        })
    }

    /// Tells the store the time. From then on samples too far ahead of it are rejected.
    pub fn set_clock(&self, now_ms: i64) {
        self.clock_ms.store(now_ms, Ordering::Relaxed);
    }

    /// The folder that it was opened in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A short name for a series, registered if need be, for [`crate::Batch::push_ref`].
    pub fn resolve(&self, labels: &Labels) -> std::result::Result<SeriesRef, Reason> {
        if !commit::is_valid(labels) {
            return Err(Reason::InvalidLabels);
        }
        match self.head.get(labels).or_else(|| self.register(labels)) {
            Some(series) => Ok(SeriesRef(series.id)),
            None => Err(Reason::SeriesLimit),
        }
    }

    /// Makes everything appended under [`crate::Durability::Async`] durable.
    pub fn flush(&self) -> Result<()> {
        let synced = lock(&self.writer).wal.sync(None)?;
        self.counters.wal_syncs.add(u64::from(synced));
        Ok(())
    }

    /// Figures for metrics and pages.
    pub fn stats(&self) -> Stats {
        let (wal_bytes, wal_segments) = {
            let writer = lock(&self.writer);
            (writer.wal.bytes(), writer.wal.segments())
        };
        let newest = self.newest_ms.load(Ordering::Relaxed);
        let blocks = self.blocks();
        Stats {
            blocks: blocks.len() as u64,
            block_bytes: blocks.iter().map(|b| b.bytes()).sum(),
            block_samples: blocks.iter().map(|b| b.meta.samples).sum(),
            index_cache_bytes: self.cache.bytes(),
            head_series: self.head.series_count() as u64,
            head_samples: self
                .head
                .samples
                .get()
                .saturating_sub(self.head.samples_dropped.get()),
            wal_bytes,
            wal_segments,
            newest_ms: (newest != NEVER).then_some(newest),
            ..self.counters.stats()
        }
    }

    /// Damage and other news since the store was opened.
    pub fn notices(&self) -> Vec<Notice> {
        self.counters.notices()
    }

    fn register(&self, labels: &Labels) -> Option<Arc<MemSeries>> {
        let (series, is_new) = self.head.get_or_create(labels, self.options.max_series)?;
        self.counters.series_created.add(u64::from(is_new));
        Some(series)
    }

    fn blocks_dir(&self) -> PathBuf {
        self.dir.join("blocks")
    }

    fn blocks(&self) -> Blocks {
        Arc::clone(&self.blocks.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the block list by what `change` makes of it.
    fn change_blocks(&self, change: impl FnOnce(&mut Vec<Arc<Block>>)) {
        let mut guard = self.blocks.write().unwrap_or_else(PoisonError::into_inner);
        let mut list = guard.as_ref().clone();
        change(&mut list);
        block::sort(&mut list);
        *guard = Arc::new(list);
    }

    fn window_of(&self, t_ms: i64) -> i64 {
        t_ms.div_euclid(self.options.block_ms)
    }
}

fn take_lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| Error::io("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: dir.to_owned() }),
        Err(TryLockError::Error(e)) => Err(Error::io("lock", &path, e)),
    }
}

fn check_version(dir: &Path) -> Result<()> {
    let path = dir.join("version");
    if !path.exists() {
        return disk::write_file(&path, format!("{VERSION_PREFIX}{VERSION}\n").as_bytes());
    }
    let text = String::from_utf8_lossy(&disk::read_file(&path)?).into_owned();
    match text
        .trim()
        .strip_prefix(VERSION_PREFIX.trim_end())
        .and_then(|v| v.trim().parse::<u32>().ok())
    {
        Some(v) if v <= VERSION => Ok(()),
        Some(v) => Err(Error::Invalid {
            what: format!(
                "the metric store {} was written by a newer version (format {v}, this program knows {VERSION}): \
                 start the newer version or restore a backup from before the upgrade",
                dir.display()
            ),
        }),
        // An empty file is what a crash in the very first start leaves.
        None if text.trim().is_empty() => {
            disk::write_file(&path, format!("{VERSION_PREFIX}{VERSION}\n").as_bytes())
        }
        None => Err(Error::corrupt(
            &path,
            "it names no format version; is this the folder of another program?",
        )),
    }
}
