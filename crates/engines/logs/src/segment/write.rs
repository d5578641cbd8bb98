//! Writes the lines of a frozen head as a segment.
use super::{BlockMeta, MAGIC, Part, path};
use crate::codec::{compress, put_i64, put_u64};
use crate::columns::Columns;
use crate::error::{IoContext, Malformed, Result};
use crate::head::Frozen;
use crate::labels;
use crate::record::Position;
use crate::trigram::FilterBuilder;
use crate::wal::sync_dir;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A block is closed at this many bytes of text or rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockLimits {
    pub bytes: usize,
    pub rows: usize,
}

/// Writes, syncs and names the file; what was there under a temporary name is overwritten.
pub(crate) fn write(dir: &Path, head: &Frozen, sealed_ms: i64, limits: BlockLimits) -> Result<PathBuf> {
    let target = path(dir, head.generation);
    let partial = target.with_extension("tmp");
    let file = File::create(&partial).at("create the segment", &partial)?;
    let mut out = Output {
        file: BufWriter::new(file),
        path: &partial,
        offset: 0,
    };
    out.put(MAGIC)?;
    let blocks = write_blocks(&mut out, head, limits)?;
    out.put(&footer(sealed_ms, head, &blocks))?;
    let file = out
        .file
        .into_inner()
        .map_err(|error| error.into_error())
        .at("write the segment", &partial)?;
    file.sync_all().at("sync the segment", &partial)?;
    std::fs::rename(&partial, &target).at("name the segment", &target)?;
    sync_dir(dir)?;
    Ok(target)
}

struct Output<'a> {
    file: BufWriter<File>,
    path: &'a Path,
    offset: u64,
}

impl Output<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<Part> {
        self.file.write_all(bytes).at("write the segment", self.path)?;
        self.offset += bytes.len() as u64;
        Ok(Part {
            len: bytes.len() as u32,
            crc: crc32fast::hash(bytes),
        })
    }
}

fn write_blocks(out: &mut Output<'_>, head: &Frozen, limits: BlockLimits) -> Result<Vec<BlockMeta>> {
    let mut order: Vec<(Position, u32, u32)> = Vec::with_capacity(head.rows as usize);
    for (chunk_index, chunk) in head.chunks.iter().enumerate() {
        for row in 0..chunk.columns.len() {
            order.push((chunk.columns.position(row), chunk_index as u32, row as u32));
        }
    }
    order.sort_unstable();
    let mut filters = FilterBuilder::new();
    let mut blocks = Vec::new();
    let mut columns = Columns::default();
    for (position, chunk, row) in order {
        let source = &head.chunks[chunk as usize].columns;
        let row = row as usize;
        filters.add(source.text(row));
        columns.push(
            position,
            source.stream[row],
            source.severity[row],
            source.text(row),
        );
        if columns.len() >= limits.rows || columns.text_bytes() >= limits.bytes {
            blocks.push(write_block(out, &columns, &mut filters)?);
            columns = Columns::default();
        }
    }
    if columns.len() > 0 {
        blocks.push(write_block(out, &columns, &mut filters)?);
    }
    Ok(blocks)
}

fn write_block(out: &mut Output<'_>, columns: &Columns, filters: &mut FilterBuilder) -> Result<BlockMeta> {
    let in_file = |error: Malformed| error.in_file(out.path);
    let text = compress(columns.all_text().as_bytes()).map_err(in_file)?;
    let mut meta = Vec::new();
    columns.encode_meta(&mut meta);
    let meta = compress(&meta).map_err(in_file)?;
    let offset = out.offset;
    let text = out.put(&text)?;
    let meta = out.put(&meta)?;
    let filter = out.put(filters.finish().as_bytes())?;
    let mut streams = columns.stream.clone();
    streams.sort_unstable();
    streams.dedup();
    Ok(BlockMeta {
        offset,
        text,
        columns: meta,
        filter,
        rows: columns.len() as u32,
        first: columns.position(0),
        last: columns.position(columns.len() - 1),
        severities: columns
            .severity
            .iter()
            .fold(0, |mask, severity| mask | 1 << severity),
        streams,
    })
}

fn footer(sealed_ms: i64, head: &Frozen, blocks: &[BlockMeta]) -> Vec<u8> {
    let mut out = Vec::new();
    put_u64(&mut out, head.generation);
    put_i64(&mut out, sealed_ms);
    labels::encode_all(&head.streams, &mut out);
    put_u64(&mut out, blocks.len() as u64);
    for block in blocks {
        put_u64(&mut out, block.offset);
        for part in [block.text, block.columns, block.filter] {
            put_u64(&mut out, u64::from(part.len));
            put_u64(&mut out, u64::from(part.crc));
        }
        put_u64(&mut out, u64::from(block.rows));
        for position in [block.first, block.last] {
            put_i64(&mut out, position.at_ms);
            put_u64(&mut out, position.seq);
        }
        put_u64(&mut out, u64::from(block.severities));
        put_u64(&mut out, block.streams.len() as u64);
        let mut last = 0;
        for stream in &block.streams {
            put_u64(&mut out, u64::from(stream - last));
            last = *stream;
        }
    }
    let (len, crc) = (out.len() as u32, crc32fast::hash(&out));
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(MAGIC);
    out
}
