//! Variable-length integers and byte strings, as written in write-ahead logs and segments.
use crate::error::Malformed;

pub(crate) fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Zigzag, so that small negative numbers stay short.
pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) {
    put_u64(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads what the functions above wrote; every read is checked against the end.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for (index, byte) in self.rest.iter().enumerate() {
            if index == 9 && *byte > 1 {
                return Err(Malformed("a number is too large"));
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(Malformed("a number is cut off"))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        let raw = self.u64()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.u64()?).map_err(|_| Malformed("a number is too large"))
    }

    /// A count of things that take at least `min_bytes` each, so that a damaged count cannot ask for more
    /// memory than there are bytes.
    pub(crate) fn count(&mut self, min_bytes: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.u64()?).map_err(|_| Malformed("a count is too large"))?;
        if count > self.remaining() / min_bytes.max(1) {
            return Err(Malformed("a count is larger than the data"));
        }
        Ok(count)
    }

    pub(crate) fn str(&mut self) -> Result<&'a str, Malformed> {
        let len = self.count(1)?;
        std::str::from_utf8(self.take(len)?).map_err(|_| Malformed("a text is not UTF-8"))
    }
}

/// Snappy, with a bound on what may come out.
pub(crate) fn compress(bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
    snap::raw::Encoder::new()
        .compress_vec(bytes)
        .map_err(|_| Malformed("it is too large to compress"))
}

/// Largest block that is ever decompressed; a damaged length cannot ask for more.
pub(crate) const MAX_BLOCK_BYTES: usize = 256 << 20;

pub(crate) fn decompress(bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
    let len = snap::raw::decompress_len(bytes).map_err(|_| Malformed("a compressed block has no length"))?;
    if len > MAX_BLOCK_BYTES {
        return Err(Malformed("a compressed block claims to be too large"));
    }
    snap::raw::Decoder::new()
        .decompress_vec(bytes)
        .map_err(|_| Malformed("a compressed block does not unpack"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(a: u64, b: i64, text in ".{0,40}") {
            let mut out = Vec::new();
            put_u64(&mut out, a);
            put_i64(&mut out, b);
            put_str(&mut out, &text);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.u64(), Ok(a));
            prop_assert_eq!(reader.i64(), Ok(b));
            prop_assert_eq!(reader.str(), Ok(text.as_str()));
            prop_assert_eq!(reader.remaining(), 0);
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            let _ = reader.i64();
            let _ = reader.str();
            let _ = decompress(&bytes);
        }
    }
}
