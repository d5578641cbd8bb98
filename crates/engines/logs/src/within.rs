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

    /// Whether some line of a stream between two times, both included, may count.
    pub(crate) fn may_hold(&self, labels: &Labels, from_ms: i64, to_ms: i64) -> bool {
        self.spans(labels)
            .is_some_and(|spans| spans.iter().any(|(from, to)| *from <= to_ms && from_ms < *to))
    }
}

fn contains(spans: &Spans, at_ms: i64) -> bool {
    spans.iter().any(|(from, to)| (*from..*to).contains(&at_ms))
}
