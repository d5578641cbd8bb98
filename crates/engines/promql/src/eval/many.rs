//! `group_left` and `group_right`: many series of one side match one of the other.

use std::collections::HashMap;

use crate::ast::{Binary, Group, Span};
use crate::eval::arithmetic;
use crate::eval::binary::{MatchGroup, match_groups, matched_steps, present_one};
use crate::eval::dense::{ABSENT, Sv, is_absent};
use crate::eval::engine::{Engine, Evaluated};
use crate::labels::Labels;

/// Evaluates with `many` on the side that the modifier names.
pub(crate) fn eval(e: &Engine, span: Span, b: &Binary, many: &[Sv], one: &[Sv]) -> Evaluated<Vec<Sv>> {
    let m = &b.matching;
    let steps = matched_steps(m, many, one);
    let n = steps.len();
    // The fills count from the side with the many series, whichever side of the operator that is.
    let fill_many = m.fill_left.map(|f| f.value);
    let fill_one = m.fill_right.map(|f| f.value);
    let name = if m.group == Group::Left { "right" } else { "left" };
    let mut out = Vec::new();
    for group in match_groups(m, many, one) {
        e.tick()?;
        let mut rows: HashMap<(Option<usize>, Option<usize>), Vec<f64>> = HashMap::new();
        let mut order = Vec::new();
        for step in (0..n).filter(|step| steps[*step]) {
            let found = present_one(e, span, &group, &group.right, one, step, name)?;
            let one_value = found.map(|i| one[group.right[i]].values[step]);
            let mut put = |key, many_value, one_value| {
                if !rows.contains_key(&key) {
                    e.charge(n)?;
                    order.push(key);
                }
                let row = rows.entry(key).or_insert_with(|| vec![ABSENT; n]);
                row[step] = cell(b, many_value, one_value);
                Ok(())
            };
            let mut any = false;
            for i in &group.left {
                let value = many[*i].values[step];
                if is_absent(value) {
                    continue;
                }
                any = true;
                if let Some(o) = one_value.or(fill_one) {
                    put((Some(*i), found), value, o)?;
                }
            }
            if let (false, Some(fill), Some(o)) = (any, fill_many, one_value) {
                put((None, found), fill, o)?;
            }
        }
        for key in order {
            let values = rows.remove(&key).unwrap_or_default();
            out.push(series(b, &group, many, one, key, values));
        }
    }
    Ok(out)
}

fn cell(b: &Binary, many: f64, one: f64) -> f64 {
    match b.matching.group {
        Group::Right => arithmetic::cell(b, one, many, one),
        _ => arithmetic::cell(b, many, one, many),
    }
}

fn series(
    b: &Binary,
    group: &MatchGroup,
    many: &[Sv],
    one: &[Sv],
    (from, to): (Option<usize>, Option<usize>),
    values: Vec<f64>,
) -> Sv {
    let drops = arithmetic::drops_name(b);
    let Some(source) = from.map(|i| &many[i]) else {
        return Sv {
            labels: group.key.clone(),
            drop_name: drops,
            values,
        };
    };
    let mut labels = source.labels.clone();
    if !b.matching.include.is_empty() {
        let empty = Labels::default();
        let other = to.map_or(&empty, |i| &one[group.right[i]].labels);
        for name in &b.matching.include {
            labels = labels.with(name, other.get(name));
        }
    }
    Sv {
        labels,
        drop_name: source.drop_name || drops,
        values,
    }
}
