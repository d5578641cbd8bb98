//! Functions of range vectors.

use crate::ast::{Call, Edge, Expr, ExprKind, ValueType, VectorSelector};
use crate::eval::blocks::{Blocks, What};
use crate::eval::dense::{ABSENT, Grid, Sv, is_absent};
use crate::eval::engine::{Engine, Evaluated, Sink};
use crate::eval::select::Windows;
use crate::eval::stats::{self, Deviation, Mean, Sum};
use crate::eval::window::{Window, slide};
use crate::eval::{Sample, math, rate};
use crate::labels::METRIC_NAME;

/// Scalar arguments beside the range vector, one value per step.
struct Params {
    first: Vec<f64>,
    second: Vec<f64>,
    times: Vec<i64>,
}

/// The range vector among the arguments of a call.
pub(crate) fn range_arg(call: &Call) -> Option<&Expr> {
    call.args.iter().find(|a| a.value_type() == ValueType::Matrix)
}

/// Evaluates a call with a range vector, series by series.
pub(crate) fn stream(e: &Engine, call: &Call, grid: &Grid, sink: Sink) -> Evaluated<()> {
    let name = call.func.name;
    let Some(arg) = range_arg(call) else { return Ok(()) };
    let mut scalars = Vec::new();
    for arg in call.args.iter().filter(|a| a.value_type() == ValueType::Scalar) {
        scalars.push(e.scalar(arg, grid)?);
    }
    let mut scalars = scalars.into_iter();
    let params = Params {
        first: scalars.next().unwrap_or_default(),
        second: scalars.next().unwrap_or_default(),
        times: grid.times().collect(),
    };
    check_params(e, call, &params)?;
    if name == "absent_over_time" {
        return absent_over_time(e, arg, grid)?.into_iter().try_for_each(sink);
    }
    let keeps_name = matches!(name, "last_over_time" | "first_over_time");
    e.ranges(arg, grid, &mut |windows, s| {
        let values = cells(e, name, &s.samples, windows, &params);
        if values.iter().all(|v| is_absent(*v)) {
            return Ok(());
        }
        if matches!(name, "rate" | "increase" | "irate") {
            note_non_counter(e, s.labels.metric_name(), arg);
        }
        sink(Sv {
            labels: s.labels,
            drop_name: s.drop_name || !keeps_name,
            values,
        })
    })
}

