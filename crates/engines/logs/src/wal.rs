//! The write-ahead log: one file per head, `wal-GENERATION.log`.
//!
//! A file is a header (magic, generation, first line number, CRC) and frames. A frame is a marker, the length
//! of its payload, a CRC over the rest, the number of its first line, and an encoded [`Batch`]; a frame of the
//! second kind has [`Marks`] before the batch, which may then be missing. On open a torn tail is cut off. Damage with good frames behind it loses only the damaged bytes: the reader looks for the
//! next marker whose frame checks out.
use crate::codec::Reader;
use crate::columns::Batch;
use crate::disk::FaultHook;
use crate::error::{Error, IoContext, Malformed, Result};
use crate::mark::Marks;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"mslogwa1";
const HEADER_BYTES: usize = 8 + 8 + 8 + 4;
/// The last byte of a marker tells the kind of the frame.
const MARKER: [u8; 3] = [0xF5, 0x4C, 0x97];
const PLAIN: u8 = 0x1E;
const MARKED: u8 = 0x1F;
const FRAME_BYTES: usize = 4 + 4 + 4 + 8;

pub(crate) fn path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("wal-{generation:016}.log"))
}

/// The generation in a file name of this module.
pub(crate) fn generation_of(name: &str) -> Option<u64> {
    name.strip_prefix("wal-")?.strip_suffix(".log")?.parse().ok()
}

/// The end of a file that takes frames.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
    path: PathBuf,
    len: u64,
    mode: Mode,
}

/// How a file is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mode {
    /// Wait for the disk.
    pub sync: bool,
    pub faults: FaultHook,
}

impl Writer {
    pub(crate) fn create(dir: &Path, generation: u64, first_seq: u64, mode: Mode) -> Result<Self> {
        let path = path(dir, generation);
        mode.faults.at("create log", &path)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path);
        let mut file = file.at("create the write-ahead log", &path)?;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&generation.to_le_bytes());
        header.extend_from_slice(&first_seq.to_le_bytes());
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        file.write_all(&header).at("write the write-ahead log", &path)?;
        file.sync_all().at("sync the write-ahead log", &path)?;
        sync_dir(dir)?;
        Ok(Writer {
            file,
            path,
            len: HEADER_BYTES as u64,
            mode,
        })
    }

    /// Continues a file whose first `len` bytes are good.
    pub(crate) fn reopen(path: PathBuf, len: u64, mode: Mode) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .at("open the write-ahead log", &path)?;
        Ok(Writer {
            file,
            path,
            len,
            mode,
        })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Writes frames and makes them durable. `Err(_, true)` means that the file may hold what was refused, or that the
    /// kernel has forgotten what it had not written yet: nothing more may be written to it.
    pub(crate) fn write(&mut self, frames: &[u8]) -> std::result::Result<(), (Error, bool)> {
        let written = self.mode.faults.at("write log", &self.path).and_then(|()| {
            self.file
                .write_all_at(frames, self.len)
                .at("write the write-ahead log", &self.path)
        });
        if let Err(error) = written {
            let undone = self.file.set_len(self.len).and_then(|()| self.file.sync_data());
            return Err((error, undone.is_err()));
        }
        if self.mode.sync {
            let synced = self
                .mode
                .faults
                .at("sync log", &self.path)
                .and_then(|()| self.file.sync_data().at("sync the write-ahead log", &self.path));
            if let Err(error) = synced {
                // What was refused must not come back at the next start, if the disk lets us say so.
                let _ = self.file.set_len(self.len);
                return Err((error, true));
            }
        }
        self.len += frames.len() as u64;
        Ok(())
    }
}

/// Appends one frame to a buffer. Without marks, `payload` is a batch; with marks it may be empty.
pub(crate) fn put_frame(out: &mut Vec<u8>, first_seq: u64, marks: Option<&Marks>, payload: &[u8]) {
    let mut before = Vec::new();
    if let Some(marks) = marks {
        marks.encode(&mut before);
    }
    let kind = if marks.is_some() { MARKED } else { PLAIN };
    out.extend_from_slice(&MARKER);
    out.push(kind);
    out.extend_from_slice(&((before.len() + payload.len()) as u32).to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&first_seq.to_le_bytes());
    crc.update(&before);
    crc.update(payload);
    out.extend_from_slice(&crc.finalize().to_le_bytes());
    out.extend_from_slice(&first_seq.to_le_bytes());
    out.extend_from_slice(&before);
    out.extend_from_slice(payload);
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// Batches with the number of their first line.
    pub batches: Vec<(u64, Batch)>,
    /// How far its sources have been taken in.
    pub marks: Marks,
    /// The number that the next line gets, as far as this file knows.
    pub next_seq: u64,
    /// Length of the file without its torn tail.
    pub good_len: u64,
    /// Bytes of the torn tail.
    pub torn_bytes: u64,
    /// Unreadable bytes with good frames behind them.
    pub damaged_bytes: u64,
}

pub(crate) fn replay(path: &Path) -> Result<Replay> {
    let bytes = std::fs::read(path).at("read the write-ahead log", path)?;
    Ok(replay_bytes(&bytes))
}

pub(crate) fn replay_bytes(bytes: &[u8]) -> Replay {
    let mut replay = Replay::default();
    let mut at = 0;
    if let Some(first_seq) = header(bytes) {
        replay.next_seq = first_seq;
        at = HEADER_BYTES;
    }
    replay.good_len = at as u64;
    while at < bytes.len() {
        let Some(frame) = next_frame(bytes, at) else {
            break;
        };
        replay.damaged_bytes += (frame.start - at) as u64;
        let rows = frame.batch.columns.len() as u64;
        replay.next_seq = replay.next_seq.max(frame.first_seq.saturating_add(rows));
        replay.marks.merge(frame.marks);
        if rows > 0 {
            replay.batches.push((frame.first_seq, frame.batch));
        }
        at = frame.end;
        replay.good_len = at as u64;
    }
    replay.torn_bytes = bytes.len() as u64 - replay.good_len;
    replay
}

