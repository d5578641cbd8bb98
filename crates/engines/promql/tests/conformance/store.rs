//! A source in memory, and what it had to leave out.

use std::collections::BTreeMap;

use promql::{Expr, Labels, METRIC_NAME, Matcher, Sample, Series, Source, SourceError, metric_names};

use crate::notation;

#[derive(Default)]
pub struct Store {
    series: BTreeMap<Labels, BTreeMap<i64, f64>>,
    /// Series that hold native histograms or start times.
    foreign: Vec<Labels>,
}

impl Store {
    pub fn load(&mut self, step_ms: i64, lines: &[String], nhcb: bool) {
        for text in lines {
            let Some(line) = notation::line(text) else {
                panic!("not a series: {text}")
            };
            if line.foreign {
                self.foreign.push(line.labels);
                continue;
            }
            if nhcb {
                self.foreign.extend(converted(&line.labels));
            }
            let samples = self.series.entry(line.labels).or_default();
            for (i, value) in line.values.iter().enumerate() {
                if let Some(v) = value {
                    samples.insert(step_ms * i as i64, *v);
                }
            }
        }
    }

    /// Whether an expression reads series that are left out.
    pub fn needs_foreign(&self, expr: &Expr) -> bool {
        let sets = metric_names(expr);
        self.foreign
            .iter()
            .any(|labels| sets.iter().any(|set| matches(set, labels)))
    }
}

/// The native histogram that a classic bucket would also be stored as.
fn converted(labels: &Labels) -> Option<Labels> {
    let name = labels.metric_name();
    let base = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|end| name.strip_suffix(end))?;
    Some(labels.with(METRIC_NAME, base).with("le", ""))
}

fn matches(set: &[Matcher], labels: &Labels) -> bool {
    set.iter().all(|m| m.matches(labels.get(&m.name)))
}

impl Source for Store {
    fn select(
        &self,
        matchers: &[Matcher],
        start: i64,
        end: i64,
        limit: usize,
    ) -> Result<Vec<Series>, SourceError> {
        let mut out = Vec::new();
        for (labels, samples) in self.series.iter().filter(|(l, _)| matches(matchers, l)) {
            if start > end {
                continue;
            }
            let samples: Vec<Sample> = samples.range(start..=end).map(|(t, v)| (*t, *v)).collect();
            out.push(Series {
                labels: labels.clone(),
                samples,
            });
        }
        let n: usize = out.iter().map(|s| s.samples.len()).sum();
        if n > limit {
            Err(SourceError::TooManySamples { limit })
        } else {
            Ok(out)
        }
    }
}
