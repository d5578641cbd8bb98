//! What a tuning would have done over the past week: the rule is evaluated at steps of it, as it is and as it would be.
//!
//! A step is [`STEP_MS`], so what lasted shorter may be missed; the answer says so by its `step_s`.

use std::collections::BTreeMap;
use std::time::Duration;

use kernel::Timestamp;
use kernel::clock::from_millis;
use serde::Serialize;
use utoipa::ToSchema;

use super::Limits;
use crate::Telemetry;
use crate::query::{At, QueryError};
use crate::reach::Reach;
use crate::rules::model::Rule;
use crate::rules::template::label_map;

const WEEK_MS: i64 = 7 * 86_400_000;
const STEP_MS: i64 = 300_000;
const LOOKBACK_MS: i64 = 300_000;
const DEADLINE: Duration = Duration::from_secs(20);
/// Times that are listed; all are counted.
const LISTED: usize = 100;

/// One time that the alert would have fired.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Firing {
    pub labels: BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// The greatest distance from zero in this time.
    pub peak: f64,
}

/// How often a rule would have fired.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Past {
    pub count: usize,
    /// The newest, 100 at most.
    pub firings: Vec<Firing>,
}

impl Past {
    pub(crate) fn add(&mut self, other: Past) {
        self.count += other.count;
        self.firings.extend(other.firings);
        self.firings.sort_by_key(|firing| std::cmp::Reverse(firing.from));
        self.firings.truncate(LISTED);
    }
}

/// Evaluates `rule` over the week before `now_ms`, for what `limits` take and `reach` sees.
pub(crate) async fn past(
    telemetry: &Telemetry,
    rule: &Rule,
    limits: &Limits,
    reach: &Reach,
) -> Result<Past, QueryError> {
    let end_ms = telemetry.now_ms().div_euclid(STEP_MS) * STEP_MS;
    let at = At::Range {
        start_ms: end_ms - WEEK_MS,
        end_ms,
        step_ms: STEP_MS,
    };
    let outcome = telemetry
        .queries()
        .run(&rule.text, at, DEADLINE, LOOKBACK_MS, reach)
        .await?;
    let promql::Value::Matrix(series) = outcome.value else {
        return Ok(Past::default());
    };
    let (for_ms, _) = rule.waits();
    let mut firings: Vec<Firing> = Vec::new();
    for one in series.iter().filter(|one| limits.take(&one.labels)) {
        let points = one.samples.iter().copied();
        firings.extend(runs(points, for_ms).into_iter().map(|(from, to, peak)| Firing {
            labels: label_map(&one.labels),
            from: from_millis(from),
            to: from_millis(to),
            peak,
        }));
    }
    firings.sort_by_key(|firing| std::cmp::Reverse(firing.from));
    let count = firings.len();
    firings.truncate(LISTED);
    Ok(Past { count, firings })
}

/// Stretches of neighbouring steps that last longer than `for_ms`: when each began to fire, its end, its peak.
fn runs(points: impl Iterator<Item = (i64, f64)>, for_ms: i64) -> Vec<(i64, i64, f64)> {
    let mut all: Vec<(i64, i64, f64)> = Vec::new();
    for (at, value) in points {
        match all.last_mut() {
            Some((_, to, peak)) if at - *to <= STEP_MS => {
                *to = at;
                if value.abs() > peak.abs() {
                    *peak = value;
                }
            }
            _ => all.push((at, at, value)),
        }
    }
    all.retain(|(from, to, _)| to - from >= for_ms);
    for (from, _, _) in &mut all {
        *from += for_ms;
    }
    all
}

/// Seconds between two evaluations of a preview.
pub(crate) const STEP_S: i64 = STEP_MS / 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_fires_once_it_has_lasted() {
        let minutes = |list: &[i64]| list.iter().map(|m| (m * 60_000, *m as f64)).collect::<Vec<_>>();
        let points = minutes(&[0, 5, 10, 30, 100, 105]);
        assert_eq!(
            runs(points.iter().copied(), 0),
            [
                (0, 600_000, 10.0),
                (1_800_000, 1_800_000, 30.0),
                (6_000_000, 6_300_000, 105.0)
            ]
        );
        assert_eq!(runs(points.iter().copied(), 600_000), [(600_000, 600_000, 10.0)]);
    }
}
