//! The metric store as a source for PromQL, optionally narrowed to one instance.

use std::cell::RefCell;
use std::ops::ControlFlow;

use promql::{MatchOp, Series, Source, SourceError};
use tsdb::{Limits, Tsdb};

/// Reads series from the store.
pub(crate) struct StoreSource<'a> {
    pub tsdb: &'a Tsdb,
    /// Added to every selection: only series with this `instance`.
    pub instance: Option<&'a str>,
    /// What the store could not give of what was asked for.
    warnings: RefCell<Vec<String>>,
}

/// Warnings that one query tells.
const MAX_WARNINGS: usize = 10;

impl<'a> StoreSource<'a> {
    pub(crate) fn new(tsdb: &'a Tsdb, instance: Option<&'a str>) -> Self {
        Self {
            tsdb,
            instance,
            warnings: RefCell::default(),
        }
    }

    /// What is missing from all that was read so far, and why.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }

    fn note(&self, more: &[String]) {
        let mut warnings = self.warnings.borrow_mut();
        for text in more {
            if warnings.len() < MAX_WARNINGS && !warnings.contains(text) {
                warnings.push(text.clone());
            }
        }
    }
    fn stream(
        &self,
        matchers: &[promql::Matcher],
        also: Option<tsdb::Matcher>,
        (start_ms, end_ms): (i64, i64),
        sample_limit: usize,
    ) -> Result<tsdb::SeriesStream, SourceError> {
        let mut wanted = store_matchers(matchers).map_err(SourceError::Failed)?;
        wanted.extend(also);
        if let Some(instance) = self.instance {
            wanted.push(tsdb::Matcher::eq("instance", instance));
        }
        let limits = Limits {
            max_samples: sample_limit as u64,
            ..Limits::default()
        };
        self.tsdb
            .stream(&wanted, start_ms, end_ms, limits)
            .map_err(|error| source_error(error, sample_limit))
    }

    /// Hands out the series that match, and `also` this.
    pub(crate) fn visit_among(
        &self,
        matchers: &[promql::Matcher],
        also: Option<tsdb::Matcher>,
        range: (i64, i64),
        sample_limit: usize,
        each: &mut dyn FnMut(Series) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let mut stream = self.stream(matchers, also, range, sample_limit)?;
        for series in stream.by_ref() {
            let series = series.map_err(|error| source_error(error, sample_limit))?;
            let series = Series {
                labels: query_labels(&series.labels),
                samples: series.samples,
            };
            if each(series).is_break() {
                break;
            }
        }
        self.note(stream.warnings());
        Ok(())
    }
}

fn source_error(error: tsdb::Error, limit: usize) -> SourceError {
    match error {
        tsdb::Error::QueryLimit { .. } => SourceError::TooManySamples { limit },
        other => SourceError::Failed(other.to_string()),
    }
}

impl Source for StoreSource<'_> {
    fn select(
        &self,
        matchers: &[promql::Matcher],
        start_ms: i64,
        end_ms: i64,
        sample_limit: usize,
    ) -> Result<Vec<Series>, SourceError> {
        let mut all = Vec::new();
        self.visit(matchers, start_ms, end_ms, sample_limit, &mut |series| {
            all.push(series);
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }

    fn visit(
        &self,
        matchers: &[promql::Matcher],
        start_ms: i64,
        end_ms: i64,
        sample_limit: usize,
        each: &mut dyn FnMut(Series) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        self.visit_among(matchers, None, (start_ms, end_ms), sample_limit, each)
    }
}

/// PromQL's matchers as the store's.
pub(crate) fn store_matchers(matchers: &[promql::Matcher]) -> Result<Vec<tsdb::Matcher>, String> {
    matchers
        .iter()
        .map(|m| {
            let op = match m.op {
                MatchOp::Equal => tsdb::MatchOp::Eq,
                MatchOp::NotEqual => tsdb::MatchOp::Neq,
                MatchOp::Regex => tsdb::MatchOp::Re,
                MatchOp::NotRegex => tsdb::MatchOp::Nre,
            };
            tsdb::Matcher::new(op, &m.name, &m.value).map_err(|error| error.to_string())
        })
        .collect()
}

pub(crate) fn query_labels(labels: &tsdb::Labels) -> promql::Labels {
    promql::Labels::from_pairs(labels.iter())
}

pub(crate) fn store_labels(labels: &promql::Labels) -> tsdb::Labels {
    tsdb::Labels::from_pairs(
        labels
            .iter()
            .map(|label| (label.name.as_ref(), label.value.as_ref())),
    )
}

#[cfg(test)]
mod tests;
