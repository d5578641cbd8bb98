//! One file of the spool: records of a header, a checksum and an encoded frame. Appended to, read from the front,
//! deleted whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes before a record's frame: length, CRC-32, sequence, time, samples, lines.
pub(super) const HEADER: usize = 4 + 4 + 8 + 8 + 4 + 4;

/// What a record says of its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) seq: u64,
    pub(crate) at_ms: i64,
    pub(crate) samples: u32,
    pub(crate) lines: u32,
}

pub(super) struct Segment {
    path: PathBuf,
    file: File,
    pub(super) bytes: u64,
    pub(super) records: Vec<Meta>,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    /// Something was appended since it was last forced to the disk.
    dirty: bool,
}

impl Segment {
    pub(super) fn create(folder: &Path, seq: u64) -> io::Result<Self> {
        let path = folder.join(format!("{seq:020}.seg"));
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Self {
            path,
            file,
            bytes: 0,
            records: Vec::new(),
            first_seq: seq,
            last_seq: seq,
            dirty: true,
        })
    }

    /// Reads what is there; a torn or damaged end is cut off. `None` when nothing is left.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        let mut segment = Self {
            path: path.to_owned(),
            file,
            bytes: 0,
            records: Vec::new(),
            first_seq: 0,
            last_seq: 0,
            dirty: true,
        };
        while let Some((meta, next)) = segment.check(segment.bytes, length)? {
            if segment.records.is_empty() {
                segment.first_seq = meta.seq;
            }
            segment.last_seq = meta.seq;
            segment.records.push(meta);
            segment.bytes = next;
        }
        if segment.bytes < length {
            tracing::warn!(path = %path.display(), cut = length - segment.bytes, "the spool has a damaged end; cut off");
            segment.file.set_len(segment.bytes)?;
        }
        if segment.records.is_empty() {
            segment.delete()?;
            return Ok(None);
        }
        Ok(Some(segment))
    }

    fn check(&self, offset: u64, length: u64) -> io::Result<Option<(Meta, u64)>> {
        if offset + HEADER as u64 > length {
            return Ok(None);
        }
        match self.read(offset) {
            Ok((meta, _, next)) if next <= length => Ok(Some((meta, next))),
            Ok(_) => Ok(None),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn append(&mut self, meta: Meta, frame: &[u8]) -> io::Result<()> {
        let record = encode(meta, frame)?;
        if let Err(error) = self.file.write_all_at(&record, self.bytes) {
            // A half-written record must not stay in front of the next one.
            let _ = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.dirty = true;
        self.bytes += record.len() as u64;
        self.last_seq = meta.seq;
        self.records.push(meta);
        Ok(())
    }

    /// Waits until everything in it is on the disk. After a failure the kernel may take what it could not write for written:
    /// the records go to a new file then.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if !self.dirty {
            return Ok(());
        }
        if let Err(error) = self.file.sync_data() {
            tracing::warn!(%error, path = %self.path.display(), "a file of the spool could not be forced to the disk; writing it anew");
            self.rewrite()?;
        }
        self.dirty = false;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The same records in a new file in its place.
    pub(super) fn rewrite(&mut self) -> io::Result<()> {
        let length = usize::try_from(self.bytes).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, 0)?;
        crate::state::replace(&self.path, &bytes, true)?;
        self.file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        Ok(())
    }

    /// The record at `offset`, and where the next one begins.
    pub(super) fn read(&self, offset: u64) -> io::Result<(Meta, Vec<u8>, u64)> {
        let mut header = [0; HEADER];
        self.file.read_exact_at(&mut header, offset)?;
        let (length, crc, meta) = decode_header(&header);
        if length > protocol::MAX_FRAME + 64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut frame = vec![0; length];
        self.file.read_exact_at(&mut frame, offset + HEADER as u64)?;
        if checksum(&header, &frame) != crc {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok((meta, frame, offset + (HEADER + length) as u64))
    }

    pub(super) fn delete(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

fn encode(meta: Meta, frame: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(frame.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut record = Vec::with_capacity(HEADER + frame.len());
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(&[0; 4]);
    record.extend_from_slice(&meta.seq.to_le_bytes());
    record.extend_from_slice(&meta.at_ms.to_le_bytes());
    record.extend_from_slice(&meta.samples.to_le_bytes());
    record.extend_from_slice(&meta.lines.to_le_bytes());
    let mut header = [0; HEADER];
    header.copy_from_slice(&record);
    let crc = checksum(&header, frame).to_le_bytes();
    for (slot, byte) in record.iter_mut().skip(4).zip(crc) {
        *slot = byte;
    }
    record.extend_from_slice(frame);
    Ok(record)
}

/// Over everything but the checksum itself.
fn checksum(header: &[u8; HEADER], frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let [a, b, c, d, _, _, _, _, rest @ ..] = header;
    hasher.update(&[*a, *b, *c, *d]);
    hasher.update(rest);
    hasher.update(frame);
    hasher.finalize()
}

fn decode_header(header: &[u8; HEADER]) -> (usize, u32, Meta) {
    let word = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(header.get(at..at + 4).unwrap_or(&[0; 4]));
        u32::from_le_bytes(bytes)
    };
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    let meta = Meta {
        seq: long(8),
        at_ms: long(16).cast_signed(),
        samples: word(24),
        lines: word(28),
    };
    (word(0) as usize, word(4), meta)
}
