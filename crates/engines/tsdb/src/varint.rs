//! Variable-length integers and a bounds-checked reader for formats on disk.

/// Bytes ended before the value did, or the value does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Short;

pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push((v as u8) | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

pub(crate) fn put_str(out: &mut Vec<u8>, s: &str) {
    put_uvarint(out, s.len() as u64);
    out.extend_from_slice(s.as_bytes());
}

pub(crate) fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

pub(crate) fn unzigzag(v: u64) -> i64 {
    ((v >> 1) as i64) ^ -((v & 1) as i64)
}

/// Reads from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Reader { rest }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Short> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(Short)?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn uvarint(&mut self) -> Result<u64, Short> {
        let mut v = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(Short)?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Short);
            }
            v |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(v);
            }
        }
        Err(Short)
    }

    pub(crate) fn varint(&mut self) -> Result<i64, Short> {
        self.uvarint().map(unzigzag)
    }

    /// A count or length that cannot exceed the bytes that are left (each item takes one at least).
    pub(crate) fn count(&mut self) -> Result<usize, Short> {
        let n = usize::try_from(self.uvarint()?).map_err(|_| Short)?;
        if n > self.rest.len() { Err(Short) } else { Ok(n) }
    }

    pub(crate) fn str(&mut self) -> Result<&'a str, Short> {
        let n = self.count()?;
        std::str::from_utf8(self.take(n)?).map_err(|_| Short)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Short> {
        self.take(4)?
            .try_into()
            .map(u32::from_le_bytes)
            .map_err(|_| Short)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Short> {
        self.take(8)?
            .try_into()
            .map(u64::from_le_bytes)
            .map_err(|_| Short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(v in any::<u64>(), s in any::<i64>()) {
            let mut out = Vec::new();
            put_uvarint(&mut out, v);
            put_uvarint(&mut out, zigzag(s));
            let mut r = Reader::new(&out);
            prop_assert_eq!(r.uvarint(), Ok(v));
            prop_assert_eq!(r.varint(), Ok(s));
            prop_assert!(r.is_empty());
            prop_assert_eq!(r.uvarint(), Err(Short));
        }

        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut r = Reader::new(&bytes);
            while r.str().is_ok() && !r.is_empty() {}
            prop_assert!(r.len() <= bytes.len());
        }
    }
}
