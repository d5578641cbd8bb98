//! The `meta` file of a block: a few lines of text that an operator can read, ending in a checksum.

use std::fmt::Write as _;
use std::path::Path;

use crate::disk;
use crate::error::{Error, Result};

const FIRST_LINE: &str = "mainstay metric block 1";

/// What a block holds and where it comes from. Times in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Number of the block; never used twice.
    pub(crate) seq: u64,
    /// The lowest number among its ancestors: the order in which its data were stored.
    pub(crate) rank: u64,
    /// The aligned stretch of time that it covers, end excluded.
    pub(crate) span: (i64, i64),
    pub(crate) min_t: i64,
    pub(crate) max_t: i64,
    pub(crate) series: u64,
    pub(crate) samples: u64,
    pub(crate) index_bytes: u64,
    pub(crate) chunk_bytes: u64,
    /// Samples of log segments that are in this block and need no replay.
    pub(crate) cuts: Vec<Cut>,
    /// Blocks that this one replaces; they are deleted if a crash left them.
    pub(crate) parents: Vec<u64>,
}

/// All samples from `start` up to `end` (excluded) in segments below `below`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) below: u64,
}

impl Meta {
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        let plain = [
            ("seq", self.seq),
            ("rank", self.rank),
            ("series", self.series),
            ("samples", self.samples),
            ("index_bytes", self.index_bytes),
            ("chunk_bytes", self.chunk_bytes),
        ];
        // Writing to a String cannot fail.
        for (key, value) in plain {
            let _ = writeln!(text, "{key} {value}");
        }
        let _ = writeln!(text, "span {} {}", self.span.0, self.span.1);
        let _ = writeln!(text, "times {} {}", self.min_t, self.max_t);
        for cut in &self.cuts {
            let _ = writeln!(text, "cut {} {} {}", cut.start, cut.end, cut.below);
        }
        for parent in &self.parents {
            let _ = writeln!(text, "parent {parent}");
        }
        let crc = crc32fast::hash(text.as_bytes());
        let _ = writeln!(text, "crc {crc:08x}");
        text
    }

    pub(crate) fn read(path: &Path) -> Result<Meta> {
        let bytes = disk::read_file(path)?;
        let text = String::from_utf8(bytes).map_err(|_| Error::corrupt(path, "it is not text"))?;
        Self::parse(&text).map_err(|what| Error::corrupt(path, what))
    }

    fn parse(text: &str) -> std::result::Result<Meta, &'static str> {
        let at = text.rfind("crc ").ok_or("it has no checksum")?;
        let (body, crc) = text.split_at(at);
        let crc = u32::from_str_radix(crc.trim_start_matches("crc ").trim(), 16);
        if crc != Ok(crc32fast::hash(body.as_bytes())) {
            return Err("its checksum does not fit");
        }
        let mut lines = body.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err("it is of another format version");
        }
        let mut meta = Meta::default();
        for line in lines {
            meta.line(line).ok_or("a line makes no sense")?;
        }
        Ok(meta)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let key = words.next()?;
        let values: Vec<i128> = words.map(|w| w.parse().ok()).collect::<Option<_>>()?;
        let number = || u64::try_from(*values.first()?).ok();
        let time = |i: usize| i64::try_from(*values.get(i)?).ok();
        match key {
            "seq" => self.seq = number()?,
            "rank" => self.rank = number()?,
            "series" => self.series = number()?,
            "samples" => self.samples = number()?,
            "index_bytes" => self.index_bytes = number()?,
            "chunk_bytes" => self.chunk_bytes = number()?,
            "span" => self.span = (time(0)?, time(1)?),
            "times" => (self.min_t, self.max_t) = (time(0)?, time(1)?),
            "cut" => {
                let below = u64::try_from(*values.get(2)?).ok()?;
                self.cuts.push(Cut {
                    start: time(0)?,
                    end: time(1)?,
                    below,
                });
            }
            "parent" => self.parents.push(number()?),
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_damage() {
        let meta = Meta {
            seq: 7,
            rank: 3,
            span: (i64::MIN, i64::MAX),
            min_t: -5,
            max_t: 9,
            series: 1,
            samples: 2,
            index_bytes: 3,
            chunk_bytes: u64::MAX,
            cuts: vec![Cut {
                start: 0,
                end: 10,
                below: 4,
            }],
            parents: vec![3, 5],
        };
        let text = meta.to_text();
        assert_eq!(Meta::parse(&text), Ok(meta));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(damaged) = String::from_utf8(bytes) {
                let kept = Meta::parse(&damaged).map(|m| m.to_text());
                assert!(kept.is_err() || kept.as_ref() == Ok(&text), "byte {at}");
            }
            assert!(
                at + 1 == text.len() || Meta::parse(&text[..at]).is_err(),
                "cut at {at}"
            );
        }
    }
}
