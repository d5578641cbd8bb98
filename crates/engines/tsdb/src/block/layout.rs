//! Where things lie in a block's two data files; writer and reader share it.
//!
//! `chunks`: 8 bytes magic, then per series its chunks in order of time, each followed by its CRC-32.
//!
//! `index`: 8 bytes magic, then these sections, then the trailer. Numbers are u32 little endian.
//! - symbols: count, count + 1 offsets, the distinct names and values in order, back to back;
//! - series: per series in the order of labels: varint count of labels, pairs of symbol numbers,
//!   varint count of chunks, offset of the first one, per chunk zigzag distance of its first time from
//!   the previous chunk's last, length in time, count of samples, bytes;
//! - offsets: per series where its entry starts in the series section;
//! - postings: per label pair a varint count and the ids as differences;
//! - names: per label name its symbol, its first value's number, its count of values;
//! - values: per value, grouped by name, its symbol and where its ids start in the postings section;
//! - trailer: the start of each section and the counts as u64, then the CRC-32 of all that precedes.

pub(super) const CHUNKS_MAGIC: &[u8; 8] = b"MSTCHK01";
pub(super) const INDEX_MAGIC: &[u8; 8] = b"MSTIDX01";
pub(super) const CRC: usize = 4;

/// The trailer of an index.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trailer {
    pub(super) symbols: u64,
    pub(super) series: u64,
    pub(super) offsets: u64,
    pub(super) postings: u64,
    pub(super) names: u64,
    pub(super) values: u64,
    pub(super) series_count: u64,
    pub(super) name_count: u64,
}

impl Trailer {
    /// Bytes on disk, checksum included.
    pub(super) const BYTES: usize = 8 * 8 + CRC;

    pub(super) fn to_words(self) -> [u64; 8] {
        [
            self.symbols,
            self.series,
            self.offsets,
            self.postings,
            self.names,
            self.values,
            self.series_count,
            self.name_count,
        ]
    }

    pub(super) fn from_words(w: [u64; 8]) -> Self {
        let [
            symbols,
            series,
            offsets,
            postings,
            names,
            values,
            series_count,
            name_count,
        ] = w;
        Trailer {
            symbols,
            series,
            offsets,
            postings,
            names,
            values,
            series_count,
            name_count,
        }
    }
}
