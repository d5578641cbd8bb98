//! Aggregations that pick series of each group and leave them as they are.

use crate::ast::{Aggregate, AggregateOp};
use crate::eval::aggregate::LabelGroup;
use crate::eval::dense::{ABSENT, Grid, Sv, is_absent};
use crate::eval::engine::{Engine, Evaluated};
use crate::labels::Labels;

pub(crate) fn eval(
    e: &Engine,
    a: &Aggregate,
    param: &[f64],
    series: Vec<Sv>,
    groups: &[LabelGroup],
    grid: &Grid,
) -> Evaluated<Vec<Sv>> {
    check_param(e, a, param)?;
    let mut keep = vec![vec![false; grid.n]; series.len()];
    let mut order = Vec::new();
    for group in groups {
        e.tick()?;
        for (step, param) in param.iter().enumerate() {
            let present = |i: &&usize| !is_absent(series[**i].values[step]);
            let mut members: Vec<usize> = group.members.iter().filter(present).copied().collect();
            pick(a.op, *param, &series, step, &mut members);
            members.iter().for_each(|i| keep[*i][step] = true);
            if grid.n == 1 {
                order.extend(members);
            }
        }
    }
    let mut out = series;
    for (s, keep) in out.iter_mut().zip(&keep) {
        s.values
            .iter_mut()
            .zip(keep)
            .filter(|(_, k)| !**k)
            .for_each(|(v, _)| *v = ABSENT);
    }
    if grid.n == 1 {
        // An instant query shows the picked series best first.
        return Ok(order.into_iter().map(|i| out[i].clone()).collect());
    }
    out.retain(Sv::has_values);
    Ok(out)
}

fn check_param(e: &Engine, a: &Aggregate, param: &[f64]) -> Evaluated<()> {
    let span = a.param.as_ref().map_or(a.expr.span, |p| p.span);
    for p in param {
        if p.is_nan() {
            return e.fail(span, "Parameter value is NaN");
        }
        if a.op == AggregateOp::LimitRatio {
            if p.abs() > 1.0 {
                let cap = p.signum();
                let text = format!("ratio value should be between -1 and 1, got {p}, capping to {cap}");
                e.notes.warn(span, &text);
            }
        } else if p.abs() >= 9.2e18 {
            return e.fail(span, format!("scalar value {p} overflows an integer"));
        }
    }
    Ok(())
}

/// Reduces the members of a group at one step to those picked, best first.
fn pick(op: AggregateOp, param: f64, series: &[Sv], step: usize, members: &mut Vec<usize>) {
    let value = |i: &usize| series[*i].values[step];
    match op {
        AggregateOp::LimitRatio => members.retain(|i| in_ratio(param.clamp(-1.0, 1.0), &series[*i].labels)),
        AggregateOp::Topk | AggregateOp::Bottomk => {
            // NaN comes last in both directions; equal values keep their order.
            members.sort_by(|a, b| {
                let (a, b) = (value(a), value(b));
                let forward = a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
                if op == AggregateOp::Topk && !a.is_nan() && !b.is_nan() {
                    forward.reverse()
                } else {
                    forward
                }
            });
        }
        _ => {}
    }
    if op != AggregateOp::LimitRatio {
        members.truncate(if param < 1.0 { 0 } else { param as usize });
    }
}

/// Whether a series belongs to the sample of `ratio`. A negative ratio selects exactly the rest of its complement.
fn in_ratio(ratio: f64, labels: &Labels) -> bool {
    let place = hash(labels) as f64 / u64::MAX as f64;
    if ratio >= 0.0 {
        place < ratio || ratio >= 1.0
    } else {
        place >= 1.0 + ratio
    }
}

/// A hash that is the same in every process (FNV-1a, then mixed).
fn hash(labels: &Labels) -> u64 {
    let mut h: u64 = 0xcbf2_9ce4_8422_2325;
    let mut eat = |text: &str| {
        for byte in text.bytes().chain([0xff]) {
            h = (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for l in labels.iter() {
        eat(&l.name);
        eat(&l.value);
    }
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^ (h >> 33)
}
