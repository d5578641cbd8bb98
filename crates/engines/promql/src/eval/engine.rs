//! Walks the tree: one method per query, one arm per kind of node.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::ast::{Call, Expr, ExprKind, Span};
use crate::eval::dense::{Grid, Sv, Val};
use crate::eval::notes::Notes;
use crate::eval::{
    EvalError, Options, Outcome, Series, Source, Value, aggregate, arithmetic, binary, histogram, info,
    labels_fn, math, over_time,
};

pub(crate) type Evaluated<T> = Result<T, EvalError>;

/// Takes the series of a vector one by one, so that they need not all be held.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Sv) -> Evaluated<()>;

/// Series read once and shared by equal selectors.
pub(crate) type Selection = Rc<Vec<Series>>;

/// Samples looked at before a long loop asks again whether to go on: about a millisecond.
const WORK_BETWEEN_QUESTIONS: usize = 500_000;

/// One query in progress.
pub(crate) struct Engine<'a> {
    pub source: &'a dyn Source,
    pub opts: &'a Options<'a>,
    /// First and last instant and step of the query, in milliseconds.
    pub start: i64,
    pub end: i64,
    pub step: i64,
    pub notes: Notes,
    pub(super) read: Cell<usize>,
    cells: Cell<usize>,
    bytes: Cell<usize>,
    ticks: Cell<u32>,
    work: Cell<usize>,
    stopped: Cell<bool>,
    pub(super) selections: RefCell<HashMap<(String, i64, i64), Selection>>,
    /// Selectors that occur more than once, worth keeping.
    pub(super) shared: Vec<String>,
}

