//! Functions that read or write labels.

use std::cmp::Ordering;

use crate::ast::{Call, Expr};
use crate::eval::dense::{Grid, Sv, merge_same};
use crate::eval::engine::{Engine, Evaluated};
use crate::eval::math;
use crate::labels::{Label, METRIC_NAME};
use crate::regex::{Replacer, TooLong};

/// Longest value that a function writes into a label, in bytes: what a store takes.
const MAX_VALUE: usize = 64 << 10;

pub(crate) fn eval(e: &Engine, expr: &Expr, call: &Call, grid: &Grid) -> Evaluated<Vec<Sv>> {
    let mut texts = Vec::new();
    for arg in &call.args[1..] {
        texts.push(e.text(arg)?);
    }
    let mut series = e.vector(&call.args[0], grid)?;
    match call.func.name {
        "label_replace" => {
            let [dst, replacement, src, pattern] = &texts[..] else {
                return e.fail(expr.span, "label_replace takes five arguments");
            };
            let replacer = match Replacer::new(pattern) {
                Ok(replacer) => replacer,
                Err(message) => return e.fail(call.args[4].span, message),
            };
            check_name(e, dst, &call.args[1])?;
            for s in &mut series {
                e.tick()?;
                match replacer.expand(s.labels.get(src), replacement, MAX_VALUE) {
                    Ok(Some(value)) => set(e, s, dst, &value)?,
                    Ok(None) => {}
                    Err(TooLong) => return e.fail(expr.span, too_long(dst)),
                }
            }
        }
        "label_join" => {
            let (dst, separator) = (&texts[0], &texts[1]);
            check_name(e, dst, &call.args[1])?;
            for s in &mut series {
                e.tick()?;
                let values: Vec<&str> = texts[2..].iter().map(|l| s.labels.get(l)).collect();
                let between = separator.len().saturating_mul(values.len().saturating_sub(1));
                if values
                    .iter()
                    .map(|v| v.len())
                    .sum::<usize>()
                    .saturating_add(between)
                    > MAX_VALUE
                {
                    return e.fail(expr.span, too_long(dst));
                }
                let value = values.join(separator);
                set(e, s, dst, &value)?;
            }
        }
        _ => {
            return Ok(sort_by_label(
                e,
                expr,
                call.func.name == "sort_by_label_desc",
                &texts,
                series,
            ));
        }
    }
    merge_same(series, expr.span)
}

fn check_name(e: &Engine, name: &str, arg: &Expr) -> Evaluated<()> {
    if name.is_empty() {
        return e.fail(
            arg.span,
            "invalid destination label name \"\"; give the label to write",
        );
    }
    Ok(())
}

fn too_long(name: &str) -> String {
    format!("the value of label \"{name}\" would be longer than {MAX_VALUE} bytes")
}

/// Writes a label. A written name is kept even if the name was about to be removed.
fn set(e: &Engine, s: &mut Sv, name: &str, value: &str) -> Evaluated<()> {
    e.charge_bytes(name.len() + value.len() + (s.labels.len() + 1) * size_of::<Label>())?;
    s.labels = s.labels.with(name, value);
    if name == METRIC_NAME {
        s.drop_name = false;
    }
    Ok(())
}

fn sort_by_label(
    e: &Engine,
    expr: &Expr,
    descending: bool,
    names: &[String],
    mut series: Vec<Sv>,
) -> Vec<Sv> {
    if e.step > 0 {
        math::warn_unsorted(e, expr);
        return series;
    }
    series.sort_by(|a, b| {
        let by_label = names.iter().map(|n| natural(a.labels.get(n), b.labels.get(n)));
        let order = by_label
            .fold(Ordering::Equal, Ordering::then)
            .then_with(|| a.labels.cmp(&b.labels));
        if descending { order.reverse() } else { order }
    });
    series
}

/// Compares texts with the numbers in them by size: `node9` before `node10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let digits = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
        let (na, nb) = (digits(a), digits(b));
        if na > 0 && nb > 0 {
            let (x, y) = (a[..na].trim_start_matches('0'), b[..nb].trim_start_matches('0'));
            let order = x
                .len()
                .cmp(&y.len())
                .then_with(|| x.cmp(y))
                .then_with(|| na.cmp(&nb));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[na..], &b[nb..]);
            continue;
        }
        let (ca, cb) = (a.chars().next(), b.chars().next());
        match (ca, cb) {
            (Some(x), Some(y)) if x == y => (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]),
            _ => return ca.cmp(&cb),
        }
    }
}
