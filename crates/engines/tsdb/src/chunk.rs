//! The chunk codec: delta-of-delta times and XORed values (Pelkonen et al., "Gorilla: A Fast, Scalable,
//! In-Memory Time Series Database", VLDB 2015), with bit widths for millisecond times.
//!
//! A chunk is a varint count, a zigzag varint first time, 64 bits of first value, then per sample
//! - time: `0` same gap; `10`, `110`, `1110` + 14, 17, 20 bits of signed difference; `1111` + 64 bits;
//! - value: `0` same bits; `10` + the significant bits in the previous window of bits; `11` + 5 bits
//!   of leading zeros + 6 bits of length (0 means 64) + the significant bits.
//!
//! Arithmetic wraps, so any times and any value bits round-trip. Times need not increase here;
//! order is kept by the callers.

use std::sync::Arc;

use crate::bits::{BitReader, BitWriter};
use crate::sample::Sample;
use crate::varint::{Reader, put_uvarint, zigzag};

/// Bytes that are no chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chunk's bytes end too early or make no sense")]
pub struct CodecError;

/// An immutable run of compressed samples of one series.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Time of the oldest sample.
    pub min_t: i64,
    /// Time of the newest sample.
    pub max_t: i64,
    /// Number of samples.
    pub count: u32,
    /// The encoded bytes.
    pub data: Arc<[u8]>,
}

const TIME_CLASSES: [(u64, u32, u32); 3] = [(0b10, 2, 14), (0b110, 3, 17), (0b1110, 4, 20)];

impl Chunk {
    /// Encodes samples; their order is kept. `None` if there are none.
    pub fn encode(samples: &[Sample]) -> Option<Chunk> {
        let first = samples.first()?;
        let mut head = Vec::with_capacity(16 + samples.len() * 4);
        put_uvarint(&mut head, samples.len() as u64);
        put_uvarint(&mut head, zigzag(first.t_ms));
        let mut w = BitWriter::after(head);
        w.push(first.v.to_bits(), 64);
        let mut state = State::new(first.t_ms, first.v.to_bits());
        let (mut min_t, mut max_t) = (first.t_ms, first.t_ms);
        for s in samples.iter().skip(1) {
            state.write_time(&mut w, s.t_ms);
            state.write_value(&mut w, s.v.to_bits());
            min_t = min_t.min(s.t_ms);
            max_t = max_t.max(s.t_ms);
        }
        let count = u32::try_from(samples.len()).ok()?;
        Some(Chunk {
            min_t,
            max_t,
            count,
            data: w.finish().into(),
        })
    }

    /// Appends the samples in `start..=end` to `out`.
    pub fn decode_range(&self, start: i64, end: i64, out: &mut Vec<(i64, f64)>) -> Result<(), CodecError> {
        decode_range(&self.data, start, end, out)
    }

    /// Whether a sample may lie in `start..=end`.
    pub fn overlaps(&self, start: i64, end: i64) -> bool {
        self.min_t <= end && self.max_t >= start
    }
}

/// Appends the samples of an encoded chunk that lie in `start..=end` to `out`.
pub(crate) fn decode_range(
    data: &[u8],
    start: i64,
    end: i64,
    out: &mut Vec<(i64, f64)>,
) -> Result<(), CodecError> {
    let mut r = Reader::new(data);
    // Each sample after the first takes two bits at least: a larger count is a lie.
    let count = r.uvarint().map_err(|_| CodecError)?;
    if count == 0 || count > 1 + data.len() as u64 * 4 {
        return Err(CodecError);
    }
    let t = r.varint().map_err(|_| CodecError)?;
    let rest = r.take(r.len()).map_err(|_| CodecError)?;
    let mut bits = BitReader::new(rest);
    let v = bits.read(64).ok_or(CodecError)?;
    let mut state = State::new(t, v);
    if t >= start && t <= end {
        out.push((t, f64::from_bits(v)));
    }
    for _ in 1..count {
        let t = state.read_time(&mut bits).ok_or(CodecError)?;
        let v = state.read_value(&mut bits).ok_or(CodecError)?;
        if t >= start && t <= end {
            out.push((t, f64::from_bits(v)));
        }
    }
    Ok(())
}

/// What both directions remember of the previous sample.
struct State {
    t: i64,
    delta: i64,
    v: u64,
    leading: u32,
    significant: u32,
}

impl State {
    fn new(t: i64, v: u64) -> Self {
        State {
            t,
            delta: 0,
            v,
            leading: 0,
            significant: 0,
        }
    }

    fn write_time(&mut self, w: &mut BitWriter, t: i64) {
        let delta = t.wrapping_sub(self.t);
        let dod = delta.wrapping_sub(self.delta);
        self.t = t;
        self.delta = delta;
        if dod == 0 {
            w.push(0, 1);
            return;
        }
        for (tag, tag_bits, bits) in TIME_CLASSES {
            let half = 1i64 << (bits - 1);
            if (-half..half).contains(&dod) {
                w.push((tag << bits) | (dod as u64 & ((1 << bits) - 1)), tag_bits + bits);
                return;
            }
        }
        w.push(0b1111, 4);
        w.push(dod as u64, 64);
    }

