//! The syntax tree of a query as JSON, as Prometheus' `parse_query` gives it.

use promql::{At, DurationExpr, Expr, ExprKind, Group, Matcher, TimeShift, ValueType, VectorSelector};
use serde_json::{Value, json};

pub(super) fn tree(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number(number) => {
            json!({ "type": "numberLiteral", "val": promql::format_value(number.value) })
        }
        ExprKind::String(text) => json!({ "type": "stringLiteral", "val": text }),
        ExprKind::Paren(inner) => json!({ "type": "parenExpr", "expr": tree(inner) }),
        ExprKind::Unary { negate, expr } => {
            let op = if *negate { "-" } else { "+" };
            json!({ "type": "unaryExpr", "op": op, "expr": tree(expr) })
        }
        ExprKind::Vector(selector) => selected("vectorSelector", selector, None),
        ExprKind::Matrix(matrix) => selected("matrixSelector", &matrix.selector, Some(millis(&matrix.range))),
        ExprKind::Subquery(sub) => {
            let mut node = shifted("subquery", &sub.shift);
            node["expr"] = tree(&sub.expr);
            node["range"] = json!(millis(&sub.range));
            node["step"] = json!(sub.step.as_ref().map_or(0, millis));
            node
        }
        ExprKind::Call(call) => {
            let variadic = if call.func.repeats {
                -1
            } else {
                call.func.optional as i64
            };
            let types: Vec<&str> = call.func.args.iter().map(|kind| short(*kind)).collect();
            json!({
                "type": "call",
                "func": {
                    "name": call.func.name,
                    "argTypes": types,
                    "variadic": variadic,
                    "returnType": short(call.func.returns),
                },
                "args": call.args.iter().map(tree).collect::<Vec<_>>(),
            })
        }
        ExprKind::Aggregate(aggregate) => {
            let grouping = aggregate.grouping.as_ref();
            json!({
                "type": "aggregation",
                "op": aggregate.op.name(),
                "expr": tree(&aggregate.expr),
                "param": aggregate.param.as_ref().map(tree),
                "grouping": grouping.map_or(&[][..], |by| &by.labels),
                "without": grouping.is_some_and(|by| by.without),
            })
        }
        ExprKind::Binary(binary) => json!({
            "type": "binaryExpr",
            "op": binary.op.as_str(),
            "lhs": tree(&binary.lhs),
            "rhs": tree(&binary.rhs),
            "matching": matching(binary),
            "bool": binary.return_bool,
        }),
    }
}

/// How two vectors are matched; nothing when one side is a number.
fn matching(binary: &promql::Binary) -> Value {
    let is_vector = |expr: &Expr| expr.value_type() == ValueType::Vector;
    if !is_vector(&binary.lhs) || !is_vector(&binary.rhs) {
        return Value::Null;
    }
    let matching = &binary.matching;
    let card = match matching.group {
        _ if binary.op.is_set() => "many-to-many",
        Group::OneToOne => "one-to-one",
        Group::Left => "many-to-one",
        Group::Right => "one-to-many",
    };
    json!({
        "card": card,
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
    })
}

fn selected(kind: &str, selector: &VectorSelector, range_ms: Option<i64>) -> Value {
    let mut node = shifted(kind, &selector.shift);
    node["name"] = json!(selector.metric_name().unwrap_or_default());
    node["matchers"] = selector.matchers.iter().map(matcher).collect();
    if let Some(range_ms) = range_ms {
        node["range"] = json!(range_ms);
    }
    node
}

fn matcher(matcher: &Matcher) -> Value {
    let op = match matcher.op {
        promql::MatchOp::Equal => "=",
        promql::MatchOp::NotEqual => "!=",
        promql::MatchOp::Regex => "=~",
        promql::MatchOp::NotRegex => "!~",
    };
    json!({ "name": matcher.name, "value": matcher.value, "type": op })
}

fn shifted(kind: &str, shift: &TimeShift) -> Value {
    let (at_ms, edge) = match shift.at {
        None => (None, None),
        Some(At::Millis(ms)) => (Some(ms), None),
        Some(At::Start) => (None, Some("start")),
        Some(At::End) => (None, Some("end")),
    };
    json!({
        "type": kind,
        "offset": shift.offset.as_ref().map_or(0, millis),
        "timestamp": at_ms,
        "startOrEnd": edge,
    })
}

/// In milliseconds; one that depends on the query's step or range counts as of an instant query.
fn millis(duration: &DurationExpr) -> i64 {
    (duration.seconds(0.0, 0.0) * 1000.0).round() as i64
}

fn short(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_become_trees() {
        let of = |text: &str| tree(&promql::parse(text).unwrap());
        assert_eq!(
            of("sum by (job) (rate(up{a=~\"b\"}[5m] offset 1m)) > 0"),
            json!({
                "type": "binaryExpr", "op": ">", "bool": false, "matching": null,
                "lhs": {
                    "type": "aggregation", "op": "sum", "param": null, "grouping": ["job"], "without": false,
                    "expr": {
                        "type": "call",
                        "func": { "name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector" },
                        "args": [{
                            "type": "matrixSelector", "name": "up", "range": 300_000, "offset": 60_000,
                            "matchers": [
                                { "name": "__name__", "value": "up", "type": "=" },
                                { "name": "a", "value": "b", "type": "=~" },
                            ],
                            "timestamp": null, "startOrEnd": null,
                        }],
                    },
                },
                "rhs": { "type": "numberLiteral", "val": "0" },
            })
        );
        let both = of("a / on (x) group_left (y) b");
        assert_eq!(
            both["matching"],
            json!({ "card": "many-to-one", "labels": ["x"], "on": true, "include": ["y"] })
        );
        let sub = of("max_over_time((-x)[1h:5m] @ end())");
        assert_eq!(sub["args"][0]["startOrEnd"], "end");
        assert_eq!(
            (&sub["args"][0]["range"], &sub["args"][0]["step"]),
            (&json!(3_600_000), &json!(300_000))
        );
        assert_eq!(of("\"x\"")["val"], "x");
        assert_eq!(of("a and b")["matching"]["card"], "many-to-many");
    }
}
