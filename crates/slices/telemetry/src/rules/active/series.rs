//! The series `ALERTS` and `ALERTS_FOR_STATE`, as Prometheus writes them: one sample for each look, a stale marker at the end.

use super::{Active, Extent, Held, Labels};
use crate::rules::model::{ALERTS, ALERTS_FOR_STATE, Rule};

/// A sample to write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub labels: tsdb::Labels,
    pub at_ms: i64,
    /// `None`: the series ends here.
    pub value: Option<f64>,
}

/// A condition whose series are to be closed.
pub(super) struct Ended {
    labels: Labels,
    is_firing: bool,
    at_ms: i64,
}

impl Active {
    /// Notes that the series of what was held end.
    pub(super) fn close(&mut self, held: &Held, at_ms: i64) {
        if let Some((is_firing, written_ms)) = held.written {
            self.ended.push(Ended {
                labels: held.signal.labels.clone(),
                is_firing,
                at_ms: at_ms.max(written_ms + 1),
            });
        }
    }

    /// What is to be written after a rule was evaluated: ends, and what is so. Ingest tells only what it has just found.
    pub(crate) fn rows(&mut self, rule: &Rule, extent: Extent<'_>, at_ms: i64) -> Vec<Row> {
        let mut rows = self.ends();
        let offset_ms = rule.offset_ms;
        for held in self
            .held
            .get_mut(&rule.key)
            .into_iter()
            .flat_map(|held| held.values_mut())
        {
            let is_told = match extent {
                Extent::Everything => true,
                Extent::Instance(_) => held.written.is_none(),
            };
            let at = at_ms - offset_ms;
            if !is_told || held.written.is_some_and(|(_, written)| written >= at) {
                continue;
            }
            let is_firing = held.gone_ms.is_some() || held.is_firing(at_ms);
            let labels = &held.signal.labels;
            if let Some((before, _)) = held.written.filter(|(before, _)| *before != is_firing) {
                rows.push(row(state_of(labels, before), at, None));
            }
            rows.push(row(state_of(labels, is_firing), at, Some(1.0)));
            let since = held.since_ms().div_euclid(1000) as f64;
            rows.push(row(named(labels, ALERTS_FOR_STATE, None), at, Some(since)));
            held.written = Some((is_firing, at));
        }
        rows
    }

    /// The ends that wait to be written.
    pub(crate) fn ends(&mut self) -> Vec<Row> {
        let ended = std::mem::take(&mut self.ended);
        let both = ended.iter().flat_map(|one| {
            let state = row(state_of(&one.labels, one.is_firing), one.at_ms, None);
            [
                state,
                row(named(&one.labels, ALERTS_FOR_STATE, None), one.at_ms, None),
            ]
        });
        both.collect()
    }
}

fn row(labels: tsdb::Labels, at_ms: i64, value: Option<f64>) -> Row {
    Row { labels, at_ms, value }
}

fn state_of(labels: &Labels, is_firing: bool) -> tsdb::Labels {
    let state = if is_firing { "firing" } else { "pending" };
    named(labels, ALERTS, Some(("alertstate", state)))
}

fn named(labels: &Labels, metric: &str, more: Option<(&str, &str)>) -> tsdb::Labels {
    let own = labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| *name != "alertstate" || more.is_none());
    tsdb::Labels::from_pairs(own.chain(more).chain([(promql::METRIC_NAME, metric)]))
}
