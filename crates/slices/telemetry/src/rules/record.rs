//! Recording rules: the series of a result under a name of their own, with an end for those that it has no longer.

use std::collections::HashSet;

use promql::{METRIC_NAME, VectorSample};
use tsdb::Batch;

use super::model::Rule;
use super::template::Template;
use crate::source::store_labels;

/// What a recording rule writes, or why its result cannot be written.
pub(crate) fn recorded(rule: &Rule, samples: &[VectorSample]) -> Result<Vec<(promql::Labels, f64)>, String> {
    let mut seen = HashSet::with_capacity(samples.len());
    let mut rows = Vec::with_capacity(samples.len());
    for sample in samples {
        let named = sample.labels.with(METRIC_NAME, &rule.name);
        let set = |labels: promql::Labels, (name, text): &(String, Template)| labels.with(name, text.text());
        let labels = rule.labels.iter().fold(named, set);
        if !seen.insert(labels.clone()) {
            return Err(format!(
                "vector contains metrics with the same labelset after applying rule labels: {labels}"
            ));
        }
        rows.push((labels, sample.value));
    }
    if rule.limit > 0 && rows.len() > rule.limit {
        return Err(format!(
            "exceeded limit of {} with {} series",
            rule.limit,
            rows.len()
        ));
    }
    Ok(rows)
}

/// The samples at `at_ms`, and the ends of what was written before and is not in `rows`.
pub(crate) fn batch(rows: &[(promql::Labels, f64)], before: &HashSet<promql::Labels>, at_ms: i64) -> Batch {
    let now: HashSet<&promql::Labels> = rows.iter().map(|(labels, _)| labels).collect();
    let mut batch = Batch::with_capacity(rows.len());
    for (labels, value) in rows {
        batch.push(&store_labels(labels), at_ms, *value);
    }
    for labels in before.iter().filter(|labels| !now.contains(labels)) {
        batch.push(&store_labels(labels), at_ms, f64::from_bits(tsdb::STALE_NAN_BITS));
    }
    batch
}
