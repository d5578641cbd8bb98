//! Writes a block into a temporary folder and puts it in place by one rename.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::layout::{CHUNKS_MAGIC, CRC, INDEX_MAGIC, Trailer};
use super::meta::Meta;
use super::{CHUNKS, INDEX, META, block_path, tmp_path};
use crate::chunk::Chunk;
use crate::disk::{self, FaultHook};
use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::varint::{put_uvarint, zigzag};

#[derive(Debug)]
pub(crate) struct BlockWriter {
    blocks_dir: PathBuf,
    tmp: PathBuf,
    faults: FaultHook,
    chunks: BufWriter<File>,
    meta: Meta,
    series: Vec<(Labels, Vec<u8>)>,
}

impl BlockWriter {
    /// Starts block `seq`; `span` is the aligned stretch of time that it stands for.
    pub(crate) fn create(
        blocks_dir: &Path,
        seq: u64,
        span: (i64, i64),
        faults: &FaultHook,
    ) -> Result<BlockWriter> {
        let tmp = tmp_path(blocks_dir, seq);
        faults.at("create block", &tmp)?;
        disk::remove_dir(&tmp)?;
        disk::create_dir(&tmp)?;
        let path = tmp.join(CHUNKS);
        let file = File::create(&path).map_err(|e| Error::io("write", &path, e))?;
        let mut chunks = BufWriter::with_capacity(1 << 20, file);
        chunks
            .write_all(CHUNKS_MAGIC)
            .map_err(|e| Error::io("write", &path, e))?;
        let meta = Meta {
            seq,
            rank: seq,
            span,
            min_t: i64::MAX,
            max_t: i64::MIN,
            chunk_bytes: CHUNKS_MAGIC.len() as u64,
            ..Meta::default()
        };
        let (blocks_dir, faults) = (blocks_dir.to_owned(), faults.clone());
        Ok(BlockWriter {
            blocks_dir,
            tmp,
            faults,
            chunks,
            meta,
            series: Vec::new(),
        })
    }

    /// Adds a series; they must come in the order of their labels, chunks in the order of time.
    pub(crate) fn add(&mut self, labels: &Labels, chunks: &[Chunk]) -> Result<()> {
        let path = self.tmp.join(CHUNKS);
        self.faults.at("write chunks", &path)?;
        let mut entry = Vec::with_capacity(16 + chunks.len() * 8);
        put_uvarint(&mut entry, chunks.len() as u64);
        put_uvarint(&mut entry, self.meta.chunk_bytes);
        let mut prev = 0i64;
        for chunk in chunks {
            put_uvarint(&mut entry, zigzag(chunk.min_t.wrapping_sub(prev)));
            put_uvarint(&mut entry, chunk.max_t.wrapping_sub(chunk.min_t) as u64);
            put_uvarint(&mut entry, u64::from(chunk.count));
            put_uvarint(&mut entry, chunk.data.len() as u64);
            prev = chunk.max_t;
            let crc = crc32fast::hash(&chunk.data).to_le_bytes();
            let write = self
                .chunks
                .write_all(&chunk.data)
                .and_then(|()| self.chunks.write_all(&crc));
            write.map_err(|e| Error::io("write", &path, e))?;
            self.meta.chunk_bytes += (chunk.data.len() + CRC) as u64;
            self.meta.samples += u64::from(chunk.count);
            self.meta.min_t = self.meta.min_t.min(chunk.min_t);
            self.meta.max_t = self.meta.max_t.max(chunk.max_t);
        }
        self.series.push((labels.clone(), entry));
        Ok(())
    }

    /// Whether it has no series yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Gives the block up.
    pub(crate) fn discard(self) {
        let _ = disk::remove_dir(&self.tmp);
    }

    /// Makes the block durable and puts it in place. `describe` fills in what the writer does not know.
    /// On failure nothing of it stays, apart from what the next start removes.
    pub(crate) fn finish(mut self, describe: impl FnOnce(&mut Meta)) -> Result<PathBuf> {
        describe(&mut self.meta);
        let tmp = self.tmp.clone();
        self.finish_in_tmp().inspect_err(|_| {
            let _ = disk::remove_dir(&tmp);
        })
    }

