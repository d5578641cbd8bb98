//! Binary operators on two numbers, and of a number with a vector.

use crate::ast::{Binary, BinaryOp};
use crate::eval::dense::{ABSENT, Sv, Val, is_absent};

/// The result of an arithmetic operator, or 1 and 0 for a comparison.
pub(crate) fn apply(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        _ => f64::from(u8::from(holds(op, a, b))),
    }
}

/// Whether a comparison holds.
pub(crate) fn holds(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Equal => a == b,
        BinaryOp::NotEqual => a != b,
        BinaryOp::Greater => a > b,
        BinaryOp::Less => a < b,
        BinaryOp::GreaterEqual => a >= b,
        BinaryOp::LessEqual => a <= b,
        _ => false,
    }
}

/// The cell that two present values give; a filter keeps `kept`.
pub(crate) fn cell(b: &Binary, lhs: f64, rhs: f64, kept: f64) -> f64 {
    if b.op.is_comparison() && !b.return_bool {
        return if holds(b.op, lhs, rhs) { kept } else { ABSENT };
    }
    apply(b.op, lhs, rhs)
}

/// Whether the result is a new quantity, which loses its name.
pub(crate) fn drops_name(b: &Binary) -> bool {
    !b.op.is_comparison() || b.return_bool
}

pub(crate) fn scalars(op: BinaryOp, lhs: &[f64], rhs: &[f64]) -> Vec<f64> {
    lhs.iter().zip(rhs).map(|(a, b)| apply(op, *a, *b)).collect()
}

/// A vector and a number; `number_first` tells which side the number is on.
pub(crate) fn with_scalar(b: &Binary, mut series: Vec<Sv>, scalar: &[f64], number_first: bool) -> Vec<Sv> {
    for s in &mut series {
        for (v, n) in s.values.iter_mut().zip(scalar) {
            if !is_absent(*v) {
                *v = if number_first {
                    cell(b, *n, *v, *v)
                } else {
                    cell(b, *v, *n, *v)
                };
            }
        }
        s.drop_name |= drops_name(b);
    }
    series
}

pub(crate) fn negate(value: Val) -> Val {
    match value {
        Val::Scalar(values) => Val::Scalar(values.into_iter().map(|v| -v).collect()),
        Val::Vector(mut series) => {
            for s in &mut series {
                s.map(|v| -v);
                s.drop_name = true;
            }
            Val::Vector(series)
        }
        Val::Text(s) => Val::Text(s),
    }
}
