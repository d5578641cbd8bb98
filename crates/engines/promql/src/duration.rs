//! Durations that may depend on the step and range of the query.

use crate::ast::{BinaryOp, Number};

/// A duration, possibly computed from the step and range of the query.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExpr {
    /// Seconds.
    Literal(Number),
    /// The step of the query.
    Step,
    /// The time between the first and last step of the query.
    Range,
    Negate(Box<DurationExpr>),
    Plus(Box<DurationExpr>),
    Paren(Box<DurationExpr>),
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
    Min(Box<DurationExpr>, Box<DurationExpr>),
    Max(Box<DurationExpr>, Box<DurationExpr>),
}

impl DurationExpr {
    /// The duration in seconds for a query with this step and range.
    pub fn seconds(&self, step_s: f64, range_s: f64) -> f64 {
        let of = |e: &DurationExpr| e.seconds(step_s, range_s);
        match self {
            DurationExpr::Literal(n) => n.value,
            DurationExpr::Step => step_s,
            DurationExpr::Range => range_s,
            DurationExpr::Negate(e) => -of(e),
            DurationExpr::Plus(e) | DurationExpr::Paren(e) => of(e),
            DurationExpr::Min(a, b) => of(a).min(of(b)),
            DurationExpr::Max(a, b) => of(a).max(of(b)),
            DurationExpr::Binary(op, a, b) => {
                let (a, b) = (of(a), of(b));
                match op {
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    BinaryOp::Div => a / b,
                    BinaryOp::Mod => a % b,
                    BinaryOp::Pow => a.powf(b),
                    _ => f64::NAN,
                }
            }
        }
    }
}
