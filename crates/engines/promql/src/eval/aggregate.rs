//! Aggregations that fold each group to one series.

use std::collections::HashMap;

use crate::ast::{Aggregate, AggregateOp, Grouping};
use crate::eval::dense::{ABSENT, Grid, Sv, is_absent};
use crate::eval::engine::{Engine, Evaluated};
use crate::eval::stats::{self, Deviation, Mean, Sum};
use crate::eval::topk;
use crate::labels::{Label, Labels, is_schema_label};

/// The series of one group.
pub(crate) struct LabelGroup {
    pub labels: Labels,
    pub drop_name: bool,
    pub members: Vec<usize>,
}

/// The labels of the group that a series belongs to. A name that a function has dropped is no label to group by, though its
/// removal is carried out at the end.
fn group_of(e: &Engine, grouping: Option<&Grouping>, s: &Sv) -> Labels {
    let labels = &s.labels;
    let is_dropped = |n: &str| s.drop_name && !e.opts.delayed_name_removal && is_schema_label(n);
    let is_named = |g: &Grouping, n: &str| g.labels.iter().any(|l| l == n);
    match grouping {
        None => Labels::default(),
        Some(g) if g.without => labels.filtered(|n| !is_schema_label(n) && !is_named(g, n)),
        Some(g) => labels.filtered(|n| is_named(g, n) && !is_dropped(n)),
    }
}

/// Splits a vector into groups, in order of first appearance.
fn label_groups(e: &Engine, grouping: Option<&Grouping>, series: &[Sv]) -> Vec<LabelGroup> {
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<LabelGroup> = Vec::new();
    for (i, s) in series.iter().enumerate() {
        let labels = group_of(e, grouping, s);
        let at = *index.entry(labels.clone()).or_insert_with(|| {
            groups.push(LabelGroup {
                labels,
                drop_name: false,
                members: Vec::new(),
            });
            groups.len() - 1
        });
        groups[at].drop_name |= s.drop_name;
        groups[at].members.push(i);
    }
    groups
}

pub(crate) fn eval(e: &Engine, a: &Aggregate, grid: &Grid) -> Evaluated<Vec<Sv>> {
    match a.op {
        AggregateOp::Sum => fold(e, a, grid, Sum::default(), |acc, v| acc.add(v), |acc| acc.value()),
        AggregateOp::Avg => fold(
            e,
            a,
            grid,
            Mean::default(),
            |acc, v| acc.add(v),
            |acc| acc.value(),
        ),
        AggregateOp::Count => fold(e, a, grid, 0.0, |acc, _| *acc += 1.0, |acc| *acc),
        AggregateOp::Group => fold(e, a, grid, (), |(), _| {}, |()| 1.0),
        AggregateOp::Min => fold(e, a, grid, f64::NAN, |acc, v| *acc = acc.min(v), |acc| *acc),
        AggregateOp::Max => fold(e, a, grid, f64::NAN, |acc, v| *acc = acc.max(v), |acc| *acc),
        AggregateOp::Stdvar => fold(
            e,
            a,
            grid,
            Deviation::default(),
            |acc, v| acc.add(v),
            |acc| acc.variance(),
        ),
        AggregateOp::Stddev => fold(
            e,
            a,
            grid,
            Deviation::default(),
            |acc, v| acc.add(v),
            |acc| acc.variance().sqrt(),
        ),
        AggregateOp::CountValues => count_values(e, a, grid),
        _ => with_param(e, a, grid),
    }
}

/// Aggregations that need all values of a group at once.
fn with_param(e: &Engine, a: &Aggregate, grid: &Grid) -> Evaluated<Vec<Sv>> {
    let Some(expr) = &a.param else {
        return e.fail(a.expr.span, "the parameter is missing");
    };
    let param = e.scalar(expr, grid)?;
    let series = e.vector(&a.expr, grid)?;
    let groups = label_groups(e, a.grouping.as_ref(), &series);
    if a.op != AggregateOp::Quantile {
        return topk::eval(e, a, &param, series, &groups, grid);
    }
    param
        .iter()
        .for_each(|phi| e.notes.check_quantile(expr.span, *phi));
    let mut out = Vec::with_capacity(groups.len());
    for g in groups {
        e.tick()?;
        let rows = || g.members.iter().map(|i| &series[*i].values);
        let values = (0..grid.n)
            .map(|step| quantile_at(param[step], rows(), step))
            .collect();
        out.push(Sv {
            labels: g.labels,
            drop_name: g.drop_name,
            values,
        });
    }
    Ok(out)
}

