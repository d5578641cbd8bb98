//! Sealing, retention and snapshots: the duties that run beside appends and queries.
use super::open::write_format;
use super::{Logs, Writer, write_marks};
use crate::error::{Error, IoContext, Result};
use crate::head::Head;
use crate::segment::{self, BlockLimits, Segment};
use crate::wal;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};

/// What one round of duties did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Heads that became segments.
    pub sealed: u64,
    /// Lines removed because of their age.
    pub expired_by_age: u64,
    /// Lines removed because the store was too large.
    pub expired_by_size: u64,
}

const BLOCK_ROWS: usize = 8192;

type Duty<'a> = MutexGuard<'a, ()>;

impl Logs {
    /// Seals what is due and removes what is too old or too much. Call it every few seconds with the time.
    pub fn maintain(&self, now_ms: i64) -> Result<Maintained> {
        let duty = self.lock_duty();
        self.clock_ms.store(now_ms, Ordering::Relaxed);
        if self.head_is_due(now_ms) {
            self.rotate(&mut self.lock_writer())?;
        }
        let sealed = self.seal_waiting(&duty)?;
        let expired_by_age = self.enforce_age(now_ms, &duty)?;
        let expired_by_size = self.enforce_size(&duty)?;
        Ok(Maintained {
            sealed,
            expired_by_age,
            expired_by_size,
        })
    }

    /// Seals everything and links or copies the segments into `target`, which then opens as a store.
    pub fn snapshot(&self, target: impl AsRef<Path>) -> Result<()> {
        let target = target.as_ref();
        std::fs::create_dir_all(target).at("create the snapshot folder", target)?;
        if std::fs::read_dir(target)
            .at("list the snapshot folder", target)?
            .next()
            .is_some()
        {
            return Err(Error::SnapshotExists {
                path: target.to_path_buf(),
            });
        }
        let duty = self.lock_duty();
        // Invariant: the marks tell of nothing that is not in the segments.
        let (marks, next_seq) = {
            let mut writer = self.lock_writer();
            self.rotate(&mut writer)?;
            (writer.marks.clone(), writer.next_seq)
        };
        self.seal_waiting(&duty)?;
        // Invariant: only holders of `duty` remove segments, so the list stays good while they are linked.
        let segments = self.read_view().segments.clone();
        let last = segments.iter().map(|segment| segment.generation).max();
        for segment in segments {
            let copy = segment::path(target, segment.generation);
            if std::fs::hard_link(&segment.path, &copy).is_err() {
                std::fs::copy(&segment.path, &copy).at("copy the segment", &copy)?;
                std::fs::File::open(&copy)
                    .and_then(|file| file.sync_all())
                    .at("sync the copy", &copy)?;
            }
        }
        let mut wal = wal::Writer::create(target, last.unwrap_or(0) + 1, next_seq, true)?;
        write_marks(&mut wal, next_seq, &marks)?;
        write_format(target)
    }

    fn head_is_due(&self, now_ms: i64) -> bool {
        let mut view = self.write_view();
        if view.head.rows() == 0 {
            return false;
        }
        let seen_ms = *view.head.seen_ms.get_or_insert(now_ms);
        now_ms.saturating_sub(seen_ms) >= self.options.segment_age_ms
            || view.head.bytes() >= self.options.segment_bytes
    }

    /// Starts a new head and write-ahead log; the old head waits to be sealed.
    pub(super) fn rotate(&self, writer: &mut Writer) -> Result<()> {
        if self.read_view().head.rows() == 0 {
            return Ok(());
        }
        let generation = writer.generation + 1;
        let mut wal = wal::Writer::create(&self.dir, generation, writer.next_seq, self.options.fsync)?;
        writer.marks.bound();
        // Invariant: the marks are in the new log before the old one can be sealed and removed.
        write_marks(&mut wal, writer.next_seq, &writer.marks)?;
        writer.wal = wal;
        writer.generation = generation;
        let mut view = self.write_view();
        let full = std::mem::replace(&mut view.head, Head::new(generation));
        view.frozen.push(Arc::new(full.into_frozen()));
        Ok(())
    }

    /// Turns waiting heads into segments, oldest first. A head leaves memory only when its segment is whole on
    /// disk, and its write-ahead log goes last.
    pub(super) fn seal_waiting(&self, _duty: &Duty<'_>) -> Result<u64> {
        let limits = BlockLimits {
            bytes: self.options.block_bytes,
            rows: BLOCK_ROWS,
        };
        let mut sealed = 0;
        loop {
            let Some(frozen) = self.read_view().frozen.first().cloned() else {
                return Ok(sealed);
            };
            let path = segment::write(&self.dir, &frozen, self.clock_ms.load(Ordering::Relaxed), limits)?;
            let segment = Arc::new(Segment::load(&path)?);
            {
                let mut view = self.write_view();
                view.frozen
                    .retain(|waiting| waiting.generation != frozen.generation);
                view.segments.push(segment);
            }
            segment::remove_if_there(
                &wal::path(&self.dir, frozen.generation),
                "remove the sealed write-ahead log",
            )?;
            sealed += 1;
        }
    }

    fn enforce_age(&self, now_ms: i64, _duty: &Duty<'_>) -> Result<u64> {
        let oldest_allowed = now_ms.saturating_sub(self.options.retention_ms);
        let mut removed = 0;
        let segments = self.read_view().segments.clone();
        for segment in segments {
            if segment.expires_from_ms() < oldest_allowed {
                removed += self.remove(&segment, &self.counters.expired_by_age)?;
            }
        }
        Ok(removed)
    }

    pub(super) fn enforce_size(&self, _duty: &Duty<'_>) -> Result<u64> {
        let mut segments = self.read_view().segments.clone();
        segments.sort_by_key(|segment| (segment.newest_ms(), segment.generation));
        let stats = self.stats();
        let mut total = stats.segment_bytes + stats.wal_bytes;
        let mut removed = 0;
        for segment in segments {
            if total <= self.options.max_bytes {
                break;
            }
            total = total.saturating_sub(segment.file_bytes);
            removed += self.remove(&segment, &self.counters.expired_by_size)?;
        }
        Ok(removed)
    }

    /// Takes a segment out of sight, then off the disk. Returns how many lines it held.
    fn remove(&self, segment: &Segment, counter: &AtomicU64) -> Result<u64> {
        segment.retired.store(true, Ordering::Release);
        self.write_view()
            .segments
            .retain(|kept| kept.generation != segment.generation);
        counter.fetch_add(segment.rows(), Ordering::Relaxed);
        segment::remove_if_there(&segment.path, "remove the expired segment")?;
        Ok(segment.rows())
    }
}
