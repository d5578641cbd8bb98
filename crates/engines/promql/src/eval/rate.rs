//! rate, increase, delta and their relatives.
//!
//! A counter that falls was reset: its value before the fall is added back. The change between the first and
//! last sample is extrapolated to the edges of the window if the samples come close enough to them.

use crate::ast::Edge;
use crate::eval::Sample;
use crate::eval::dense::ABSENT;
use crate::eval::engine::Engine;
use crate::eval::select::{Windows, interpolate};
use crate::eval::window::{Window, slide};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub counter: bool,
    pub per_second: bool,
}

pub(crate) fn kind(function: &str) -> Option<Kind> {
    let (counter, per_second) = match function {
        "rate" => (true, true),
        "increase" => (true, false),
        "delta" => (false, false),
        _ => return None,
    };
    Some(Kind { counter, per_second })
}

/// The cells of one series.
pub(crate) fn cells(e: &Engine, kind: Kind, samples: &[Sample], windows: &Windows) -> Vec<f64> {
    let lookback = e.opts.lookback_ms;
    let (rights, range, spend) = (&windows.right, windows.range_ms, &|n| e.spend(n));
    match windows.edge {
        Edge::Plain => {
            let mut falls = Falls::of(samples, kind.counter);
            slide(samples, rights, range, spend, |w| {
                extrapolated(kind, w, &mut falls)
            })
        }
        Edge::Anchored => slide(samples, rights, range, spend, |w| anchored(kind, w, lookback)),
        Edge::Smoothed => slide(samples, rights, range, spend, |w| smoothed(kind, w, lookback)),
    }
}

/// Where a counter falls. Moves forward with the windows, so that no window is searched.
struct Falls {
    at: Vec<usize>,
    next: usize,
}

impl Falls {
    fn of(samples: &[Sample], counter: bool) -> Falls {
        let falls = |i: &usize| counter && samples[*i].1 < samples[i - 1].1;
        Falls {
            at: (1..samples.len()).filter(falls).collect(),
            next: 0,
        }
    }

    /// The values lost in falls between two samples of the window.
    fn correction(&mut self, w: &Window) -> f64 {
        while self.at.get(self.next).is_some_and(|i| *i <= w.lo) {
            self.next += 1;
        }
        let inside = self.at[self.next..].iter().take_while(|i| **i < w.hi);
        inside.map(|i| w.all[i - 1].1).sum()
    }
}

fn extrapolated(kind: Kind, w: Window, falls: &mut Falls) -> f64 {
    let samples = w.samples();
    let [first, .., last] = samples else { return ABSENT };
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
    let change = last.1 - first.1 + falls.correction(&w);
    let sampled = seconds(first.0, last.0);
    let gap = sampled / (samples.len() - 1) as f64;
    let near = gap * 1.1;
    let mut before = seconds(w.left, first.0);
    if before >= near {
        before = gap / 2.0;
    }
    if kind.counter {
        // A counter starts at zero: never extrapolate to before that point.
        let since_zero = if change > 0.0 && first.1 >= 0.0 {
            sampled * (first.1 / change)
        } else {
            before
        };
        before = before.min(since_zero);
    }
    let mut after = seconds(last.0, w.right);
    if after >= near {
        after = gap / 2.0;
    }
    let mut factor = (sampled + before + after) / sampled;
    if kind.per_second {
        factor /= w.range_seconds();
    }
    change * factor
}

/// The last sample at or before the left edge, if it is recent enough.
pub(crate) fn anchor(w: &Window, lookback: i64) -> Option<Sample> {
    let before = w.lo.checked_sub(1).map(|i| w.all[i])?;
    (before.0 > w.left - lookback).then_some(before)
}

fn anchored(kind: Kind, w: Window, lookback: i64) -> f64 {
    let samples = w.samples();
    let Some(last) = samples.last() else { return ABSENT };
    let first = anchor(&w, lookback).unwrap_or(samples[0]);
    let path = std::iter::once(first.1).chain(w.values());
    finish(kind, &w, last.1 - first.1 + fallen(kind, path))
}

fn smoothed(kind: Kind, w: Window, lookback: i64) -> f64 {
    let next = w.all.get(w.hi).copied().filter(|s| s.0 <= w.right + lookback);
    let before = anchor(&w, lookback);
    let samples = w.samples();
    let after_left = samples.first().copied().or(next);
    let (Some(after_left), Some(up_to_right)) = (after_left, samples.last().copied().or(before)) else {
        return ABSENT;
    };
    let left = match before {
        Some(a) if a.0 < w.left => edge_value(kind, a, after_left, w.left),
        Some(a) => a.1,
        None => after_left.1,
    };
    let right = match next {
        Some(b) if up_to_right.0 < w.right => edge_value(kind, up_to_right, b, w.right),
        _ => up_to_right.1,
    };
    let path = std::iter::once(left).chain(w.values()).chain([right]);
    finish(kind, &w, right - left + fallen(kind, path))
}

/// The interpolated value at an edge; across a reset the counter restarts from zero.
fn edge_value(kind: Kind, a: Sample, b: Sample, t: i64) -> f64 {
    let from = if kind.counter && b.1 < a.1 { 0.0 } else { a.1 };
    interpolate((a.0, from), b, t)
}

fn fallen(kind: Kind, path: impl Iterator<Item = f64>) -> f64 {
    let mut before = f64::NEG_INFINITY;
    let mut lost = 0.0;
    for v in path {
        if kind.counter && v < before {
            lost += before;
        }
        before = v;
    }
    lost
}

fn finish(kind: Kind, w: &Window, change: f64) -> f64 {
    if kind.per_second {
        change / w.range_seconds()
    } else {
        change
    }
}

/// irate and idelta: the change between the last two samples.
pub(crate) fn last_change(w: Window, counter: bool) -> f64 {
    let [.., a, b] = w.samples() else { return ABSENT };
    if !counter {
        return b.1 - a.1;
    }
    let change = if b.1 < a.1 { b.1 } else { b.1 - a.1 };
    change / ((b.0 - a.0) as f64 / 1000.0)
}
