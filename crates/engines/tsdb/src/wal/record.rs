//! What a log record holds: the labels of series that this segment has not named yet, and samples.
//!
//! A frame is `magic u32 | length u32 | crc32 u32 | payload` (little endian), the checksum over length
//! and payload. A payload is one byte of encoding (0 plain, 1 snappy block), then: count of definitions,
//! each reference + count of labels + names and values; count of samples, each reference and time as
//! zigzag differences from the previous sample, and the value's 8 bytes.

use crate::labels::Labels;
use crate::sample::Sample;
use crate::varint::{Reader, Short, put_str, put_uvarint, zigzag};

/// Begins each frame; lets a reader find the next frame after damage.
pub(crate) const MAGIC: [u8; 4] = [0xd7, 0x4d, 0x57, 0x1b];
pub(crate) const FRAME_HEADER: usize = 12;
/// Longer payloads are not written, so a larger length is damage.
pub(crate) const MAX_PAYLOAD: usize = 16 << 20;

const SPLIT_AT: usize = 4 << 20;
const COMPRESS_FROM: usize = 256;

/// Encodes the samples of a group of appends into frames.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    frames: Vec<u8>,
    defs: Vec<u8>,
    def_count: u64,
    samples: Vec<u8>,
    sample_count: u64,
    prev: (u64, i64),
}

impl Encoder {
    /// Adds the labels behind a reference; before the first sample of it in a segment.
    pub(crate) fn define(&mut self, id: u64, labels: &Labels) {
        self.split_if_long();
        put_uvarint(&mut self.defs, id);
        put_uvarint(&mut self.defs, labels.len() as u64);
        for (name, value) in labels.iter() {
            put_str(&mut self.defs, name);
            put_str(&mut self.defs, value);
        }
        self.def_count += 1;
    }

    /// Adds a sample.
    pub(crate) fn sample(&mut self, id: u64, s: Sample) {
        self.split_if_long();
        put_uvarint(&mut self.samples, zigzag(id.wrapping_sub(self.prev.0) as i64));
        put_uvarint(&mut self.samples, zigzag(s.t_ms.wrapping_sub(self.prev.1)));
        self.samples.extend_from_slice(&s.v.to_bits().to_le_bytes());
        self.prev = (id, s.t_ms);
        self.sample_count += 1;
    }

    /// All frames.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.end_record();
        self.frames
    }

    fn split_if_long(&mut self) {
        if self.defs.len() + self.samples.len() >= SPLIT_AT {
            self.end_record();
        }
    }

    fn end_record(&mut self) {
        if self.def_count + self.sample_count == 0 {
            return;
        }
        let mut plain = Vec::with_capacity(20 + self.defs.len() + self.samples.len());
        put_uvarint(&mut plain, self.def_count);
        plain.append(&mut self.defs);
        put_uvarint(&mut plain, self.sample_count);
        plain.append(&mut self.samples);
        self.def_count = 0;
        self.sample_count = 0;
        self.prev = (0, 0);
        self.frame(&plain);
    }

    fn frame(&mut self, plain: &[u8]) {
        let packed = (plain.len() >= COMPRESS_FROM)
            .then(|| snap::raw::Encoder::new().compress_vec(plain).ok())
            .flatten()
            .filter(|packed| packed.len() < plain.len());
        let (encoding, body) = match &packed {
            Some(packed) => (1u8, packed.as_slice()),
            None => (0u8, plain),
        };
        let length = u32::try_from(body.len() + 1).unwrap_or(u32::MAX).to_le_bytes();
        let mut crc = crc32fast::Hasher::new();
        crc.update(&length);
        crc.update(&[encoding]);
        crc.update(body);
        self.frames.extend_from_slice(&MAGIC);
        self.frames.extend_from_slice(&length);
        self.frames.extend_from_slice(&crc.finalize().to_le_bytes());
        self.frames.push(encoding);
        self.frames.extend_from_slice(body);
    }
}

/// The payload of the frame at the front of `bytes`, if a whole and sound one is there.
pub(crate) fn frame_at(bytes: &[u8]) -> Option<&[u8]> {
    let mut r = Reader::new(bytes);
    if r.take(4).ok()? != MAGIC {
        return None;
    }
    let length = r.u32().ok()?;
    let crc = r.u32().ok()?;
    let payload = usize::try_from(length)
        .ok()
        .filter(|n| (1..=MAX_PAYLOAD).contains(n))?;
    let payload = r.take(payload).ok()?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    (hasher.finalize() == crc).then_some(payload)
}

/// One entry of a record.
#[derive(Debug)]
pub(crate) enum Entry {
    Define(u64, Labels),
    Sample(u64, Sample),
}

/// Calls `visit` with the entries of a payload.
pub(crate) fn decode(payload: &[u8], visit: &mut dyn FnMut(Entry)) -> Result<(), Short> {
    let (encoding, body) = payload.split_first().ok_or(Short)?;
    let unpacked;
    let plain = match encoding {
        0 => body,
        1 => {
            if snap::raw::decompress_len(body).map_err(|_| Short)? > MAX_PAYLOAD {
                return Err(Short);
            }
            unpacked = snap::raw::Decoder::new()
                .decompress_vec(body)
                .map_err(|_| Short)?;
            &unpacked
        }
        _ => return Err(Short),
    };
    let mut r = Reader::new(plain);
    for _ in 0..r.count()? {
        let id = r.uvarint()?;
        let mut pairs = Vec::new();
        for _ in 0..r.count()? {
            pairs.push((r.str()?, r.str()?));
        }
        visit(Entry::Define(id, Labels::from_pairs(pairs)));
    }
    let (mut id, mut t_ms) = (0u64, 0i64);
    for _ in 0..r.count()? {
        id = id.wrapping_add(r.varint()? as u64);
        t_ms = t_ms.wrapping_add(r.varint()?);
        let v = f64::from_bits(r.u64()?);
        visit(Entry::Sample(id, Sample { t_ms, v }));
    }
    if r.is_empty() { Ok(()) } else { Err(Short) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(
            defs in proptest::collection::vec((any::<u64>(), "[a-z]{1,5}", "\\PC{1,9}"), 0..10),
            samples in proptest::collection::vec((any::<u64>(), any::<i64>(), any::<u64>()), 1..200),
        ) {
            let mut e = Encoder::default();
            for (id, name, value) in &defs {
                e.define(*id, &Labels::from_pairs([(name, value)]));
            }
            for (id, t_ms, v) in &samples {
                e.sample(*id, Sample { t_ms: *t_ms, v: f64::from_bits(*v) });
            }
            let frames = e.finish();
            let payload = frame_at(&frames).unwrap();
            prop_assert_eq!(payload.len() + FRAME_HEADER, frames.len());
            let (mut got_defs, mut got) = (Vec::new(), Vec::new());
            decode(payload, &mut |entry| match entry {
                Entry::Define(id, labels) => got_defs.push((id, labels)),
                Entry::Sample(id, s) => got.push((id, s.t_ms, s.v.to_bits())),
            }).unwrap();
            prop_assert_eq!(got, samples);
            prop_assert_eq!(got_defs.len(), defs.len());
        }

        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = frame_at(&bytes);
            let _ = decode(&bytes, &mut |_| {});
        }
    }
}
