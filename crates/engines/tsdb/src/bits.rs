//! Bit streams, most significant bit first.

/// Collects bits into bytes.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    out: Vec<u8>,
    acc: u64,
    used: u32,
}

impl BitWriter {
    pub(crate) fn after(out: Vec<u8>) -> Self {
        BitWriter { out, acc: 0, used: 0 }
    }

    /// Appends the low `bits` (1 to 64) of `value`; higher bits of `value` are ignored.
    pub(crate) fn push(&mut self, value: u64, bits: u32) {
        let value = if bits == 64 {
            value
        } else {
            value & ((1 << bits) - 1)
        };
        let free = 64 - self.used;
        if bits < free {
            self.acc = (self.acc << bits) | value;
            self.used += bits;
            return;
        }
        let rest = bits - free;
        let word = if free == 64 {
            value
        } else {
            (self.acc << free) | (value >> rest)
        };
        self.out.extend_from_slice(&word.to_be_bytes());
        self.acc = if rest == 0 { 0 } else { value & ((1 << rest) - 1) };
        self.used = rest;
    }

    /// The bytes; the last one is padded with zero bits.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.used > 0 {
            let word = (self.acc << (64 - self.used)).to_be_bytes();
            let bytes = self.used.div_ceil(8) as usize;
            self.out.extend(word.into_iter().take(bytes));
        }
        self.out
    }
}

/// Reads bits from bytes.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    rest: &'a [u8],
    /// Unread bits, left-aligned.
    acc: u64,
    have: u32,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        BitReader {
            rest,
            acc: 0,
            have: 0,
        }
    }

    pub(crate) fn bit(&mut self) -> Option<bool> {
        self.read(1).map(|b| b == 1)
    }

    /// The next `bits` (0 to 64) as a number; `None` at the end.
    pub(crate) fn read(&mut self, bits: u32) -> Option<u64> {
        if bits > 32 {
            let high = self.read_short(bits - 32)?;
            return Some((high << 32) | self.read_short(32)?);
        }
        self.read_short(bits)
    }

    fn read_short(&mut self, bits: u32) -> Option<u64> {
        if bits == 0 {
            return Some(0);
        }
        if self.have < bits {
            self.refill();
            if self.have < bits {
                return None;
            }
        }
        let value = self.acc >> (64 - bits);
        self.acc <<= bits;
        self.have -= bits;
        Some(value)
    }

    fn refill(&mut self) {
        while self.have <= 56 {
            let Some((byte, rest)) = self.rest.split_first() else {
                return;
            };
            self.acc |= u64::from(*byte) << (56 - self.have);
            self.have += 8;
            self.rest = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(items in proptest::collection::vec((any::<u64>(), 1u32..=64), 0..200)) {
            let mut w = BitWriter::default();
            for (v, bits) in &items {
                w.push(*v, *bits);
            }
            let bytes = w.finish();
            let mut r = BitReader::new(&bytes);
            for (v, bits) in &items {
                let want = if *bits == 64 { *v } else { v & ((1 << bits) - 1) };
                prop_assert_eq!(r.read(*bits), Some(want));
            }
        }
    }
}
