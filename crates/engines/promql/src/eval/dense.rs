//! Vectors over all steps: one cell per series and step, absent cells marked.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::ast::Span;
use crate::eval::{EvalError, STALE_NAN_BITS, Sample};
use crate::labels::Labels;

/// The mark of a step without a value. A stale marker never is a value, so its bits are free for this.
/// Invariant: compared by bits and never put through arithmetic, which could change them.
pub(crate) const ABSENT: f64 = f64::from_bits(STALE_NAN_BITS);

pub(crate) fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// The instants of an evaluation, in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub start: i64,
    pub step: i64,
    pub n: usize,
}

impl Grid {
    pub fn single(t: i64) -> Grid {
        Grid {
            start: t,
            step: 0,
            n: 1,
        }
    }

    pub fn range(start: i64, end: i64, step: i64, max_steps: usize) -> Result<Grid, EvalError> {
        let refuse = |message: String| Err(EvalError::BadRequest(message));
        if step <= 0 {
            return refuse("the step must be longer than zero".into());
        }
        if end < start {
            return refuse("the end is before the start".into());
        }
        let steps = (end.abs_diff(start) / step.unsigned_abs()).saturating_add(1);
        if steps > max_steps as u64 {
            let message =
                format!("the query has {steps} steps; {max_steps} are allowed, so use a larger step");
            return refuse(message);
        }
        Ok(Grid {
            start,
            step,
            n: steps as usize,
        })
    }

    pub fn times(&self) -> impl Iterator<Item = i64> {
        let (start, step) = (self.start, self.step);
        (0..self.n).map(move |i| start + step * i as i64)
    }
}

/// One series of a vector.
#[derive(Clone, Debug)]
pub(crate) struct Sv {
    pub labels: Labels,
    /// The name is to be removed at the end; until then `label_replace` may still read it.
    pub drop_name: bool,
    pub values: Vec<f64>,
}

impl Sv {
    /// Applies `f` to every value present.
    pub fn map(&mut self, f: impl Fn(f64) -> f64) {
        for v in &mut self.values {
            if !is_absent(*v) {
                *v = f(*v);
            }
        }
    }

    pub fn has_values(&self) -> bool {
        self.values.iter().any(|v| !is_absent(*v))
    }

    pub fn samples(&self, grid: &Grid) -> Vec<Sample> {
        let cells = grid.times().zip(&self.values);
        cells
            .filter(|(_, v)| !is_absent(**v))
            .map(|(t, v)| (t, *v))
            .collect()
    }

    /// The labels a reader sees.
    pub fn shown(&self) -> Labels {
        if self.drop_name {
            self.labels.without_schema()
        } else {
            self.labels.clone()
        }
    }
}

/// What a node evaluates to.
#[derive(Clone, Debug)]
pub(crate) enum Val {
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vec<Sv>),
}

/// Carries out the delayed removal of names.
pub(crate) fn drop_names(mut series: Vec<Sv>) -> Vec<Sv> {
    for s in &mut series {
        s.labels = s.shown();
        s.drop_name = false;
    }
    series
}

/// Joins series with equal labels that never have a value at the same step; refuses those that do.
pub(crate) fn merge_same(series: Vec<Sv>, span: Span) -> Result<Vec<Sv>, EvalError> {
    let mut index: HashMap<Labels, usize> = HashMap::with_capacity(series.len());
    let mut out: Vec<Sv> = Vec::with_capacity(series.len());
    for s in series {
        match index.entry(s.labels.clone()) {
            Entry::Vacant(slot) => {
                slot.insert(out.len());
                out.push(s);
            }
            Entry::Occupied(slot) => {
                let kept = &mut out[*slot.get()];
                for (into, from) in kept.values.iter_mut().zip(&s.values) {
                    match (is_absent(*into), is_absent(*from)) {
                        (_, true) => {}
                        (true, false) => *into = *from,
                        (false, false) => return Err(same_labels(&s.labels, span)),
                    }
                }
            }
        }
    }
    Ok(out)
}

fn same_labels(labels: &Labels, span: Span) -> EvalError {
    let message = format!("vector cannot contain metrics with the same labelset: {labels}");
    EvalError::Query { message, span }
}
