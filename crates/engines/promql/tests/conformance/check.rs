//! Runs one evaluation and compares.

use std::collections::BTreeMap;

use promql::{
    At, EvalError, Expr, ExprKind, Labels, Options, Outcome, Series, Value, ValueType, instant, parse, range,
};

use crate::notation;
use crate::script::{Case, When};
use crate::store::Store;

pub enum Verdict {
    Passed,
    Skipped,
    Failed(String),
}

/// Relative difference that still counts as equal.
const EPSILON: f64 = 1e-6;

pub fn run(store: &Store, case: &Case) -> Verdict {
    let expr = match parse(&case.expr) {
        Ok(expr) => expr,
        Err(e) if case.fails => return failed_as_wanted(case, &e.to_string()),
        Err(e) => return Verdict::Failed(format!("parse: {e}")),
    };
    if store.needs_foreign(&expr) || case.series.iter().any(|s| s.contains("{{")) {
        return Verdict::Skipped;
    }
    let result = eval(store, &expr, case.when);
    match result {
        Err(e) if case.fails => failed_as_wanted(case, &e.to_string()),
        Err(e) => Verdict::Failed(format!("eval: {e}")),
        Ok(out) if case.fails => Verdict::Failed(format!("should fail, gives {:?}", out.value)),
        Ok(out) => {
            let checked = notes(case, &out)
                .and_then(|()| value(case, &out.value))
                .and_then(|()| as_range(store, &expr, case))
                .and_then(|()| pinned(store, expr, case, &out.value));
            checked.map_or_else(Verdict::Failed, |()| Verdict::Passed)
        }
    }
}

fn failed_as_wanted(case: &Case, text: &str) -> Verdict {
    match &case.fail_text {
        Some(wanted) if !text.contains(wanted) => Verdict::Failed(format!("fails with {text:?}")),
        _ => Verdict::Passed,
    }
}

fn eval(store: &Store, expr: &Expr, when: When) -> Result<Outcome, EvalError> {
    // The vectors are written for all of Prometheus' flags.
    let opts = Options {
        delayed_name_removal: true,
        ..Options::default()
    };
    match when {
        When::At(t) => instant(store, expr, t, &opts),
        When::Range { start, end, step } => range(store, expr, start, end, step, &opts),
    }
}

fn notes(case: &Case, out: &Outcome) -> Result<(), String> {
    let all = || format!("warnings {:?}, infos {:?}", out.warnings, out.infos);
    let lacks = |wanted: &Option<String>, found: &[String]| {
        wanted.as_ref().is_some_and(|w| {
            !found
                .iter()
                .any(|f| f == w || (f.starts_with(w) && !w.ends_with(')')))
        })
    };
    if lacks(&case.warn, &out.warnings) || lacks(&case.info, &out.infos) {
        return Err(format!("notes differ: {}", all()));
    }
    if (case.no_warn && !out.warnings.is_empty()) || (case.no_info && !out.infos.is_empty()) {
        return Err(format!("should have no notes: {}", all()));
    }
    Ok(())
}

fn value(case: &Case, value: &Value) -> Result<(), String> {
    let lines: Vec<_> = case.series.iter().map(|s| (s, notation::line(s))).collect();
    match (value, case.when) {
        (Value::String { value, .. }, _) => {
            let wanted = case.string.as_deref().unwrap_or_default();
            if value == wanted {
                Ok(())
            } else {
                Err(format!("gives {value:?}"))
            }
        }
        (Value::Scalar { value, .. }, _) => {
            let wanted: f64 = case
                .series
                .first()
                .and_then(|s| s.parse().ok())
                .ok_or("expects no scalar")?;
            if close(*value, wanted) {
                Ok(())
            } else {
                Err(format!("gives {value}"))
            }
        }
        (Value::Vector(found), When::At(_)) => {
            let mut wanted = Vec::new();
            for (text, line) in lines {
                let line = line.ok_or_else(|| format!("expects a scalar {text}"))?;
                wanted.push((line.labels, line.values.first().copied().flatten()));
            }
            let found: Vec<_> = found.iter().map(|s| (s.labels.clone(), Some(s.value))).collect();
            if case.ordered {
                same_list(&found, &wanted)
            } else {
                same_set(found, wanted)
            }
        }
        (Value::Matrix(rows), when) => {
            let (start, end, step) = match (case.matrix, when) {
                (Some(grid), _) => grid,
                (None, When::Range { start, end, step }) => (start, end, step),
                (None, When::At(t)) => (t, t, 1),
            };
            let mut wanted = BTreeMap::new();
            for line in lines.into_iter().filter_map(|(_, l)| l) {
                wanted.insert(line.labels, line.values);
            }
            same_matrix(rows, &wanted, (start, end, step))
        }
        (Value::Vector(_), When::Range { .. }) => Err("a vector from a range query".into()),
    }
}

fn close(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    let difference = (a - b).abs();
    a == b || difference < f64::MIN_POSITIVE || difference <= EPSILON * (a.abs() + b.abs())
}

type Row = (Labels, Option<f64>);

fn same_row(a: &Row, b: &Row) -> bool {
    a.0 == b.0 && a.1.zip(b.1).is_some_and(|(a, b)| close(a, b))
}

fn same_list(found: &[Row], wanted: &[Row]) -> Result<(), String> {
    let same = found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| same_row(a, b));
    if same {
        Ok(())
    } else {
        Err(format!("gives {found:?}\n    wants {wanted:?}"))
    }
}

