//! The query languages: PromQL with its selectors, and the inventory's selectors.

use std::cell::Cell;
use std::sync::OnceLock;

use inventory::selector::{Selector, glob};
use promql::{Labels, Matcher, Options, Series, Source, SourceError};

pub const PROMQL_WORDS: &[&str] = &[
    "sum",
    "by",
    "without",
    "(",
    ")",
    "rate",
    "[5m]",
    "[1h:]",
    "offset",
    "@",
    "end()",
    "{",
    "}",
    "=~",
    "!~",
    "\"",
    "'",
    "`",
    ",",
    "on",
    "ignoring",
    "group_left",
    "bool",
    "and",
    "unless",
    "or",
    "^",
    "-",
    "+",
    "%",
    "atan2",
    "Inf",
    "NaN",
    "0x",
    "1e999",
    "histogram_quantile",
    "label_replace",
    "topk",
    "quantile",
    "count_values",
    "anchored",
    "smoothed",
    "fill",
    "info",
    "1y",
    "-5m",
    "step()",
    "absent_over_time",
    "sort_by_label",
    "\\",
    "\u{0}",
    "é",
];

/// Parses; what parses prints to a text that parses to the same print, and evaluates without harm.
pub fn promql(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(expr) = promql::parse(text) else { return };
    let printed = expr.to_string();
    match promql::parse(&printed) {
        Ok(again) => assert_eq!(printed, again.to_string(), "prints differently a second time"),
        Err(error) => panic!("{text:?} parses, its print {printed:?} does not: {error}"),
    }
    let _ = promql::metric_names(&expr);
    let _ = promql::simple_threshold(&expr);
    evaluate(&expr);
}

fn evaluate(expr: &promql::Expr) {
    let asked = Cell::new(0u32);
    let cancelled = || {
        asked.set(asked.get() + 1);
        asked.get() > 2000
    };
    let options = Options {
        max_samples: 20_000,
        max_steps: 20,
        cancelled: Some(&cancelled),
        ..Options::default()
    };
    let _ = promql::instant(memory(), expr, 600_000, &options);
    let _ = promql::range(memory(), expr, 300_000, 600_000, 60_000, &options);
}

pub fn promql_selector(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = promql::parse_duration(text);
    if let Ok(matchers) = promql::parse_selector(text) {
        for matcher in matchers {
            let _ = matcher.matches("node_cpu_seconds_total");
        }
    }
}

/// Parses a selector and walks its terms; patterns are matched against hard texts.
pub fn selector(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<Selector>() {
        Ok(selector) => {
            let _ = (
                selector.only_kind(),
                selector.names_state(),
                selector.needs_parent(),
            );
            for pattern in selector.terms.iter().flat_map(|term| &term.patterns) {
                let _ = glob(pattern, &"a".repeat(200));
                let _ = glob(pattern, text);
            }
        }
        Err(error) => assert!(
            error.column >= 1 && error.column <= text.len().max(2000) + 1,
            "{error}"
        ),
    }
}

struct Memory(Vec<Series>);

impl Source for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        sample_limit: usize,
    ) -> Result<Vec<Series>, SourceError> {
        let mut out = Vec::new();
        let mut read = 0;
        for series in &self.0 {
            if matchers.iter().all(|m| m.matches(series.labels.get(&m.name))) {
                let samples: Vec<_> = series
                    .samples
                    .iter()
                    .filter(|s| s.0 >= start_ms && s.0 <= end_ms)
                    .copied()
                    .collect();
                read += samples.len();
                out.push(Series {
                    labels: series.labels.clone(),
                    samples,
                });
            }
        }
        if read > sample_limit {
            Err(SourceError::TooManySamples { limit: sample_limit })
        } else {
            Ok(out)
        }
    }
}

fn memory() -> &'static Memory {
    static MEMORY: OnceLock<Memory> = OnceLock::new();
    MEMORY.get_or_init(|| {
        let mut all = Vec::new();
        for (job, slope) in [("a", 15.0), ("b", -2.5), ("c", f64::MAX / 20.0)] {
            for name in ["up", "requests_total", "node_cpu_seconds_total"] {
                let labels = Labels::from_pairs([("__name__", name), ("job", job), ("instance", "web-1")]);
                let samples = (0..=40).map(|i| (i * 15_000, (i % 13) as f64 * slope)).collect();
                all.push(Series { labels, samples });
            }
            for (le, count) in [("0.1", 1.0), ("1", 4.0), ("+Inf", 9.0)] {
                let labels = Labels::from_pairs([("__name__", "wait_bucket"), ("job", job), ("le", le)]);
                all.push(Series {
                    labels,
                    samples: (0..=40).map(|i| (i * 15_000, i as f64 * count)).collect(),
                });
            }
        }
        let odd = [
            f64::NAN,
            f64::INFINITY,
            -0.0,
            f64::from_bits(promql::STALE_NAN_BITS),
            5e-324,
        ];
        let samples = (0..=40)
            .map(|i: i64| (i * 15_000, odd[i as usize % odd.len()]))
            .collect();
        all.push(Series {
            labels: Labels::from_pairs([("__name__", "odd")]),
            samples,
        });
        Memory(all)
    })
}

fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub fn promql_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "up",
        "up{job=~\"a|b\", instance!=\"web-1\"} offset 5m",
        "sum by (job) (rate(requests_total{job!~\"c.*\"}[5m]))",
        "histogram_quantile(0.99, sum by (le) (rate(wait_bucket[1m])))",
        "topk(2, node_cpu_seconds_total) / on (job) group_left (instance) requests_total",
        "max_over_time(rate(requests_total[1m])[10m:30s]) > bool 3 and on () vector(1)",
        "label_replace(up, \"x\", \"$1\", \"job\", \"(.*)\") unless odd",
        "-1 ^ 2 + 3 % -4 * 5 atan2 6 != bool 7",
        "quantile_over_time(0.5, odd[10m] @ end()) or absent(nothing{a=\"b\"})",
        "count_values without (instance) (\"v\", up == 0) + ignoring (v) group_right () scalar(up)",
        "predict_linear(requests_total[5m], 3600) < clamp(odd, -Inf, +Inf)",
        "{\"utf8.name\", job='a'}[1h30m:5m] @ 600.5 offset -1m",
        "sort_desc(deriv(up[2m]) * day_of_week()) - time() # a comment",
        "5m",
        "1y2w3d4h5m6s7ms",
    ])
}

pub const SELECTOR_WORDS: &[&str] = &[
    "kind=", "name!=", "tag:", "attr:", "on=", "*", "**", ",", "\"", "\\\"", "\\", " ", "=", "!=", "é",
    "\u{0}",
];

pub fn selector_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "kind=host name=web-* tag:env=prod attr:os_name=Debian*",
        "kind=service,database name!=\"a b\",c* state=active",
        "web on=shop-db-1 team=team_1 owner=per_2",
        "\"quoted \\\" word\" attr:disk=*a*a*a*a*b",
    ])
}
