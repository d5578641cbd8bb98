//! Lines stored column by column: the shape of head chunks, of write-ahead log frames and of segment blocks.
use crate::codec::{Reader, put_i64, put_u64};
use crate::error::Malformed;
use crate::labels::{self, Labels};
use crate::record::Position;

/// The severity byte of a line without one.
pub(crate) const NO_SEVERITY: u8 = 8;

/// Rows of equal index in every column. Stream numbers point into a table kept beside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    pub at_ms: Vec<i64>,
    pub seq: Vec<u64>,
    pub stream: Vec<u32>,
    pub severity: Vec<u8>,
    /// Where each text ends in `text`; it begins where the one before ends.
    ends: Vec<u32>,
    text: String,
}

impl Columns {
    pub(crate) fn len(&self) -> usize {
        self.at_ms.len()
    }

    pub(crate) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn push(&mut self, at: Position, stream: u32, severity: u8, text: &str) {
        self.at_ms.push(at.at_ms);
        self.seq.push(at.seq);
        self.stream.push(stream);
        self.severity.push(severity);
        self.text.push_str(text);
        // Invariant: callers keep the text of one set of columns below MAX_BLOCK_BYTES, far below u32::MAX.
        self.ends.push(self.text.len() as u32);
    }

    pub(crate) fn position(&self, row: usize) -> Position {
        Position::new(self.at_ms[row], self.seq[row])
    }

    pub(crate) fn text(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.text[start..self.ends[row] as usize]
    }

    pub(crate) fn all_text(&self) -> &str {
        &self.text
    }

    /// Everything but the text.
    pub(crate) fn encode_meta(&self, out: &mut Vec<u8>) {
        put_u64(out, self.len() as u64);
        let mut last = 0i64;
        for at_ms in &self.at_ms {
            put_i64(out, at_ms.wrapping_sub(last));
            last = *at_ms;
        }
        let mut last = 0u64;
        for seq in &self.seq {
            put_i64(out, seq.wrapping_sub(last) as i64);
            last = *seq;
        }
        for stream in &self.stream {
            put_u64(out, u64::from(*stream));
        }
        out.extend_from_slice(&self.severity);
        let mut last = 0;
        for end in &self.ends {
            put_u64(out, u64::from(end - last));
            last = *end;
        }
    }

    /// Reads what `encode_meta` wrote. Stream numbers must be below `streams`.
    pub(crate) fn decode_meta(reader: &mut Reader<'_>, streams: usize) -> Result<Self, Malformed> {
        let rows = reader.count(5)?;
        let mut columns = Columns::default();
        let mut last = 0i64;
        for _ in 0..rows {
            last = last.wrapping_add(reader.i64()?);
            columns.at_ms.push(last);
        }
        let mut last = 0u64;
        for _ in 0..rows {
            last = last.wrapping_add(reader.i64()? as u64);
            columns.seq.push(last);
        }
        for _ in 0..rows {
            let stream = reader.u32()?;
            if stream as usize >= streams {
                return Err(Malformed("a line belongs to a stream that is not listed"));
            }
            columns.stream.push(stream);
        }
        columns.severity = reader.take(rows)?.to_vec();
        if columns.severity.iter().any(|severity| *severity > NO_SEVERITY) {
            return Err(Malformed("a line has an unknown severity"));
        }
        let mut last = 0u32;
        for _ in 0..rows {
            last = last
                .checked_add(reader.u32()?)
                .ok_or(Malformed("the texts are too long"))?;
            columns.ends.push(last);
        }
        Ok(columns)
    }

    /// Adds the text to columns that came from `decode_meta`.
    pub(crate) fn attach_text(&mut self, text: Vec<u8>) -> Result<(), Malformed> {
        let text = String::from_utf8(text).map_err(|_| Malformed("the lines are not UTF-8"))?;
        if self.ends.last().map_or(0, |end| *end as usize) != text.len() {
            return Err(Malformed("the lines and their lengths differ"));
        }
        if !self.ends.iter().all(|end| text.is_char_boundary(*end as usize)) {
            return Err(Malformed("a line ends within a character"));
        }
        self.text = text;
        Ok(())
    }
}

/// What one append brings: its lines and the streams they name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub streams: Vec<Labels>,
    pub columns: Columns,
}

impl Batch {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::with_capacity(self.columns.text_bytes() + self.columns.len() * 8 + 64);
        labels::encode_all(&self.streams, &mut out);
        self.columns.encode_meta(&mut out);
        out.extend_from_slice(self.columns.all_text().as_bytes());
        crate::codec::compress(&out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let raw = crate::codec::decompress(bytes)?;
        let mut reader = Reader::new(&raw);
        let streams = labels::decode_all(&mut reader)?;
        let mut columns = Columns::decode_meta(&mut reader, streams.len())?;
        let rest = reader.remaining();
        columns.attach_text(reader.take(rest)?.to_vec())?;
        Ok(Batch { streams, columns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_batch_comes_back(rows in proptest::collection::vec((any::<i64>(), 0u32..2, 0u8..9, "\\PC{0,20}"), 0..30)) {
            let mut batch = Batch { streams: vec![Labels::new([("a", "b")]), Labels::default()], columns: Columns::default() };
            for (seq, (at_ms, stream, severity, text)) in rows.iter().enumerate() {
                batch.columns.push(Position::new(*at_ms, seq as u64), *stream, *severity, text);
            }
            let bytes = batch.encode().unwrap();
            prop_assert_eq!(Batch::decode(&bytes), Ok(batch));
        }

        #[test]
        fn damaged_batches_never_panic(mut raw in proptest::collection::vec(any::<u8>(), 0..80), valid_start: bool) {
            if valid_start {
                raw.splice(0..0, [1, 1, 1, b'a', 1, b'b', 2]);
            }
            let _ = Batch::decode(&crate::codec::compress(&raw).unwrap());
            let _ = Batch::decode(&raw);
        }
    }
}