fn check_params(e: &Engine, call: &Call, params: &Params) -> Evaluated<()> {
    match call.func.name {
        "quantile_over_time" => {
            params
                .first
                .iter()
                .for_each(|phi| e.notes.check_quantile(call.args[0].span, *phi));
        }
        "double_exponential_smoothing" => {
            let inside = |v: &f64| *v > 0.0 && *v < 1.0;
            for (i, (values, what)) in [(&params.first, "smoothing"), (&params.second, "trend")]
                .into_iter()
                .enumerate()
            {
                if let Some(bad) = values.iter().find(|v| !inside(v)) {
                    let message =
                        format!("invalid {what} factor: expected a number between 0 and 1, got {bad}");
                    return e.fail(call.args[i + 1].span, message);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn note_non_counter(e: &Engine, metric: &str, arg: &Expr) {
    let counter = ["_total", "_sum", "_count", "_bucket"]
        .iter()
        .any(|end| metric.ends_with(end));
    if !metric.is_empty() && !counter && matches!(arg.unparen().kind, ExprKind::Matrix(_)) {
        let ends = "_total/_sum/_count/_bucket";
        let text = format!("metric might not be a counter, name does not end in {ends}: \"{metric}\"");
        e.notes.info(arg.span, &text);
    }
}

/// The cells of one series.
fn cells(e: &Engine, name: &str, samples: &[Sample], windows: &Windows, params: &Params) -> Vec<f64> {
    let lookback = e.opts.lookback_ms;
    if let Some(kind) = rate::kind(name) {
        return rate::cells(e, kind, samples, windows);
    }
    let over = |f: &dyn Fn(Window) -> f64| {
        let some = |w: Window| if w.lo == w.hi { ABSENT } else { f(w) };
        slide(samples, &windows.right, windows.range_ms, &|n| e.spend(n), some)
    };
    if let Some(blocks) = What::of(name).and_then(|what| Blocks::of(what, samples, windows.right.len())) {
        return over(&|w| blocks.value(w));
    }
    match name {
        "irate" => over(&|w| rate::last_change(w, true)),
        "idelta" => over(&|w| rate::last_change(w, false)),
        "changes" => over(&|w| {
            transitions(w, windows.edge, lookback, |a, b| {
                a != b && !(a.is_nan() && b.is_nan())
            })
        }),
        "resets" => over(&|w| transitions(w, windows.edge, lookback, |a, b| b < a)),
        "deriv" => over(&|w| match w.samples() {
            [first, _, ..] => stats::regression(w.samples(), first.0).0,
            _ => ABSENT,
        }),
        "predict_linear" => over(&|w| predict(w, params)),
        "double_exponential_smoothing" => over(&|w| smooth(w, params)),
        "quantile_over_time" => {
            over(&|w| stats::quantile(params.first[w.step], &mut w.values().collect::<Vec<_>>()))
        }
        _ => match plain(name) {
            Some(f) => over(&f),
            None => vec![ABSENT; windows.right.len()],
        },
    }
}

/// Functions of nothing but a window that is not empty.
fn plain(name: &str) -> Option<fn(Window) -> f64> {
    let f: fn(Window) -> f64 = match name {
        "avg_over_time" => |w| {
            let mut mean = Mean::default();
            w.values().for_each(|v| mean.add(v));
            mean.value()
        },
        "sum_over_time" => |w| {
            let mut sum = Sum::default();
            w.values().for_each(|v| sum.add(v));
            sum.value()
        },
        "stddev_over_time" => |w| variance(w).sqrt(),
        "stdvar_over_time" => variance,
        "count_over_time" => |w| w.samples().len() as f64,
        "present_over_time" => |_| 1.0,
        "last_over_time" => |w| w.all[w.hi - 1].1,
        "first_over_time" => |w| w.all[w.lo].1,
        "min_over_time" => |w| extreme(w, |new, old| new < old).1,
        "max_over_time" => |w| extreme(w, |new, old| new > old).1,
        "ts_of_min_over_time" => |w| extreme(w, |new, old| new <= old).0 as f64 / 1000.0,
        "ts_of_max_over_time" => |w| extreme(w, |new, old| new >= old).0 as f64 / 1000.0,
        "ts_of_last_over_time" => |w| w.all[w.hi - 1].0 as f64 / 1000.0,
        "ts_of_first_over_time" => |w| w.all[w.lo].0 as f64 / 1000.0,
        "mad_over_time" => |w| {
            let mut values: Vec<f64> = w.values().collect();
            let median = stats::quantile(0.5, &mut values);
            values.iter_mut().for_each(|v| *v = (*v - median).abs());
            stats::quantile(0.5, &mut values)
        },
        _ => return None,
    };
    Some(f)
}

fn variance(w: Window) -> f64 {
    let mut deviation = Deviation::default();
    w.values().for_each(|v| deviation.add(v));
    deviation.variance()
}

/// The sample that wins every comparison; NaN loses against any number.
fn extreme(w: Window, wins: impl Fn(f64, f64) -> bool) -> Sample {
    let mut best = w.all[w.lo];
    for s in &w.samples()[1..] {
        if best.1.is_nan() || wins(s.1, best.1) {
            best = *s;
        }
    }
    best
}

fn transitions(w: Window, edge: Edge, lookback: i64, counts: impl Fn(f64, f64) -> bool) -> f64 {
    let anchor = if edge == Edge::Anchored {
        rate::anchor(&w, lookback)
    } else {
        None
    };
    let mut before = anchor.unwrap_or(w.all[w.lo]).1;
    let mut n = 0.0;
    for v in w.values() {
        if counts(before, v) {
            n += 1.0;
        }
        before = v;
    }
    n
}

fn predict(w: Window, params: &Params) -> f64 {
    if w.samples().len() < 2 {
        return ABSENT;
    }
    let (slope, now) = stats::regression(w.samples(), params.times[w.step]);
    slope * params.first[w.step] + now
}

/// Double exponential smoothing (Holt's linear trend).
fn smooth(w: Window, params: &Params) -> f64 {
    let [first, second, ..] = w.samples() else {
        return ABSENT;
    };
    let (level_factor, trend_factor) = (params.first[w.step], params.second[w.step]);
    let (mut before, mut level) = (0.0, first.1);
    let mut trend = second.1 - first.1;
    for (i, v) in w.values().enumerate().skip(1) {
        if i > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        before = level;
        level = level_factor * v + (1.0 - level_factor) * (level + trend);
    }
    level
}

fn absent_over_time(e: &Engine, arg: &Expr, grid: &Grid) -> Evaluated<Vec<Sv>> {
    let mut missing = vec![true; grid.n];
    e.ranges(arg, grid, &mut |windows, s| {
        let counts = slide(&s.samples, &windows.right, windows.range_ms, &|_| true, |w| {
            (w.hi - w.lo) as f64
        });
        missing.iter_mut().zip(counts).for_each(|(m, n)| *m &= n == 0.0);
        Ok(())
    })?;
    let selector = match &arg.unparen().kind {
        ExprKind::Matrix(m) => Some(&m.selector),
        _ => None,
    };
    Ok(absent_series(selector, &missing))
}

/// The one series that `absent` makes: 1 where nothing was, labelled by the equalities of the selector.
pub(crate) fn absent_series(selector: Option<&VectorSelector>, missing: &[bool]) -> Vec<Sv> {
    let matchers = selector.map_or(&[][..], |s| &s.matchers);
    let unique = |m: &&crate::Matcher| {
        m.op == crate::MatchOp::Equal
            && m.name != METRIC_NAME
            && matchers.iter().filter(|o| o.name == m.name).count() == 1
    };
    let labels = matchers
        .iter()
        .filter(unique)
        .map(|m| (m.name.as_str(), m.value.as_str()));
    let values = missing.iter().map(|m| if *m { 1.0 } else { ABSENT }).collect();
    math::present(vec![Sv {
        labels: crate::Labels::from_pairs(labels),
        drop_name: false,
        values,
    }])
}
