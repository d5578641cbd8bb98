//! The write-ahead log: numbered segment files of checksummed frames.
//!
//! Every segment explains itself: it names the labels of each series before its first sample, so any
//! segment can be dropped on its own once all time windows that it touches are in blocks. A segment
//! that a failed write or sync has touched is cut back and never written again.

mod record;
mod replay;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::disk::{self, FaultHook};
use crate::error::{Error, Result};

pub(crate) use record::Encoder;
pub(crate) use replay::{Sink, replay_dir};

const HEADER_MAGIC: &[u8; 8] = b"MSTWAL01";
const HEADER: usize = 16;

#[derive(Debug)]
pub(crate) struct Wal {
    dir: PathBuf,
    segment_bytes: u64,
    faults: FaultHook,
    next_seq: u64,
    current: Option<Current>,
    closed: BTreeMap<u64, Closed>,
}

#[derive(Debug)]
struct Current {
    seq: u64,
    file: File,
    /// Bytes of whole frames.
    len: u64,
    synced: bool,
    windows: BTreeSet<i64>,
}

/// A segment that is complete.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) bytes: u64,
    /// Time windows with samples in it that are in no block yet.
    pub(crate) windows: BTreeSet<i64>,
}

impl Wal {
    pub(crate) fn new(
        dir: &Path,
        segment_bytes: u64,
        faults: FaultHook,
        closed: BTreeMap<u64, Closed>,
        next_seq: u64,
    ) -> Self {
        Wal {
            dir: dir.to_owned(),
            segment_bytes,
            faults,
            next_seq,
            current: None,
            closed,
        }
    }

    /// Makes sure that a segment with room is open; returns its number.
    pub(crate) fn ready(&mut self) -> Result<u64> {
        if self.current.as_ref().is_some_and(|c| c.len >= self.segment_bytes) {
            self.rotate()?;
        }
        if let Some(current) = &self.current {
            return Ok(current.seq);
        }
        let seq = self.next_seq;
        let path = segment_path(&self.dir, seq);
        self.faults.at("create log segment", &path)?;
        let create = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            file.write_all(HEADER_MAGIC)?;
            file.write_all(&seq.to_le_bytes())?;
            Ok(file)
        };
        // A number is used once, even if the file could not be made: half a file may stay behind.
        self.next_seq += 1;
        let made = create()
            .map_err(|e| Error::io("create log segment", &path, e))
            .and_then(|file| disk::sync_dir(&self.dir).map(|()| file));
        let file = made.inspect_err(|_| {
            let _ = disk::remove_file(&path);
        })?;
        self.current = Some(Current {
            seq,
            file,
            len: HEADER as u64,
            synced: false,
            windows: BTreeSet::new(),
        });
        Ok(seq)
    }

    /// Writes frames to the open segment; all or nothing.
    pub(crate) fn write(&mut self, frames: &[u8], windows: &BTreeSet<i64>) -> Result<()> {
        let Some(current) = &mut self.current else {
            return Err(Error::Invalid {
                what: "the log has no open segment".to_owned(),
            });
        };
        let path = segment_path(&self.dir, current.seq);
        let result = self.faults.at("write log", &path).and_then(|()| {
            current
                .file
                .write_all(frames)
                .map_err(|e| Error::io("write log", &path, e))
        });
        match result {
            Ok(()) => {
                current.len += frames.len() as u64;
                current.synced = false;
                current.windows.extend(windows);
                Ok(())
            }
            Err(e) => {
                let keep = current.len;
                self.abandon(keep);
                Err(e)
            }
        }
    }

    /// Makes everything written durable. After a failure the frames behind `keep` are given up.
    pub(crate) fn sync(&mut self, keep: Option<u64>) -> Result<bool> {
        let Some(current) = &mut self.current else {
            return Ok(false);
        };
        if current.synced {
            return Ok(false);
        }
        let path = segment_path(&self.dir, current.seq);
        let result = self.faults.at("sync log", &path).and_then(|()| {
            current
                .file
                .sync_data()
                .map_err(|e| Error::io("sync log", &path, e))
        });
        match result {
            Ok(()) => {
                current.synced = true;
                Ok(true)
            }
            Err(e) => {
                let keep = keep.unwrap_or(current.len);
                self.abandon(keep);
                Err(e)
            }
        }
    }

    /// Where the next frame will begin in the open segment.
    pub(crate) fn position(&self) -> Option<u64> {
        self.current.as_ref().map(|c| c.len)
    }

    /// Closes the open segment. Returns a number above all segments with samples so far.
    pub(crate) fn rotate(&mut self) -> Result<u64> {
        self.sync(None)?;
        if let Some(current) = self.current.take() {
            if current.len > HEADER as u64 {
                self.closed.insert(
                    current.seq,
                    Closed {
                        bytes: current.len,
                        windows: current.windows,
                    },
                );
            } else {
                disk::remove_file(&segment_path(&self.dir, current.seq))?;
            }
        }
        Ok(self.next_seq)
    }

    /// Notes that a window's samples in segments below `below` are in a block; deletes what is done.
    pub(crate) fn release(&mut self, window: i64, below: u64) -> Result<()> {
        for (_, segment) in self.closed.range_mut(..below) {
            segment.windows.remove(&window);
        }
        self.delete_done()
    }

    /// Deletes closed segments of which every sample is in a block.
    pub(crate) fn delete_done(&mut self) -> Result<()> {
        let done: Vec<u64> = self
            .closed
            .iter()
            .filter(|(_, s)| s.windows.is_empty())
            .map(|(seq, _)| *seq)
            .collect();
        for seq in done {
            let path = segment_path(&self.dir, seq);
            self.faults.at("delete log segment", &path)?;
            disk::remove_file(&path)?;
            self.closed.remove(&seq);
        }
        Ok(())
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.closed.values().map(|s| s.bytes).sum::<u64>() + self.position().unwrap_or(0)
    }

    /// Number of segments.
    pub(crate) fn segments(&self) -> u64 {
        self.closed.len() as u64 + u64::from(self.current.is_some())
    }

    /// The lowest segment number on disk.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.closed
            .keys()
            .next()
            .copied()
            .or(self.current.as_ref().map(|c| c.seq))
    }

    /// Paths of the closed segments.
    pub(crate) fn closed_paths(&self) -> Vec<PathBuf> {
        self.closed
            .keys()
            .map(|seq| segment_path(&self.dir, *seq))
            .collect()
    }

    /// Cuts the open segment back to its sound part and closes it. The cut may fail too: a reader stops
    /// at the torn frame, and nothing acknowledged lies behind it.
    fn abandon(&mut self, keep: u64) {
        let Some(current) = self.current.take() else {
            return;
        };
        let _ = current.file.set_len(keep);
        let _ = current.file.sync_data();
        if keep > HEADER as u64 {
            self.closed.insert(
                current.seq,
                Closed {
                    bytes: keep,
                    windows: current.windows,
                },
            );
        } else {
            let _ = disk::remove_file(&segment_path(&self.dir, current.seq));
        }
    }
}

pub(crate) fn segment_path(dir: &Path, seq: u64) -> PathBuf {
    dir.join(format!("{seq:010}.wal"))
}
