//! Reads segments: the footer on open, single blocks later. Every part is checked against its CRC.
use super::{BlockMeta, MAGIC, Part, Segment, TRAILER_BYTES};
use crate::codec::{Reader, decompress};
use crate::columns::Columns;
use crate::error::{Error, IoContext, Malformed, Result};
use crate::labels;
use crate::record::Position;
use crate::trigram::Filter;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

impl Segment {
    /// Reads the footer. `Error::Damaged` means that the file is not a whole segment.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let damaged = |error: Malformed| error.in_file(path);
        let file = File::open(path).at("open the segment", path)?;
        let file_bytes = file.metadata().at("look at the segment", path)?.len();
        let footer = footer_bytes(&file, file_bytes)
            .at("read the segment", path)?
            .map_err(damaged)?;
        let mut segment = decode_footer(&footer, file_bytes).map_err(damaged)?;
        segment.path = path.to_path_buf();
        Ok(segment)
    }

    /// Opens the file for reading blocks.
    pub(crate) fn open(&self) -> Result<OpenSegment<'_>> {
        Ok(OpenSegment {
            segment: self,
            file: File::open(&self.path).at("open the segment", &self.path)?,
        })
    }
}

fn footer_bytes(file: &File, file_bytes: u64) -> std::io::Result<std::result::Result<Vec<u8>, Malformed>> {
    let smallest = (MAGIC.len() + TRAILER_BYTES) as u64;
    if file_bytes < smallest {
        return Ok(Err(Malformed("it is too short")));
    }
    let mut trailer = [0u8; TRAILER_BYTES];
    file.read_exact_at(&mut trailer, file_bytes - TRAILER_BYTES as u64)?;
    if &trailer[8..] != MAGIC {
        return Ok(Err(Malformed("it does not end as a segment does")));
    }
    let len = u64::from(u32::from_le_bytes([
        trailer[0], trailer[1], trailer[2], trailer[3],
    ]));
    if len > file_bytes - smallest {
        return Ok(Err(Malformed("its footer is longer than the file")));
    }
    let mut footer = vec![0; len as usize];
    file.read_exact_at(&mut footer, file_bytes - TRAILER_BYTES as u64 - len)?;
    if crc32fast::hash(&footer).to_le_bytes() != trailer[4..8] {
        return Ok(Err(Malformed("the footer's checksum does not fit")));
    }
    Ok(Ok(footer))
}

fn decode_footer(bytes: &[u8], file_bytes: u64) -> std::result::Result<Segment, Malformed> {
    let mut reader = Reader::new(bytes);
    let generation = reader.u64()?;
    let sealed_ms = reader.i64()?;
    let streams = labels::decode_all(&mut reader)?;
    let count = reader.count(10)?;
    let blocks = (0..count).map(|_| decode_block(&mut reader, streams.len(), file_bytes));
    let blocks = blocks.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Segment {
        generation,
        path: Default::default(),
        file_bytes,
        sealed_ms,
        streams: Arc::new(streams),
        blocks,
        retired: AtomicBool::new(false),
    })
}

fn decode_block(
    reader: &mut Reader<'_>,
    stream_count: usize,
    file_bytes: u64,
) -> std::result::Result<BlockMeta, Malformed> {
    let offset = reader.u64()?;
    let mut parts = [Part::default(); 3];
    for part in &mut parts {
        *part = Part {
            len: reader.u32()?,
            crc: reader.u32()?,
        };
    }
    let [text, columns, filter] = parts;
    let len: u64 = parts.iter().map(|part| u64::from(part.len)).sum();
    if offset.checked_add(len).is_none_or(|end| end > file_bytes) {
        return Err(Malformed("a block lies outside of the file"));
    }
    let rows = reader.u32()?;
    let first = Position::new(reader.i64()?, reader.u64()?);
    let last = Position::new(reader.i64()?, reader.u64()?);
    let severities = u16::try_from(reader.u64()?).map_err(|_| Malformed("a block has unknown severities"))?;
    let mut streams = Vec::new();
    let mut stream = 0u32;
    for _ in 0..reader.count(1)? {
        stream = stream
            .checked_add(reader.u32()?)
            .ok_or(Malformed("a stream number is too large"))?;
        streams.push(stream);
    }
    if streams.iter().any(|stream| *stream as usize >= stream_count) {
        return Err(Malformed("a block names a stream that is not listed"));
    }
    Ok(BlockMeta {
        offset,
        text,
        columns,
        filter,
        rows,
        first,
        last,
        severities,
        streams,
    })
}

/// A segment with its file open.
#[derive(Debug)]
pub(crate) struct OpenSegment<'a> {
    segment: &'a Segment,
    file: File,
}

impl OpenSegment<'_> {
    pub(crate) fn filter(&self, block: &BlockMeta) -> Result<Filter> {
        let offset = block.offset + u64::from(block.text.len) + u64::from(block.columns.len);
        let bytes = self.part(offset, block.filter)?;
        Filter::from_bytes(bytes).ok_or_else(|| self.damaged(Malformed("a filter has a wrong length")))
    }

    /// The rows of a block; their texts only when `with_text`.
    pub(crate) fn columns(&self, block: &BlockMeta, with_text: bool) -> Result<Columns> {
        let offset = block.offset + u64::from(block.text.len);
        let meta = self.unpacked(offset, block.columns)?;
        let decoded = Columns::decode_meta(&mut Reader::new(&meta), self.segment.streams.len());
        let mut columns = decoded.map_err(|error| self.damaged(error))?;
        if with_text {
            let text = self.unpacked(block.offset, block.text)?;
            columns.attach_text(text).map_err(|error| self.damaged(error))?;
        }
        Ok(columns)
    }

    fn unpacked(&self, offset: u64, part: Part) -> Result<Vec<u8>> {
        decompress(&self.part(offset, part)?).map_err(|error| self.damaged(error))
    }

    fn part(&self, offset: u64, part: Part) -> Result<Vec<u8>> {
        let mut bytes = vec![0; part.len as usize];
        self.file
            .read_exact_at(&mut bytes, offset)
            .at("read the segment", &self.segment.path)?;
        if crc32fast::hash(&bytes) != part.crc {
            return Err(self.damaged(Malformed("the checksum of a block does not fit")));
        }
        Ok(bytes)
    }

    fn damaged(&self, error: Malformed) -> Error {
        error.in_file(&self.segment.path)
    }
}
