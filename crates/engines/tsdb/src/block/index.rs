//! Reads a block's index from its bytes: nothing is unpacked, everything is found by position.
//!
//! The checksum of the whole index is verified when it is loaded, so a lookup that runs out of bounds
//! cannot happen; if it does, the entry counts as absent.

use std::borrow::Cow;
use std::path::Path;

use super::layout::{CRC, INDEX_MAGIC, Trailer};
use crate::disk;
use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::postings::{Ids, LabelIndex};
use crate::varint::{Reader, Short};

/// A loaded index.
#[derive(Debug)]
pub(crate) struct Index {
    bytes: Vec<u8>,
    trailer: Trailer,
}

/// Where a chunk lies and what it covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkRef {
    pub(crate) min_t: i64,
    pub(crate) max_t: i64,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

impl Index {
    pub(crate) fn load(path: &Path) -> Result<Index> {
        let bytes = disk::read_file(path)?;
        let body = bytes
            .len()
            .checked_sub(Trailer::BYTES)
            .filter(|_| bytes.starts_with(INDEX_MAGIC));
        let start = body.ok_or_else(|| Error::corrupt(path, "it is too short or of another format"))?;
        let (checked, crc) = bytes.split_at(bytes.len() - CRC);
        if crc != crc32fast::hash(checked).to_le_bytes() {
            return Err(Error::corrupt(path, "its checksum does not fit"));
        }
        let mut words = [0u64; 8];
        let mut r = Reader::new(checked.get(start..).unwrap_or(&[]));
        for word in &mut words {
            *word = r
                .u64()
                .map_err(|Short| Error::corrupt(path, "its trailer is too short"))?;
        }
        // A checksum can be right over nonsense. No section, and nothing that is counted, is larger than the file.
        if words.iter().any(|word| *word > bytes.len() as u64) {
            return Err(Error::corrupt(path, "its trailer points outside of it"));
        }
        Ok(Index {
            trailer: Trailer::from_words(words),
            bytes,
        })
    }

    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn series_count(&self) -> u64 {
        self.trailer.series_count
    }

    pub(crate) fn labels(&self, id: u64) -> Labels {
        self.read_labels(id).unwrap_or_default()
    }

    /// The chunks of a series that may hold samples in `start..=end`.
    pub(crate) fn chunks(&self, id: u64, start: i64, end: i64) -> Vec<ChunkRef> {
        let mut found = Vec::new();
        let _ = self.each_chunk(id, &mut |chunk| {
            if chunk.min_t <= end && chunk.max_t >= start {
                found.push(chunk);
            }
        });
        found
    }

    /// Whether the series may have a sample in `start..=end`.
    pub(crate) fn overlaps(&self, id: u64, start: i64, end: i64) -> bool {
        let mut any = false;
        let _ = self.each_chunk(id, &mut |c| any |= c.min_t <= end && c.max_t >= start);
        any
    }

    /// Calls `visit` with each label name.
    pub(crate) fn each_name(&self, visit: &mut dyn FnMut(&str)) {
        for i in 0..self.trailer.name_count {
            if let Some(name) = self
                .u32_at(self.trailer.names, i * 3)
                .and_then(|s| self.symbol(s))
            {
                visit(name);
            }
        }
    }

    fn read_labels(&self, id: u64) -> Option<Labels> {
        let mut r = self.entry(id)?;
        let mut pairs = Vec::new();
        for _ in 0..r.count().ok()? {
            let name = self.symbol(u32::try_from(r.uvarint().ok()?).ok()?)?;
            let value = self.symbol(u32::try_from(r.uvarint().ok()?).ok()?)?;
            pairs.push((name, value));
        }
        Some(Labels::from_sorted(pairs.into_iter()))
    }

