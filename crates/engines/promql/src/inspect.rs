//! What an expression depends on, for rules that are evaluated as samples arrive.

use crate::ast::{Binary, BinaryOp, Edge, Expr, ExprKind, TimeShift, VectorSelector};
use crate::matcher::Matcher;

/// `metric{matchers} <op> number`: a condition on single samples.
#[derive(Clone, Debug, PartialEq)]
pub struct SimpleThreshold {
    pub matchers: Vec<Matcher>,
    /// A comparison, with the series on its left.
    pub op: BinaryOp,
    pub value: f64,
}

impl SimpleThreshold {
    /// Whether a value satisfies the condition.
    pub fn holds(&self, value: f64) -> bool {
        match self.op {
            BinaryOp::Equal => value == self.value,
            BinaryOp::NotEqual => value != self.value,
            BinaryOp::Greater => value > self.value,
            BinaryOp::Less => value < self.value,
            BinaryOp::GreaterEqual => value >= self.value,
            BinaryOp::LessEqual => value <= self.value,
            _ => false,
        }
    }
}

/// The parts of `metric{…} <op> number`, or of the same turned round. None for anything else, also when a time
/// shift or `bool` makes the newest sample insufficient.
pub fn simple_threshold(expr: &Expr) -> Option<SimpleThreshold> {
    let ExprKind::Binary(binary) = &expr.unparen().kind else {
        return None;
    };
    let Binary {
        op,
        return_bool: false,
        lhs,
        rhs,
        ..
    } = &**binary
    else {
        return None;
    };
    if !op.is_comparison() {
        return None;
    }
    let (selector, value, op) = match (plain_selector(lhs), plain_selector(rhs)) {
        (Some(s), None) => (s, constant(rhs)?, *op),
        (None, Some(s)) => (s, constant(lhs)?, turned(*op)),
        _ => return None,
    };
    Some(SimpleThreshold {
        matchers: selector.matchers.clone(),
        op,
        value,
    })
}

fn plain_selector(expr: &Expr) -> Option<&VectorSelector> {
    match &expr.unparen().kind {
        ExprKind::Vector(v) if v.shift == TimeShift::default() && v.edge == Edge::Plain => Some(v),
        _ => None,
    }
}

/// The value of an expression of numbers only.
fn constant(expr: &Expr) -> Option<f64> {
    match &expr.unparen().kind {
        ExprKind::Number(n) => Some(n.value),
        ExprKind::Unary { negate, expr } => constant(expr).map(|v| if *negate { -v } else { v }),
        ExprKind::Binary(b) if b.op.precedence() >= BinaryOp::Add.precedence() => {
            Some(crate::eval::constant(b.op, constant(&b.lhs)?, constant(&b.rhs)?))
        }
        _ => None,
    }
}

fn turned(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::GreaterEqual => BinaryOp::LessEqual,
        BinaryOp::LessEqual => BinaryOp::GreaterEqual,
        other => other,
    }
}

/// The matchers of every selector: a series that satisfies none of these sets cannot change the result.
pub fn metric_names(expr: &Expr) -> Vec<Vec<Matcher>> {
    let mut sets: Vec<Vec<Matcher>> = Vec::new();
    selectors(expr, &mut |v| {
        if !sets.contains(&v.matchers) {
            sets.push(v.matchers.clone());
        }
    });
    if reads_info(expr) {
        sets.push(vec![Matcher::equal(crate::METRIC_NAME, "target_info")]);
    }
    sets
}

/// Whether `info()` reads its usual metric, which is not written in the query.
fn reads_info(expr: &Expr) -> bool {
    let here = match &expr.kind {
        ExprKind::Call(c) if c.func.name == "info" => match c.args.get(1).map(|a| &a.kind) {
            Some(ExprKind::Vector(v)) => !v.matchers.iter().any(|m| m.name == crate::METRIC_NAME),
            _ => true,
        },
        _ => false,
    };
    here || expr.children().into_iter().any(reads_info)
}

/// Calls `f` with every selector.
pub(crate) fn selectors<'a>(expr: &'a Expr, f: &mut impl FnMut(&'a VectorSelector)) {
    match &expr.kind {
        ExprKind::Vector(v) => f(v),
        ExprKind::Matrix(m) => f(&m.selector),
        _ => {}
    }
    for child in expr.children() {
        selectors(child, f);
    }
}
