//! Quantiles and fractions of classic histograms: cumulative buckets with their upper bound in `le`.

use std::collections::HashMap;

use crate::ast::{Call, Expr, Span};
use crate::eval::dense::{ABSENT, Grid, Sv, is_absent, merge_same};
use crate::eval::engine::{Engine, Evaluated};
use crate::labels::Labels;

/// Relative differences below this are noise of float arithmetic.
const TOLERANCE: f64 = 1e-12;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    upper: f64,
    count: f64,
}

/// The bucket series of one histogram, with their bounds.
struct Histogram {
    labels: Labels,
    /// Upper bound and series, ascending.
    bounds: Vec<(f64, usize)>,
}

pub(crate) fn eval(e: &Engine, expr: &Expr, call: &Call, grid: &Grid) -> Evaluated<Vec<Sv>> {
    let args = &call.args;
    match call.func.name {
        "histogram_fraction" => {
            let (lower, upper) = (e.scalar(&args[0], grid)?, e.scalar(&args[1], grid)?);
            let series = e.vector(&args[2], grid)?;
            per_histogram(e, args[2].span, &series, grid, |i, b, _| {
                fraction(lower[i], upper[i], b)
            })
        }
        "histogram_quantile" => {
            let phi = e.scalar(&args[0], grid)?;
            phi.iter().for_each(|p| e.notes.check_quantile(args[0].span, *p));
            let series = e.vector(&args[1], grid)?;
            quantiles(e, args[1].span, &series, &phi, grid)
        }
        _ => {
            let label = e.text(&args[1])?;
            let series = e.vector(&args[0], grid)?;
            let mut out = Vec::new();
            for arg in &args[2..] {
                let phi = e.scalar(arg, grid)?;
                phi.iter().for_each(|p| e.notes.check_quantile(arg.span, *p));
                let shown = quantile_label(phi[0]);
                for mut s in quantiles(e, args[0].span, &series, &phi, grid)? {
                    s.labels = s.shown().with(&label, &shown);
                    s.drop_name = false;
                    out.push(s);
                }
            }
            merge_same(out, expr.span)
        }
    }
}

/// `0.5`, `1.0`, `NaN`: always with a decimal point.
fn quantile_label(phi: f64) -> String {
    if phi.is_finite() && phi.fract() == 0.0 {
        format!("{phi:.1}")
    } else {
        crate::format_value(phi)
    }
}

fn quantiles(e: &Engine, span: Span, series: &[Sv], phi: &[f64], grid: &Grid) -> Evaluated<Vec<Sv>> {
    per_histogram(e, span, series, grid, |step, buckets, labels| {
        let (value, forced) = quantile(phi[step], buckets);
        if forced {
            note_forced(e, span, labels.metric_name());
        }
        value
    })
}

fn note_forced(e: &Engine, span: Span, metric: &str) {
    let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for metric name";
    e.notes.info(span, &format!("{text} \"{metric}\""));
}

/// Collects the buckets of each histogram at each step and calls `f` where there are any.
fn per_histogram(
    e: &Engine,
    span: Span,
    series: &[Sv],
    grid: &Grid,
    f: impl Fn(usize, &mut Vec<Bucket>, &Labels) -> f64,
) -> Evaluated<Vec<Sv>> {
    let mut out = Vec::new();
    let mut buckets = Vec::new();
    for h in histograms(e, span, series) {
        e.tick()?;
        let mut values = vec![ABSENT; grid.n];
        for (step, cell) in values.iter_mut().enumerate() {
            buckets.clear();
            let cells = h.bounds.iter().map(|(upper, i)| Bucket {
                upper: *upper,
                count: series[*i].values[step],
            });
            buckets.extend(cells.filter(|b| !is_absent(b.count)));
            if !buckets.is_empty() {
                *cell = f(step, &mut buckets, &h.labels);
            }
        }
        out.push(Sv {
            labels: h.labels,
            drop_name: true,
            values,
        });
    }
    out.retain(Sv::has_values);
    Ok(out)
}

