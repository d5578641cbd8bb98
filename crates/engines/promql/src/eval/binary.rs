//! Binary operations: picks the case, matches series one to one.

use std::collections::HashMap;

use crate::ast::{Binary, BinaryOp, Expr, Group, Matching, Span};
use crate::eval::dense::{ABSENT, Grid, Sv, Val, is_absent, merge_same};
use crate::eval::engine::{Engine, Evaluated};
use crate::eval::{arithmetic, many, math, setop};
use crate::labels::{Labels, is_schema_label};

pub(crate) fn eval(e: &Engine, span: Span, b: &Binary, grid: &Grid) -> Evaluated<Val> {
    if matches!(b.op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
        return trim(e, span, b, grid);
    }
    let value = match (e.eval(&b.lhs, grid)?, e.eval(&b.rhs, grid)?) {
        (Val::Scalar(l), Val::Scalar(r)) => return Ok(Val::Scalar(arithmetic::scalars(b.op, &l, &r))),
        (Val::Vector(l), Val::Scalar(r)) => arithmetic::with_scalar(b, l, &r, false),
        (Val::Scalar(l), Val::Vector(r)) => arithmetic::with_scalar(b, r, &l, true),
        (Val::Vector(l), Val::Vector(r)) if b.op.is_set() => setop::eval(b.op, &b.matching, l, r),
        (Val::Vector(l), Val::Vector(r)) => vectors(e, span, b, l, r)?,
        _ => return e.fail(span, "an operator on a string"),
    };
    Ok(Val::Vector(math::present(value)))
}

/// The trim operators only know native histograms; plain numbers are left out with a remark.
fn trim(e: &Engine, span: Span, b: &Binary, grid: &Grid) -> Evaluated<Val> {
    let side = |x: &Expr| e.eval(x, grid);
    let (l, r) = (side(&b.lhs)?, side(&b.rhs)?);
    let op = b.op.as_str();
    if let (Val::Scalar(_), Val::Scalar(_)) = (&l, &r) {
        return e.fail(span, format!("\"{op}\" needs native histograms on its left side"));
    }
    if let Val::Vector(series) = &l
        && !series.is_empty()
    {
        let text =
            format!("incompatible sample types encountered for binary operator \"{op}\": float {op} float");
        e.notes.info(span, &text);
    }
    Ok(Val::Vector(Vec::new()))
}

/// The labels that decide which series belong together.
pub(crate) fn signature(matching: &Matching, labels: &Labels) -> Labels {
    if matching.on {
        labels.filtered(|n| matching.labels.iter().any(|l| l == n))
    } else {
        labels.filtered(|n| !is_schema_label(n) && !matching.labels.iter().any(|l| l == n))
    }
}

/// The series of both sides that share a signature.
#[derive(Default)]
pub(crate) struct MatchGroup {
    pub key: Labels,
    pub left: Vec<usize>,
    pub right: Vec<usize>,
}

/// Groups both sides by signature, in order of first appearance.
pub(crate) fn match_groups(matching: &Matching, left: &[Sv], right: &[Sv]) -> Vec<MatchGroup> {
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<MatchGroup> = Vec::new();
    let mut place = |s: &Sv, groups: &mut Vec<MatchGroup>| {
        let key = signature(matching, &s.labels);
        *index.entry(key.clone()).or_insert_with(|| {
            groups.push(MatchGroup {
                key,
                ..MatchGroup::default()
            });
            groups.len() - 1
        })
    };
    for (i, s) in left.iter().enumerate() {
        let g = place(s, &mut groups);
        groups[g].left.push(i);
    }
    for (i, s) in right.iter().enumerate() {
        let g = place(s, &mut groups);
        groups[g].right.push(i);
    }
    groups
}

fn vectors(e: &Engine, span: Span, b: &Binary, left: Vec<Sv>, right: Vec<Sv>) -> Evaluated<Vec<Sv>> {
    let out = match b.matching.group {
        Group::OneToOne => one_to_one(e, span, b, &left, &right)?,
        Group::Left => many::eval(e, span, b, &left, &right)?,
        Group::Right => many::eval(e, span, b, &right, &left)?,
    };
    merge_same(out, span)
}

