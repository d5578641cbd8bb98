//! Reads the log back at the start: tolerates a torn tail, steps over damage in the middle, and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use super::record::{self, Entry, FRAME_HEADER};
use super::{Closed, HEADER, HEADER_MAGIC};
use crate::disk;
use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::sample::Sample;
use crate::stats::Counters;

/// Where replayed entries go. References are those of one segment.
pub(crate) trait Sink {
    /// A new segment begins; references of the previous one are void.
    fn segment(&mut self, seq: u64);
    /// Labels behind a reference.
    fn define(&mut self, id: u64, labels: Labels);
    /// A sample; returns its window if no block holds it yet, an error if the reference is unknown.
    fn sample(&mut self, id: u64, s: Sample) -> std::result::Result<Option<i64>, ()>;
}

/// What the log held.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) closed: BTreeMap<u64, Closed>,
    pub(crate) next_seq: u64,
}

/// Replays all segments of `dir` in order.
pub(crate) fn replay_dir(dir: &Path, sink: &mut dyn Sink, counters: &Counters) -> Result<Replayed> {
    let mut segments: Vec<(u64, PathBuf)> = Vec::new();
    for name in disk::list(dir)? {
        if let Some(seq) = name.strip_suffix(".wal").and_then(|s| s.parse().ok()) {
            segments.push((seq, dir.join(name)));
        }
    }
    let mut replayed = Replayed {
        next_seq: 1,
        ..Replayed::default()
    };
    let last = segments.last().map(|(seq, _)| *seq);
    for (seq, path) in segments {
        replayed.next_seq = replayed.next_seq.max(seq + 1);
        if let Some(closed) = replay_segment(&path, seq, Some(seq) == last, sink, counters)? {
            replayed.closed.insert(seq, closed);
        }
    }
    Ok(replayed)
}

/// Replays one segment; `None` if it is gone or left alone.
fn replay_segment(
    path: &Path,
    seq: u64,
    is_last: bool,
    sink: &mut dyn Sink,
    counters: &Counters,
) -> Result<Option<Closed>> {
    let bytes = match disk::read_file(path) {
        Err(e) if !e.is_denied() => {
            counters.wal_corruptions.add(1);
            counters.notice(format!(
                "a log segment was left out, its samples are missing from queries: {e}"
            ));
            return Ok(None);
        }
        other => other?,
    };
    if bytes.len() < HEADER && is_last {
        counters.wal_torn_bytes.add(bytes.len() as u64);
        disk::remove_file(path)?;
        return Ok(None);
    }
    if bytes.get(..8) != Some(HEADER_MAGIC) || bytes.get(8..16) != Some(&seq.to_le_bytes()) {
        counters.wal_corruptions.add(1);
        counters.notice(format!(
            "the header of log segment {} is damaged; its sound records were read all the same",
            path.display()
        ));
    }
    sink.segment(seq);
    let scan = scan(&bytes, sink);
    counters.wal_replayed.add(scan.samples);
    if scan.gaps > 0 || scan.orphans > 0 {
        counters.wal_corruptions.add(scan.gaps.max(1));
        counters.notice(format!(
            "log segment {} is damaged in {} places; {} samples behind them could not be placed; the rest was read",
            path.display(),
            scan.gaps,
            scan.orphans
        ));
    }
    let torn = (bytes.len() - scan.sound) as u64;
    if torn > 0 {
        report_tail(path, is_last, torn, scan.sound, counters)?;
    }
    if scan.sound <= HEADER && is_last {
        disk::remove_file(path)?;
        return Ok(None);
    }
    let kept = if is_last { scan.sound } else { bytes.len() };
    Ok(Some(Closed {
        bytes: kept as u64,
        windows: scan.windows,
    }))
}

fn report_tail(path: &Path, is_last: bool, torn: u64, sound: usize, counters: &Counters) -> Result<()> {
    if is_last {
        counters.wal_torn_bytes.add(torn);
        counters.notice(format!(
            "log segment {} ended in {torn} bytes of an unfinished record, which were cut off; \
             nothing acknowledged was in them unless the disk lost data",
            path.display()
        ));
        let cut = || -> std::io::Result<()> {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(sound as u64)?;
            file.sync_all()
        };
        return cut().map_err(|e| Error::io("cut the torn end of", path, e));
    }
    counters.wal_corruptions.add(1);
    counters.notice(format!(
        "the last {torn} bytes of log segment {} are not readable",
        path.display()
    ));
    Ok(())
}

struct Scan {
    /// Bytes up to the end of the last sound frame.
    sound: usize,
    gaps: u64,
    samples: u64,
    /// Samples whose labels were lost in a gap.
    orphans: u64,
    windows: BTreeSet<i64>,
}

fn scan(bytes: &[u8], sink: &mut dyn Sink) -> Scan {
    let mut scan = Scan {
        sound: HEADER.min(bytes.len()),
        gaps: 0,
        samples: 0,
        orphans: 0,
        windows: BTreeSet::new(),
    };
    let mut at = scan.sound;
    let mut in_gap = false;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(payload) = record::frame_at(rest) else {
            in_gap = true;
            match next_magic(rest) {
                Some(skip) => at += skip,
                None => break,
            }
            continue;
        };
        scan.gaps += u64::from(std::mem::take(&mut in_gap));
        scan.apply(payload, sink);
        at += FRAME_HEADER + payload.len();
        scan.sound = at;
    }
    scan
}

/// Distance to the next place after the first byte where a frame may begin.
fn next_magic(bytes: &[u8]) -> Option<usize> {
    let tail = bytes.get(1..)?;
    tail.windows(record::MAGIC.len())
        .position(|w| w == record::MAGIC)
        .map(|p| p + 1)
}

impl Scan {
    fn apply(&mut self, payload: &[u8], sink: &mut dyn Sink) {
        let mut last_window = None;
        let decoded = record::decode(payload, &mut |entry| match entry {
            Entry::Define(id, labels) => sink.define(id, labels),
            Entry::Sample(id, s) => match sink.sample(id, s) {
                Ok(window) => {
                    self.samples += 1;
                    if window != last_window {
                        self.windows.extend(window);
                        last_window = window;
                    }
                }
                Err(()) => self.orphans += 1,
            },
        });
        self.gaps += u64::from(decoded.is_err());
    }
}