    fn each_chunk(&self, id: u64, visit: &mut dyn FnMut(ChunkRef)) -> std::result::Result<(), Short> {
        let mut r = self.entry(id).ok_or(Short)?;
        for _ in 0..r.count()? * 2 {
            r.uvarint()?;
        }
        let count = r.count()?;
        let mut offset = r.uvarint()?;
        let mut prev = 0i64;
        for _ in 0..count {
            let min_t = prev.wrapping_add(r.varint()?);
            let max_t = min_t.wrapping_add(r.uvarint()? as i64);
            r.uvarint()?;
            let len = usize::try_from(r.uvarint()?).map_err(|_| Short)?;
            let step = len.checked_add(CRC).ok_or(Short)?;
            let next = offset.checked_add(step as u64).ok_or(Short)?;
            visit(ChunkRef {
                min_t,
                max_t,
                offset,
                len,
            });
            offset = next;
            prev = max_t;
        }
        Ok(())
    }

    fn entry(&self, id: u64) -> Option<Reader<'_>> {
        if id >= self.trailer.series_count {
            return None;
        }
        let at = self.trailer.series + u64::from(self.u32_at(self.trailer.offsets, id)?);
        self.from(at)
    }

    fn from(&self, at: u64) -> Option<Reader<'_>> {
        self.bytes.get(usize::try_from(at).ok()?..).map(Reader::new)
    }

    fn u32_at(&self, section: u64, i: u64) -> Option<u32> {
        self.from(section + i * 4)?.u32().ok()
    }

    fn symbol(&self, i: u32) -> Option<&str> {
        let section = self.trailer.symbols;
        let count = u64::from(self.u32_at(section, 0)?);
        let start = self.u32_at(section, 1 + u64::from(i))? as usize;
        let end = self.u32_at(section, 2 + u64::from(i))? as usize;
        let base = usize::try_from(section + (count + 2) * 4).ok()?;
        std::str::from_utf8(self.bytes.get(base + start..base + end)?).ok()
    }

    /// Position of the name's row in the names section.
    fn name_row(&self, name: &str) -> Option<u64> {
        self.search(0, self.trailer.name_count, name, |i| {
            self.u32_at(self.trailer.names, i * 3)
        })
    }

    /// Number of the first value of a name, and how many there are.
    fn values_of(&self, name: &str) -> Option<(u64, u64)> {
        let row = self.name_row(name)?;
        let first = self.u32_at(self.trailer.names, row * 3 + 1)?;
        let count = self.u32_at(self.trailer.names, row * 3 + 2)?;
        let (first, count) = (u64::from(first), u64::from(count));
        // Each value takes a row of eight bytes.
        ((first + count) * 8 <= self.bytes.len() as u64).then_some((first, count))
    }

    /// Binary search for `text` among the rows `low..high`, whose symbols `symbol_of` tells.
    fn search(
        &self,
        mut low: u64,
        mut high: u64,
        text: &str,
        symbol_of: impl Fn(u64) -> Option<u32>,
    ) -> Option<u64> {
        while low < high {
            let middle = low + (high - low) / 2;
            match self.symbol(symbol_of(middle)?)?.cmp(text) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn read_ids(&self, name: &str, value: &str) -> Option<Vec<u64>> {
        let (first, count) = self.values_of(name)?;
        let row = self.search(first, first + count, value, |i| {
            self.u32_at(self.trailer.values, i * 2)
        })?;
        let start = self.u32_at(self.trailer.values, row * 2 + 1)?;
        let mut r = self.from(self.trailer.postings + u64::from(start))?;
        let count = r.count().ok()?;
        let mut ids = Vec::with_capacity(count);
        let mut id = 0u64;
        for _ in 0..count {
            id = id.checked_add(r.uvarint().ok()?)?;
            ids.push(id);
        }
        Some(ids)
    }
}

impl LabelIndex for Index {
    fn all(&self) -> Ids<'_> {
        Cow::Owned((0..self.trailer.series_count).collect())
    }

    fn ids(&self, name: &str, value: &str) -> Ids<'_> {
        Cow::Owned(self.read_ids(name, value).unwrap_or_default())
    }

    fn each_value(&self, name: &str, visit: &mut dyn FnMut(&str)) {
        let Some((first, count)) = self.values_of(name) else {
            return;
        };
        for i in first..first + count {
            if let Some(value) = self
                .u32_at(self.trailer.values, i * 2)
                .and_then(|s| self.symbol(s))
            {
                visit(value);
            }
        }
    }
}