/// The steps at which there is something to match. Where a whole side has no value nothing can match, so nothing is looked
/// at either, and two equal series of the other side are no error.
pub(crate) fn matched_steps(matching: &Matching, left: &[Sv], right: &[Sv]) -> Vec<bool> {
    let n = left.iter().chain(right).next().map_or(0, |s| s.values.len());
    let is_filled = matching.fill_left.is_some() || matching.fill_right.is_some();
    let there = |side: &[Sv]| {
        let mut steps = vec![false; n];
        for s in side {
            let cells = steps.iter_mut().zip(&s.values);
            cells.for_each(|(any, v)| *any |= !is_absent(*v));
        }
        steps
    };
    let both = there(left).into_iter().zip(there(right));
    both.map(|(l, r)| if is_filled { l || r } else { l && r })
        .collect()
}

fn one_to_one(e: &Engine, span: Span, b: &Binary, left: &[Sv], right: &[Sv]) -> Evaluated<Vec<Sv>> {
    let m = &b.matching;
    let mut out = Vec::new();
    let steps = matched_steps(m, left, right);
    for group in match_groups(m, left, right) {
        e.tick()?;
        if (group.left.is_empty() && m.fill_left.is_none())
            || (group.right.is_empty() && m.fill_right.is_none())
        {
            only_one(e, span, &group, right, &steps)?;
            continue;
        }
        let n = steps.len();
        // A cell per left series, and one for the steps at which only the right side has a value.
        let mut rows: Vec<Vec<f64>> = vec![Vec::new(); group.left.len() + 1];
        for step in (0..n).filter(|step| steps[*step]) {
            let r = present_one(e, span, &group, &group.right, right, step, "right")?;
            if r.is_none() && m.fill_right.is_none() {
                continue;
            }
            let l = present_one(e, span, &group, &group.left, left, step, "left")?;
            let fill = |n: &Option<crate::ast::Number>| n.map(|n| n.value);
            let (row, lv, rv) = match (l, r) {
                (Some(l), Some(r)) => (
                    l,
                    left[group.left[l]].values[step],
                    right[group.right[r]].values[step],
                ),
                (Some(l), None) => match fill(&m.fill_right) {
                    Some(f) => (l, left[group.left[l]].values[step], f),
                    None => continue,
                },
                (None, Some(r)) => match fill(&m.fill_left) {
                    Some(f) => (group.left.len(), f, right[group.right[r]].values[step]),
                    None => continue,
                },
                (None, None) => continue,
            };
            if rows[row].is_empty() {
                e.charge(n)?;
                rows[row] = vec![ABSENT; n];
            }
            rows[row][step] = arithmetic::cell(b, lv, rv, lv);
        }
        for (row, values) in rows.into_iter().enumerate().filter(|(_, v)| !v.is_empty()) {
            out.push(one_to_one_series(b, &group, left, row, values));
        }
    }
    Ok(out)
}

fn one_to_one_series(b: &Binary, group: &MatchGroup, left: &[Sv], row: usize, values: Vec<f64>) -> Sv {
    let m = &b.matching;
    let Some(source) = group.left.get(row).map(|i| &left[*i]) else {
        return Sv {
            labels: group.key.clone(),
            drop_name: arithmetic::drops_name(b),
            values,
        };
    };
    let labels = if m.on {
        group.key.clone()
    } else {
        source.labels.filtered(|n| !m.labels.iter().any(|l| l == n))
    };
    Sv {
        labels,
        drop_name: source.drop_name || arithmetic::drops_name(b),
        values,
    }
}

/// The position of the only series of a side with a value at a step; two are an error.
pub(crate) fn present_one(
    e: &Engine,
    span: Span,
    group: &MatchGroup,
    side: &[usize],
    series: &[Sv],
    step: usize,
    name: &str,
) -> Evaluated<Option<usize>> {
    let mut present = side
        .iter()
        .enumerate()
        .filter(|(_, i)| !is_absent(series[**i].values[step]));
    let Some((first, a)) = present.next() else {
        return Ok(None);
    };
    let Some((_, c)) = present.next() else {
        return Ok(Some(first));
    };
    let (a, c) = (series[*a].shown(), series[*c].shown());
    let key = &group.key;
    let message = format!(
        "found duplicate series for the match group {key} on the {name} hand-side of the operation: [{a}, {c}]; \
         many-to-many matching is not allowed: matching labels must be unique on one side (use on, ignoring, \
         group_left or group_right)"
    );
    e.fail(span, message)
}

/// Refuses two simultaneous series of a side even where the other side has none.
fn only_one(e: &Engine, span: Span, group: &MatchGroup, right: &[Sv], steps: &[bool]) -> Evaluated<()> {
    if group.right.len() > 1 {
        for step in (0..steps.len()).filter(|step| steps[*step]) {
            present_one(e, span, group, &group.right, right, step, "right")?;
        }
    }
    Ok(())
}
