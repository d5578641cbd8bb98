//! `and`, `or`, `unless`: which series of one side are also on the other, step by step.

use std::collections::HashMap;

use crate::ast::{BinaryOp, Matching};
use crate::eval::binary::signature;
use crate::eval::dense::{ABSENT, Sv, is_absent};
use crate::labels::Labels;

pub(crate) fn eval(op: BinaryOp, matching: &Matching, mut left: Vec<Sv>, mut right: Vec<Sv>) -> Vec<Sv> {
    if op == BinaryOp::Or {
        let there = presence(matching, &left);
        mask(matching, &mut right, &there, false);
        left.append(&mut right);
        return left;
    }
    let there = presence(matching, &right);
    mask(matching, &mut left, &there, op == BinaryOp::And);
    left
}

/// For every signature the steps at which some series has a value.
fn presence(matching: &Matching, series: &[Sv]) -> HashMap<Labels, Vec<bool>> {
    let mut there: HashMap<Labels, Vec<bool>> = HashMap::new();
    for s in series {
        let steps = there
            .entry(signature(matching, &s.labels))
            .or_insert_with(|| vec![false; s.values.len()]);
        steps
            .iter_mut()
            .zip(&s.values)
            .for_each(|(p, v)| *p |= !is_absent(*v));
    }
    there
}

/// Clears the cells whose presence on the other side is not `wanted`.
fn mask(matching: &Matching, series: &mut Vec<Sv>, there: &HashMap<Labels, Vec<bool>>, wanted: bool) {
    series.retain_mut(|s| match there.get(&signature(matching, &s.labels)) {
        None => !wanted,
        Some(steps) => {
            for (v, present) in s.values.iter_mut().zip(steps) {
                if *present != wanted {
                    *v = ABSENT;
                }
            }
            s.has_values()
        }
    });
}