fn same_set(mut found: Vec<Row>, mut wanted: Vec<Row>) -> Result<(), String> {
    found.sort_by(|a, b| a.0.cmp(&b.0));
    wanted.sort_by(|a, b| a.0.cmp(&b.0));
    same_list(&found, &wanted)
}

fn same_matrix(
    rows: &[Series],
    wanted: &BTreeMap<Labels, Vec<Option<f64>>>,
    (start, end, step): (i64, i64, i64),
) -> Result<(), String> {
    let fail = || Err(format!("gives {rows:?}\n    wants {wanted:?}"));
    let present = wanted.values().filter(|v| v.iter().any(Option::is_some)).count();
    if rows.len() != present {
        return fail();
    }
    for row in rows {
        let Some(values) = wanted.get(&row.labels) else {
            return fail();
        };
        let steps = (end - start) / step + 1;
        for i in 0..steps {
            let found = row.samples.iter().find(|s| s.0 == start + i * step).map(|s| s.1);
            let value = values.get(i as usize).copied().flatten();
            let same = match (found, value) {
                (Some(a), Some(b)) => close(a, b),
                (None, None) => true,
                _ => false,
            };
            if !same {
                return fail();
            }
        }
    }
    Ok(())
}

/// An instant result must be the same as the point at that time of a range query.
fn as_range(store: &Store, expr: &Expr, case: &Case) -> Result<(), String> {
    let When::At(t) = case.when else { return Ok(()) };
    let reads_query = ["step()", "range()", "start()", "end()", "sort"]
        .iter()
        .any(|f| case.expr.contains(f));
    if reads_query || !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
        return Ok(());
    }
    let step = 60_000;
    let when = When::Range {
        start: t - step,
        end: t + step,
        step,
    };
    let out = match eval(store, expr, when) {
        Ok(out) => out,
        // Around the instant the data may be such that the query has no answer.
        Err(_) => return Ok(()),
    };
    let Value::Matrix(rows) = out.value else {
        return Err("no matrix from a range query".into());
    };
    let at_t = |s: &Series| {
        s.samples
            .iter()
            .find(|p| p.0 == t)
            .map(|p| (s.labels.clone(), Some(p.1)))
    };
    let found: Vec<Row> = rows.iter().filter_map(at_t).collect();
    let wanted: Vec<Row> = case
        .series
        .iter()
        .map(|s| match notation::line(s) {
            Some(line) => (line.labels, line.values.first().copied().flatten()),
            None => (Labels::default(), s.parse().ok()),
        })
        .collect();
    same_set(found, wanted).map_err(|e| format!("as a range query: {e}"))
}

/// With `@` on everything an instant query gives the same at any other time.
fn pinned(store: &Store, mut expr: Expr, case: &Case, wanted: &Value) -> Result<(), String> {
    let When::At(t) = case.when else { return Ok(()) };
    if case.ordered || !matches!(wanted, Value::Vector(_)) || reads_clock(&expr) {
        return Ok(());
    }
    pin(&mut expr, t);
    for when in [
        When::At(t + 600_000),
        When::Range {
            start: 0,
            end: 60_000,
            step: 60_000,
        },
    ] {
        let out = eval(store, &expr, when).map_err(|e| format!("pinned: {e}"))?;
        let same = match (wanted, out.value) {
            (Value::Vector(wanted), Value::Vector(found)) => {
                let rows = |v: &[promql::VectorSample]| {
                    v.iter().map(|s| (s.labels.clone(), Some(s.value))).collect()
                };
                same_set(rows(&found), rows(wanted))
            }
            (Value::Vector(wanted), Value::Matrix(found)) => {
                let steps = found
                    .iter()
                    .flat_map(|s| s.samples.iter().map(|p| (s.labels.clone(), Some(p.1))));
                let twice = wanted.iter().flat_map(|s| {
                    [
                        (s.labels.clone(), Some(s.value)),
                        (s.labels.clone(), Some(s.value)),
                    ]
                });
                same_set(steps.collect(), twice.collect())
            }
            _ => Ok(()),
        };
        same.map_err(|e| format!("pinned as {expr}: {e}"))?;
    }
    Ok(())
}

fn reads_clock(expr: &Expr) -> bool {
    let here = match &expr.kind {
        ExprKind::Call(c) => {
            [
                "time",
                "timestamp",
                "predict_linear",
                "start",
                "end",
                "range",
                "step",
            ]
            .contains(&c.func.name)
                || (c.args.is_empty() && c.func.optional > 0)
        }
        _ => false,
    };
    here || expr.to_string().contains("range()") || expr.children().into_iter().any(reads_clock)
}

fn pin(expr: &mut Expr, t: i64) {
    let at = Some(At::Millis(t));
    match &mut expr.kind {
        ExprKind::Vector(v) => v.shift.at = v.shift.at.or(at),
        ExprKind::Matrix(m) => m.selector.shift.at = m.selector.shift.at.or(at),
        // What is inside a subquery runs on the subquery's own instants.
        ExprKind::Subquery(s) => s.shift.at = s.shift.at.or(at),
        ExprKind::Call(c) => c.args.iter_mut().for_each(|a| pin(a, t)),
        ExprKind::Aggregate(a) => {
            a.param.iter_mut().for_each(|p| pin(p, t));
            pin(&mut a.expr, t);
        }
        ExprKind::Binary(b) => {
            pin(&mut b.lhs, t);
            pin(&mut b.rhs, t);
        }
        ExprKind::Unary { expr, .. } | ExprKind::Paren(expr) => pin(expr, t),
        ExprKind::Number(_) | ExprKind::String(_) => {}
    }
}
