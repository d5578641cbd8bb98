//! Case folding, and the filter that tells which blocks cannot hold a text.
//!
//! A block's filter is a bitmap over hashed trigrams (three consecutive bytes of the folded line). A text that
//! is searched for has all its trigrams in any line that holds it, so one unset bit rules the block out. One
//! hash per trigram is enough because a text brings many trigrams.

/// Bits per distinct trigram: about a fifth of the bits is set, six trigrams err once in 15,000 blocks.
const BITS_PER_TRIGRAM: usize = 4;
const MIN_BITS: usize = 1 << 9;
const MAX_BITS: usize = 1 << 19;

/// Folds each character by itself, so that a part of a text folds to a part of the folded text.
pub(crate) fn fold_into(text: &str, out: &mut String) {
    out.clear();
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
}

pub(crate) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}

fn trigrams(folded: &str) -> impl Iterator<Item = u32> {
    folded
        .as_bytes()
        .windows(3)
        .map(|three| u32::from_be_bytes([0, three[0], three[1], three[2]]))
}

/// The bitmap of one block. Its length is a power of two of bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    bits: Vec<u8>,
}

impl Filter {
    fn slot(&self, trigram: u32) -> (usize, u8) {
        let width = (self.bits.len() * 8).trailing_zeros();
        let bit = trigram.wrapping_mul(0x9E37_79B1) >> (32 - width);
        ((bit / 8) as usize, 1 << (bit % 8))
    }

    /// False means that no line of the block holds the folded text.
    pub(crate) fn may_contain(&self, folded: &str) -> bool {
        trigrams(folded).all(|trigram| {
            let (byte, mask) = self.slot(trigram);
            self.bits[byte] & mask != 0
        })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bits
    }

    /// None when the length is not that of a filter.
    pub(crate) fn from_bytes(bits: Vec<u8>) -> Option<Self> {
        let count = bits.len() * 8;
        (count.is_power_of_two() && (MIN_BITS..=MAX_BITS).contains(&count)).then_some(Filter { bits })
    }
}

/// Makes filters, one block after the other, with reused memory.
pub(crate) struct FilterBuilder {
    seen: Vec<u64>,
    distinct: Vec<u32>,
    folded: String,
}

impl FilterBuilder {
    pub(crate) fn new() -> Self {
        FilterBuilder {
            seen: vec![0; (1 << 24) / 64],
            distinct: Vec::new(),
            folded: String::new(),
        }
    }

    pub(crate) fn add(&mut self, line: &str) {
        fold_into(line, &mut self.folded);
        for trigram in trigrams(&self.folded) {
            let (word, mask) = ((trigram / 64) as usize, 1u64 << (trigram % 64));
            if self.seen[word] & mask == 0 {
                self.seen[word] |= mask;
                self.distinct.push(trigram);
            }
        }
    }

    /// The filter of what was added since the last call.
    pub(crate) fn finish(&mut self) -> Filter {
        let bits = (self.distinct.len() * BITS_PER_TRIGRAM)
            .next_power_of_two()
            .clamp(MIN_BITS, MAX_BITS);
        let mut filter = Filter {
            bits: vec![0; bits / 8],
        };
        for trigram in self.distinct.drain(..) {
            let (byte, mask) = filter.slot(trigram);
            filter.bits[byte] |= mask;
            self.seen[(trigram / 64) as usize] = 0;
        }
        filter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_part_of_a_line_is_ruled_out(lines in proptest::collection::vec("\\PC{0,30}", 1..20), pick: u16, from in 0usize..10, len in 0usize..12) {
            let mut builder = FilterBuilder::new();
            lines.iter().for_each(|line| builder.add(line));
            let filter = builder.finish();
            let line = &lines[usize::from(pick) % lines.len()];
            let part: String = line.chars().skip(from).take(len).collect();
            prop_assert!(filter.may_contain(&fold(&part)));
        }
    }

    #[test]
    fn most_foreign_words_are_ruled_out_and_blocks_do_not_mix() {
        let mut builder = FilterBuilder::new();
        for number in 0..500 {
            builder.add(&format!("request {number} served in {} ms", number * 7 % 100));
        }
        let first = builder.finish();
        builder.add("kernel: oom-killer invoked");
        let second = builder.finish();
        assert!(first.may_contain("served in"));
        assert!(!first.may_contain("oom-killer"));
        assert!(second.may_contain("oom-killer"));
        assert!(!second.may_contain("request"));
        assert_eq!(Filter::from_bytes(first.as_bytes().to_vec()), Some(first));
        assert_eq!(Filter::from_bytes(vec![0; 65]), None);
    }
}
