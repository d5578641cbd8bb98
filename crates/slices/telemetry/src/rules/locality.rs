//! Which rules may be evaluated for one instance at a time, on ingest.
//!
//! A rule is *local* when its result for an instance depends on no other instance's samples: then a batch from a host re-evaluates
//! the rule for that host at once, and a fault is an alert one sample after it happened.

use promql::{Expr, ExprKind, METRIC_NAME, MatchOp};

/// What ingest needs to know of a local rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Locality {
    /// Metrics that the rule reads.
    pub metrics: Vec<String>,
}

/// `None` when the rule must be evaluated over everything, on its interval.
pub(crate) fn of(expr: &Expr) -> Option<Locality> {
    let mut metrics = Vec::new();
    if !is_local(expr, &mut metrics) || metrics.is_empty() {
        return None;
    }
    metrics.sort();
    metrics.dedup();
    Some(Locality { metrics })
}

/// Functions whose result at an instance depends on that instance's samples only, cheap enough for every sample.
const POINTWISE: &[&str] = &[
    "abs",
    "ceil",
    "floor",
    "round",
    "clamp",
    "clamp_max",
    "clamp_min",
    "exp",
    "ln",
    "log2",
    "log10",
    "sqrt",
    "sgn",
    "time",
    "timestamp",
];

fn is_local(expr: &Expr, metrics: &mut Vec<String>) -> bool {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => true,
        ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => is_local(inner, metrics),
        ExprKind::Vector(selector) => {
            // A selector that pins another instance, or looks at another time, is not about the batch at hand.
            if selector.shift != Default::default() || selector.matchers.iter().any(|m| m.name == "instance")
            {
                return false;
            }
            let name = selector
                .matchers
                .iter()
                .find(|m| m.name == METRIC_NAME && m.op == MatchOp::Equal);
            name.map(|m| metrics.push(m.value.clone())).is_some()
        }
        ExprKind::Call(call) => {
            POINTWISE.contains(&call.func.name) && call.args.iter().all(|arg| is_local(arg, metrics))
        }
        ExprKind::Binary(binary) => {
            keeps_instance(binary) && is_local(&binary.lhs, metrics) && is_local(&binary.rhs, metrics)
        }
        ExprKind::Matrix(_) | ExprKind::Subquery(_) | ExprKind::Aggregate(_) => false,
    }
}

/// Do both sides of a binary operation come from the same instance?
fn keeps_instance(binary: &promql::Binary) -> bool {
    let names_instance = binary.matching.labels.iter().any(|label| label == "instance");
    binary.matching.on == names_instance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_rules_are_told_from_global_ones() {
        for (text, expected) in [
            ("mainstay_service_up == 0", Some(vec!["mainstay_service_up"])),
            ("a / b * 100 < 10 and c == 0", Some(vec!["a", "b", "c"])),
            ("x_seconds - time() < 86400", Some(vec!["x_seconds"])),
            ("a / on (instance, device) b > 1", Some(vec!["a", "b"])),
            ("a / on (device) b > 1", None),
            ("a / ignoring (instance) b > 1", None),
            ("sum by (instance) (a) > 1", None),
            ("rate(a[5m]) > 1", None),
            ("a offset 5m > 1", None),
            ("absent(a)", None),
            ("up{instance=\"web-1\"} == 0", None),
            ("{job=\"x\"} > 1", None),
            ("vector(1) > 0", None),
        ] {
            let found = of(&promql::parse(text).unwrap()).map(|locality| locality.metrics);
            assert_eq!(
                found,
                expected.map(|list| list.iter().map(ToString::to_string).collect()),
                "{text}"
            );
        }
    }
}
