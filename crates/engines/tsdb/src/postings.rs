//! Sorted lists of series ids and how matchers become one.
//!
//! [`LabelIndex`] is what head and blocks have in common; [`find`] is the only place that knows the
//! matchers' set algebra.

use std::borrow::Cow;

use crate::matcher::Matcher;

/// Sorted ids without repeats.
pub(crate) type Ids<'a> = Cow<'a, [u64]>;

/// An inverted index: label pair to series ids.
pub(crate) trait LabelIndex {
    /// Ids of all series.
    fn all(&self) -> Ids<'_>;
    /// Ids of the series with this label pair; empty if there are none.
    fn ids(&self, name: &str, value: &str) -> Ids<'_>;
    /// Calls `visit` with each value of `name` in order.
    fn each_value(&self, name: &str, visit: &mut dyn FnMut(&str));
}

/// Ids of the series that pass all matchers.
pub(crate) fn find(index: &dyn LabelIndex, matchers: &[Matcher]) -> Vec<u64> {
    // A matcher that lets the empty value pass also accepts series without the label, which no list
    // of the index holds: such matchers can only take series away.
    let (removing, requiring): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| m.matches(""));
    let mut lists: Vec<Vec<u64>> = Vec::with_capacity(requiring.len());
    for m in requiring {
        let list = union_where(index, m, true);
        if list.is_empty() {
            return Vec::new();
        }
        lists.push(list);
    }
    lists.sort_by_key(Vec::len);
    let mut lists = lists.into_iter();
    let mut result = lists.next().unwrap_or_else(|| index.all().into_owned());
    for list in lists {
        result = intersect(&result, &list);
    }
    for m in removing {
        if result.is_empty() {
            break;
        }
        result = subtract(&result, &union_where(index, m, false));
    }
    result
}

/// Ids of the series that have label `m.name` with a value for which `m.matches(value) == want`.
fn union_where(index: &dyn LabelIndex, m: &Matcher, want: bool) -> Vec<u64> {
    // `matches` is `selects` negated or not: the listed values answer exactly one of the two questions.
    if let Some(values) = m.listed().filter(|_| want != m.is_negative()) {
        let lists = values.iter().map(|v| index.ids(m.name(), v)).collect();
        return union(lists);
    }
    let mut values = Vec::new();
    index.each_value(m.name(), &mut |value| {
        if m.matches(value) == want {
            values.push(value.to_owned());
        }
    });
    union(values.iter().map(|v| index.ids(m.name(), v)).collect())
}

fn union(mut lists: Vec<Ids<'_>>) -> Vec<u64> {
    if lists.len() <= 1 {
        return lists.pop().map(Cow::into_owned).unwrap_or_default();
    }
    let mut all: Vec<u64> = Vec::with_capacity(lists.iter().map(|l| l.len()).sum());
    for list in &lists {
        all.extend_from_slice(list);
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn intersect(small: &[u64], large: &[u64]) -> Vec<u64> {
    let mut rest = large;
    let mut out = Vec::with_capacity(small.len());
    for id in small {
        rest = skip_below(rest, *id);
        match rest.first() {
            Some(first) if first == id => out.push(*id),
            Some(_) => {}
            None => break,
        }
    }
    out
}

fn subtract(from: &[u64], minus: &[u64]) -> Vec<u64> {
    let mut rest = minus;
    from.iter()
        .copied()
        .filter(|id| {
            rest = skip_below(rest, *id);
            rest.first() != Some(id)
        })
        .collect()
}

/// Drops the items below `id` by galloping: cheap for close targets, logarithmic for far ones.
fn skip_below(list: &[u64], id: u64) -> &[u64] {
    let mut bound = 1;
    while list.get(bound - 1).is_some_and(|x| *x < id) {
        bound *= 2;
    }
    let (low, high) = (bound / 2, bound.min(list.len()));
    let within = list.get(low..high).unwrap_or(&[]);
    let skip = low + within.partition_point(|x| *x < id);
    list.get(skip..).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn sets() -> impl Strategy<Value = (BTreeSet<u64>, BTreeSet<u64>)> {
        let set = || proptest::collection::btree_set(0u64..200, 0..100);
        (set(), set())
    }

    proptest! {
        #[test]
        fn set_algebra((a, b) in sets()) {
            let (x, y): (Vec<u64>, Vec<u64>) = (a.iter().copied().collect(), b.iter().copied().collect());
            prop_assert_eq!(intersect(&x, &y), a.intersection(&b).copied().collect::<Vec<_>>());
            prop_assert_eq!(subtract(&x, &y), a.difference(&b).copied().collect::<Vec<_>>());
            let lists = vec![Cow::Borrowed(&x[..]), Cow::Borrowed(&y[..])];
            prop_assert_eq!(union(lists), a.union(&b).copied().collect::<Vec<_>>());
        }
    }
}
