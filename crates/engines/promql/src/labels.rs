//! Label sets: sorted, cheap to clone, compared and hashed by content.
//!
//! A label with an empty value equals a missing label, so empty values are never stored.

use std::fmt;
use std::sync::Arc;

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// One name and its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    pub name: Arc<str>,
    pub value: Arc<str>,
}

/// A label set. Invariant: sorted by name, no repeated name, no empty value.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[Label]>);

impl Default for Labels {
    fn default() -> Self {
        Labels(Arc::from([]))
    }
}

impl Labels {
    /// Builds a set from pairs in any order; of a repeated name the last value wins.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Labels
    where
        N: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        let labels = pairs
            .into_iter()
            .map(|(n, v)| Label {
                name: n.into(),
                value: v.into(),
            })
            .collect();
        Labels::from_labels(labels)
    }

    /// Builds a set from labels whose strings the caller shares; sorts and cleans them.
    pub fn from_labels(mut labels: Vec<Label>) -> Labels {
        if !labels.windows(2).all(|w| w[0].name < w[1].name) {
            labels.reverse();
            labels.sort_by(|a, b| a.name.cmp(&b.name));
            labels.dedup_by(|next, kept| next.name == kept.name);
        }
        labels.retain(|l| !l.value.is_empty());
        Labels(labels.into())
    }

    /// The value of `name`, empty when the label is missing.
    pub fn get(&self, name: &str) -> &str {
        self.find(name).map_or("", |l| &l.value)
    }

    fn find(&self, name: &str) -> Option<&Label> {
        self.0
            .binary_search_by(|l| (*l.name).cmp(name))
            .ok()
            .map(|i| &self.0[i])
    }

    /// The metric name, empty when there is none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Label> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels for which `keep` says yes.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Labels {
        if self.0.iter().all(|l| keep(&l.name)) {
            return self.clone();
        }
        Labels(self.0.iter().filter(|l| keep(&l.name)).cloned().collect())
    }

    /// The set with `name` set to `value`; an empty value removes the label.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Labels {
        let mut labels: Vec<Label> = self.0.iter().filter(|l| &*l.name != name).cloned().collect();
        labels.push(Label {
            name: name.into(),
            value: value.into(),
        });
        Labels::from_labels(labels)
    }

    /// The set without the name, type and unit, which arithmetic and most functions drop.
    #[must_use]
    pub fn without_schema(&self) -> Labels {
        self.filtered(|n| !is_schema_label(n))
    }
}

/// Labels that describe the metric rather than the series.
pub(crate) fn is_schema_label(name: &str) -> bool {
    matches!(name, METRIC_NAME | "__type__" | "__unit__")
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        f.write_str(name)?;
        if !name.is_empty() && self.len() == 1 {
            return Ok(());
        }
        f.write_str("{")?;
        let rest = self.0.iter().filter(|l| &*l.name != METRIC_NAME);
        for (i, label) in rest.enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(
                f,
                "{comma}{}={}",
                label.name,
                crate::display::quoted(&label.value)
            )?;
        }
        f.write_str("}")
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
    fn sorts_and_drops_empty_and_repeated() {
        let l = Labels::from_pairs([("b", "1"), ("a", "2"), ("c", ""), ("b", "3")]);
        assert_eq!(l.to_string(), r#"{a="2", b="3"}"#);
        assert_eq!(l.get("b"), "3");
        assert_eq!(l.get("zzz"), "");
        assert_eq!(l.with("a", "").to_string(), r#"{b="3"}"#);
    }

    #[test]
    fn schema_labels_go_together() {
        let l = Labels::from_pairs([("__name__", "up"), ("__type__", "gauge"), ("job", "x")]);
        assert_eq!(l.without_schema(), Labels::from_pairs([("job", "x")]));
    }
}
