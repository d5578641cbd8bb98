//! Random work against a naive model: a map from series and time to the first value.

use std::collections::btree_map::Entry;

use proptest::prelude::*;
use tsdb::{Batch, Labels, MatchOp, Matcher, SeriesData, Tsdb};

use crate::support::{Contents, contents, small, up};

#[derive(Debug, Clone)]
enum Step {
    /// Series, time, value; times repeat often.
    Append(Vec<(u8, i64, u8)>),
    /// A run of regular samples, long enough to seal chunks.
    Run(u8, i64, u8),
    Maintain(i64),
    Reopen,
    Import(Vec<(u8, i64, u8)>),
}

fn rows() -> impl Strategy<Value = Vec<(u8, i64, u8)>> {
    proptest::collection::vec((0u8..4, -3_000i64..12_000, 0u8..3), 1..30)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => rows().prop_map(Step::Append),
        2 => (0u8..4, 0i64..10_000, 0u8..200).prop_map(|(s, t, n)| Step::Run(s, t, n)),
        2 => (0i64..20_000).prop_map(Step::Maintain),
        1 => Just(Step::Reopen),
        1 => rows().prop_map(Step::Import),
    ];
    proptest::collection::vec(step, 1..16)
}

fn name(series: u8) -> Labels {
    let l = up(&series.to_string());
    if series.is_multiple_of(2) {
        l.with("even", "yes")
    } else {
        l
    }
}

/// A value that depends on time, so that a misplaced sample shows; `pick` makes conflicts.
fn value(t: i64, pick: u8) -> f64 {
    if pick == 2 {
        tsdb::stale_nan()
    } else {
        t as f64 * 0.1 + f64::from(pick)
    }
}

fn apply(db: &Tsdb, model: &mut Contents, rows: &[(u8, i64, u8)]) {
    let mut batch = Batch::new();
    for (series, t, pick) in rows {
        batch.push(&name(*series), *t, value(*t, *pick));
    }
    let outcome = db.append(&batch).unwrap();
    let total = outcome.accepted + outcome.duplicates + outcome.rejected_total();
    assert_eq!(total, rows.len() as u64);
    for (series, t, pick) in rows {
        model
            .entry((name(*series), *t))
            .or_insert(value(*t, *pick).to_bits());
    }
}

/// Imports only instants that are free: an import yields to blocks but not to the head.
fn import(db: &Tsdb, model: &mut Contents, rows: &[(u8, i64, u8)]) {
    let mut data = Vec::new();
    for (series, t, pick) in rows {
        if let Entry::Vacant(free) = model.entry((name(*series), *t)) {
            let v = value(*t, *pick);
            free.insert(v.to_bits());
            data.push(SeriesData {
                labels: name(*series),
                samples: vec![(*t, v)],
            });
        }
    }
    assert_eq!(db.import(&data).unwrap(), data.len() as u64);
}

fn compare_ranges(db: &Tsdb, model: &Contents) {
    for (start, end) in [
        (0, 0),
        (-500, 999),
        (1_000, 4_999),
        (2_500, 7_777),
        (5_000, 20_000),
    ] {
        for m in [
            Matcher::eq("job", "1"),
            Matcher::neq("even", ""),
            Matcher::eq("even", ""),
            Matcher::new(MatchOp::Re, "job", "[2-9]|0").unwrap(),
        ] {
            let m = [m];
            let mut want = Contents::new();
            for ((l, t), v) in model {
                if *t >= start && *t <= end && Matcher::all_match(&m, l) {
                    want.insert((l.clone(), *t), *v);
                }
            }
            let mut got = Contents::new();
            for s in db.select(&m, start, end).unwrap() {
                for (t, v) in &s.samples {
                    got.insert((s.labels.clone(), *t), v.to_bits());
                }
            }
            assert_eq!(got, want, "{m:?} {start}..={end}");
            let series = db.series(&m, start, end).unwrap();
            assert!(want.keys().all(|(l, _)| series.contains(l)));
            assert!(series.iter().all(|l| Matcher::all_match(&m, l)));
            let jobs = db.label_values("job", &m, start, end).unwrap();
            assert!(
                want.keys()
                    .all(|(l, _)| jobs.contains(&l.value("job").to_owned()))
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_store_is_a_map_of_first_values(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut db = Tsdb::open(dir.path(), small()).unwrap();
        let mut model = Contents::new();
        for step in &steps {
            match step {
                Step::Append(rows) => apply(&db, &mut model, rows),
                Step::Run(series, from, n) => {
                    let rows: Vec<_> = (0..i64::from(*n)).map(|i| (*series, from + i * 7, 0)).collect();
                    apply(&db, &mut model, &rows);
                }
                Step::Maintain(now) => {
                    db.maintain(*now).unwrap();
                }
                Step::Reopen => {
                    drop(db);
                    db = Tsdb::open(dir.path(), small()).unwrap();
                }
                Step::Import(rows) => import(&db, &mut model, rows),
            }
            prop_assert_eq!(&contents(&db), &model);
        }
        compare_ranges(&db, &model);
        prop_assert!(db.notices().is_empty());
    }
}
