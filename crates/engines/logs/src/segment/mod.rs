//! Sealed lines in an immutable file, `seg-GENERATION.seg`, ordered by position and cut into blocks.
//!
//! ```text
//! magic  block*  footer  footer length (u32)  footer CRC (u32)  magic
//! block  = compressed text | compressed columns | trigram filter
//! footer = sealed time, streams, and per block: lengths, CRCs, positions, severities, streams
//! ```
//! The footer stays in memory; blocks are read when a query needs them. The file appears under its name only
//! when it is whole and synced.

mod read;
mod write;

pub(crate) use read::OpenSegment;
pub(crate) use write::{BlockLimits, write};

use crate::error::{IoContext, Result};
use crate::labels::Labels;
use crate::record::Position;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const MAGIC: &[u8; 8] = b"mslogsg1";
const TRAILER_BYTES: usize = 4 + 4 + 8;

/// What is known of a segment without reading its blocks.
#[derive(Debug)]
pub(crate) struct Segment {
    pub generation: u64,
    pub path: PathBuf,
    pub file_bytes: u64,
    /// When it was sealed, by the clock that `maintain` was given.
    pub sealed_ms: i64,
    pub streams: Arc<Vec<Labels>>,
    pub blocks: Vec<BlockMeta>,
    /// Set before retention removes the file, so that a running query knows why it is gone.
    pub retired: AtomicBool,
}

/// One block of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockMeta {
    offset: u64,
    text: Part,
    columns: Part,
    filter: Part,
    pub rows: u32,
    pub first: Position,
    pub last: Position,
    /// Bit n is set when a line has severity n; bit 8 for lines without one.
    pub severities: u16,
    /// Which streams have lines here, ascending.
    pub streams: Vec<u32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Part {
    len: u32,
    crc: u32,
}

impl Segment {
    pub(crate) fn rows(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.rows)).sum()
    }

    pub(crate) fn oldest_ms(&self) -> i64 {
        self.blocks.first().map_or(i64::MAX, |block| block.first.at_ms)
    }

    pub(crate) fn newest_ms(&self) -> i64 {
        self.blocks.last().map_or(i64::MIN, |block| block.last.at_ms)
    }

    pub(crate) fn max_seq(&self) -> u64 {
        self.blocks
            .iter()
            .map(|block| block.first.seq.max(block.last.seq))
            .max()
            .unwrap_or(0)
    }

    /// A line from the future must not keep its segment for ever, so the time of sealing caps its age.
    pub(crate) fn expires_from_ms(&self) -> i64 {
        self.newest_ms().min(self.sealed_ms)
    }
}

pub(crate) fn path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("seg-{generation:016}.seg"))
}

/// The generation in a file name of this module.
pub(crate) fn generation_of(name: &str) -> Option<u64> {
    name.strip_prefix("seg-")?.strip_suffix(".seg")?.parse().ok()
}

pub(crate) fn remove_if_there(path: &Path, what: &'static str) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.at(what, path),
    }
}

#[cfg(test)]
mod tests;
