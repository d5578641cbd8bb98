//! Evaluation: the public types, the entry points and the last step of every query.
//!
//! All steps of a query are evaluated together. A vector is a set of series, each with one cell per step
//! ([`dense`]); [`engine`] walks the tree and calls the module of each kind of node.

mod aggregate;
mod arithmetic;
mod binary;
mod blocks;
mod dense;
mod engine;
mod histogram;
mod info;
mod labels_fn;
mod many;
mod math;
mod notes;
mod over_time;
mod rate;
mod select;
mod setop;
mod stats;
mod topk;
mod window;

use std::ops::ControlFlow;

use thiserror::Error;

use crate::ast::{Expr, Span, ValueType};
use crate::labels::Labels;
use crate::matcher::Matcher;
use dense::{Grid, Sv, Val, is_absent};
use engine::Engine;

/// The bits of the value that marks the end of a series.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// One sample: milliseconds since 1970 and value.
pub type Sample = (i64, f64);

/// A series with its samples in ascending, unique time order; stale markers included.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: Labels,
    pub samples: Vec<Sample>,
}

/// Where the series come from.
pub trait Source {
    /// Every series that satisfies all matchers, with its samples in the closed interval `[start_ms, end_ms]`.
    /// Series without samples there may be left out. The source stops with [`SourceError::TooManySamples`] once
    /// it holds more than `sample_limit` samples.
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        sample_limit: usize,
    ) -> Result<Vec<Series>, SourceError>;

    /// Hands out the series of [`Source::select`] one by one, until `each` breaks off. A source that decodes
    /// series by series implements this too: queries then never hold the samples of more than one series.
    fn visit(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        sample_limit: usize,
        each: &mut dyn FnMut(Series) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        for series in self.select(matchers, start_ms, end_ms, sample_limit)? {
            if each(series).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Why a source could not give its series.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SourceError {
    #[error("the selection holds more than {limit} samples")]
    TooManySamples { limit: usize },
    #[error("cancelled")]
    Cancelled,
    #[error("{0}")]
    Failed(String),
}

/// Why a query has no result.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum EvalError {
    #[error(
        "the query needs more than {limit} samples; select fewer series, a shorter range or a larger step"
    )]
    TooManySamples { limit: usize },
    #[error(
        "the query needs more than {limit} bytes of memory; select fewer series, a shorter range, a larger step or shorter labels"
    )]
    TooManyBytes { limit: usize },
    #[error("the query was cancelled or ran out of time")]
    Cancelled,
    #[error("the series could not be read: {0}")]
    Source(String),
    /// The data or parameters do not allow a result, for example two series that match one.
    #[error("{message} (line {}, column {})", span.line, span.column)]
    Query { message: String, span: Span },
    #[error("{0}")]
    BadRequest(String),
}

/// The knobs of one query.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// How far back a sample still counts as current.
    pub lookback_ms: i64,
    /// Samples read and cells made before the query is refused.
    pub max_samples: usize,
    /// Bytes of cells and of labels that the query makes before it is refused.
    pub max_bytes: usize,
    /// The step of a subquery that names none.
    pub subquery_step_ms: i64,
    /// Steps a range query may have.
    pub max_steps: usize,
    /// Whether `by (__name__)` still sees the name that a function has dropped, as with Prometheus' delayed name removal.
    /// Its default, and ours, is that it does not.
    pub delayed_name_removal: bool,
    /// Asked often; true stops the query. Deadlines are made of this.
    pub cancelled: Option<&'a (dyn Fn() -> bool + 'a)>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            lookback_ms: 300_000,
            max_samples: 50_000_000,
            max_bytes: 256 << 20,
            subquery_step_ms: 60_000,
            max_steps: 11_000,
            delayed_name_removal: false,
            cancelled: None,
        }
    }
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    pub labels: Labels,
    pub t_ms: i64,
    pub value: f64,
}

/// The value of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Scalar { t_ms: i64, value: f64 },
    String { t_ms: i64, value: String },
    Vector(Vec<VectorSample>),
    Matrix(Vec<Series>),
}

/// A value with what there is to say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub value: Value,
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
    /// Samples read from the source.
    pub samples_read: usize,
}

/// The value of an arithmetic operator on two numbers.
pub(crate) fn constant(op: crate::BinaryOp, a: f64, b: f64) -> f64 {
    arithmetic::apply(op, a, b)
}

/// Evaluates at one instant.
pub fn instant(source: &dyn Source, expr: &Expr, t_ms: i64, opts: &Options) -> Result<Outcome, EvalError> {
    let grid = Grid::single(t_ms);
    let engine = Engine::new(source, opts, expr, (t_ms, t_ms, 0));
    let value = match expr.value_type() {
        ValueType::Matrix => Value::Matrix(engine.raw_matrix(expr, t_ms)?),
        _ => match engine.eval(expr, &grid)? {
            Val::Scalar(v) => Value::Scalar { t_ms, value: v[0] },
            Val::Text(value) => Value::String { t_ms, value },
            Val::Vector(series) => Value::Vector(vector_at(series, t_ms, expr.span)?),
        },
    };
    engine.outcome(value)
}

/// Evaluates at `start_ms`, `start_ms + step_ms`, … up to `end_ms`. The value is a matrix ordered by labels.
pub fn range(
    source: &dyn Source,
    expr: &Expr,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    opts: &Options,
) -> Result<Outcome, EvalError> {
    let grid = Grid::range(start_ms, end_ms, step_ms, opts.max_steps)?;
    let engine = Engine::new(source, opts, expr, (start_ms, end_ms, step_ms));
    let series = match expr.value_type() {
        ValueType::Scalar | ValueType::Vector => match engine.eval(expr, &grid)? {
            Val::Scalar(values) => vec![Sv {
                labels: Labels::default(),
                drop_name: false,
                values,
            }],
            Val::Vector(series) => series,
            Val::Text(_) => Vec::new(),
        },
        other => {
            let what = other.as_str();
            return Err(EvalError::BadRequest(format!(
                "a range query of a {what}; use an instant query"
            )));
        }
    };
    let values = series.iter().flat_map(|s| &s.values);
    let samples = values.filter(|v| !is_absent(**v)).count();
    engine.charge_bytes(samples.saturating_mul(size_of::<Sample>()))?;
    let mut matrix = to_matrix(series, &grid, expr.span)?;
    matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
    engine.outcome(Value::Matrix(matrix))
}

fn vector_at(series: Vec<Sv>, t_ms: i64, span: Span) -> Result<Vec<VectorSample>, EvalError> {
    let finished = dense::merge_same(dense::drop_names(series), span)?;
    Ok(finished
        .into_iter()
        .filter(|s| !is_absent(s.values[0]))
        .map(|s| VectorSample {
            labels: s.labels,
            t_ms,
            value: s.values[0],
        })
        .collect())
}

fn to_matrix(series: Vec<Sv>, grid: &Grid, span: Span) -> Result<Vec<Series>, EvalError> {
    let finished = dense::merge_same(dense::drop_names(series), span)?;
    let rows = finished.into_iter().map(|s| Series {
        samples: s.samples(grid),
        labels: s.labels,
    });
    Ok(rows.filter(|s| !s.samples.is_empty()).collect())
}
