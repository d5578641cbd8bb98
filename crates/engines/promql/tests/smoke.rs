//! The engine as its callers use it: parse, evaluate, refuse, inspect.

use promql::{
    BinaryOp, EvalError, Labels, Matcher, Options, Series, Source, SourceError, Value, instant, metric_names,
    parse, range, simple_threshold,
};

struct Memory(Vec<Series>);

impl Source for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        start: i64,
        end: i64,
        limit: usize,
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
        let out: Vec<Series> = hits.map(cut).collect();
        let n: usize = out.iter().map(|s| s.samples.len()).sum();
        if n > limit {
            Err(SourceError::TooManySamples { limit })
        } else {
            Ok(out)
        }
    }
}

fn memory() -> Memory {
    let series = |job: &str, slope: f64| Series {
        labels: Labels::from_pairs([("__name__", "requests_total"), ("job", job)]),
        samples: (0..=40).map(|i| (i * 15_000, i as f64 * slope)).collect(),
    };
    Memory(vec![series("a", 15.0), series("b", 30.0)])
}

#[test]
fn rate_and_sum_over_a_range() {
    let expr = parse("sum(rate(requests_total[1m]))").unwrap();
    let out = range(&memory(), &expr, 120_000, 240_000, 60_000, &Options::default()).unwrap();
    let Value::Matrix(rows) = out.value else {
        panic!("not a matrix")
    };
    assert_eq!(rows.len(), 1);
    let times: Vec<i64> = rows[0].samples.iter().map(|s| s.0).collect();
    assert_eq!(times, [120_000, 180_000, 240_000]);
    assert!(
        rows[0].samples.iter().all(|s| (s.1 - 3.0).abs() < 1e-12),
        "{rows:?}"
    );
    assert!(out.samples_read > 0);
}

#[test]
fn ratio_matches_labels() {
    let expr = parse("requests_total / on (job) requests_total > bool 0").unwrap();
    let out = instant(&memory(), &expr, 300_000, &Options::default()).unwrap();
    let Value::Vector(v) = out.value else {
        panic!("not a vector")
    };
    assert_eq!(v.iter().map(|s| s.value).collect::<Vec<_>>(), [1.0, 1.0]);
    assert_eq!(v[0].labels.to_string(), r#"{job="a"}"#);
}

#[test]
fn limits_and_cancellation() {
    let expr = parse("requests_total").unwrap();
    let few = Options {
        max_samples: 10,
        ..Options::default()
    };
    let refused = instant(&memory(), &expr, 300_000, &few);
    assert_eq!(refused, Err(EvalError::TooManySamples { limit: 10 }));
    let stop = || true;
    let stopped = Options {
        cancelled: Some(&stop),
        ..Options::default()
    };
    assert_eq!(
        instant(&memory(), &expr, 300_000, &stopped),
        Err(EvalError::Cancelled)
    );
    let steps = range(&memory(), &expr, 0, 1_000_000, 1, &Options::default()).unwrap_err();
    assert!(steps.to_string().contains("larger step"), "{steps}");
}

#[test]
fn errors_say_what_where_and_how() {
    let text = |q: &str| parse(q).unwrap_err().to_string();
    assert_eq!(
        text("sum(rate(x))"),
        "line 1, column 10: argument 1 of rate must be a range vector, this is an instant vector; add a range, for \
         example [5m]"
    );
    assert_eq!(
        text("rte(x[5m])"),
        "line 1, column 1: unknown function \"rte\"; did you mean \"rate\"?"
    );
    assert_eq!(
        text("1 +\n  > 2"),
        "line 2, column 3: unexpected \">\" here; expected a metric, a number, a function or \"(\""
    );
    assert_eq!(
        text("1 > 2"),
        "line 1, column 1: comparing two numbers with \">\"; write \"> bool\""
    );
    let error = parse("up{job=~\"(\"}").unwrap_err();
    assert!(
        error.render("up{job=~\"(\"}").ends_with("^^^"),
        "{}",
        error.render("up{job=~\"(\"}")
    );
}

#[test]
fn thresholds_are_recognised() {
    let simple = |q: &str| simple_threshold(&parse(q).unwrap());
    let found = simple("0.9 * 100 <= (disk_used{mount=\"/\"})").unwrap();
    assert_eq!((found.op, found.value), (BinaryOp::GreaterEqual, 90.0));
    assert_eq!(found.matchers.len(), 2);
    assert!(found.holds(90.0));
    for other in [
        "up == bool 0",
        "up offset 5m == 0",
        "rate(x[5m]) > 1",
        "up > up",
        "up + 1",
        "up == 0 and up == 0",
    ] {
        assert_eq!(simple(other), None, "{other}");
    }
    assert_eq!(metric_names(&parse("rate(a[5m]) / b > a").unwrap()).len(), 2);
}

#[test]
fn deep_queries_are_refused_before_they_hurt() {
    let chain = |n: usize, op: &str| vec!["x_total"; n].join(op);
    let nested = |open: &str, n: usize| format!("{}x_total{}", open.repeat(n), ")".repeat(n));
    let shapes = [
        chain(190, " or "),
        chain(190, " + on (job) "),
        chain(95, " ^ "),
        nested("(", 95),
        nested("abs(", 95),
        nested("-abs(", 48),
        nested("sum by (job) (", 95),
        nested("sum(x_total + ", 48),
        format!("sum_over_time(x_total[{}])", vec!["1s"; 100].join("+")),
    ];
    // The stack of a worker thread must be enough for everything that parses.
    let worker = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        for text in shapes {
            let expr = parse(&text).unwrap();
            assert_eq!(parse(&expr.to_string()).unwrap(), expr);
            instant(&memory(), &expr, 300_000, &Options::default()).unwrap();
        }
    });
    worker.unwrap().join().unwrap();
    for text in [
        chain(210, " or "),
        chain(20_000, "+"),
        nested("(", 5_000),
        nested("-", 5_000),
        "[".repeat(9_000),
    ] {
        assert!(parse(&text).is_err());
    }
    assert!(parse(&format!("x[{}]", vec!["1"; 9_000].join("+"))).is_err());
    assert!(
        parse(&"x".repeat(70_000))
            .unwrap_err()
            .to_string()
            .contains("the limit is")
    );
}

