//! Append, select, labels; what is refused; what comes back after a restart.

use tsdb::{Batch, Durability, Error, Labels, Limits, MatchOp, Matcher, Options, Reason, Tsdb};

use crate::support::{ALL, labels, one, up};

#[test]
fn appended_samples_are_selected_now_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let stale = f64::from_bits(tsdb::STALE_NAN_BITS);
    let check = |db: &Tsdb| {
        let got = db.select(&[Matcher::metric("up")], 1000, 3000).unwrap();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].labels, up("a"));
        assert_eq!(got[0].samples, [(1000, 1.0), (2000, 0.5)]);
        assert_eq!(got[1].samples[0].1.to_bits(), tsdb::STALE_NAN_BITS);
        assert!(tsdb::is_stale(got[1].samples[0].1) && tsdb::is_stale(tsdb::stale_nan()));
        assert_eq!(db.labels(&[], ALL.0, ALL.1).unwrap(), ["__name__", "job"]);
        assert_eq!(db.label_values("job", &[], ALL.0, ALL.1).unwrap(), ["a", "b"]);
        assert_eq!(db.label_values("job", &[], 1000, 1000).unwrap(), ["a"]);
        assert_eq!(
            db.series(&[Matcher::neq("job", "a")], ALL.0, ALL.1).unwrap(),
            [up("b")]
        );
        let last = db.last(&[Matcher::eq("job", "a")]);
        assert_eq!((last.len(), last[0].1.t_ms, last[0].1.v), (1, 4000, 7.0));
    };
    {
        let db = Tsdb::open(dir.path(), Options::default()).unwrap();
        let mut b = Batch::new();
        b.push(&up("a"), 1000, 1.0);
        b.push(&up("a"), 2000, 0.5);
        b.push(&up("b"), 3000, stale);
        assert_eq!(db.append(&b).unwrap().accepted, 3);
        let a = db.resolve(&up("a")).unwrap();
        let mut b = Batch::new();
        b.push_ref(a, 4000, 7.0);
        assert_eq!(db.append_with(&b, Durability::Async).unwrap().accepted, 1);
        db.flush().unwrap();
        check(&db);
    }
    let db = Tsdb::open(dir.path(), Options::default()).unwrap();
    check(&db);
    assert_eq!(db.stats().wal_replayed_samples, 4);
    assert_eq!(db.stats().newest_ms, Some(4000));
}

#[test]
fn duplicates_conflicts_and_times_out_of_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        out_of_order_ms: 10_000,
        max_future_ms: 1_000,
        ..Options::default()
    };
    let db = Tsdb::open(dir.path(), options).unwrap();
    let l = up("a");
    let put = |t, v| db.append(&one(&l, t, v)).unwrap();
    assert_eq!(put(100_000, 1.0).accepted, 1);
    assert_eq!(put(100_000, 1.0).duplicates, 1);
    let o = put(100_000, 2.0);
    assert_eq!((o.accepted, o.rejected_for(Reason::Conflicting)), (0, 1));
    assert_eq!(o.examples[0].row, 0);
    assert_eq!(put(90_000, 3.0).accepted, 1);
    assert_eq!(put(89_999, 3.0).rejected_for(Reason::TooOld), 1);
    db.set_clock(100_000);
    assert_eq!(put(101_000, 4.0).accepted, 1);
    assert_eq!(put(101_001, 4.0).rejected_for(Reason::TooNew), 1);
    let got = db.select(&[], ALL.0, ALL.1).unwrap();
    assert_eq!(got[0].samples, [(90_000, 3.0), (100_000, 1.0), (101_000, 4.0)]);
    let stats = db.stats();
    assert_eq!(stats.samples_appended, 3);
    assert_eq!(stats.samples_duplicate, 1);
    assert_eq!(stats.samples_rejected.iter().map(|r| r.1).sum::<u64>(), 3);
}

