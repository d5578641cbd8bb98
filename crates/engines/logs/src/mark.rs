//! Marks: how far each numbering source has been taken in, so that what it sends again is not stored again.
//!
//! A mark is written in the frame of the lines that it tells of, so the two are durable together or not at all. Every
//! write-ahead log begins with the marks of those before it; sealing and retention therefore lose none.
use crate::codec::{Reader, put_i64, put_str, put_u64};
use crate::error::Malformed;
use std::collections::HashMap;

/// Where an append comes from: the number that its source gave it, and the time that the source had then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Who sends, as an agent's id. Numbers of different sources have nothing to do with each other.
    pub source: &'a str,
    /// Rises with every append of the source.
    pub seq: u64,
    /// The source's clock, milliseconds since the epoch. A number that was seen before but with a later time is new: the
    /// source was restored from an old copy of itself and counts from there.
    pub at_ms: i64,
}

/// Sources that are remembered; beyond that the ones not heard for longest are forgotten.
const MAX_SOURCES: usize = 65_536;
/// A clock that was set back by up to this much does not make old numbers new.
const CLOCK_STEP_MS: i64 = 3_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    seq: u64,
    at_ms: i64,
    /// Number of the first line of that append: tells which mark is the older.
    line: u64,
}

/// The marks of all sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks(HashMap<String, Mark>);

impl Marks {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has this append, or a later one of its source, been taken in?
    pub(crate) fn covers(&self, origin: &Origin<'_>) -> bool {
        self.0
            .get(origin.source)
            .is_some_and(|mark| origin.seq <= mark.seq && origin.at_ms <= mark.at_ms)
    }

    pub(crate) fn knows(&self, source: &str) -> bool {
        self.0.contains_key(source)
    }

    /// The mark, alone, of an append that comes after these; its first line has the number `line`.
    pub(crate) fn after(&self, origin: &Origin<'_>, line: u64) -> Marks {
        let before = self.0.get(origin.source).map(|mark| mark.at_ms);
        let at_ms = match before {
            Some(before) if before.saturating_sub(origin.at_ms) <= CLOCK_STEP_MS => before.max(origin.at_ms),
            _ => origin.at_ms,
        };
        let seq = origin.seq;
        Marks([(origin.source.to_owned(), Mark { seq, at_ms, line })].into())
    }

    /// Takes over marks that were written later than these.
    pub(crate) fn merge(&mut self, later: Marks) {
        self.0.extend(later.0);
    }

    /// Forgets the sources that have been silent for longest when there are too many; says how many.
    pub(crate) fn bound(&mut self) -> u64 {
        let before = self.0.len();
        let surplus = before.saturating_sub(MAX_SOURCES);
        if surplus == 0 {
            return 0;
        }
        let mut lines: Vec<u64> = self.0.values().map(|mark| mark.line).collect();
        lines.sort_unstable();
        let oldest_kept = lines[surplus];
        self.0.retain(|_, mark| mark.line >= oldest_kept);
        (before - self.0.len()) as u64
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.0.len() as u64);
        for (source, mark) in &self.0 {
            put_str(out, source);
            put_u64(out, mark.seq);
            put_i64(out, mark.at_ms);
            put_u64(out, mark.line);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut marks = HashMap::new();
        for _ in 0..reader.count(4)? {
            let source = reader.str()?.to_owned();
            let (seq, at_ms, line) = (reader.u64()?, reader.i64()?, reader.u64()?);
            marks.insert(source, Mark { seq, at_ms, line });
        }
        Ok(Marks(marks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(marks: &mut Marks, origin: &Origin<'_>, line: u64) {
        marks.merge(marks.after(origin, line));
    }

    fn origin(seq: u64, at_ms: i64) -> Origin<'static> {
        Origin {
            source: "a",
            seq,
            at_ms,
        }
    }

    #[test]
    fn what_was_taken_is_known_and_what_is_new_is_not() {
        let mut marks = Marks::default();
        assert!(!marks.covers(&origin(1, 1000)));
        set(&mut marks, &origin(10, 5000), 0);
        for (seq, at_ms, is_known, why) in [
            (10, 5000, true, "the same again"),
            (9, 4000, true, "an older one again"),
            (11, 6000, false, "the next"),
            (11, 3000, false, "the next, after a step of the clock"),
            (3, 9000, false, "a restored source"),
        ] {
            assert_eq!(marks.covers(&origin(seq, at_ms)), is_known, "{why}");
        }
        assert!(!marks.covers(&Origin {
            source: "b",
            ..origin(1, 1)
        }));
        set(&mut marks, &origin(11, 3000), 1);
        assert!(
            marks.covers(&origin(10, 5000)),
            "sent again over a small step of the clock"
        );
        set(&mut marks, &origin(3, 9000), 2);
        assert!(
            !marks.covers(&origin(4, 9001)),
            "a restored source goes on from its number"
        );
    }

    #[test]
    fn the_sources_that_are_silent_for_longest_go() {
        let mut marks = Marks::default();
        for number in 0..MAX_SOURCES as u64 + 3 {
            let source = format!("s{number}");
            let origin = Origin {
                source: &source,
                seq: 1,
                at_ms: 1,
            };
            set(&mut marks, &origin, number);
        }
        assert_eq!(marks.bound(), 3);
        assert_eq!(marks.0.len(), MAX_SOURCES);
        assert!(!marks.0.contains_key("s2") && marks.0.contains_key("s3"));
    }

    proptest! {
        #[test]
        fn marks_come_back(sources in proptest::collection::hash_map("[a-z]{1,8}", (any::<u64>(), any::<i64>(), any::<u64>()), 0..9)) {
            let marks = Marks(sources.into_iter().map(|(source, (seq, at_ms, line))| (source, Mark { seq, at_ms, line })).collect());
            let mut bytes = Vec::new();
            marks.encode(&mut bytes);
            prop_assert_eq!(Marks::decode(&mut Reader::new(&bytes)), Ok(marks));
        }

        #[test]
        fn damaged_marks_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Marks::decode(&mut Reader::new(&bytes));
        }
    }
}