#[test]
fn labels_that_functions_write_are_bounded() {
    let nested =
        |inner: &str, wrap: &dyn Fn(&str) -> String| (0..40).fold(inner.to_owned(), |text, _| wrap(&text));
    let join = |text: &str| format!("label_join({text}, \"job\", \"\", \"job\", \"job\")");
    let replace = |text: &str| format!("label_replace({text}, \"job\", \"$1$1$1$1\", \"job\", \"(.*)\")");
    for text in [
        nested("requests_total", &join),
        nested("requests_total", &replace),
    ] {
        let error = instant(&memory(), &parse(&text).unwrap(), 240_000, &Options::default()).unwrap_err();
        assert!(error.to_string().contains("longer than 65536 bytes"), "{error}");
    }
    // One long template on one long value.
    let long = format!(
        "label_replace(label_replace(requests_total, \"a\", \"{}\", \"job\", \".*\"), \"b\", \"{}\", \"a\", \"(.*)\")",
        "x".repeat(20_000),
        "$1".repeat(15_000)
    );
    let error = instant(&memory(), &parse(&long).unwrap(), 240_000, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("longer than 65536 bytes"), "{error}");
}

#[test]
fn bytes_of_labels_and_cells_count_in_the_limit() {
    let options = Options {
        max_bytes: 100_000,
        ..Options::default()
    };
    let wide =
        "label_replace(requests_total, \"a\", \"X\", \"job\", \".*\")".replace('X', &"x".repeat(30_000));
    let one = |text: &str| instant(&memory(), &parse(text).unwrap(), 240_000, &options);
    assert!(one(&wide).is_ok());
    assert_eq!(
        one(&format!("{wide} or {wide}")),
        Err(EvalError::TooManyBytes { limit: 100_000 })
    );
    let many = range(
        &memory(),
        &parse("requests_total * on (job) group_left requests_total").unwrap(),
        0,
        600_000,
        100,
        &options,
    );
    assert_eq!(many, Err(EvalError::TooManyBytes { limit: 100_000 }));
    let fixed = range(
        &memory(),
        &parse("requests_total @ 60").unwrap(),
        0,
        1_000_000,
        100,
        &options,
    );
    assert_eq!(
        fixed,
        Err(EvalError::TooManyBytes { limit: 100_000 }),
        "what is repeated counts too"
    );
}

#[test]
fn a_dropped_name_is_no_label_to_group_by() {
    let text = "sum by (__name__, job) (requests_total * 2)";
    let out = instant(&memory(), &parse(text).unwrap(), 240_000, &Options::default()).unwrap();
    let Value::Vector(rows) = out.value else {
        panic!("not a vector")
    };
    let labels: Vec<String> = rows.iter().map(|row| row.labels.to_string()).collect();
    assert_eq!(labels, ["{job=\"a\"}", "{job=\"b\"}"]);
    let text = "sum by (__name__) ({__name__=~\"requests_total|other\"} * 2 or label_replace(requests_total * 3, \"job\", \"z\", \"job\", \"b\"))";
    let out = instant(&memory(), &parse(text).unwrap(), 240_000, &Options::default());
    assert!(out.is_ok(), "{out:?}");
}