    fn finish_in_tmp(mut self) -> Result<PathBuf> {
        let path = self.tmp.join(CHUNKS);
        let sync = self
            .chunks
            .flush()
            .and_then(|()| self.chunks.get_ref().sync_all());
        sync.map_err(|e| Error::io("write", &path, e))?;
        let path = self.tmp.join(INDEX);
        self.faults.at("write index", &path)?;
        let index = build_index(&self.series).map_err(|e| Error::io("write", &path, e))?;
        self.meta.index_bytes = index.len() as u64;
        self.meta.series = self.series.len() as u64;
        disk::write_file(&path, &index)?;
        let path = self.tmp.join(META);
        self.faults.at("write meta", &path)?;
        disk::write_file(&path, self.meta.to_text().as_bytes())?;
        disk::sync_dir(&self.tmp)?;
        let target = block_path(&self.blocks_dir, self.meta.seq);
        self.faults.at("rename block", &target)?;
        disk::rename(&self.tmp, &target)?;
        self.faults.at("sync blocks folder", &self.blocks_dir)?;
        disk::sync_dir(&self.blocks_dir)?;
        Ok(target)
    }
}

fn build_index(series: &[(Labels, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let mut strings = BTreeSet::new();
    let mut pairs: BTreeMap<&str, BTreeMap<&str, Vec<u64>>> = BTreeMap::new();
    for (id, (labels, _)) in series.iter().enumerate() {
        for (name, value) in labels.iter() {
            strings.insert(name);
            strings.insert(value);
            pairs
                .entry(name)
                .or_default()
                .entry(value)
                .or_default()
                .push(id as u64);
        }
    }
    let symbols: BTreeMap<&str, u32> = strings.into_iter().zip(0u32..).collect();
    let number = |s: &str| symbols.get(s).copied().unwrap_or(0);
    let mut out = INDEX_MAGIC.to_vec();
    let mut trailer = Trailer {
        series_count: series.len() as u64,
        ..Trailer::default()
    };
    trailer.symbols = out.len() as u64;
    put_symbols(&mut out, &symbols)?;
    trailer.series = out.len() as u64;
    let offsets = put_series(&mut out, series, &number)?;
    trailer.offsets = out.len() as u64;
    offsets.iter().for_each(|o| put_u32(&mut out, *o));
    trailer.postings = out.len() as u64;
    let starts = put_postings(&mut out, &pairs)?;
    trailer.names = out.len() as u64;
    trailer.name_count = pairs.len() as u64;
    let mut first = 0u32;
    for (name, values) in &pairs {
        let count = narrow(values.len())?;
        [number(name), first, count]
            .into_iter()
            .for_each(|n| put_u32(&mut out, n));
        first += count;
    }
    trailer.values = out.len() as u64;
    let values = pairs.values().flat_map(BTreeMap::keys);
    for (value, start) in values.zip(starts) {
        put_u32(&mut out, number(value));
        put_u32(&mut out, start);
    }
    trailer
        .to_words()
        .iter()
        .for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
    let crc = crc32fast::hash(&out);
    put_u32(&mut out, crc);
    Ok(out)
}

fn put_symbols(out: &mut Vec<u8>, symbols: &BTreeMap<&str, u32>) -> io::Result<()> {
    put_u32(out, narrow(symbols.len())?);
    let mut end = 0;
    put_u32(out, 0);
    for s in symbols.keys() {
        end += s.len();
        put_u32(out, narrow(end)?);
    }
    symbols.keys().for_each(|s| out.extend_from_slice(s.as_bytes()));
    Ok(())
}

fn put_series(
    out: &mut Vec<u8>,
    series: &[(Labels, Vec<u8>)],
    number: &impl Fn(&str) -> u32,
) -> io::Result<Vec<u32>> {
    let start = out.len();
    let mut offsets = Vec::with_capacity(series.len());
    for (labels, chunks) in series {
        offsets.push(narrow(out.len() - start)?);
        put_uvarint(out, labels.len() as u64);
        for (name, value) in labels.iter() {
            put_uvarint(out, u64::from(number(name)));
            put_uvarint(out, u64::from(number(value)));
        }
        out.extend_from_slice(chunks);
    }
    Ok(offsets)
}

fn put_postings(out: &mut Vec<u8>, pairs: &BTreeMap<&str, BTreeMap<&str, Vec<u64>>>) -> io::Result<Vec<u32>> {
    let start = out.len();
    let mut starts = Vec::new();
    for ids in pairs.values().flat_map(BTreeMap::values) {
        starts.push(narrow(out.len() - start)?);
        put_uvarint(out, ids.len() as u64);
        let mut prev = 0;
        for id in ids {
            put_uvarint(out, id - prev);
            prev = *id;
        }
    }
    Ok(starts)
}

fn put_u32(out: &mut Vec<u8>, v: u32) {
    out.extend_from_slice(&v.to_le_bytes());
}

fn narrow(n: usize) -> io::Result<u32> {
    u32::try_from(n).map_err(|_| io::Error::other("a section of the block's index exceeds 4 GiB"))
}
