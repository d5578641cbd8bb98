//! The labels that name a stream: sorted pairs, cheap to clone and to compare.
use crate::codec::{Reader, put_str, put_u64};
use crate::error::Malformed;
use std::sync::Arc;

/// A sorted set of label pairs (host, source, unit, …). An empty value means that the label is absent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Labels(Arc<[(String, String)]>);

impl Labels {
    /// Sorts the pairs by name, drops empty values; of a repeated name the last one counts.
    pub fn new<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut sorted: Vec<(String, String)> = Vec::new();
        for (name, value) in pairs {
            let (name, value) = (name.into(), value.into());
            match sorted.binary_search_by(|pair| pair.0.cmp(&name)) {
                Ok(at) => sorted[at].1 = value,
                Err(at) => sorted.insert(at, (name, value)),
            }
        }
        sorted.retain(|(name, value)| !name.is_empty() && !value.is_empty());
        Labels(sorted.into())
    }

    /// The value of a label; absent is the empty text.
    pub fn get(&self, name: &str) -> &str {
        match self.0.binary_search_by(|pair| pair.0.as_str().cmp(name)) {
            Ok(at) => &self.0[at].1,
            Err(_) => "",
        }
    }

    /// The pairs in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without any label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.0.len() as u64);
        for (name, value) in self.0.iter() {
            put_str(out, name);
            put_str(out, value);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = reader.count(2)?;
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            pairs.push((reader.str()?, reader.str()?));
        }
        Ok(Labels::new(pairs))
    }
}

pub(crate) fn encode_all(streams: &[Labels], out: &mut Vec<u8>) {
    put_u64(out, streams.len() as u64);
    for labels in streams {
        labels.encode(out);
    }
}

pub(crate) fn decode_all(reader: &mut Reader<'_>) -> Result<Vec<Labels>, Malformed> {
    let count = reader.count(1)?;
    (0..count).map(|_| Labels::decode(reader)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_and_unique() {
        let labels = Labels::new([("unit", "a"), ("host", "web"), ("unit", "b"), ("file", "")]);
        assert_eq!(
            labels.iter().collect::<Vec<_>>(),
            [("host", "web"), ("unit", "b")]
        );
        assert_eq!(labels.get("unit"), "b");
        assert_eq!(labels.get("file"), "");
        assert_eq!(labels, Labels::new([("unit", "b"), ("host", "web")]));
    }
}
