//! Refuses trees whose types do not fit, with the place of the part at fault.

use crate::ast::{Aggregate, AggregateOp, Binary, Call, Edge, Expr, ExprKind, Matching, ValueType};
use crate::matcher::Matcher;
use crate::parse::Parsed;
use crate::parse::error::ParseError;
use crate::regex::Replacer;

/// Functions that know how to treat the edges of an anchored window.
const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];

/// Checks a whole tree.
pub(super) fn check(expr: &Expr) -> Parsed<()> {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => {}
        ExprKind::Vector(v) => not_everything(expr, &v.matchers)?,
        ExprKind::Matrix(m) => not_everything(expr, &m.selector.matchers)?,
        ExprKind::Call(call) => return check_call(expr, call),
        ExprKind::Aggregate(aggregate) => check_aggregate(aggregate)?,
        ExprKind::Binary(binary) => check_binary(expr, binary)?,
        ExprKind::Unary { expr: inner, .. } => {
            if !matches!(inner.value_type(), ValueType::Scalar | ValueType::Vector) {
                let message = format!("a sign in front of a {}", inner.value_type().as_str());
                return Err(
                    ParseError::new(expr.span, message).help("only numbers and instant vectors have signs")
                );
            }
        }
        ExprKind::Subquery(_) | ExprKind::Paren(_) => {}
    }
    expr.children().into_iter().try_for_each(check)
}

fn not_everything(expr: &Expr, matchers: &[Matcher]) -> Parsed<()> {
    if matchers.iter().all(Matcher::matches_empty) {
        let error = ParseError::new(expr.span, "the selector would take every series");
        return Err(error.help("give a metric name or a matcher that an empty value does not satisfy"));
    }
    Ok(())
}

/// Refuses `expr` unless it has the wanted type.
fn want(expr: &Expr, wanted: ValueType, place: &str) -> Parsed<()> {
    let found = expr.value_type();
    if found == wanted {
        return Ok(());
    }
    let message = format!("{place} must be {}, this is {}", article(wanted), article(found));
    let error = ParseError::new(expr.span, message);
    Err(match (wanted, found) {
        (ValueType::Matrix, ValueType::Vector) => error.help("add a range, for example [5m]"),
        (ValueType::Vector, ValueType::Matrix) => {
            error.help("remove the range or wrap it in a function such as rate()")
        }
        (ValueType::Vector, ValueType::Scalar) => error.help("wrap it in vector()"),
        (ValueType::Scalar, ValueType::Vector) => error.help("wrap it in scalar()"),
        _ => error,
    })
}

fn article(t: ValueType) -> String {
    let article = if t == ValueType::Vector { "an" } else { "a" };
    format!("{article} {}", t.as_str())
}

fn check_call(expr: &Expr, call: &Call) -> Parsed<()> {
    let func = call.func;
    let most = func.args.len();
    let least = most - func.optional;
    if call.args.len() < least || (call.args.len() > most && !func.repeats) {
        let wanted = match (func.optional, func.repeats) {
            (0, false) => format!("{most}"),
            (_, true) => format!("at least {least}"),
            _ => format!("{least} to {most}"),
        };
        let message = format!(
            "{} takes {wanted} argument(s), this call has {}",
            func.name,
            call.args.len()
        );
        let types: Vec<_> = func.args.iter().map(|t| t.as_str()).collect();
        let error = ParseError::new(expr.span, message);
        return Err(if most == 0 {
            error
        } else {
            error.help(format!("it takes {}", types.join(", ")))
        });
    }
    for (i, arg) in call.args.iter().enumerate() {
        want(
            arg,
            func.args[i.min(most - 1)],
            &format!("argument {} of {}", i + 1, func.name),
        )?;
        check_edge(func.name, arg)?;
    }
    match func.name {
        "info" => {
            if let Some(selector) = call.args.get(1)
                && !matches!(selector.kind, ExprKind::Vector(_))
            {
                let error = ParseError::new(selector.span, "argument 2 of info must be label matchers");
                return Err(error.help("write info(metric, {label=\"value\"})"));
            }
            return check(&call.args[0]);
        }
        "label_replace" => {
            if let ExprKind::String(pattern) = &call.args[4].unparen().kind {
                Replacer::new(pattern).map_err(|message| ParseError::new(call.args[4].span, message))?;
            }
        }
        _ => {}
    }
    call.args.iter().try_for_each(check)
}

fn check_edge(function: &str, arg: &Expr) -> Parsed<()> {
    let ExprKind::Matrix(matrix) = &arg.unparen().kind else {
        return Ok(());
    };
    let (word, allowed): (_, &[&str]) = match matrix.selector.edge {
        Edge::Plain => return Ok(()),
        Edge::Anchored => ("anchored", &ANCHORED),
        Edge::Smoothed => ("smoothed", &SMOOTHED),
    };
    if allowed.contains(&function) {
        return Ok(());
    }
    let list = allowed.join(", ");
    let message = format!("{word} modifier can only be used with: {list} - not with {function}");
    Err(ParseError::new(arg.span, message))
}

fn check_aggregate(aggregate: &Aggregate) -> Parsed<()> {
    let name = aggregate.op.name();
    if let Some(param) = &aggregate.param
        && (param.value_type(), aggregate.expr.value_type()) == (ValueType::Vector, ValueType::Scalar)
    {
        let error = ParseError::new(
            param.span,
            format!("the arguments of {name} are in the wrong order"),
        );
        return Err(error.help(format!("write {name}(parameter, vector)")));
    }
    want(
        &aggregate.expr,
        ValueType::Vector,
        &format!("what {name} aggregates"),
    )?;
    let Some(param) = &aggregate.param else {
        return Ok(());
    };
    let wanted = if aggregate.op == AggregateOp::CountValues {
        ValueType::String
    } else {
        ValueType::Scalar
    };
    want(param, wanted, &format!("the parameter of {name}"))
}

fn check_binary(expr: &Expr, binary: &Binary) -> Parsed<()> {
    let op = binary.op;
    for side in [&binary.lhs, &binary.rhs] {
        if !matches!(side.value_type(), ValueType::Scalar | ValueType::Vector) {
            let message = format!("\"{}\" on {}", op.as_str(), article(side.value_type()));
            let help = "operators work on numbers and instant vectors";
            return Err(ParseError::new(side.span, message).help(help));
        }
    }
    let scalar = |e: &Expr| e.value_type() == ValueType::Scalar;
    let scalars = u8::from(scalar(&binary.lhs)) + u8::from(scalar(&binary.rhs));
    if scalars == 2 && op.is_comparison() && !binary.return_bool {
        let message = format!("comparing two numbers with \"{}\"", op.as_str());
        let help = format!("write \"{} bool\"", op.as_str());
        return Err(ParseError::new(expr.span, message).help(help));
    }
    if scalars > 0 && op.is_set() {
        let side = if scalar(&binary.lhs) {
            &binary.lhs
        } else {
            &binary.rhs
        };
        let message = format!("\"{}\" on a scalar", op.as_str());
        return Err(ParseError::new(side.span, message).help("both sides must be instant vectors"));
    }
    if scalars > 0 && binary.matching != Matching::default() {
        let error = ParseError::new(expr.span, "matching labels with a number");
        return Err(error.help("on, ignoring and fill are for two instant vectors"));
    }
    Ok(())
}
