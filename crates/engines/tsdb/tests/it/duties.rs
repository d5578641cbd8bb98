//! Clocks that jump, duties that fail one by one, and answers that say what is missing from them.

use std::io;
use std::sync::{Arc, Mutex};

use tsdb::{FaultHook, Matcher, Options, Reason, Tsdb};

use crate::support::{ALL, contents, names, one, small, up};

const DAY: i64 = 86_400_000;

#[test]
fn samples_of_a_clock_that_was_ahead_do_not_make_honest_ones_too_old() {
    let dir = tempfile::tempdir().unwrap();
    let now = 1_700_000_000_000;
    let options = Options {
        out_of_order_ms: 7 * DAY,
        ..Options::default()
    };
    let put = |db: &Tsdb, t| db.append(&one(&up("a"), t, 1.0)).unwrap();
    {
        let db = Tsdb::open(dir.path(), options.clone()).unwrap();
        db.set_clock(now);
        assert_eq!(put(&db, now).accepted, 1);
        db.set_clock(now + 30 * DAY);
        assert_eq!(put(&db, now + 30 * DAY).accepted, 1);
        db.set_clock(now + 1_000);
        let outcome = put(&db, now + 1_000);
        assert_eq!((outcome.accepted, outcome.newest_ms), (1, Some(now + 1_000)));
        let ahead = put(&db, now + DAY);
        assert_eq!((ahead.rejected_for(Reason::TooNew), ahead.newest_ms), (1, None));
    }
    let db = Tsdb::open(dir.path(), options).unwrap();
    db.set_clock(now + 2_000);
    assert_eq!(put(&db, now + 2_000).accepted, 1, "also after a restart");
}

#[test]
fn retention_counts_from_the_time_that_the_caller_trusts() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        retention_ms: 10_000,
        ..small()
    };
    let db = Tsdb::open(dir.path(), options).unwrap();
    for t in [500, 1_500, 2_500] {
        db.append(&one(&up("a"), t, 1.0)).unwrap();
    }
    db.maintain(5_000).unwrap();
    let before = contents(&db);
    db.set_clock(900_000);
    db.append(&one(&up("own"), 900_000, 1.0)).unwrap();
    assert_eq!(db.maintain_aged(900_000, 5_100).unwrap().expired, 0);
    assert!(before.keys().all(|key| contents(&db).contains_key(key)));
    assert!(db.maintain_aged(900_000, 900_000).unwrap().expired > 0);
}

#[test]
fn a_duty_that_fails_does_not_keep_the_others_from_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Arc::new(Mutex::new(""));
    let refuses = refused.clone();
    let options = Options {
        retention_ms: 10_000,
        faults: FaultHook::new(move |step| match *refuses.lock().unwrap() == step {
            true => Err(io::Error::from_raw_os_error(5)),
            false => Ok(()),
        }),
        ..small()
    };
    let db = Tsdb::open(dir.path(), options).unwrap();
    for t in [500, 1_500, 2_500] {
        db.append(&one(&up("a"), t, 1.0)).unwrap();
    }
    db.maintain(9_000).unwrap();
    assert_eq!(names(&dir.path().join("blocks")).len(), 1);

    *refused.lock().unwrap() = "delete block";
    for t in [18_500, 20_500] {
        db.append(&one(&up("a"), t, 1.0)).unwrap();
    }
    db.maintain(21_000).unwrap_err();
    let stats = db.stats();
    assert_eq!((stats.blocks_expired, stats.maintain_failures), (1, 1));
    assert_eq!(
        stats.blocks, 1,
        "the window of 18 s was cut though the old block stays on disk"
    );
    db.maintain(21_100).unwrap_err();
    *refused.lock().unwrap() = "";
    db.maintain(21_200).unwrap();
    assert_eq!(
        names(&dir.path().join("blocks")).len(),
        1,
        "deleted as soon as the disk lets it"
    );

    *refused.lock().unwrap() = "sync log";
    db.append_with(&one(&up("a"), 21_500, 1.0), tsdb::Durability::Async)
        .unwrap();
    db.append_with(&one(&up("a"), 31_500, 1.0), tsdb::Durability::Async)
        .unwrap();
    db.maintain(33_000).unwrap_err();
    assert_eq!(
        db.stats().blocks_expired,
        2,
        "retention goes on while the log cannot be synced"
    );
}

#[test]
fn an_answer_says_what_is_missing_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let all = |db: &Tsdb| {
        let mut stream = db.stream(&[], ALL.0, ALL.1, Options::default().limits).unwrap();
        let samples: usize = stream.by_ref().map(|series| series.unwrap().samples.len()).sum();
        (samples, stream.warnings().to_vec())
    };
    {
        let db = Tsdb::open(dir.path(), small()).unwrap();
        for t in [500, 4_500, 8_500] {
            db.append(&one(&up("a"), t, 1.0)).unwrap();
            db.maintain(t + 2_000).unwrap();
        }
        assert_eq!(all(&db), (3, vec![]));
    }
    let blocks = dir.path().join("blocks");
    let found = names(&blocks);
    assert_eq!(found.len(), 3);
    let db = Tsdb::open(dir.path(), small()).unwrap();
    let index = blocks.join(&found[1]).join("index");
    let kept = std::fs::read(&index).unwrap();
    std::fs::remove_file(&index).unwrap();
    std::fs::create_dir(&index).unwrap();
    let (samples, warnings) = all(&db);
    assert_eq!(samples, 2, "the other blocks are read");
    assert!(
        warnings.len() == 1 && warnings[0].contains("from 4500 to 4500 ms"),
        "{warnings:?}"
    );
    assert_eq!(db.unreadable(ALL.0, ALL.1), warnings);
    assert!(db.unreadable(ALL.0, 4_000).is_empty());
    assert_eq!(
        db.series(&[Matcher::metric("up")], ALL.0, ALL.1).unwrap().len(),
        1
    );
    assert!(db.stats().block_read_failures >= 2);
    std::fs::remove_dir(&index).unwrap();
    std::fs::write(&index, kept).unwrap();
    assert_eq!(all(&db), (3, vec![]), "the disk is well again");

    let chunks = blocks.join(&found[2]).join("chunks");
    let mut bytes = std::fs::read(&chunks).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
    std::fs::write(&chunks, bytes).unwrap();
    let (samples, warnings) = all(&db);
    assert!(
        samples == 2 && warnings.len() == 1 && warnings[0].contains("wrong checksums"),
        "{warnings:?}"
    );
    assert_eq!(db.notices().len(), 2, "{:?}", db.notices());
}

#[test]
fn the_last_sample_is_none_that_a_clock_left_in_the_future() {
    let dir = tempfile::tempdir().unwrap();
    let now = 1_700_000_000_000;
    let db = Tsdb::open(dir.path(), Options::default()).unwrap();
    let last = || {
        let found = db.last(&[Matcher::metric("up")]);
        found.first().map(|(_, sample)| (sample.t_ms - now, sample.v))
    };
    let put = |ahead: i64, v: f64| {
        db.set_clock(now + ahead);
        assert_eq!(db.append(&one(&up("a"), now + ahead, v)).unwrap().accepted, 1);
    };
    put(0, 1.0);
    put(2 * 3_600_000, 2.0);
    assert_eq!(last(), Some((2 * 3_600_000, 2.0)));
    put(5_000, 3.0);
    assert_eq!(last(), Some((5_000, 3.0)));
    put(6_000, 4.0);
    assert_eq!(last(), Some((6_000, 4.0)));
}
