//! Reads series from the source and lays them on the grid: selectors and subqueries.

use std::rc::Rc;

use crate::ast::{At, DurationExpr, Edge, Expr, ExprKind, Span, Subquery, TimeShift, VectorSelector};
use crate::eval::dense::{ABSENT, Grid, Sv, is_absent};
use crate::eval::engine::{Engine, Evaluated, Selection};
use crate::eval::{EvalError, Sample, Series, SourceError};
use crate::labels::Labels;
use crate::matcher::Matcher;

/// Identifies a selector among those of a query.
pub(crate) fn key(matchers: &[Matcher]) -> String {
    matchers
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

/// A series to slide windows over; stale markers are removed.
pub(crate) struct RangeSeries {
    pub labels: Labels,
    pub drop_name: bool,
    pub samples: Vec<Sample>,
}

/// A range vector: its series and the right edge of the window of every step.
pub(crate) struct Ranges {
    pub series: Vec<RangeSeries>,
    pub range_ms: i64,
    pub right: Vec<i64>,
    pub edge: Edge,
}

impl Engine<'_> {
    /// The duration in milliseconds.
    pub fn millis(&self, duration: &DurationExpr, span: Span) -> Evaluated<i64> {
        let range = (self.end - self.start) as f64 / 1000.0;
        let ms = (duration.seconds(self.step as f64 / 1000.0, range) * 1000.0).round();
        if !ms.is_finite() || ms.abs() > 1e15 {
            return self.fail(span, format!("the duration {duration} is not finite or too long"));
        }
        Ok(ms as i64)
    }

    fn positive_millis(&self, duration: &DurationExpr, span: Span) -> Evaluated<i64> {
        let ms = self.millis(duration, span)?;
        if ms <= 0 {
            return self.fail(
                span,
                format!("the duration {duration} must be longer than zero, it is {ms} ms"),
            );
        }
        Ok(ms)
    }

    /// The instant that each step looks at, after `@` and `offset`.
    pub fn shifted(&self, shift: &TimeShift, span: Span, grid: &Grid) -> Evaluated<Vec<i64>> {
        let offset = match &shift.offset {
            Some(offset) => self.millis(offset, span)?,
            None => 0,
        };
        let pinned = match shift.at {
            None => return Ok(grid.times().map(|t| t - offset).collect()),
            Some(At::Millis(ms)) => ms,
            Some(At::Start) => self.start,
            Some(At::End) => self.end,
        };
        Ok(vec![pinned - offset; grid.n])
    }

    /// Reads the series of a selector in `[from, to]`, once for equal selectors of a query.
    pub fn fetch(&self, matchers: &[Matcher], from: i64, to: i64) -> Evaluated<Selection> {
        let id = key(matchers);
        let shared = self.shared.contains(&id);
        let id = (id, from, to);
        if let Some(found) = self.selections.borrow().get(&id) {
            return Ok(Rc::clone(found));
        }
        let limit = self.opts.max_samples;
        let series = self
            .source
            .select(matchers, from, to, self.budget())
            .map_err(|e| match e {
                SourceError::TooManySamples { .. } => EvalError::TooManySamples { limit },
                SourceError::Cancelled => EvalError::Cancelled,
                SourceError::Failed(text) => EvalError::Source(text),
            })?;
        let samples: usize = series.iter().map(|s| s.samples.len()).sum();
        self.read.set(self.read.get() + samples);
        self.charge(0)?;
        if self.read.get() > limit {
            return Err(EvalError::TooManySamples { limit });
        }
        let series = Rc::new(series);
        if shared {
            self.selections.borrow_mut().insert(id, Rc::clone(&series));
        }
        Ok(series)
    }

    pub fn instant_vector(&self, v: &VectorSelector, span: Span, grid: &Grid) -> Evaluated<Vec<Sv>> {
        self.instant_cells(v, span, grid, |s| s.1)
    }

    /// The vector whose values are the times of the samples, in seconds.
    pub fn instant_times(&self, v: &VectorSelector, span: Span, grid: &Grid) -> Evaluated<Vec<Sv>> {
        self.instant_cells(v, span, grid, |s| s.0 as f64 / 1000.0)
    }

    fn instant_cells(
        &self,
        v: &VectorSelector,
        span: Span,
        grid: &Grid,
        cell: impl Fn(&Sample) -> f64,
    ) -> Evaluated<Vec<Sv>> {
        let times = self.shifted(&v.shift, span, grid)?;
        let lookback = self.opts.lookback_ms;
        let (first, last) = (times[0], times[times.len() - 1]);
        let ahead = if v.edge == Edge::Smoothed { lookback } else { 0 };
        let selection = self.fetch(&v.matchers, first - lookback + 1, last + ahead)?;
        let mut out = Vec::with_capacity(selection.len());
        for series in selection.iter() {
            self.tick()?;
            let values = match v.edge {
                Edge::Smoothed => smoothed_cells(&without_stale(&series.samples), &times, lookback),
                Edge::Plain | Edge::Anchored => current_cells(&series.samples, &times, lookback, &cell),
            };
            if values.iter().any(|v| !is_absent(*v)) {
                self.charge(values.len())?;
                out.push(Sv {
                    labels: series.labels.clone(),
                    drop_name: false,
                    values,
                });
            }
        }
        Ok(out)
    }

    /// The series and windows of a range selector or subquery.
    pub fn ranges(&self, expr: &Expr, grid: &Grid) -> Evaluated<Ranges> {
        let inner = expr.unparen();
        match &inner.kind {
            ExprKind::Matrix(m) => {
                let range_ms = self.positive_millis(&m.range, inner.span)?;
                let right = self.shifted(&m.selector.shift, inner.span, grid)?;
                let around = if m.selector.edge == Edge::Plain {
                    0
                } else {
                    self.opts.lookback_ms
                };
                let ahead = if m.selector.edge == Edge::Smoothed {
                    around
                } else {
                    0
                };
                let from = right[0] - range_ms - around + 1;
                let selection = self.fetch(&m.selector.matchers, from, right[right.len() - 1] + ahead)?;
                let one = |s: &Series| RangeSeries {
                    labels: s.labels.clone(),
                    drop_name: false,
                    samples: without_stale(&s.samples),
                };
                let series = match Rc::try_unwrap(selection) {
                    Ok(owned) => owned.into_iter().map(owned_range).collect(),
                    Err(shared) => shared.iter().map(one).collect(),
                };
                Ok(Ranges {
                    series,
                    range_ms,
                    right,
                    edge: m.selector.edge,
                })
            }
            ExprKind::Subquery(s) => self.subquery(s, inner.span, grid),
            _ => self.fail(expr.span, "expected a range vector"),
        }
    }

    fn subquery(&self, s: &Subquery, span: Span, grid: &Grid) -> Evaluated<Ranges> {
        let range_ms = self.positive_millis(&s.range, span)?;
        let step = match &s.step {
            Some(step) => self.positive_millis(step, span)?,
            None => self.opts.subquery_step_ms.max(1),
        };
        let right = self.shifted(&s.shift, span, grid)?;
        // The steps are absolute multiples of the step, the first one after the left edge.
        let left = right[0] - range_ms;
        let start = (left.div_euclid(step) + 1) * step;
        let end = right[right.len() - 1];
        let empty = Ranges {
            series: Vec::new(),
            range_ms,
            right: right.clone(),
            edge: Edge::Plain,
        };
        if end < start {
            return Ok(empty);
        }
        let inner = Grid::range(start, end, step, self.opts.max_samples)?;
        let vector = self.vector(&s.expr, &inner)?;
        let mut series = Vec::with_capacity(vector.len());
        for sv in vector {
            self.tick()?;
            let samples = sv.samples(&inner);
            series.push(RangeSeries {
                labels: sv.labels,
                drop_name: sv.drop_name,
                samples,
            });
        }
        Ok(Ranges {
            series,
            range_ms,
            right,
            edge: Edge::Plain,
        })
    }

    /// The samples of a range vector at one instant, as an instant query shows them.
    pub fn raw_matrix(&self, expr: &Expr, t: i64) -> Evaluated<Vec<Series>> {
        let ranges = self.ranges(expr, &Grid::single(t))?;
        let right = ranges.right[0];
        let mut out = Vec::with_capacity(ranges.series.len());
        for s in ranges.series {
            let inside = |t: i64| t > right - ranges.range_ms && t <= right;
            let samples: Vec<Sample> = s.samples.into_iter().filter(|s| inside(s.0)).collect();
            let labels = if s.drop_name {
                s.labels.without_schema()
            } else {
                s.labels
            };
            if !samples.is_empty() {
                out.push(Series { labels, samples });
            }
        }
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(out)
    }
}

