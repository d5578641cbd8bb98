//! Blocks: immutable folders with the samples of a stretch of time, and the list of those in use.
//!
//! `blocks/b0000000007/{meta,index,chunks}`. A folder named `tmp-…` is unfinished or half deleted and
//! is removed at the next start. A block that cannot be read is put aside as `bad-…` and reported.

mod cache;
mod index;
mod layout;
mod meta;
mod writer;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::chunk;
use crate::disk::{self, FaultHook};
use crate::error::{Error, Result};
use crate::stats::Counters;

pub(crate) use cache::IndexCache;
pub(crate) use index::{ChunkRef, Index};
pub(crate) use meta::{Cut, Meta};
pub(crate) use writer::BlockWriter;

const META: &str = "meta";
const INDEX: &str = "index";
const CHUNKS: &str = "chunks";
/// The files of a block.
pub(crate) const FILES: [&str; 3] = [META, INDEX, CHUNKS];

/// A block on disk. Its files stay readable for holders after the folder is deleted, except for an
/// index that is not loaded yet.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) meta: Meta,
    pub(crate) dir: PathBuf,
    chunks: File,
    /// Set when its index turned out to be damaged; reported once.
    broken: AtomicBool,
}

impl Block {
    pub(crate) fn open(dir: &Path) -> Result<Block> {
        let meta = Meta::read(&dir.join(META))?;
        let path = dir.join(CHUNKS);
        let chunks = File::open(&path).map_err(|e| Error::io("open", &path, e))?;
        for (name, want) in [(INDEX, meta.index_bytes), (CHUNKS, meta.chunk_bytes)] {
            let path = dir.join(name);
            let size = std::fs::metadata(&path)
                .map_err(|e| Error::io("read", &path, e))?
                .len();
            if size != want {
                return Err(Error::corrupt(
                    &path,
                    format!("it has {size} bytes instead of {want}"),
                ));
            }
        }
        Ok(Block {
            meta,
            dir: dir.to_owned(),
            chunks,
            broken: AtomicBool::new(false),
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.meta.index_bytes + self.meta.chunk_bytes
    }

    pub(crate) fn overlaps(&self, start: i64, end: i64) -> bool {
        self.meta.min_t <= end && self.meta.max_t >= start
    }

    pub(crate) fn index(&self, cache: &IndexCache) -> Result<Arc<Index>> {
        cache.get(self.meta.seq, &self.dir.join(INDEX))
    }

    /// Reads the index past the cache.
    pub(crate) fn load_index(&self) -> Result<Index> {
        Index::load(&self.dir.join(INDEX))
    }

    /// True for the first caller only.
    pub(crate) fn mark_broken(&self) -> bool {
        !self.broken.swap(true, Ordering::Relaxed)
    }

    /// Appends the samples of the given chunks in `start..=end`. Damaged chunks are left out; their
    /// number is returned. A failing disk is an error.
    pub(crate) fn read(
        &self,
        chunks: &[ChunkRef],
        start: i64,
        end: i64,
        out: &mut Vec<(i64, f64)>,
    ) -> Result<u64> {
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else {
            return Ok(0);
        };
        let stop = last.offset + (last.len + layout::CRC) as u64;
        if stop > self.meta.chunk_bytes || first.offset > stop {
            return Ok(chunks.len() as u64);
        }
        let mut bytes = vec![0u8; usize::try_from(stop - first.offset).unwrap_or(0)];
        self.chunks
            .read_exact_at(&mut bytes, first.offset)
            .map_err(|e| Error::io("read", &self.dir.join(CHUNKS), e))?;
        let mut damaged = 0;
        for chunk in chunks {
            let at = usize::try_from(chunk.offset - first.offset).unwrap_or(usize::MAX);
            let sound = checked(&bytes, at, chunk.len)
                .is_some_and(|data| chunk::decode_range(data, start, end, out).is_ok());
            damaged += u64::from(!sound);
        }
        Ok(damaged)
    }
}

/// The chunk's bytes, if their checksum fits.
fn checked(bytes: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    let data = bytes.get(at..at.checked_add(len)?)?;
    let crc = bytes.get(at + len..at + len + layout::CRC)?;
    (crc == crc32fast::hash(data).to_le_bytes()).then_some(data)
}

/// What the blocks folder held at the start.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) blocks: Vec<Arc<Block>>,
    pub(crate) next_seq: u64,
}

/// Opens all blocks: removes leftovers and replaced blocks, puts damaged ones aside.
pub(crate) fn open_all(blocks_dir: &Path, faults: &FaultHook, counters: &Counters) -> Result<Found> {
    let mut blocks = Vec::new();
    let mut next_seq = 1;
    for name in disk::list(blocks_dir)? {
        let dir = blocks_dir.join(&name);
        if name.starts_with("tmp-") {
            report(disk::remove_dir(&dir), counters);
            continue;
        }
        let (is_aside, block) = match name.strip_prefix("bad-") {
            Some(block) => (true, block),
            None => (false, name.as_str()),
        };
        let Some(seq) = block.strip_prefix('b').and_then(|s| s.parse::<u64>().ok()) else {
            continue;
        };
        next_seq = next_seq.max(seq + 1);
        if is_aside {
            continue;
        }
        match Block::open(&dir) {
            Ok(block) => blocks.push(Arc::new(block)),
            Err(e) if e.is_denied() => return Err(e),
            Err(e) => put_aside(blocks_dir, &name, &e, counters),
        }
    }
    let replaced: BTreeSet<u64> = blocks
        .iter()
        .flat_map(|b| b.meta.parents.iter().copied())
        .collect();
    for block in blocks.extract_if(.., |b| replaced.contains(&b.meta.seq)) {
        report(delete(blocks_dir, &block, faults), counters);
    }
    sort(&mut blocks);
    Ok(Found { blocks, next_seq })
}

/// Leftovers that cannot be deleted cost space only.
fn report(deleted: Result<()>, counters: &Counters) {
    if let Err(e) = deleted {
        counters.notice(format!("a leftover of the metric store stays on disk: {e}"));
    }
}

/// Oldest data first: the order in which readers merge.
pub(crate) fn sort(blocks: &mut [Arc<Block>]) {
    blocks.sort_by_key(|b| (b.meta.rank, b.meta.seq));
}

/// Deletes a block's folder so that a crash leaves either all of it or a `tmp-…` folder.
pub(crate) fn delete(blocks_dir: &Path, block: &Block, faults: &FaultHook) -> Result<()> {
    let tmp = tmp_path(blocks_dir, block.meta.seq);
    faults.at("delete block", &block.dir)?;
    disk::remove_dir(&tmp)?;
    if !block.dir.exists() {
        // An earlier try came as far as the renaming.
        return Ok(());
    }
    disk::rename(&block.dir, &tmp)?;
    faults.at("delete block files", &tmp)?;
    disk::remove_dir(&tmp)
}

fn put_aside(blocks_dir: &Path, name: &str, why: &Error, counters: &Counters) {
    counters.block_corruptions.add(1);
    let aside = blocks_dir.join(format!("bad-{name}"));
    // A disk that fails to read now may succeed later: only what is surely damaged moves.
    let moved = why.is_damage() && std::fs::rename(blocks_dir.join(name), &aside).is_ok();
    counters.notice(format!(
        "metric block {name} cannot be used and its samples are missing from queries: {why}{}",
        if moved {
            format!(
                "; it was put aside as {}, restore it from a backup or delete it",
                aside.display()
            )
        } else {
            String::new()
        }
    ));
}

pub(crate) fn block_path(blocks_dir: &Path, seq: u64) -> PathBuf {
    blocks_dir.join(format!("b{seq:010}"))
}

fn tmp_path(blocks_dir: &Path, seq: u64) -> PathBuf {
    blocks_dir.join(format!("tmp-{seq:010}"))
}