fn header(bytes: &[u8]) -> Option<u64> {
    let (header, crc) = bytes.get(..HEADER_BYTES)?.split_at(HEADER_BYTES - 4);
    let good = header.starts_with(MAGIC) && crc32fast::hash(header).to_le_bytes() == crc;
    good.then(|| le_u64(&header[16..]))
}

struct Frame {
    start: usize,
    end: usize,
    first_seq: u64,
    marks: Marks,
    batch: Batch,
}

/// The first whole frame at or after `from`.
fn next_frame(bytes: &[u8], from: usize) -> Option<Frame> {
    let mut at = from;
    loop {
        if let Some(found) = frame_at(bytes, at) {
            return Some(found);
        }
        let rest = bytes.get(at + 1..)?;
        at += 1 + rest.windows(MARKER.len()).position(|window| window == MARKER)?;
    }
}

fn frame_at(bytes: &[u8], start: usize) -> Option<Frame> {
    let head = bytes.get(start..start.checked_add(FRAME_BYTES)?)?;
    if !head.starts_with(&MARKER) {
        return None;
    }
    let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let end = (start + FRAME_BYTES).checked_add(len)?;
    let checked = bytes.get(start + 12..end)?;
    if crc32fast::hash(checked).to_le_bytes() != head[8..12] {
        return None;
    }
    let (marks, batch) = match head[3] {
        PLAIN => (Marks::default(), Batch::decode(&checked[8..]).ok()?),
        MARKED => decode_marked(&checked[8..]).ok()?,
        _ => return None,
    };
    Some(Frame {
        start,
        end,
        first_seq: le_u64(checked),
        marks,
        batch,
    })
}

fn decode_marked(payload: &[u8]) -> std::result::Result<(Marks, Batch), Malformed> {
    let mut reader = Reader::new(payload);
    let marks = Marks::decode(&mut reader)?;
    let rest = reader.take(reader.remaining())?;
    let batch = if rest.is_empty() {
        Batch::default()
    } else {
        Batch::decode(rest)?
    };
    Ok((marks, batch))
}

fn le_u64(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .take(8)
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Makes created, renamed and removed names durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|folder| folder.sync_all())
        .at("sync the folder", dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Columns;
    use crate::record::Position;
    use proptest::prelude::*;

    fn file(lines: &[&str]) -> (Vec<u8>, Vec<usize>) {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(dir.path(), 3, 40, Mode::default()).unwrap();
        let mut ends = vec![HEADER_BYTES];
        for (index, line) in lines.iter().enumerate() {
            let mut batch = Batch {
                streams: vec![crate::Labels::default()],
                columns: Columns::default(),
            };
            batch.columns.push(Position::new(index as i64, 0), 0, 8, line);
            let mut frames = Vec::new();
            let origin = crate::Origin {
                source: "agent",
                seq: index as u64,
                at_ms: 5,
            };
            let marks = Marks::default().after(&origin, 40 + index as u64);
            let marks = (index > 0).then_some(&marks);
            put_frame(&mut frames, 40 + index as u64, marks, &batch.encode().unwrap());
            writer.write(&frames).unwrap();
            ends.push(writer.len() as usize);
        }
        (std::fs::read(&writer.path).unwrap(), ends)
    }

    fn texts(replay: &Replay) -> Vec<&str> {
        replay
            .batches
            .iter()
            .map(|(_, batch)| batch.columns.text(0))
            .collect()
    }

    #[test]
    fn every_cut_keeps_the_whole_frames_before_it() {
        let (bytes, ends) = file(&["one", "two", "three"]);
        for cut in 0..=bytes.len() {
            let replay = replay_bytes(&bytes[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(replay.batches.len(), whole.saturating_sub(1), "cut at {cut}");
            assert_eq!(replay.good_len + replay.torn_bytes, cut as u64);
            assert_eq!(replay.damaged_bytes, 0);
            let covered = |seq| {
                let source = "agent";
                replay.marks.covers(&crate::Origin {
                    source,
                    seq,
                    at_ms: 5,
                })
            };
            assert_eq!((covered(1), covered(2)), (whole > 2, whole > 3), "cut at {cut}");
        }
        assert_eq!(replay_bytes(&bytes).next_seq, 43);
        assert_eq!(replay_bytes(&bytes[..HEADER_BYTES]).next_seq, 40);
    }

    #[test]
    fn damage_in_the_middle_loses_one_frame_only() {
        let (bytes, ends) = file(&["one", "two", "three"]);
        for at in ends[1]..ends[2] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            let replay = replay_bytes(&damaged);
            assert_eq!(texts(&replay), ["one", "three"], "byte {at}");
            assert_eq!(replay.damaged_bytes, (ends[2] - ends[1]) as u64);
        }
        let mut damaged = bytes.clone();
        damaged[3] ^= 1;
        assert_eq!(texts(&replay_bytes(&damaged)), ["one", "two", "three"]);
    }

    proptest! {
        #[test]
        fn random_files_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..150) {
            let _ = replay_bytes(&bytes);
            let at = at.min(bytes.len());
            bytes.splice(at..at, MARKER.into_iter().chain([MARKED]));
            let _ = replay_bytes(&bytes);
        }
    }
}
