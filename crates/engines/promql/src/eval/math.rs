//! Functions of instant vectors and scalars: mathematics, time and calendar, order, absence.

use crate::ast::{Call, Expr, ExprKind};
use crate::eval::dense::{ABSENT, Grid, Sv, Val, is_absent};
use crate::eval::engine::{Engine, Evaluated};
use crate::eval::{over_time, stats};
use crate::labels::Labels;

/// Drops series without a single value.
pub(crate) fn present(mut series: Vec<Sv>) -> Vec<Sv> {
    series.retain(Sv::has_values);
    series
}

pub(crate) fn eval(e: &Engine, expr: &Expr, call: &Call, grid: &Grid) -> Evaluated<Val> {
    let args = &call.args;
    let name = call.func.name;
    if let Some(f) = unary(name) {
        let series = match args.first() {
            Some(arg) => e.vector(arg, grid)?,
            None => vec![time_series(grid)],
        };
        return Ok(Val::Vector(mapped(series, f)));
    }
    let vector = match name {
        "time" => return Ok(Val::Scalar(seconds(grid))),
        "pi" => return Ok(Val::Scalar(vec![std::f64::consts::PI; grid.n])),
        "start" => return Ok(Val::Scalar(vec![e.start as f64 / 1000.0; grid.n])),
        "end" => return Ok(Val::Scalar(vec![e.end as f64 / 1000.0; grid.n])),
        "step" => return Ok(Val::Scalar(vec![e.step as f64 / 1000.0; grid.n])),
        "range" => return Ok(Val::Scalar(vec![(e.end - e.start) as f64 / 1000.0; grid.n])),
        "min_of" | "max_of" => {
            let (a, b) = (e.scalar(&args[0], grid)?, e.scalar(&args[1], grid)?);
            let pick = |(a, b): (f64, f64)| match () {
                () if a.is_nan() || b.is_nan() => f64::NAN,
                () if (name == "min_of") == (a < b) => a,
                () => b,
            };
            return Ok(Val::Scalar(a.into_iter().zip(b).map(pick).collect()));
        }
        "scalar" => return Ok(Val::Scalar(to_scalar(&e.vector(&args[0], grid)?, grid))),
        "vector" => {
            vec![Sv {
                labels: Labels::default(),
                drop_name: false,
                values: e.scalar(&args[0], grid)?,
            }]
        }
        "timestamp" => timestamp(e, &args[0], grid)?,
        // These read native histograms and start times, which plain samples do not have.
        "histogram_avg" | "histogram_count" | "histogram_stddev" | "histogram_stdvar" | "histogram_sum"
        | "start_timestamp" => {
            e.vector(&args[0], grid)?;
            Vec::new()
        }
        "absent" => absent(e, &args[0], grid)?,
        "sort" | "sort_desc" => sorted(e, expr, call, grid)?,
        "round" => {
            let to = match args.get(1) {
                Some(arg) => e.scalar(arg, grid)?,
                None => vec![1.0; grid.n],
            };
            let series = e.vector(&args[0], grid)?;
            // Dividing by the inverse keeps 0.1 exact enough; halves go up.
            per_step(series, |i, v| (v * (1.0 / to[i]) + 0.5).floor() / (1.0 / to[i]))
        }
        "clamp" | "clamp_min" | "clamp_max" => clamp(e, call, grid)?,
        _ => return e.fail(expr.span, format!("the function {name} is not available")),
    };
    Ok(Val::Vector(vector))
}

fn mapped(mut series: Vec<Sv>, f: fn(f64) -> f64) -> Vec<Sv> {
    for s in &mut series {
        s.map(f);
        s.drop_name = true;
    }
    series
}

fn per_step(mut series: Vec<Sv>, f: impl Fn(usize, f64) -> f64) -> Vec<Sv> {
    for s in &mut series {
        for (i, v) in s.values.iter_mut().enumerate().filter(|(_, v)| !is_absent(**v)) {
            *v = f(i, *v);
        }
        s.drop_name = true;
    }
    series
}

fn seconds(grid: &Grid) -> Vec<f64> {
    grid.times().map(|t| t as f64 / 1000.0).collect()
}

fn time_series(grid: &Grid) -> Sv {
    Sv {
        labels: Labels::default(),
        drop_name: false,
        values: seconds(grid),
    }
}

fn to_scalar(series: &[Sv], grid: &Grid) -> Vec<f64> {
    let only = |i: usize| {
        let mut values = series.iter().map(|s| s.values[i]).filter(|v| !is_absent(*v));
        match (values.next(), values.next()) {
            (Some(v), None) => v,
            _ => f64::NAN,
        }
    };
    (0..grid.n).map(only).collect()
}

