//! Label sets: sorted, unique, without empty values, cheap to clone, compare and hash.
//!
//! All text of a set lies in one string; `ends` holds where each name and each value stops.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Name of the label that carries the metric's name.
pub(crate) const METRIC_NAME: &str = "__name__";

/// The labels of a series, `__name__` included. An empty value is the same as no label.
#[derive(Clone)]
pub struct Labels(Arc<Inner>);

struct Inner {
    hash: u64,
    text: Box<str>,
    ends: Box<[u32]>,
}

static EMPTY: LazyLock<Labels> = LazyLock::new(|| Labels::from_sorted(std::iter::empty()));

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        EMPTY.clone()
    }

    /// Builds a set from pairs in any order. Of a repeated name the last value counts.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
        pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        let last_of_name = pairs.iter().enumerate().filter(|(i, (name, _))| {
            pairs
                .get(i + 1)
                .is_none_or(|(next, _)| next.as_ref() != name.as_ref())
        });
        Self::from_sorted(last_of_name.map(|(_, (n, v))| (n.as_ref(), v.as_ref())))
    }

    /// Builds a set from pairs that are sorted by name without repeats; empty values are left out.
    pub(crate) fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::new();
        let mut ends = Vec::new();
        let mut seed = 0u64;
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            for part in [name, value] {
                text.push_str(part);
                let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
                ends.push(end);
                // The borders go into the seed, so that shifted borders give another hash.
                seed = (seed ^ u64::from(end)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            }
        }
        let hash = xxh3_64_with_seed(text.as_bytes(), seed);
        Labels(Arc::new(Inner {
            hash,
            text: text.into(),
            ends: ends.into(),
        }))
    }

    /// The value of `name`, if the set has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// The value of `name`; empty if the set lacks it.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The metric's name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// Pairs in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0usize;
        self.0.ends.chunks_exact(2).map(move |pair| {
            let (name_end, value_end) = (pair[0] as usize, pair[1] as usize);
            let item = (self.part(start, name_end), self.part(name_end, value_end));
            start = value_end;
            item
        })
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.0.ends.len() / 2
    }

    /// Whether it has no labels.
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// Bytes of all names and values.
    pub fn text_len(&self) -> usize {
        self.0.text.len()
    }

    /// A 64-bit hash, the same in every process. Different sets may share it: compare before trusting.
    pub fn hash64(&self) -> u64 {
        self.0.hash
    }

    /// The same set with `name` set to `value` (removed if `value` is empty).
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self::from_pairs(self.iter().chain([(name, value)]))
    }

    /// The same set without `names`.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        Self::from_sorted(self.iter().filter(|(n, _)| !names.contains(n)))
    }

    /// The same set with only `names`.
    #[must_use]
    pub fn only(&self, names: &[&str]) -> Self {
        Self::from_sorted(self.iter().filter(|(n, _)| names.contains(n)))
    }

    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn part(&self, start: usize, end: usize) -> &str {
        self.0.text.get(start..end).unwrap_or("")
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self::from_pairs(pairs)
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        self.ptr_eq(other)
            || (self.0.hash == other.0.hash && self.0.ends == other.0.ends && self.0.text == other.0.text)
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.ptr_eq(other) {
            Ordering::Equal
        } else {
            self.iter().cmp(other.iter())
        }
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Labels {
    /// As PromQL writes it: `up{job="node"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or(""))?;
        let mut open = false;
        for (name, value) in self.iter().filter(|(n, _)| *n != METRIC_NAME) {
            f.write_str(if open { ", " } else { "{" })?;
            write!(f, "{name}={value:?}")?;
            open = true;
        }
        match (open, self.name()) {
            (true, _) => f.write_str("}"),
            (false, None) => f.write_str("{}"),
            (false, Some(_)) => Ok(()),
        }
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_drops_empties_and_keeps_the_last_of_a_name() {
        let l = Labels::from_pairs([("b", "2"), ("a", "1"), ("b", "3"), ("c", "")]);
        assert_eq!(l.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "3")]);
        assert_eq!(l, Labels::from_pairs([("b", "3"), ("a", "1")]));
        assert_eq!(l.to_string(), r#"{a="1", b="3"}"#);
        assert_eq!(
            Labels::from_pairs([("__name__", "up"), ("a", "x\"")]).to_string(),
            r#"up{a="x\""}"#
        );
    }

    #[test]
    fn borders_count() {
        let a = Labels::from_pairs([("ab", "c")]);
        let b = Labels::from_pairs([("a", "bc")]);
        assert_ne!(a, b);
        assert_ne!(a.hash64(), b.hash64());
        assert_eq!(b.cmp(&a), Ordering::Less);
    }

    #[test]
    fn edits() {
        let l = Labels::from_pairs([("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(l.with("b", ""), l.without(&["b"]));
        assert_eq!(l.only(&["b", "x"]), Labels::from_pairs([("b", "2")]));
        assert_eq!(l.with("d", "4").len(), 4);
        assert!(Labels::empty().is_empty());
    }
}
