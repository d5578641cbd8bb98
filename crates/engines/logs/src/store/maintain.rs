//! Sealing, retention and snapshots: the duties that run beside appends and queries.
use super::open::write_format;
use super::{Logs, Writer, write_marks};
use crate::error::{Error, IoContext, Result};
use crate::head::Head;
use crate::segment::{self, BlockLimits, Segment};
use crate::wal;
use std::path::{Path, PathBuf};
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

pub(super) type Duty<'a> = MutexGuard<'a, Vec<PathBuf>>;

impl Logs {
    /// Seals what is due and removes what is too old or too much. Call it every few seconds with the time. Each duty is
    /// tried whatever became of the others; on an error the rest is done by the next call.
    pub fn maintain(&self, now_ms: i64) -> Result<Maintained> {
        self.maintain_aged(now_ms, now_ms)
    }

    /// As [`Logs::maintain`], with the time that retention counts from: earlier than `now_ms` while the caller does not
    /// trust a clock that has just jumped ahead.
    pub fn maintain_aged(&self, now_ms: i64, age_ms: i64) -> Result<Maintained> {
        let mut duty = self.lock_duty();
        self.clock_ms.store(now_ms, Ordering::Relaxed);
        let mut done = Maintained::default();
        // What frees space comes first: on a full disk the rest may fail.
        let removed = self.remove_left_over(&mut duty);
        let aged = self.enforce_age(age_ms, &mut duty);
        let rotated = self.rotate_due(now_ms);
        let sealed = self.seal_waiting(&mut duty);
        let aged_again = self.enforce_age(age_ms, &mut duty);
        let sized = self.enforce_size(&mut duty);
        done.expired_by_age = aged.as_ref().unwrap_or(&0) + aged_again.as_ref().unwrap_or(&0);
        done.sealed = *sealed.as_ref().unwrap_or(&0);
        done.expired_by_size = *sized.as_ref().unwrap_or(&0);
        let failed = [
            removed,
            rotated,
            aged.map(drop),
            aged_again.map(drop),
            sealed.map(drop),
            sized.map(drop),
        ];
        let failed = failed.into_iter().find_map(Result::err);
        failed.map_or(Ok(done), |error| {
            self.counters.maintain_failures.fetch_add(1, Ordering::Relaxed);
            Err(error)
        })
    }

    fn rotate_due(&self, now_ms: i64) -> Result<()> {
        let is_due = self.head_is_due(now_ms);
        let mut writer = self.lock_writer();
        self.recover(&mut writer)?;
        if is_due { self.rotate(&mut writer) } else { Ok(()) }
    }

    /// Begins a new write-ahead log when the old one must not be written any more. What was acknowledged is in memory
    /// and goes into a segment of its own: a file that the disk has refused to sync is not relied on.
    pub(super) fn recover(&self, writer: &mut Writer) -> Result<()> {
        let Some(reason) = writer.broken.clone() else {
            return Ok(());
        };
        let old = wal::path(&self.dir, writer.generation);
        let is_empty = self.read_view().head.rows() == 0;
        self.begin_head(writer)?;
        writer.broken = None;
        self.notice(&old, format!("{reason}; a new write-ahead log was begun"));
        if is_empty {
            // It holds nothing that was acknowledged; if it stays, the next start removes it.
            let _ = segment::remove_if_there(&old, "remove the empty write-ahead log");
        }
        Ok(())
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
        let mut duty = self.lock_duty();
        // Invariant: the marks tell of nothing that is not in the segments.
        let (marks, next_seq) = {
            let mut writer = self.lock_writer();
            self.recover(&mut writer)?;
            self.rotate(&mut writer)?;
            (writer.marks.clone(), writer.next_seq)
        };
        self.seal_waiting(&mut duty)?;
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
        let mode = wal::Mode {
            sync: true,
            ..wal::Mode::default()
        };
        let mut wal = wal::Writer::create(target, last.unwrap_or(0) + 1, next_seq, mode)?;
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
        self.begin_head(writer)
    }

    fn begin_head(&self, writer: &mut Writer) -> Result<()> {
        let generation = writer.generation + 1;
        let mut wal = wal::Writer::create(&self.dir, generation, writer.next_seq, self.options.mode())?;
        let forgotten = writer.marks.bound();
        self.counters
            .sources_forgotten
            .fetch_add(forgotten, Ordering::Relaxed);
        // Invariant: the marks are in the new log before the old one can be sealed and removed.
        write_marks(&mut wal, writer.next_seq, &writer.marks)?;
        writer.wal = wal;
        writer.generation = generation;
        let mut view = self.write_view();
        let full = std::mem::replace(&mut view.head, Head::new(generation));
        if full.rows() > 0 {
            view.frozen.push(Arc::new(full.into_frozen()));
        }
        Ok(())
    }

    /// Turns waiting heads into segments, oldest first. A head leaves memory only when its segment is whole on
    /// disk, and its write-ahead log goes last.
    pub(super) fn seal_waiting(&self, duty: &mut Duty<'_>) -> Result<u64> {
        let limits = BlockLimits {
            bytes: self.options.block_bytes,
            rows: BLOCK_ROWS,
        };
        let mut sealed = 0;
        loop {
            let Some(frozen) = self.read_view().frozen.first().cloned() else {
                return Ok(sealed);
            };
            self.options.faults.at("write segment", &self.dir)?;
            let path = segment::write(&self.dir, &frozen, self.clock_ms.load(Ordering::Relaxed), limits)?;
            let segment = Arc::new(Segment::load(&path)?);
            {
                let mut view = self.write_view();
                view.frozen
                    .retain(|waiting| waiting.generation != frozen.generation);
                view.segments.push(segment);
            }
            sealed += 1;
            duty.push(wal::path(&self.dir, frozen.generation));
            self.remove_left_over(duty)?;
        }
    }

    fn enforce_age(&self, now_ms: i64, duty: &mut Duty<'_>) -> Result<u64> {
        let oldest_allowed = now_ms.saturating_sub(self.options.retention_ms);
        let mut removed = 0;
        let segments = self.read_view().segments.clone();
        for segment in segments {
            if segment.expires_from_ms() < oldest_allowed {
                removed += self.retire(&segment, &self.counters.expired_by_age, duty);
            }
        }
        self.remove_left_over(duty)?;
        Ok(removed)
    }

    pub(super) fn enforce_size(&self, duty: &mut Duty<'_>) -> Result<u64> {
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
            removed += self.retire(&segment, &self.counters.expired_by_size, duty);
        }
        self.remove_left_over(duty)?;
        Ok(removed)
    }

    /// Takes a segment out of sight; its file goes with the next removal. Returns how many lines it held.
    fn retire(&self, segment: &Segment, counter: &AtomicU64, duty: &mut Duty<'_>) -> u64 {
        segment.retired.store(true, Ordering::Release);
        self.write_view()
            .segments
            .retain(|kept| kept.generation != segment.generation);
        counter.fetch_add(segment.rows(), Ordering::Relaxed);
        duty.push(segment.path.clone());
        segment.rows()
    }

    /// Removes the files that nobody needs. One that cannot be removed is tried again and does not keep the others.
    fn remove_left_over(&self, duty: &mut Duty<'_>) -> Result<()> {
        let mut failed = None;
        duty.retain(|path| {
            let removed = self
                .options
                .faults
                .at("remove file", path)
                .and_then(|()| segment::remove_if_there(path, "remove the file"));
            let is_left = removed.is_err();
            failed = failed.take().or(removed.err());
            is_left
        });
        failed.map_or(Ok(()), Err)
    }
}