impl<'a> Engine<'a> {
    pub fn new(
        source: &'a dyn Source,
        opts: &'a Options<'a>,
        expr: &Expr,
        (start, end, step): (i64, i64, i64),
    ) -> Engine<'a> {
        let mut keys = Vec::new();
        crate::inspect::selectors(expr, &mut |v| keys.push(super::select::key(&v.matchers)));
        keys.sort_unstable();
        let mut shared: Vec<String> = keys
            .windows(2)
            .filter(|w| w[0] == w[1])
            .map(|w| w[0].clone())
            .collect();
        shared.dedup();
        Engine {
            source,
            opts,
            start,
            end,
            step,
            notes: Notes::default(),
            read: Cell::new(0),
            cells: Cell::new(0),
            bytes: Cell::new(0),
            ticks: Cell::new(0),
            work: Cell::new(0),
            stopped: Cell::new(false),
            selections: RefCell::default(),
            shared,
        }
    }

    pub fn outcome(&self, value: Value) -> Evaluated<Outcome> {
        if self.stopped.get() {
            return Err(EvalError::Cancelled);
        }
        let (warnings, infos) = (self.notes.warnings(), self.notes.infos());
        Ok(Outcome {
            value,
            warnings,
            infos,
            samples_read: self.read.get(),
        })
    }

    /// How many more samples and cells the query may hold.
    pub fn budget(&self) -> usize {
        self.opts
            .max_samples
            .saturating_sub(self.read.get())
            .saturating_sub(self.cells.get())
    }

    /// Accounts for cells about to be made.
    pub fn charge(&self, cells: usize) -> Evaluated<()> {
        if cells > self.budget() {
            return Err(EvalError::TooManySamples {
                limit: self.opts.max_samples,
            });
        }
        self.cells.set(self.cells.get() + cells);
        self.charge_bytes(cells.saturating_mul(size_of::<f64>()))
    }

    /// Accounts for bytes about to be held besides cells: labels that functions write.
    pub fn charge_bytes(&self, bytes: usize) -> Evaluated<()> {
        let held = self.bytes.get().saturating_add(bytes);
        let limit = self.opts.max_bytes;
        if held > limit {
            return Err(EvalError::TooManyBytes { limit });
        }
        self.bytes.set(held);
        Ok(())
    }

    /// Stops a cancelled query; called once per series or more often.
    pub fn tick(&self) -> Evaluated<()> {
        let tick = self.ticks.get().wrapping_add(1);
        self.ticks.set(tick);
        if self.stopped.get() || (tick % 16 == 1 && self.is_cancelled()) {
            return Err(EvalError::Cancelled);
        }
        Ok(())
    }

    fn is_cancelled(&self) -> bool {
        self.opts.cancelled.is_some_and(|cancelled| cancelled())
    }

    /// Accounts for samples looked at. False once the query is cancelled; the next [`Engine::tick`] then fails.
    pub fn spend(&self, samples: usize) -> bool {
        let work = self.work.get() + samples;
        let ask = work > WORK_BETWEEN_QUESTIONS;
        self.work.set(if ask { 0 } else { work });
        if ask && self.is_cancelled() {
            self.stopped.set(true);
        }
        !self.stopped.get()
    }

    pub fn fail<T>(&self, span: Span, message: impl Into<String>) -> Evaluated<T> {
        Err(EvalError::Query {
            message: message.into(),
            span,
        })
    }

    /// Evaluates a node at every instant of the grid. What does not depend on the instant is done once.
    pub fn eval(&self, expr: &Expr, grid: &Grid) -> Evaluated<Val> {
        self.tick()?;
        if grid.n > 1 && !is_literal(expr) && is_fixed(expr) {
            let once = self.eval_node(expr, &Grid::single(grid.start))?;
            if let Val::Vector(series) = &once {
                self.charge(series.len().saturating_mul(grid.n))?;
            }
            return Ok(repeat(once, grid.n));
        }
        self.eval_node(expr, grid)
    }

    fn eval_node(&self, expr: &Expr, grid: &Grid) -> Evaluated<Val> {
        match &expr.kind {
            ExprKind::Number(n) => Ok(Val::Scalar(vec![n.value; grid.n])),
            ExprKind::String(s) => Ok(Val::Text(s.clone())),
            ExprKind::Vector(_) => Ok(Val::Vector(self.collect(expr, grid)?)),
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => {
                self.fail(expr.span, "a range vector where a value is needed")
            }
            ExprKind::Call(call) => self.call(expr, call, grid),
            ExprKind::Aggregate(a) => Ok(Val::Vector(aggregate::eval(self, a, grid)?)),
            ExprKind::Binary(b) => binary::eval(self, expr.span, b, grid),
            ExprKind::Unary { negate, expr } => {
                let value = self.eval(expr, grid)?;
                Ok(if *negate { arithmetic::negate(value) } else { value })
            }
            ExprKind::Paren(inner) => self.eval(inner, grid),
        }
    }

    fn call(&self, expr: &Expr, call: &Call, grid: &Grid) -> Evaluated<Val> {
        let name = call.func.name;
        if over_time::range_arg(call).is_some() {
            return Ok(Val::Vector(self.collect(expr, grid)?));
        }
        let vector = match name {
            "label_replace" | "label_join" | "sort_by_label" | "sort_by_label_desc" => {
                labels_fn::eval(self, expr, call, grid)?
            }
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
                histogram::eval(self, expr, call, grid)?
            }
            "info" => info::eval(self, call, grid)?,
            _ => return math::eval(self, expr, call, grid),
        };
        Ok(Val::Vector(vector))
    }

    /// Hands the series of a vector to `sink`. Selectors and functions of ranges do so while they read.
    pub fn stream(&self, expr: &Expr, grid: &Grid, sink: Sink) -> Evaluated<()> {
        let inner = expr.unparen();
        let streams = match &inner.kind {
            ExprKind::Vector(_) => true,
            ExprKind::Call(call) => over_time::range_arg(call).is_some(),
            _ => false,
        };
        if streams && !(grid.n > 1 && is_fixed(inner)) {
            return self.stream_node(inner, grid, sink);
        }
        self.vector(expr, grid)?.into_iter().try_for_each(sink)
    }

    fn stream_node(&self, expr: &Expr, grid: &Grid, sink: Sink) -> Evaluated<()> {
        match &expr.kind {
            ExprKind::Vector(v) => self.instant_cells(v, expr.span, grid, &|s| s.1, sink),
            ExprKind::Call(call) => over_time::stream(self, call, grid, sink),
            _ => self.fail(expr.span, "expected an instant vector"),
        }
    }

    fn collect(&self, expr: &Expr, grid: &Grid) -> Evaluated<Vec<Sv>> {
        let mut out = Vec::new();
        self.stream_node(expr, grid, &mut |s| self.keep(&mut out, s))?;
        Ok(out)
    }

    /// Keeps a series that has a value at some step.
    pub fn keep(&self, out: &mut Vec<Sv>, s: Sv) -> Evaluated<()> {
        if s.has_values() {
            self.charge(s.values.len())?;
            out.push(s);
        }
        Ok(())
    }

    pub fn vector(&self, expr: &Expr, grid: &Grid) -> Evaluated<Vec<Sv>> {
        match self.eval(expr, grid)? {
            Val::Vector(series) => Ok(series),
            _ => self.fail(expr.span, "expected an instant vector"),
        }
    }

    pub fn scalar(&self, expr: &Expr, grid: &Grid) -> Evaluated<Vec<f64>> {
        match self.eval(expr, grid)? {
            Val::Scalar(values) => Ok(values),
            _ => self.fail(expr.span, "expected a scalar"),
        }
    }

    pub fn text(&self, expr: &Expr) -> Evaluated<String> {
        match &expr.unparen().kind {
            ExprKind::String(s) => Ok(s.clone()),
            _ => self.fail(expr.span, "expected a string"),
        }
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Number(_) | ExprKind::String(_))
}

/// Functions whose value depends on the instant of evaluation whatever their arguments.
const TIMED: [&str; 4] = ["time", "timestamp", "predict_linear", "info"];

/// Whether every instant gives the same value.
fn is_fixed(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Vector(v) => v.shift.at.is_some(),
        ExprKind::Matrix(m) => m.selector.shift.at.is_some(),
        ExprKind::Subquery(s) => s.shift.at.is_some(),
        ExprKind::Call(c) => {
            let reads_clock = c.args.is_empty() && c.func.optional > 0;
            !reads_clock && !TIMED.contains(&c.func.name) && c.args.iter().all(is_fixed)
        }
        _ => expr.children().into_iter().all(is_fixed),
    }
}

fn repeat(value: Val, n: usize) -> Val {
    match value {
        Val::Scalar(v) => Val::Scalar(vec![v[0]; n]),
        Val::Text(s) => Val::Text(s),
        Val::Vector(series) => Val::Vector(
            series
                .into_iter()
                .map(|s| Sv {
                    values: vec![s.values[0]; n],
                    ..s
                })
                .collect(),
        ),
    }
}