fn histograms(e: &Engine, span: Span, series: &[Sv]) -> Vec<Histogram> {
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut out: Vec<Histogram> = Vec::new();
    for (i, s) in series.iter().enumerate() {
        let le = s.labels.get("le");
        let Some(upper) = bound(le) else {
            let metric = s.labels.metric_name();
            let text = format!(
                "bucket label \"le\" is missing or has a malformed value of \"{le}\" for metric name \"{metric}\""
            );
            e.notes.warn(span, &text);
            continue;
        };
        let labels = s.labels.filtered(|n| n != "le");
        let at = *index.entry(labels.clone()).or_insert_with(|| {
            out.push(Histogram {
                labels,
                bounds: Vec::new(),
            });
            out.len() - 1
        });
        out[at].bounds.push((upper, i));
    }
    for h in &mut out {
        h.bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    out
}

fn bound(le: &str) -> Option<f64> {
    le.parse().ok().filter(|b: &f64| !b.is_nan())
}

/// Joins buckets with equal bounds and makes counts monotonic. Tells whether a count had to be raised by more
/// than float noise.
fn clean(buckets: &mut Vec<Bucket>) -> bool {
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    let mut forced = false;
    let mut before = buckets[0].count;
    for b in &mut buckets[1..] {
        let noise = (b.count - before).abs() <= TOLERANCE * (b.count.abs() + before.abs());
        if noise {
            b.count = before;
        } else if b.count < before {
            b.count = before;
            forced = true;
        }
        before = b.count;
    }
    forced
}

fn has_top(buckets: &[Bucket]) -> bool {
    buckets.last().is_some_and(|b| b.upper == f64::INFINITY)
}

/// The quantile, and whether the buckets had to be made monotonic.
fn quantile(phi: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if phi.is_nan() || !has_top(buckets) {
        return (f64::NAN, false);
    }
    if !(0.0..=1.0).contains(&phi) {
        return (
            if phi < 0.0 {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            },
            false,
        );
    }
    let forced = clean(buckets);
    let last = buckets.len() - 1;
    let total = buckets[last].count;
    if last == 0 || total == 0.0 || total.is_nan() {
        return (f64::NAN, forced);
    }
    let rank = phi * total;
    let at = buckets[..last].partition_point(|b| b.count < rank);
    if at == last {
        return (buckets[last - 1].upper, forced);
    }
    let b = buckets[at];
    let (low, below) = match at {
        0 if b.upper <= 0.0 => return (b.upper, forced),
        0 => (0.0, 0.0),
        _ => (buckets[at - 1].upper, buckets[at - 1].count),
    };
    (
        low + (b.upper - low) * ((rank - below) / (b.count - below)),
        forced,
    )
}

/// The share of observations between two values.
fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !has_top(buckets) || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    clean(buckets);
    let total = buckets[buckets.len() - 1].count;
    if total == 0.0 || total.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets) - rank_of(lower, buckets)) / total
}

/// How many observations lie at or below a value.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let last = buckets.len() - 1;
    if value == f64::NEG_INFINITY {
        return 0.0;
    }
    if value == f64::INFINITY {
        return buckets[last].count;
    }
    let at = buckets.partition_point(|b| b.upper < value);
    let (low, below) = match at {
        0 => (
            if buckets[0].upper > 0.0 {
                0.0
            } else {
                f64::NEG_INFINITY
            },
            0.0,
        ),
        _ => (buckets[at - 1].upper, buckets[at - 1].count),
    };
    let b = buckets[at];
    if at == last {
        // Nothing is known about where observations above the last bound lie.
        return below;
    }
    if low == f64::NEG_INFINITY {
        return b.count;
    }
    if value <= low {
        below
    } else {
        below + (b.count - below) * ((value - low) / (b.upper - low))
    }
}