fn owned_range(s: Series) -> RangeSeries {
    let mut samples = s.samples;
    samples.retain(|s| !is_absent(s.1));
    RangeSeries {
        labels: s.labels,
        drop_name: false,
        samples,
    }
}

fn without_stale(samples: &[Sample]) -> Vec<Sample> {
    samples.iter().filter(|s| !is_absent(s.1)).copied().collect()
}

/// For each instant the newest sample not older than the look-back, unless it is a stale marker.
fn current_cells(
    samples: &[Sample],
    times: &[i64],
    lookback: i64,
    cell: &impl Fn(&Sample) -> f64,
) -> Vec<f64> {
    let mut next = 0;
    let at = |t: &i64| {
        while next < samples.len() && samples[next].0 <= *t {
            next += 1;
        }
        match next.checked_sub(1).map(|i| &samples[i]) {
            Some(s) if s.0 > t - lookback && !is_absent(s.1) => cell(s),
            _ => ABSENT,
        }
    };
    times.iter().map(at).collect()
}

/// Like [`current_cells`], interpolated towards the next sample.
fn smoothed_cells(samples: &[Sample], times: &[i64], lookback: i64) -> Vec<f64> {
    let mut next = 0;
    let at = |t: &i64| {
        while next < samples.len() && samples[next].0 <= *t {
            next += 1;
        }
        let Some(before) = next.checked_sub(1).map(|i| samples[i]) else {
            return ABSENT;
        };
        if before.0 <= t - lookback {
            return ABSENT;
        }
        match samples.get(next) {
            Some(after) if before.0 != *t && after.0 <= t + lookback => interpolate(before, *after, *t),
            _ => before.1,
        }
    };
    times.iter().map(at).collect()
}

/// The value at `t` on the line between two samples.
pub(crate) fn interpolate(a: Sample, b: Sample, t: i64) -> f64 {
    a.1 + (b.1 - a.1) * ((t - a.0) as f64 / (b.0 - a.0) as f64)
}
