//! Batches on disk that the server has not acknowledged: a bounded queue of segments, oldest dropped first.
//!
//! Records survive `kill -9` as soon as [`Spool::append`] returns, and a loss of power once [`Spool::sync`] has
//! returned. What is dropped for lack of room is counted in a [`Gap`].
//!
//! Invariant: sequence numbers rise from record to record and from segment to segment.

mod segment;
mod sequence;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use protocol::Gap;

pub(crate) use segment::Meta;
use segment::Segment;
pub(crate) use sequence::Sequence;

use crate::state::make_folder;

/// A segment is closed at this size. Room is made a segment at a time, so this is also the step of the bound.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

pub(crate) struct Spool {
    folder: PathBuf,
    limit_bytes: u64,
    segments: VecDeque<Segment>,
    acked: u64,
    /// Where the next record to send begins: segment by its first sequence, and offset.
    cursor: (u64, u64),
    gap: Option<Gap>,
    /// Files came since the folder was last forced to the disk.
    new_names: bool,
}

impl Spool {
    /// Opens what an earlier run left.
    pub(crate) fn open(folder: &Path, limit_bytes: u64) -> io::Result<Self> {
        make_folder(folder)?;
        let mut names: Vec<PathBuf> = std::fs::read_dir(folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
            .collect();
        names.sort_unstable();
        let mut segments = VecDeque::new();
        for path in names {
            match Segment::open(&path) {
                Ok(segment) => segments.extend(segment),
                // One file that cannot be read must not keep the agent from starting.
                Err(error) => {
                    tracing::error!(%error, path = %path.display(), "a file of the spool cannot be read; it is set aside");
                    let _ = std::fs::rename(&path, path.with_extension("damaged"));
                }
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            limit_bytes,
            segments,
            acked: 0,
            cursor: (0, 0),
            gap: None,
            new_names: true,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    pub(crate) fn last_seq(&self) -> Option<u64> {
        self.segments.back().map(|segment| segment.last_seq)
    }

    pub(crate) fn set_limit(&mut self, limit_bytes: u64) {
        self.limit_bytes = limit_bytes.max(2 * SEGMENT_BYTES);
        self.make_room(0);
    }

    /// Adds a batch, encoded as the frame that will be sent.
    pub(crate) fn append(&mut self, meta: Meta, frame: &[u8]) -> io::Result<()> {
        self.make_room(frame.len() as u64);
        let full = self
            .segments
            .back()
            .is_none_or(|segment| segment.bytes >= SEGMENT_BYTES);
        if full {
            self.segments.push_back(Segment::create(&self.folder, meta.seq)?);
            self.new_names = true;
        }
        let Some(segment) = self.segments.back_mut() else {
            return Ok(());
        };
        let appended = segment.append(meta, frame);
        if appended.is_err() && segment.records.is_empty() {
            // The disk may be full; an empty file is of no use.
            let _ = segment.delete();
            self.segments.pop_back();
        }
        appended
    }

    /// Waits until what was appended is on the disk.
    /// Every file is tried, whatever became of the others; what failed is tried again next time.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        for segment in &mut self.segments {
            outcome = outcome.and(segment.sync());
        }
        if self.new_names {
            // A new file is found after a loss of power only when its folder is on the disk too.
            let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
            self.new_names = synced.is_err();
            outcome = outcome.and(synced);
        }
        outcome
    }

    /// Sending begins again at the oldest batch that is not acknowledged.
    pub(crate) fn rewind(&mut self) {
        self.cursor = (0, 0);
    }

    /// The next batch to send.
    pub(crate) fn next(&mut self) -> Option<(Meta, Vec<u8>)> {
        loop {
            let (first, offset) = self.cursor;
            let segment = self.segments.iter().find(|segment| segment.first_seq >= first)?;
            let offset = if segment.first_seq == first { offset } else { 0 };
            if offset >= segment.bytes {
                self.segments
                    .iter()
                    .find(|other| other.first_seq > segment.first_seq)?;
                self.cursor = (segment.first_seq + 1, 0);
                continue;
            }
            match segment.read(offset) {
                Ok((meta, frame, next)) => {
                    self.cursor = (segment.first_seq, next);
                    if meta.seq > self.acked {
                        return Some((meta, frame));
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "failed to read a batch from the spool; the rest of its file is lost");
                    let rest = segment
                        .records
                        .iter()
                        .filter(|meta| meta.seq > self.acked)
                        .copied()
                        .collect::<Vec<_>>();
                    self.cursor = (segment.first_seq + 1, 0);
                    self.count_lost(&rest, "the spool was damaged");
                }
            }
        }
    }

    /// Forgets everything up to `seq`.
    pub(crate) fn ack(&mut self, seq: u64) {
        self.acked = self.acked.max(seq);
        while let Some(segment) = self.segments.pop_front_if(|segment| segment.last_seq <= seq) {
            if let Err(error) = segment.delete() {
                tracing::warn!(%error, "failed to delete a file of the spool");
            }
        }
    }

    /// What has been dropped since the last call.
    pub(crate) fn take_gap(&mut self) -> Option<Gap> {
        self.gap.take()
    }

    fn make_room(&mut self, bytes: u64) {
        while self.segments.len() > 1 && self.bytes() + bytes > self.limit_bytes {
            let Some(segment) = self.segments.pop_front() else {
                return;
            };
            let lost: Vec<Meta> = segment
                .records
                .iter()
                .filter(|meta| meta.seq > self.acked)
                .copied()
                .collect();
            if let Err(error) = segment.delete() {
                tracing::warn!(%error, "failed to delete a file of the spool");
            }
            self.count_lost(&lost, "the spool was full");
        }
    }

    /// Adds batches to the gap.
    pub(crate) fn count_lost(&mut self, lost: &[Meta], reason: &str) {
        for meta in lost {
            let gap = self.gap.get_or_insert_with(|| Gap {
                from_ms: meta.at_ms,
                to_ms: meta.at_ms,
                batches: 0,
                samples: 0,
                lines: 0,
                reason: reason.to_owned(),
            });
            gap.from_ms = gap.from_ms.min(meta.at_ms);
            gap.to_ms = gap.to_ms.max(meta.at_ms);
            gap.batches += 1;
            gap.samples += u64::from(meta.samples);
            gap.lines += u64::from(meta.lines);
        }
    }
}

#[cfg(test)]
mod tests;
