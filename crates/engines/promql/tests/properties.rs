//! The parser never panics; print and parse agree; evaluation of anything parsed never panics.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use promql::{Labels, Matcher, Options, Series, Source, SourceError, instant, parse, range};
use proptest::prelude::*;

/// Words and signs of the language in any order: most are nonsense, many parse.
const PARTS: [&str; 60] = [
    "up",
    "x_total",
    "{",
    "}",
    "{job=\"a\"}",
    "{job=~\"a.*\"}",
    "{\"my.name\"}",
    "(",
    ")",
    "[5m]",
    "[1h:1m]",
    "[30s:]",
    ",",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "==",
    "!=",
    ">",
    "<=",
    "bool",
    "and",
    "or",
    "unless",
    "on(job)",
    "ignoring()",
    "group_left(a)",
    "group_right",
    "fill(0)",
    "sum",
    "by (job)",
    "without()",
    "topk",
    "quantile",
    "count_values",
    "rate(",
    "sum_over_time(",
    "label_replace(",
    "histogram_quantile(",
    "time()",
    "vector(1)",
    "scalar(",
    "absent(",
    "offset 5m",
    "offset -1s",
    "@ 100",
    "@ end()",
    "smoothed",
    "anchored",
    "1",
    "0x1f",
    "1h30m",
    "Inf",
    "NaN",
    "\"s\"",
    "'\\n'",
    "# c\n",
];

fn nonsense() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&PARTS[..]), 0..14).prop_map(|p| p.join(" "))
}

/// Expressions built to be valid.
fn vector() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("x_total".to_owned()),
        Just("{__name__=~\"x.*\", job!=\"b\"}".to_owned()),
        Just("x_total{job=\"a\"} @ 300 offset 30s".to_owned()),
        Just("rate(x_total[2m])".to_owned()),
        Just("vector(time())".to_owned()),
        Just("increase(x_total[90s] smoothed)".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let op =
            prop::sample::select(&["+", "-", "/", "^", "> bool", "<", "and", "or", "unless on(job)"][..]);
        let wrap = prop::sample::select(
            &[
                "sum by (job) ($)",
                // More than there are: which of equals are taken is not specified.
                "topk(1000, $)",
                "-($)",
                "abs($)",
                "max_over_time(($)[5m:30s])",
                "quantile(0.5, $)",
                "label_replace($, \"job\", \"$1x\", \"job\", \"(.*)\")",
                "absent($)",
                "sort_desc($)",
                "round($, 0.1)",
                "count_values(\"v\", $)",
                "timestamp($)",
                "clamp($, 1, 100)",
                "predict_linear(($)[3m:1m], 60)",
            ][..],
        );
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            (wrap, inner).prop_map(|(w, e)| w.replacen('$', &e, 1)),
        ]
    })
}

struct Memory(Vec<Series>);

impl Source for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        start: i64,
        end: i64,
        _: usize,
    ) -> Result<Vec<Series>, SourceError> {
        let hits = self
            .0
            .iter()
            .filter(|s| matchers.iter().all(|m| m.matches(s.labels.get(&m.name))));
        let cut = |s: &Series| Series {
            labels: s.labels.clone(),
            samples: s
                .samples
                .iter()
                .filter(|s| s.0 >= start && s.0 <= end)
                .copied()
                .collect(),
        };
        Ok(hits.map(cut).collect())
    }
}

fn memory() -> Memory {
    let one = |job: &str, skip: i64| Series {
        labels: Labels::from_pairs([("__name__", "x_total"), ("job", job)]),
        samples: (0..60)
            .filter(|i| i % skip != 3)
            .map(|i| (i * 10_000, ((i * 7) % 50) as f64))
            .collect(),
    };
    Memory(vec![one("a", 9), one("b", 5)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn errors_point_into_the_text(text in nonsense()) {
        if let Err(e) = parse(&text) {
            prop_assert!(e.span.end as usize <= text.len());
            prop_assert!(e.line() >= 1 && e.column() >= 1);
            prop_assert!(!e.render(&text).is_empty());
        }
    }

    #[test]
    fn print_and_parse_agree(text in prop_oneof![nonsense(), vector()]) {
        if let Ok(expr) = parse(&text) {
            let printed = expr.to_string();
            let again = parse(&printed);
            prop_assert_eq!(again.as_ref(), Ok(&expr), "{}", printed);
            let pretty = expr.pretty();
            prop_assert_eq!(parse(&pretty), Ok(expr), "{}", pretty);
        }
    }

    #[test]
    fn instant_and_range_agree(text in vector(), at in 0i64..12) {
        agree(&text, at)?;
    }

    #[test]
    fn the_best_have_the_same_values(text in vector(), at in 0i64..12, count in 1usize..4) {
        for best in ["topk", "bottomk"] {
            let text = format!("{best}({count}, {text})");
            let Some((one, first)) = both(&text, at) else { return Ok(()) };
            // Which of equals are taken is not specified, so their labels do not count.
            let values = |rows: Vec<(Labels, u64)>| {
                let mut values: Vec<u64> = rows.into_iter().map(|row| row.1).collect();
                values.sort_unstable();
                values
            };
            prop_assert_eq!(values(one), values(first), "{}", text);
        }
    }
}

/// Queries that once gave different answers at an instant and in a range, or looked as if they did.
const COUNTEREXAMPLES: [(&str, i64); 3] = [
    ("topk(1000, (x_total) + (vector(time())))", 0),
    (
        "label_replace(count_values(\"v\", x_total), \"job\", \"$1x\", \"job\", \"(.*)\")",
        3,
    ),
    (
        "(sum by (job) (x_total)) or (abs({__name__=~\"x.*\", job!=\"b\"}))",
        5,
    ),
];

#[test]
fn counterexamples_stay_away() {
    for (text, at) in COUNTEREXAMPLES {
        agree(text, at).unwrap();
    }
}

type Rows = Vec<(Labels, u64)>;

/// What an instant query and the first step of a range query give, as bits by labels.
fn both(text: &str, at: i64) -> Option<(Rows, Rows)> {
    let expr = parse(text).unwrap();
    let (source, opts) = (memory(), Options::default());
    let t = at * 60_000;
    let one = instant(&source, &expr, t, &opts).ok()?;
    let many = range(&source, &expr, t, t + 120_000, 60_000, &opts).ok()?;
    let (promql::Value::Vector(mut one), promql::Value::Matrix(rows)) = (one.value, many.value) else {
        return None;
    };
    one.sort_by(|a, b| a.labels.cmp(&b.labels));
    let first = rows.iter().filter_map(|r| {
        r.samples
            .iter()
            .find(|s| s.0 == t)
            .map(|s| (r.labels.clone(), s.1.to_bits()))
    });
    let one = one.into_iter().map(|s| (s.labels, s.value.to_bits()));
    Some((one.collect(), first.collect()))
}

fn agree(text: &str, at: i64) -> Result<(), TestCaseError> {
    if let Some((one, first)) = both(text, at) {
        prop_assert_eq!(one, first, "{}", text);
    }
    Ok(())
}