/// One group in progress: for each step whether there was a value, and what the values amount to.
struct Folding<A> {
    labels: Labels,
    drop_name: bool,
    cells: Vec<(bool, A)>,
}

/// Folds the series into their groups as they come; only the groups are held.
fn fold<A: Clone>(
    e: &Engine,
    a: &Aggregate,
    grid: &Grid,
    zero: A,
    add: impl Fn(&mut A, f64),
    done: impl Fn(&A) -> f64,
) -> Evaluated<Vec<Sv>> {
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Folding<A>> = Vec::new();
    e.stream(&a.expr, grid, &mut |s| {
        if !s.has_values() {
            return Ok(());
        }
        let labels = group_of(e, a.grouping.as_ref(), &s);
        let at = match index.get(&labels) {
            Some(at) => *at,
            None => {
                e.charge(grid.n)?;
                index.insert(labels.clone(), groups.len());
                let cells = vec![(false, zero.clone()); grid.n];
                groups.push(Folding {
                    labels,
                    drop_name: false,
                    cells,
                });
                groups.len() - 1
            }
        };
        let group = &mut groups[at];
        group.drop_name |= s.drop_name;
        for ((any, acc), v) in group
            .cells
            .iter_mut()
            .zip(&s.values)
            .filter(|(_, v)| !is_absent(**v))
        {
            *any = true;
            add(acc, *v);
        }
        Ok(())
    })?;
    let cell = |(any, acc): &(bool, A)| if *any { done(acc) } else { ABSENT };
    let finish = |g: Folding<A>| Sv {
        values: g.cells.iter().map(cell).collect(),
        labels: g.labels,
        drop_name: g.drop_name,
    };
    Ok(groups.into_iter().map(finish).collect())
}

fn quantile_at<'a>(phi: f64, rows: impl Iterator<Item = &'a Vec<f64>>, step: usize) -> f64 {
    let mut values: Vec<f64> = rows.map(|r| r[step]).filter(|v| !is_absent(*v)).collect();
    if values.is_empty() {
        ABSENT
    } else {
        stats::quantile(phi, &mut values)
    }
}

fn count_values(e: &Engine, a: &Aggregate, grid: &Grid) -> Evaluated<Vec<Sv>> {
    let Some(param) = &a.param else {
        return e.fail(a.expr.span, "count_values needs a label name");
    };
    let label = e.text(param)?;
    if label.is_empty() {
        return e.fail(
            param.span,
            "invalid label name \"\"; give the label that is to carry the value",
        );
    }
    let series = e.vector(&a.expr, grid)?;
    let mut out: Vec<Sv> = Vec::new();
    let mut index: HashMap<Labels, usize> = HashMap::new();
    for g in label_groups(e, a.grouping.as_ref(), &series) {
        for i in &g.members {
            e.tick()?;
            for (step, v) in series[*i]
                .values
                .iter()
                .enumerate()
                .filter(|(_, v)| !is_absent(**v))
            {
                let labels = g.labels.with(&label, &plain_decimal(*v));
                let at = match index.get(&labels) {
                    Some(at) => *at,
                    None => {
                        e.charge(grid.n)?;
                        e.charge_bytes(label.len() + (labels.len() + 1) * size_of::<Label>())?;
                        index.insert(labels.clone(), out.len());
                        out.push(Sv {
                            labels,
                            drop_name: g.drop_name,
                            values: vec![ABSENT; grid.n],
                        });
                        out.len() - 1
                    }
                };
                let cell = &mut out[at].values[step];
                *cell = if is_absent(*cell) { 1.0 } else { *cell + 1.0 };
            }
        }
    }
    Ok(out)
}

fn plain_decimal(v: f64) -> String {
    if v.is_finite() {
        format!("{v}")
    } else {
        crate::format_value(v)
    }
}
