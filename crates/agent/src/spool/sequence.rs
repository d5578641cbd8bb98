//! The number of the next batch, kept over restarts, and what a run that did not end well has lost.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use protocol::Gap;

const SIZE: usize = 8 * 5 + 4;

/// The file is forced to the disk once in so many batches. After a crash of the whole machine the number is moved on by
/// more than that, so that no number is given twice.
const SYNC_EVERY: u64 = 64;

/// What is written: a page-cache write per batch, which outlives the process, not the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Record {
    next: u64,
    acked: u64,
    at_ms: i64,
    /// Hash of the boot id of the run.
    boot: u64,
    clean: bool,
}

pub(crate) struct Sequence {
    file: File,
    now: Record,
}

impl Sequence {
    /// Opens the file. `spooled` is the last number in the spool. Returns the gap that a killed run has left.
    pub(crate) fn open(
        path: &Path,
        spooled: Option<u64>,
        boot_id: &str,
        now_ms: i64,
    ) -> io::Result<(Self, Option<Gap>)> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        let boot = xxhash_rust::xxh3::xxh3_64(boot_id.as_bytes());
        let mut bytes = [0; SIZE];
        let before = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => decode(&bytes),
            Err(_) => None,
        };
        let is_new = file.metadata()?.len() == 0;
        let mut gap = None;
        let mut now = match before {
            Some(before) => {
                let kept = before.acked.max(spooled.unwrap_or(0));
                let lost = (before.next - 1).saturating_sub(kept);
                if !before.clean && lost > 0 {
                    gap = Some(gap_of(lost, before.at_ms, now_ms));
                }
                let skip = if before.clean || before.boot == boot {
                    0
                } else {
                    SYNC_EVERY * 2
                };
                Record {
                    next: before.next + skip,
                    ..before
                }
            }
            None if is_new => Record {
                next: 1,
                ..Record::default()
            },
            // A damaged file: milliseconds are ahead of any count of batches.
            None => Record {
                next: now_ms.unsigned_abs(),
                ..Record::default()
            },
        };
        now.next = now.next.max(spooled.unwrap_or(0) + 1).max(1);
        (now.boot, now.clean) = (boot, false);
        let sequence = Self { file, now };
        sequence.write()?;
        sequence.file.sync_data()?;
        Ok((sequence, gap))
    }

    /// The number for a new batch.
    pub(crate) fn take(&mut self, at_ms: i64) -> io::Result<u64> {
        let seq = self.now.next;
        self.now.next += 1;
        self.now.at_ms = at_ms;
        self.write()?;
        if seq.is_multiple_of(SYNC_EVERY) {
            self.file.sync_data()?;
        }
        Ok(seq)
    }

    pub(crate) fn ack(&mut self, seq: u64) {
        if seq > self.now.acked {
            self.now.acked = seq;
            if let Err(error) = self.write() {
                tracing::warn!(%error, "failed to note an acknowledgement");
            }
        }
    }

    pub(crate) fn acked(&self) -> u64 {
        self.now.acked
    }

    /// The run ends well: everything is acknowledged or in the spool.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.now.clean = true;
        self.write()?;
        self.file.sync_data()
    }

    fn write(&self) -> io::Result<()> {
        self.file.write_all_at(&encode(self.now), 0)
    }
}

fn gap_of(batches: u64, from_ms: i64, to_ms: i64) -> Gap {
    let reason = "the agent was ended without warning".to_owned();
    Gap {
        from_ms: from_ms.min(to_ms),
        to_ms,
        batches,
        samples: 0,
        lines: 0,
        reason,
    }
}

fn encode(record: Record) -> [u8; SIZE] {
    let words = [
        record.next,
        record.acked,
        record.at_ms.cast_unsigned(),
        record.boot,
        u64::from(record.clean),
    ];
    let mut bytes = [0; SIZE];
    for (slot, byte) in bytes
        .iter_mut()
        .zip(words.iter().flat_map(|word| word.to_le_bytes()))
    {
        *slot = byte;
    }
    let (body, sum) = bytes.split_at_mut(SIZE - 4);
    sum.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; SIZE]) -> Option<Record> {
    let (body, sum) = bytes.split_at(SIZE - 4);
    if crc32fast::hash(body).to_le_bytes() != sum {
        return None;
    }
    let mut words = body.chunks_exact(8).map(|chunk| {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    let mut word = || words.next().unwrap_or_default();
    let (next, acked, at_ms, boot, clean) = (word(), word(), word(), word(), word());
    Some(Record {
        next: next.max(1),
        acked,
        at_ms: at_ms.cast_signed(),
        boot,
        clean: clean == 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, spooled: Option<u64>, boot: &str) -> (Sequence, Option<Gap>) {
        Sequence::open(path, spooled, boot, 9000).unwrap()
    }

    #[test]
    fn numbers_go_on_after_a_kill_and_the_loss_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sequence");
        let (mut sequence, gap) = open(&path, None, "b1");
        assert!(gap.is_none());
        assert_eq!([1, 2, 3].map(|_| sequence.take(5000).unwrap()), [1, 2, 3]);
        sequence.ack(1);
        assert_eq!(sequence.take(6000).unwrap(), 4);
        drop(sequence);
        // Killed: 2 and 3 were in memory only, 4 reached the spool.
        let (mut sequence, gap) = open(&path, None, "b1");
        assert_eq!(
            gap.map(|gap| (gap.batches, gap.from_ms, gap.to_ms)),
            Some((3, 6000, 9000))
        );
        assert_eq!(sequence.take(7000).unwrap(), 5);
        sequence.close().unwrap();
        let (sequence, gap) = open(&path, None, "b2");
        assert!(gap.is_none(), "a run that ended well lost nothing");
        assert_eq!(sequence.now.next, 6);
    }

    #[test]
    fn no_number_is_given_twice_after_a_power_cut_or_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sequence");
        let (mut sequence, _) = open(&path, None, "b1");
        sequence.take(1).unwrap();
        drop(sequence);
        let (sequence, _) = open(&path, None, "b2");
        assert_eq!(sequence.now.next, 2 + SYNC_EVERY * 2);
        std::fs::write(&path, b"garbage").unwrap();
        let (sequence, _) = open(&path, Some(20_000), "b2");
        assert_eq!(sequence.now.next, 20_001);
    }
}
