//! Aggregations that fold each group to one series.

use std::collections::HashMap;

use crate::ast::{Aggregate, AggregateOp, Grouping};
use crate::eval::dense::{ABSENT, Grid, Sv, is_absent};
use crate::eval::engine::{Engine, Evaluated};
use crate::eval::stats::{self, Deviation, Mean, Sum};
use crate::eval::topk;
use crate::labels::{Labels, is_schema_label};

/// The series of one group.
pub(crate) struct LabelGroup {
    pub labels: Labels,
    pub drop_name: bool,
    pub members: Vec<usize>,
}

/// Splits a vector into groups, in order of first appearance.
pub(crate) fn label_groups(grouping: Option<&Grouping>, series: &[Sv]) -> Vec<LabelGroup> {
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<LabelGroup> = Vec::new();
    for (i, s) in series.iter().enumerate() {
        let labels = match grouping {
            None => Labels::default(),
            Some(g) if g.without => s
                .labels
                .filtered(|n| !is_schema_label(n) && !g.labels.iter().any(|l| l == n)),
            Some(g) => s.labels.filtered(|n| g.labels.iter().any(|l| l == n)),
        };
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
    if a.op == AggregateOp::CountValues {
        return count_values(e, a, grid);
    }
    let param = match &a.param {
        Some(param) => e.scalar(param, grid)?,
        None => Vec::new(),
    };
    let series = e.vector(&a.expr, grid)?;
    let groups = label_groups(a.grouping.as_ref(), &series);
    match a.op {
        AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio => {
            topk::eval(e, a, &param, series, &groups, grid)
        }
        _ => {
            if let (AggregateOp::Quantile, Some(expr)) = (a.op, &a.param) {
                param
                    .iter()
                    .for_each(|phi| e.notes.check_quantile(expr.span, *phi));
            }
            let mut out = Vec::with_capacity(groups.len());
            for g in groups {
                e.tick()?;
                let values = fold(a.op, &param, &g, &series, grid.n);
                out.push(Sv {
                    labels: g.labels,
                    drop_name: g.drop_name,
                    values,
                });
            }
            Ok(out)
        }
    }
}

/// The cells of one group.
fn fold(op: AggregateOp, param: &[f64], group: &LabelGroup, series: &[Sv], n: usize) -> Vec<f64> {
    let rows = || group.members.iter().map(|i| &series[*i].values);
    match op {
        AggregateOp::Sum => each(rows(), n, Sum::default(), |acc, v| acc.add(v), |acc| acc.value()),
        AggregateOp::Avg => each(rows(), n, Mean::default(), |acc, v| acc.add(v), |acc| acc.value()),
        AggregateOp::Count => each(rows(), n, 0.0, |acc, _| *acc += 1.0, |acc| *acc),
        AggregateOp::Group => each(rows(), n, (), |(), _| {}, |()| 1.0),
        AggregateOp::Min => each(rows(), n, f64::NAN, |acc, v| *acc = acc.min(v), |acc| *acc),
        AggregateOp::Max => each(rows(), n, f64::NAN, |acc, v| *acc = acc.max(v), |acc| *acc),
        AggregateOp::Stdvar => each(
            rows(),
            n,
            Deviation::default(),
            |acc, v| acc.add(v),
            |acc| acc.variance(),
        ),
        AggregateOp::Stddev => each(
            rows(),
            n,
            Deviation::default(),
            |acc, v| acc.add(v),
            |acc| acc.variance().sqrt(),
        ),
        _ => (0..n)
            .map(|step| quantile_at(param[step], rows(), step))
            .collect(),
    }
}

/// Folds all rows of a group step by step, row after row so that memory is read in order.
fn each<'a, A: Clone>(
    rows: impl Iterator<Item = &'a Vec<f64>>,
    n: usize,
    zero: A,
    add: impl Fn(&mut A, f64),
    done: impl Fn(&A) -> f64,
) -> Vec<f64> {
    let mut cells: Vec<(bool, A)> = vec![(false, zero); n];
    for row in rows {
        for ((any, acc), v) in cells.iter_mut().zip(row) {
            if !is_absent(*v) {
                *any = true;
                add(acc, *v);
            }
        }
    }
    cells
        .iter()
        .map(|(any, acc)| if *any { done(acc) } else { ABSENT })
        .collect()
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
    for g in label_groups(a.grouping.as_ref(), &series) {
        for i in &g.members {
            e.tick()?;
            for (step, v) in series[*i]
                .values
                .iter()
                .enumerate()
                .filter(|(_, v)| !is_absent(**v))
            {
                let labels = g.labels.with(&label, &plain_decimal(*v));
                let at = *index.entry(labels.clone()).or_insert_with(|| {
                    out.push(Sv {
                        labels,
                        drop_name: g.drop_name,
                        values: vec![ABSENT; grid.n],
                    });
                    out.len() - 1
                });
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
