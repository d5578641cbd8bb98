//! `info()`: adds the labels of info metrics (such as `target_info`) to the series of the same target.
//!
//! Info series are found by `job` and `instance`, at the instant the base series were read at. Of several series
//! of one info metric the newest sample wins; two info metrics that disagree about a label are an error.

use std::collections::{BTreeMap, HashMap};

use crate::ast::{Call, Expr, ExprKind, Span, TimeShift};
use crate::eval::dense::{ABSENT, Grid, Sv, is_absent, merge_same};
use crate::eval::engine::{Engine, Evaluated};
use crate::labels::{Labels, METRIC_NAME};
use crate::matcher::{MatchOp, Matcher};

const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// The matchers of the second argument, taken apart.
struct Wanted {
    names: Vec<Matcher>,
    data: Vec<Matcher>,
}

impl Wanted {
    fn of(call: &Call) -> Wanted {
        let matchers = match call.args.get(1).map(|a| &a.kind) {
            Some(ExprKind::Vector(v)) => v.matchers.clone(),
            _ => Vec::new(),
        };
        let (mut names, data): (Vec<_>, Vec<_>) = matchers.into_iter().partition(|m| m.name == METRIC_NAME);
        let positive = |m: &Matcher| matches!(m.op, MatchOp::Equal | MatchOp::Regex);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, "target_info"));
        } else if !names.iter().any(positive) {
            names.extend(Matcher::new(MatchOp::Regex, METRIC_NAME, ".+_info"));
        }
        Wanted { names, data }
    }

    /// Whether a base series is itself one of the info metrics.
    fn is_info(&self, name: &str) -> bool {
        self.names.iter().all(|m| m.matches(name))
    }

    fn copies(&self, label: &str) -> bool {
        !IDENTIFYING.contains(&label)
            && label != METRIC_NAME
            && (self.data.is_empty() || self.data.iter().any(|m| m.name == label))
    }

    /// Whether a series without info labels satisfies the data matchers.
    fn accepts_none(&self) -> bool {
        self.data.iter().all(Matcher::matches_empty)
    }
}

/// An info series with the time of its current sample at every step.
struct InfoSeries {
    labels: Labels,
    times: Vec<f64>,
}

pub(crate) fn eval(e: &Engine, call: &Call, grid: &Grid) -> Evaluated<Vec<Sv>> {
    let base = &call.args[0];
    let wanted = Wanted::of(call);
    let series = e.vector(base, grid)?;
    let shift = shift_of(base).cloned().unwrap_or_default();
    let infos = read(e, base.span, &wanted, shift, grid)?;
    let mut by_target: HashMap<Labels, Vec<usize>> = HashMap::new();
    for (i, s) in infos.iter().enumerate() {
        by_target.entry(target(&s.labels)).or_default().push(i);
    }
    let mut out = Vec::new();
    for s in series {
        e.tick()?;
        if wanted.is_info(s.labels.metric_name()) {
            out.push(s);
            continue;
        }
        let candidates = by_target.get(&target(&s.labels)).map_or(&[][..], Vec::as_slice);
        enrich(e, base.span, &wanted, &s, &infos, candidates, &mut out)?;
    }
    merge_same(out, base.span)
}

fn target(labels: &Labels) -> Labels {
    labels.filtered(|n| IDENTIFYING.contains(&n))
}

/// The time shift of the first selector or subquery in an expression.
fn shift_of(expr: &Expr) -> Option<&TimeShift> {
    match &expr.kind {
        ExprKind::Vector(v) => Some(&v.shift),
        ExprKind::Matrix(m) => Some(&m.selector.shift),
        ExprKind::Subquery(s) => Some(&s.shift),
        _ => expr.children().into_iter().find_map(shift_of),
    }
}

fn read(
    e: &Engine,
    span: Span,
    wanted: &Wanted,
    shift: TimeShift,
    grid: &Grid,
) -> Evaluated<Vec<InfoSeries>> {
    let matchers: Vec<Matcher> = wanted.names.iter().chain(&wanted.data).cloned().collect();
    let selector = crate::VectorSelector {
        matchers,
        shift,
        edge: crate::Edge::Plain,
    };
    let times = e.instant_times(&selector, span, grid)?;
    Ok(times
        .into_iter()
        .map(|s| InfoSeries {
            labels: s.labels,
            times: s.values,
        })
        .collect())
}

/// Splits one base series by the info labels that hold at each step.
fn enrich(
    e: &Engine,
    span: Span,
    wanted: &Wanted,
    base: &Sv,
    infos: &[InfoSeries],
    candidates: &[usize],
    out: &mut Vec<Sv>,
) -> Evaluated<()> {
    let mut rows: Vec<(Labels, Vec<f64>)> = Vec::new();
    for (step, value) in base.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
        let newest = newest_per_metric(infos, candidates, step);
        if newest.is_empty() && !wanted.accepts_none() {
            continue;
        }
        let labels = joined(e, span, wanted, base, &newest)?;
        let row = match rows.iter().position(|(l, _)| *l == labels) {
            Some(row) => row,
            None => {
                rows.push((labels, vec![ABSENT; base.values.len()]));
                rows.len() - 1
            }
        };
        rows[row].1[step] = *value;
    }
    out.extend(rows.into_iter().map(|(labels, values)| Sv {
        labels,
        drop_name: base.drop_name,
        values,
    }));
    Ok(())
}

fn newest_per_metric<'a>(infos: &'a [InfoSeries], candidates: &[usize], step: usize) -> Vec<&'a InfoSeries> {
    let mut newest: BTreeMap<&str, &InfoSeries> = BTreeMap::new();
    for s in candidates
        .iter()
        .map(|i| &infos[*i])
        .filter(|s| !is_absent(s.times[step]))
    {
        let slot = newest.entry(s.labels.metric_name()).or_insert(s);
        if s.times[step] > slot.times[step] {
            *slot = s;
        }
    }
    newest.into_values().collect()
}

fn joined(e: &Engine, span: Span, wanted: &Wanted, base: &Sv, infos: &[&InfoSeries]) -> Evaluated<Labels> {
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    for info in infos {
        for l in info.labels.iter().filter(|l| wanted.copies(&l.name)) {
            match added.insert(&l.name, &l.value) {
                Some(other) if other != &*l.value => {
                    let message = format!(
                        "conflicting label \"{}\": info metrics say \"{other}\" and \"{}\"; name one info metric",
                        l.name, l.value
                    );
                    return e.fail(span, message);
                }
                _ => {}
            }
        }
    }
    let mut labels = base.labels.clone();
    for (name, value) in added {
        if base.labels.get(name).is_empty() {
            labels = labels.with(name, value);
        }
    }
    Ok(labels)
}
