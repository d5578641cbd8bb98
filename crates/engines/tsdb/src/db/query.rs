//! Reading: what passes the matchers, in a time range (both ends included), from blocks and head.
//!
//! A reader pins what it needs when it starts (the head's epoch, then series, then blocks) and decodes
//! one series at a time when asked for it. Parts are merged oldest source first, so of two values for
//! one instant the one that was stored first wins.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Tsdb;
use crate::error::{Error, Result};
use crate::head::{Epoch, MemSeries};
use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::options::Limits;
use crate::sample::{Sample, SeriesData};

/// Series of a query, decoded one at a time in the order of their labels. Independent of later writes
/// to blocks; samples appended meanwhile may or may not show.
#[derive(Debug)]
pub struct SeriesStream {
    series: std::vec::IntoIter<(Labels, Vec<Part>)>,
    start_ms: i64,
    end_ms: i64,
    limits: Limits,
    samples: u64,
    _epoch: Epoch,
}

/// Where samples of a series lie.
#[derive(Debug, Clone)]
enum Part {
    Head(Arc<MemSeries>),
}

impl Tsdb {
    /// Series that pass all matchers with their samples in `start_ms..=end_ms`, sorted by labels; those
    /// without a sample there are left out. The options' limits apply.
    pub fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>> {
        self.stream(matchers, start_ms, end_ms, self.options.limits)?
            .collect()
    }

    /// As [`Tsdb::select`], one series at a time and with own limits.
    pub fn stream(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        limits: Limits,
    ) -> Result<SeriesStream> {
        let epoch = self.head.enter();
        let mut found: HashMap<Labels, Vec<Part>> = HashMap::new();
        for series in self.head.select(matchers) {
            if series.state().overlaps(start_ms, end_ms) {
                found
                    .entry(series.labels.clone())
                    .or_default()
                    .push(Part::Head(series));
            }
        }
        if found.len() as u64 > limits.max_series {
            return Err(Error::QueryLimit {
                unit: "series",
                limit: limits.max_series,
            });
        }
        let mut series: Vec<_> = found.into_iter().collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(SeriesStream {
            series: series.into_iter(),
            start_ms,
            end_ms,
            limits,
            samples: 0,
            _epoch: epoch,
        })
    }

    /// Names of all labels of the series that pass the matchers and may have samples in the range.
    pub fn labels(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<String>> {
        let mut names = BTreeSet::new();
        self.each_match(matchers, start_ms, end_ms, &mut |labels| {
            for (name, _) in labels.iter() {
                insert(&mut names, name);
            }
        })?;
        Ok(names.into_iter().collect())
    }

    /// Values of one label, likewise.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>> {
        let mut values = BTreeSet::new();
        self.each_match(matchers, start_ms, end_ms, &mut |labels| {
            if let Some(value) = labels.get(name) {
                insert(&mut values, value);
            }
        })?;
        Ok(values.into_iter().collect())
    }

    /// Label sets of the series that pass the matchers and may have samples in the range, sorted.
    pub fn series(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Labels>> {
        let mut found = BTreeSet::new();
        self.each_match(matchers, start_ms, end_ms, &mut |labels| {
            found.insert(labels.clone());
        })?;
        Ok(found.into_iter().collect())
    }

    /// The newest sample of each series of the head that passes the matchers; nothing is decoded. The
    /// head knows the series with samples in about the last one and a half `block_ms`.
    pub fn last(&self, matchers: &[Matcher]) -> Vec<(Labels, Sample)> {
        let newest = |s: Arc<MemSeries>| s.state().last().map(|last| (s.labels.clone(), last));
        let mut found: Vec<_> = self
            .head
            .select(matchers)
            .into_iter()
            .filter_map(newest)
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    fn each_match(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        visit: &mut dyn FnMut(&Labels),
    ) -> Result<()> {
        let _epoch = self.head.enter();
        for series in self.head.select(matchers) {
            if series.state().overlaps(start_ms, end_ms) {
                visit(&series.labels);
            }
        }
        Ok(())
    }
}

impl SeriesStream {
    /// Replaces the content of `out` by the samples of the next series and returns its labels; `None`
    /// after the last one. Reusing `out` saves an allocation per series.
    pub fn next_into(&mut self, out: &mut Vec<(i64, f64)>) -> Result<Option<Labels>> {
        loop {
            let Some((labels, parts)) = self.series.next() else {
                return Ok(None);
            };
            out.clear();
            for part in &parts {
                match part {
                    Part::Head(series) => series.state().read(self.start_ms, self.end_ms, out),
                }
            }
            if !out.is_sorted_by(|a, b| a.0 < b.0) {
                out.sort_by_key(|s| s.0);
                out.dedup_by_key(|s| s.0);
            }
            if out.is_empty() {
                continue;
            }
            self.samples += out.len() as u64;
            if self.samples > self.limits.max_samples {
                return Err(Error::QueryLimit {
                    unit: "samples",
                    limit: self.limits.max_samples,
                });
            }
            return Ok(Some(labels));
        }
    }
}

impl Iterator for SeriesStream {
    type Item = Result<SeriesData>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut samples = Vec::new();
        let labels = self.next_into(&mut samples).transpose()?;
        if labels.is_err() {
            self.series = Vec::new().into_iter();
        }
        Some(labels.map(|labels| SeriesData { labels, samples }))
    }
}

fn insert(set: &mut BTreeSet<String>, text: &str) {
    if !set.contains(text) {
        set.insert(text.to_owned());
    }
}