fn timestamp(e: &Engine, arg: &Expr, grid: &Grid) -> Evaluated<Vec<Sv>> {
    if let ExprKind::Vector(v) = &arg.unparen().kind {
        let mut series = e.instant_times(v, arg.span, grid)?;
        series.iter_mut().for_each(|s| s.drop_name = true);
        return Ok(series);
    }
    let times = seconds(grid);
    Ok(per_step(e.vector(arg, grid)?, |i, _| times[i]))
}

fn absent(e: &Engine, arg: &Expr, grid: &Grid) -> Evaluated<Vec<Sv>> {
    let series = e.vector(arg, grid)?;
    let missing: Vec<bool> = (0..grid.n)
        .map(|i| series.iter().all(|s| is_absent(s.values[i])))
        .collect();
    let selector = match &arg.unparen().kind {
        ExprKind::Vector(v) => Some(v),
        _ => None,
    };
    Ok(over_time::absent_series(selector, &missing))
}

fn sorted(e: &Engine, expr: &Expr, call: &Call, grid: &Grid) -> Evaluated<Vec<Sv>> {
    let mut series = e.vector(&call.args[0], grid)?;
    if e.step > 0 {
        warn_unsorted(e, expr);
        return Ok(series);
    }
    let descending = call.func.name == "sort_desc";
    series.sort_by(|a, b| {
        let (a, b) = (a.values[0], b.values[0]);
        match (a.is_nan(), b.is_nan()) {
            (false, false) if descending => stats::nan_first(&b, &a),
            (false, false) => stats::nan_first(&a, &b),
            (a, b) => a.cmp(&b),
        }
    });
    Ok(series)
}

pub(crate) fn warn_unsorted(e: &Engine, expr: &Expr) {
    e.notes.warn(
        expr.span,
        "sort is ineffective for range queries since results are always ordered by labels",
    );
}

fn clamp(e: &Engine, call: &Call, grid: &Grid) -> Evaluated<Vec<Sv>> {
    let bound = |i: usize| e.scalar(&call.args[i], grid);
    let (low, high) = match call.func.name {
        "clamp" => (bound(1)?, bound(2)?),
        "clamp_min" => (bound(1)?, vec![f64::INFINITY; grid.n]),
        _ => (vec![f64::NEG_INFINITY; grid.n], bound(1)?),
    };
    let within = |i: usize, v: f64| {
        let (low, high) = (low[i], high[i]);
        if low > high {
            ABSENT
        } else if v.is_nan() || low.is_nan() || high.is_nan() {
            f64::NAN
        } else {
            v.max(low).min(high)
        }
    };
    Ok(present(per_step(e.vector(&call.args[0], grid)?, within)))
}

/// Functions of one number. The calendar ones read it as seconds since 1970 and also work on the current time.
fn unary(name: &str) -> Option<fn(f64) -> f64> {
    let f: fn(f64) -> f64 = match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sqrt" => f64::sqrt,
        "sgn" => |v| {
            if v > 0.0 {
                1.0
            } else if v < 0.0 {
                -1.0
            } else {
                v
            }
        },
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "rad" => |v| v * std::f64::consts::PI / 180.0,
        "deg" => |v| v * 180.0 / std::f64::consts::PI,
        "minute" => |v| (v.floor() / 60.0).floor().rem_euclid(60.0),
        "hour" => |v| (v.floor() / 3600.0).floor().rem_euclid(24.0),
        "day_of_week" => |v| (days(v) + 4.0).rem_euclid(7.0),
        "day_of_month" => |v| civil(v, |d| d.day),
        "day_of_year" => |v| civil(v, |d| d.day_of_year),
        "days_in_month" => |v| civil(v, |d| d.month_days),
        "month" => |v| civil(v, |d| d.month),
        "year" => |v| civil(v, |d| d.year),
        _ => return None,
    };
    Some(f)
}

fn days(seconds: f64) -> f64 {
    (seconds / 86_400.0).floor()
}

/// A date of the proleptic Gregorian calendar.
struct Date {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    month_days: i64,
}

fn civil(seconds: f64, part: fn(&Date) -> i64) -> f64 {
    let days = days(seconds);
    // Outside ±30 million years the calendar has no meaning and integers would overflow.
    if !days.is_finite() || days.abs() > 1e10 {
        return f64::NAN;
    }
    part(&date(days as i64)) as f64
}

fn date(days_since_1970: i64) -> Date {
    // Count from 1 March 0000, so that leap days end their year; 146,097 days are 400 years.
    let days = days_since_1970 + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before: i64 = lengths[..(month - 1) as usize].iter().sum();
    Date {
        year,
        month,
        day,
        day_of_year: before + day,
        month_days: lengths[(month - 1) as usize],
    }
}
