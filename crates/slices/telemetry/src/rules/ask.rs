//! Queries of templates: asked while an alert is told, bounded in number and time for each evaluation of a rule.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use promql::Value;
use tsdb::Tsdb;

use super::audience::Audience;
use super::template::{Element, label_map};
use crate::source::StoreSource;

/// Queries that the templates of one evaluation may ask.
const MOST: u32 = 500;
/// How long they may take together.
const TIME: Duration = Duration::from_secs(2);
const MAX_SAMPLES: usize = 1_000_000;
/// Elements of one answer.
const MAX_ELEMENTS: usize = 2_000;

pub(crate) struct Asker<'a> {
    tsdb: &'a Tsdb,
    at_ms: i64,
    lookback_ms: i64,
    left: Cell<u32>,
    until: Instant,
    audience: Arc<Audience>,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(tsdb: &'a Tsdb, at_ms: i64, lookback_ms: i64, audience: Arc<Audience>) -> Self {
        Self {
            tsdb,
            at_ms,
            lookback_ms,
            left: Cell::new(MOST),
            until: Instant::now() + TIME,
            audience,
        }
    }

    /// The answer as everybody may read it who sees an alert about the host `instance`.
    pub(crate) fn ask(&self, instance: Option<&str>, text: &str) -> Result<Vec<Element>, String> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(format!("the templates of one evaluation may ask {MOST} queries"));
        };
        self.left.set(left);
        let expr = promql::parse(text).map_err(|error| error.to_string())?;
        let all = StoreSource::new(self.tsdb, None);
        let source = self.audience.narrow(all, instance);
        let is_over = || Instant::now() >= self.until;
        if is_over() {
            return Err(format!("the queries of one evaluation took longer than {TIME:?}"));
        }
        let options = promql::Options {
            lookback_ms: self.lookback_ms,
            max_samples: MAX_SAMPLES,
            max_bytes: 64 << 20,
            cancelled: Some(&is_over),
            ..promql::Options::default()
        };
        let outcome = promql::instant(&source, &expr, self.at_ms, &options);
        elements(outcome.map_err(|error| error.to_string())?.value)
    }
}

fn elements(value: Value) -> Result<Vec<Element>, String> {
    match value {
        Value::Scalar { value, .. } => Ok(vec![Element {
            labels: Default::default(),
            value,
        }]),
        Value::Vector(samples) if samples.len() > MAX_ELEMENTS => Err(format!(
            "the answer has {} elements; {MAX_ELEMENTS} are the most that a template may ask for",
            samples.len()
        )),
        Value::Vector(samples) => Ok(samples
            .iter()
            .map(|sample| Element {
                labels: label_map(&sample.labels),
                value: sample.value,
            })
            .collect()),
        Value::String { .. } | Value::Matrix(_) => Err("query result is not a vector or scalar".into()),
    }
}