    fn read_time(&mut self, r: &mut BitReader<'_>) -> Option<i64> {
        let mut ones = 0;
        while ones < 4 && r.bit()? {
            ones += 1;
        }
        let dod = match ones {
            0 => 0,
            4 => r.read(64)? as i64,
            n => {
                let (_, _, bits) = TIME_CLASSES.get(n - 1)?;
                let raw = r.read(*bits)?;
                ((raw << (64 - bits)) as i64) >> (64 - bits)
            }
        };
        self.delta = self.delta.wrapping_add(dod);
        self.t = self.t.wrapping_add(self.delta);
        Some(self.t)
    }

    fn write_value(&mut self, w: &mut BitWriter, v: u64) {
        let xor = v ^ self.v;
        self.v = v;
        if xor == 0 {
            w.push(0, 1);
            return;
        }
        let leading = xor.leading_zeros().min(31);
        let trailing = xor.trailing_zeros();
        let old_trailing = 64 - self.leading - self.significant;
        if self.significant > 0 && leading >= self.leading && trailing >= old_trailing {
            w.push(0b10, 2);
            w.push(xor >> old_trailing, self.significant);
            return;
        }
        self.leading = leading;
        self.significant = 64 - leading - trailing;
        w.push(
            (0b11 << 11) | u64::from(leading << 6) | u64::from(self.significant & 63),
            13,
        );
        w.push(xor >> trailing, self.significant);
    }

    fn read_value(&mut self, r: &mut BitReader<'_>) -> Option<u64> {
        if !r.bit()? {
            return Some(self.v);
        }
        if r.bit()? {
            self.leading = r.read(5)? as u32;
            let significant = r.read(6)? as u32;
            self.significant = if significant == 0 { 64 } else { significant };
        }
        if self.significant == 0 || self.leading + self.significant > 64 {
            return None;
        }
        let bits = r.read(self.significant)?;
        self.v ^= bits << (64 - self.leading - self.significant);
        Some(self.v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::STALE_NAN_BITS;
    use proptest::prelude::*;

    fn check(samples: &[(i64, u64)]) {
        let input: Vec<Sample> = samples
            .iter()
            .map(|(t, v)| Sample {
                t_ms: *t,
                v: f64::from_bits(*v),
            })
            .collect();
        let chunk = Chunk::encode(&input).unwrap();
        let mut out = Vec::new();
        chunk.decode_range(i64::MIN, i64::MAX, &mut out).unwrap();
        let got: Vec<(i64, u64)> = out.iter().map(|(t, v)| (*t, v.to_bits())).collect();
        assert_eq!(got, samples);
        assert_eq!(chunk.count as usize, samples.len());
        assert_eq!(Some(chunk.min_t), samples.iter().map(|s| s.0).min());
        assert_eq!(Some(chunk.max_t), samples.iter().map(|s| s.0).max());
    }

    #[test]
    fn difficult_values_come_back() {
        let values = [
            0.0f64.to_bits(),
            (-0.0f64).to_bits(),
            f64::INFINITY.to_bits(),
            f64::NEG_INFINITY.to_bits(),
            STALE_NAN_BITS,
            0x7ff8_0000_0000_0001,
            0xfff0_dead_beef_0001,
            5e-324f64.to_bits(),
            9007199254740993.0f64.to_bits(),
            0.1f64.to_bits(),
        ];
        let samples: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(i, v)| (i as i64 * 15_000, *v))
            .collect();
        check(&samples);
        check(&[(i64::MIN, 1), (i64::MAX, u64::MAX), (0, 0), (i64::MAX, 7)]);
    }

    #[test]
    fn a_regular_constant_series_takes_two_bits_a_sample() {
        let samples: Vec<Sample> = (0..120)
            .map(|i| Sample {
                t_ms: i * 15_000,
                v: 1.0,
            })
            .collect();
        assert!(Chunk::encode(&samples).unwrap().data.len() < 48);
    }

    fn near() -> impl Strategy<Value = (i64, u64)> {
        (-3_000_000i64..3_000_000, 0u64..1000).prop_map(|(t, v)| (t, (v as f64 / 100.0).to_bits()))
    }

    proptest! {
        #[test]
        fn any_bits_and_times_round_trip(
            samples in proptest::collection::vec(prop_oneof![any::<(i64, u64)>(), near()], 1..300)
        ) {
            check(&samples);
        }

        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            let _ = decode_range(&bytes, i64::MIN, i64::MAX, &mut out);
            prop_assert!(out.len() <= 1 + bytes.len() * 4);
        }
    }
}