#[test]
fn limits_of_series_and_queries() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(
        dir.path(),
        Options {
            max_series: 2,
            ..Options::default()
        },
    )
    .unwrap();
    let mut b = Batch::new();
    for job in ["a", "b", "c"] {
        b.push(&up(job), 1, 1.0);
        b.push(&up(job), 2, 1.0);
    }
    b.push(&Labels::empty(), 1, 1.0);
    b.push(&labels(&[("x", &"y".repeat(70_000))]), 1, 1.0);
    b.push_ref(tsdb::SeriesRef(77), 1, 1.0);
    let o = db.append(&b).unwrap();
    assert_eq!(o.accepted, 4);
    assert_eq!(o.rejected_for(Reason::SeriesLimit), 2);
    assert_eq!(o.rejected_for(Reason::InvalidLabels), 2);
    assert_eq!(o.rejected_for(Reason::UnknownSeries), 1);
    assert_eq!(db.resolve(&up("d")), Err(Reason::SeriesLimit));
    let limited = |max_samples, max_series| {
        let stream = db.stream(
            &[],
            0,
            10,
            Limits {
                max_samples,
                max_series,
            },
        )?;
        stream.collect::<Result<Vec<_>, _>>().map(|s| s.len())
    };
    assert_eq!(limited(4, 2).unwrap(), 2);
    assert!(matches!(
        limited(3, 2),
        Err(Error::QueryLimit {
            unit: "samples",
            limit: 3
        })
    ));
    assert!(matches!(
        limited(4, 1),
        Err(Error::QueryLimit {
            unit: "series",
            limit: 1
        })
    ));
}

#[test]
fn matchers_mean_what_prometheus_means() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), Options::default()).unwrap();
    let all = [
        labels(&[("__name__", "m"), ("a", "1")]),
        labels(&[("__name__", "m"), ("a", "2"), ("b", "x")]),
        labels(&[("__name__", "m"), ("a", "10"), ("b", "y")]),
        labels(&[("__name__", "n"), ("b", "x")]),
    ];
    let mut b = Batch::new();
    all.iter().for_each(|l| b.push(l, 1, 1.0));
    db.append(&b).unwrap();
    let values = ["", "1", "2", "x", "1|2", "1|", ".*", ".+", "1.*", "[xy]", ".*|x"];
    for name in ["a", "b", "c", "__name__"] {
        for value in values {
            for op in [MatchOp::Eq, MatchOp::Neq, MatchOp::Re, MatchOp::Nre] {
                let m = [Matcher::new(op, name, value).unwrap(), Matcher::neq("a", "10")];
                let mut want: Vec<_> = all
                    .iter()
                    .filter(|l| Matcher::all_match(&m, l))
                    .cloned()
                    .collect();
                want.sort();
                assert_eq!(db.series(&m, 0, 9).unwrap(), want, "{m:?}");
            }
        }
    }
}

#[test]
fn one_store_has_one_owner_and_many_appends_share_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), Options::default()).unwrap();
    assert!(matches!(
        Tsdb::open(dir.path(), Options::default()),
        Err(Error::Locked { .. })
    ));
    let batches: Vec<_> = (0..50).map(|t| one(&up("a"), t, t as f64)).collect();
    assert!(
        db.append_many(&batches)
            .into_iter()
            .all(|o| o.unwrap().accepted == 1)
    );
    assert_eq!(db.stats().wal_syncs, 1);
    std::thread::scope(|s| {
        for w in 0..4 {
            let db = &db;
            s.spawn(move || {
                for t in 0..100 {
                    assert_eq!(db.append(&one(&up(&w.to_string()), t, 1.0)).unwrap().accepted, 1);
                    assert!(!db.select(&[Matcher::metric("up")], 0, 100).unwrap().is_empty());
                }
            });
        }
    });
    let got = db
        .select(&[Matcher::new(MatchOp::Re, "job", "[0-3]").unwrap()], 0, 1000)
        .unwrap();
    assert_eq!(got.iter().map(|s| s.samples.len()).collect::<Vec<_>>(), [100; 4]);
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Tsdb::open(dir.path(), Options::default()).unwrap());
    std::fs::write(dir.path().join("version"), "mainstay metric store 99\n").unwrap();
    let text = Tsdb::open(dir.path(), Options::default())
        .unwrap_err()
        .to_string();
    assert!(text.contains("newer version") && text.contains("99"), "{text}");
}
