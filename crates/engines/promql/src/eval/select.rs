//! Reads series from the source and lays them on the grid: selectors and subqueries.

use std::ops::ControlFlow;
use std::rc::Rc;

use crate::ast::{At, Edge, Expr, ExprKind, Span, Subquery, TimeShift, VectorSelector};
use crate::duration::DurationExpr;
use crate::eval::dense::{ABSENT, Grid, Sv, is_absent};
use crate::eval::engine::{Engine, Evaluated, Selection, Sink};
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

/// The windows of a range vector.
pub(crate) struct Windows {
    pub range_ms: i64,
    /// The right edge of the window of every step.
    pub right: Vec<i64>,
    pub edge: Edge,
}

/// Takes range series one by one.
pub(crate) type RangeSink<'a> = &'a mut dyn FnMut(&Windows, RangeSeries) -> Evaluated<()>;

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

    /// Reads the series of a selector in `[from, to]` one by one; equal selectors of a query read once.
    fn each(
        &self,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        f: &mut dyn FnMut(Labels, Vec<Sample>) -> Evaluated<()>,
    ) -> Evaluated<()> {
        let id = key(matchers);
        if self.shared.contains(&id) {
            let selection = self.fetch_shared((id, from, to), matchers)?;
            return selection
                .iter()
                .try_for_each(|s| f(s.labels.clone(), s.samples.clone()));
        }
        let mut stopped = Ok(());
        let mut each = |s: Series| {
            stopped = self
                .count_read(s.samples.len())
                .and_then(|()| f(s.labels, s.samples));
            if stopped.is_ok() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let read = self.source.visit(matchers, from, to, self.budget(), &mut each);
        stopped?;
        read.map_err(|e| self.source_error(e))
    }

    fn fetch_shared(&self, id: (String, i64, i64), matchers: &[Matcher]) -> Evaluated<Selection> {
        if let Some(found) = self.selections.borrow().get(&id) {
            return Ok(Rc::clone(found));
        }
        let series = self
            .source
            .select(matchers, id.1, id.2, self.budget())
            .map_err(|e| self.source_error(e))?;
        self.count_read(series.iter().map(|s| s.samples.len()).sum())?;
        let series = Rc::new(series);
        self.selections.borrow_mut().insert(id, Rc::clone(&series));
        Ok(series)
    }

    fn count_read(&self, samples: usize) -> Evaluated<()> {
        self.tick()?;
        let over = samples > self.budget();
        self.read.set(self.read.get().saturating_add(samples));
        if over {
            Err(EvalError::TooManySamples {
                limit: self.opts.max_samples,
            })
        } else {
            Ok(())
        }
    }

    fn source_error(&self, error: SourceError) -> EvalError {
        match error {
            SourceError::TooManySamples { .. } => EvalError::TooManySamples {
                limit: self.opts.max_samples,
            },
            SourceError::Cancelled => EvalError::Cancelled,
            SourceError::Failed(text) => EvalError::Source(text),
        }
    }

    /// The vector whose values are the times of the samples, in seconds.
    pub fn instant_times(&self, v: &VectorSelector, span: Span, grid: &Grid) -> Evaluated<Vec<Sv>> {
        let mut out = Vec::new();
        self.instant_cells(v, span, grid, &|s| s.0 as f64 / 1000.0, &mut |s| {
            self.keep(&mut out, s)
        })?;
        Ok(out)
    }

    /// Hands the series of a selector to `sink`, laid on the grid.
    pub fn instant_cells(
        &self,
        v: &VectorSelector,
        span: Span,
        grid: &Grid,
        cell: &dyn Fn(&Sample) -> f64,
        sink: Sink,
    ) -> Evaluated<()> {
        let times = self.shifted(&v.shift, span, grid)?;
        let lookback = self.opts.lookback_ms;
        let ahead = if v.edge == Edge::Smoothed { lookback } else { 0 };
        let span = (times[0] - lookback + 1, times[times.len() - 1] + ahead);
        self.each(&v.matchers, span, &mut |labels, samples| {
            let values = match v.edge {
                Edge::Smoothed => smoothed_cells(&without_stale(samples), &times, lookback),
                Edge::Plain | Edge::Anchored => current_cells(&samples, &times, lookback, cell),
            };
            sink(Sv {
                labels,
                drop_name: false,
                values,
            })
        })
    }

    /// Hands the series of a range selector or subquery to `sink`.
    pub fn ranges(&self, expr: &Expr, grid: &Grid, sink: RangeSink) -> Evaluated<()> {
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
                let span = (right[0] - range_ms - around + 1, right[right.len() - 1] + ahead);
                let windows = Windows {
                    range_ms,
                    right,
                    edge: m.selector.edge,
                };
                self.each(&m.selector.matchers, span, &mut |labels, samples| {
                    let series = RangeSeries {
                        labels,
                        drop_name: false,
                        samples: without_stale(samples),
                    };
                    sink(&windows, series)
                })
            }
            ExprKind::Subquery(s) => self.subquery(s, inner.span, grid, sink),
            _ => self.fail(expr.span, "expected a range vector"),
        }
    }

    fn subquery(&self, s: &Subquery, span: Span, grid: &Grid, sink: RangeSink) -> Evaluated<()> {
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
        if end < start {
            return Ok(());
        }
        let inner = Grid::range(start, end, step, self.opts.max_samples)?;
        let windows = Windows {
            range_ms,
            right,
            edge: Edge::Plain,
        };
        self.stream(&s.expr, &inner, &mut |sv| {
            let samples = sv.samples(&inner);
            sink(
                &windows,
                RangeSeries {
                    labels: sv.labels,
                    drop_name: sv.drop_name,
                    samples,
                },
            )
        })
    }

    /// The samples of a range vector at one instant, as an instant query shows them.
    pub fn raw_matrix(&self, expr: &Expr, t: i64) -> Evaluated<Vec<Series>> {
        let mut out = Vec::new();
        self.ranges(expr, &Grid::single(t), &mut |windows, s| {
            let right = windows.right[0];
            let inside = |t: i64| t > right - windows.range_ms && t <= right;
            let samples: Vec<Sample> = s.samples.into_iter().filter(|s| inside(s.0)).collect();
            let labels = if s.drop_name {
                s.labels.without_schema()
            } else {
                s.labels
            };
            if !samples.is_empty() {
                out.push(Series { labels, samples });
            }
            Ok(())
        })?;
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(out)
    }
}

fn without_stale(mut samples: Vec<Sample>) -> Vec<Sample> {
    samples.retain(|s| !is_absent(s.1));
    samples
}

/// For each instant the newest sample not older than the look-back, unless it is a stale marker.
fn current_cells(
    samples: &[Sample],
    times: &[i64],
    lookback: i64,
    cell: &dyn Fn(&Sample) -> f64,
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
