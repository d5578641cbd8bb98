//! Values of one label, each with the times at which its lines count: a name that belongs to different owners at different times.

use crate::labels::Labels;
use std::collections::HashMap;
use std::sync::Arc;

/// Spans of time, start included, end not; milliseconds since the epoch.
pub type Spans = Vec<(i64, i64)>;

/// Lines whose label has one of these values, at a time within the value's spans. Cheap to clone, however many values there are.
#[derive(Debug, Clone)]
pub struct Within {
    label: String,
    values: Arc<HashMap<String, Spans>>,
}

impl Within {
    pub fn new(label: impl Into<String>, values: Arc<HashMap<String, Spans>>) -> Self {
        Within {
            label: label.into(),
            values,
        }
    }

    /// The times at which lines of a stream count; `None` when they never do.
    pub(crate) fn spans(&self, labels: &Labels) -> Option<&Spans> {
        self.values
            .get(labels.get(&self.label))
            .filter(|spans| !spans.is_empty())
    }

    /// Whether a line of a stream counts.
    pub(crate) fn holds(&self, labels: &Labels, at_ms: i64) -> bool {
        self.spans(labels).is_some_and(|spans| contains(spans, at_ms))
    }

    /// How much of a stream's time between two times, both included, counts.
    pub(crate) fn coverage(&self, labels: &Labels, from_ms: i64, to_ms: i64) -> Coverage {
        let Some(spans) = self.spans(labels) else {
            return Coverage::None;
        };
        let overlapping = spans.iter().find(|(from, to)| *from <= to_ms && from_ms < *to);
        match overlapping {
            None => Coverage::None,
            Some((from, to)) if *from <= from_ms && to_ms < *to => Coverage::Whole,
            Some(_) => Coverage::Part,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coverage {
    None,
    Part,
    Whole,
}

fn contains(spans: &Spans, at_ms: i64) -> bool {
    spans.iter().any(|(from, to)| (*from..*to).contains(&at_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_at_its_times() {
        let spans = HashMap::from([
            ("web".to_owned(), vec![(i64::MIN, 10), (20, 30)]),
            ("db".to_owned(), Vec::new()),
        ]);
        let within = Within::new("host", Arc::new(spans));
        let of = |host: &str| Labels::new([("host", host)]);
        for (at, holds) in [(0, true), (9, true), (10, false), (20, true), (30, false)] {
            assert_eq!(within.holds(&of("web"), at), holds, "{at}");
        }
        assert!(!within.holds(&of("db"), 0) && !within.holds(&of("other"), 0));
        for (from, to, coverage) in [
            (0, 9, Coverage::Whole),
            (0, 10, Coverage::Part),
            (10, 19, Coverage::None),
            (21, 40, Coverage::Part),
            (20, 29, Coverage::Whole),
        ] {
            assert_eq!(within.coverage(&of("web"), from, to), coverage, "{from} to {to}");
        }
    }
}
