//! Blocks: cut, merged, expired, damaged, imported, copied; the log that they replace.

use std::fs;

use tsdb::{Batch, Labels, Matcher, Options, SeriesData, Tsdb};

use crate::support::{ALL, contents, names, one, small, up};

/// Ten samples a second for `seconds`, two series.
fn fill(db: &Tsdb, from_s: i64, seconds: i64) {
    for t in (from_s * 1000..(from_s + seconds) * 1000).step_by(100) {
        let mut b = Batch::new();
        b.push(&up("a"), t, t as f64 / 3.0);
        b.push(&up("b"), t, -t as f64);
        assert_eq!(db.append(&b).unwrap().accepted, 2);
    }
}

#[test]
fn windows_move_from_head_to_blocks_and_the_log_goes() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), small()).unwrap();
    fill(&db, 0, 10);
    let before = contents(&db);
    let done = db.maintain(10_000).unwrap();
    assert_eq!(done.cut, 9);
    assert_eq!(done.compacted, 2);
    assert_eq!(contents(&db), before);
    let stats = db.stats();
    assert_eq!((stats.head_samples, stats.block_samples), (20, 180));
    // 0–4 s, 4–8 s, 8–9 s
    assert_eq!(stats.blocks, 3);
    assert_eq!(stats.wal_segments, names(&dir.path().join("wal")).len() as u64);
    drop(db);
    let db = Tsdb::open(dir.path(), small()).unwrap();
    assert_eq!(contents(&db), before);
    // The samples in blocks were not put into the head again.
    assert_eq!(db.stats().head_samples, 20);
    let done = db.maintain(20_000).unwrap();
    assert_eq!((done.cut, done.series_removed), (1, 2));
    assert_eq!(db.stats().wal_segments, 0);
    assert_eq!(contents(&db), before);
    assert!(db.last(&[]).is_empty());
    assert_eq!(db.label_values("job", &[], ALL.0, ALL.1).unwrap(), ["a", "b"]);
    assert_eq!(
        db.labels(&[Matcher::eq("job", "b")], 0, 100).unwrap(),
        ["__name__", "job"]
    );
    assert_eq!(
        db.series(&[Matcher::eq("job", "b")], 5_000, 5_000).unwrap(),
        [up("b")]
    );
    assert!(db.series(&[], 20_000, 30_000).unwrap().is_empty());
}

#[test]
fn a_cut_hides_nothing_that_is_logged_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    for (t, cut) in [(1_000, true), (1_001, false), (1_002, false)] {
        let db = Tsdb::open(dir.path(), small()).unwrap();
        db.append(&one(&up("a"), t, 1.0)).unwrap();
        if cut {
            assert_eq!(db.maintain(2_500).unwrap().cut, 1);
        }
    }
    assert_eq!(contents(&Tsdb::open(dir.path(), small()).unwrap()).len(), 3);
}

#[test]
fn late_samples_join_their_window_and_the_first_value_stays() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), small()).unwrap();
    fill(&db, 0, 3);
    db.maintain(5_000).unwrap();
    assert_eq!(db.stats().head_samples, 0);
    let before = contents(&db);
    // Repeated, conflicting and new ones, all in windows that are in blocks.
    db.append(&one(&up("a"), 100, 100.0 / 3.0)).unwrap();
    db.append(&one(&up("a"), 200, 77.0)).unwrap();
    db.append(&one(&up("a"), 250, 88.0)).unwrap();
    let mut want = before.clone();
    want.insert((up("a"), 250), 88f64.to_bits());
    assert_eq!(contents(&db), want);
    // They wait for the next regular window, or for a while.
    assert_eq!(db.maintain(5_500).unwrap().cut, 0);
    let done = db.maintain(6_500).unwrap();
    assert_eq!((done.cut, done.compacted), (1, 1));
    assert_eq!(contents(&db), want);
    assert_eq!((db.stats().head_samples, db.stats().wal_segments), (0, 0));
    drop(db);
    assert_eq!(contents(&Tsdb::open(dir.path(), small()).unwrap()), want);
}

#[test]
fn a_repeated_sample_of_a_frozen_window_does_not_keep_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), small()).unwrap();
    fill(&db, 0, 1);
    // A reader from before the cut keeps the frozen window in the head.
    let reader = db.stream(&[], 0, 1000, Options::default().limits).unwrap();
    db.maintain(2_000).unwrap();
    assert_eq!(db.append(&one(&up("a"), 0, 0.0)).unwrap().duplicates, 1);
    assert_eq!(db.stats().wal_segments, 1);
    assert_eq!(
        reader.map(|s| s.unwrap().samples.len()).collect::<Vec<_>>(),
        [10, 10]
    );
    db.maintain(4_000).unwrap();
    assert_eq!(
        (
            db.stats().wal_segments,
            db.stats().blocks,
            db.stats().head_samples
        ),
        (0, 1, 0)
    );
}

#[test]
fn retention_deletes_whole_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        retention_ms: 10_000,
        ..small()
    };
    let db = Tsdb::open(dir.path(), options).unwrap();
    fill(&db, 0, 8);
    db.maintain(9_000).unwrap();
    assert_eq!(db.stats().blocks, 2);
    // The clock alone deletes nothing: it may have jumped.
    assert_eq!(db.maintain(99_000).unwrap().expired, 0);
    db.set_clock(14_000);
    db.append(&one(&up("c"), 14_000, 1.0)).unwrap();
    let done = db.maintain(14_000).unwrap();
    assert_eq!(done.expired, 1);
    assert_eq!(db.select(&[], 0, 3_999).unwrap().len(), 0);
    assert_eq!(db.select(&[], 0, 4_000).unwrap().len(), 2);
    assert_eq!(
        db.append(&one(&up("a"), 3_999, 1.0))
            .unwrap()
            .rejected_for(tsdb::Reason::TooOld),
        1
    );
    db.append(&one(&up("c"), 18_000, 1.0)).unwrap();
    db.maintain(18_000).unwrap();
    assert_eq!(db.stats().blocks_expired, 2);
    assert!(db.select(&[], 0, 9_000).unwrap().is_empty());
}

#[test]
fn damaged_blocks_are_fenced_and_the_rest_answers() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        max_block_ms: 1_000,
        ..small()
    };
    let db = Tsdb::open(dir.path(), options.clone()).unwrap();
    fill(&db, 0, 4);
    db.maintain(5_000).unwrap();
    drop(db);
    let block = |n: u32, file: &str| dir.path().join(format!("blocks/b{n:010}/{file}"));
    // One chunk of the first block, the index of the second, the meta file of the third.
    let flip = |path: &std::path::Path, at: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 0x55;
        fs::write(path, bytes).unwrap();
    };
    flip(&block(1, "chunks"), 20);
    flip(&block(2, "index"), 50);
    flip(&block(3, "meta"), 30);
    let db = Tsdb::open(dir.path(), options.clone()).unwrap();
    assert_eq!(db.stats().block_corruptions, 1);
    let got = db.select(&[], ALL.0, ALL.1).unwrap();
    assert_eq!(got[0].samples.len(), 10, "series a: only the fourth block");
    assert_eq!(got[1].samples.len(), 20, "series b: the first block, too");
    assert_eq!(db.stats().block_corruptions, 3);
    let notices = db.notices();
    assert_eq!(notices.len(), 3, "{notices:?}");
    db.select(&[], ALL.0, ALL.1).unwrap();
    assert_eq!(db.notices().len(), 3, "each is reported once");
    assert!(names(&dir.path().join("blocks")).contains(&"bad-b0000000003".to_owned()));
    drop(db);
    // Not enough bytes: put aside as well. And merging never swallows a damaged block.
    let chunks = fs::read(block(4, "chunks")).unwrap();
    fs::write(block(4, "chunks"), &chunks[..chunks.len() - 1]).unwrap();
    let db = Tsdb::open(dir.path(), small()).unwrap();
    assert_eq!(db.stats().blocks, 2);
    assert_eq!(db.maintain(9_000).unwrap().compacted, 0);
    assert_eq!(db.stats().blocks, 2);
}

#[test]
fn history_is_imported_past_the_out_of_order_window() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        out_of_order_ms: 0,
        ..small()
    };
    let db = Tsdb::open(dir.path(), options).unwrap();
    db.append(&one(&up("a"), 100_000, 1.0)).unwrap();
    let data = |labels: Labels, step: usize| SeriesData {
        labels,
        samples: (0..20_000).rev().step_by(step).map(|t| (t, t as f64)).collect(),
    };
    let n = db
        .import(&[data(up("b"), 10), data(up("a"), 100), data(up("b"), 100)])
        .unwrap();
    assert_eq!(n, 2_200);
    assert_eq!(db.stats().blocks, 5);
    let got = db.select(&[], ALL.0, ALL.1).unwrap();
    assert_eq!(
        got.iter().map(|s| s.samples.len()).collect::<Vec<_>>(),
        [201, 2_000]
    );
    assert!(db.import(&[data(Labels::empty(), 100)]).is_err());
    drop(db);
    assert_eq!(contents(&Tsdb::open(dir.path(), small()).unwrap()).len(), 2_201);
}

#[test]
fn a_snapshot_is_a_store_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path().join("live"), small()).unwrap();
    fill(&db, 0, 3);
    db.maintain(3_000).unwrap();
    let before = contents(&db);
    let copy = dir.path().join("copy");
    let snapshot = db.snapshot(&copy).unwrap();
    assert!(snapshot.files > 3 && snapshot.bytes > 0);
    assert!(db.snapshot(&copy).is_err(), "the target exists");
    fill(&db, 3, 5);
    db.maintain(9_000).unwrap();
    let restored = Tsdb::open(&copy, small()).unwrap();
    assert_eq!(contents(&restored), before);
    fill(&restored, 3, 5);
    assert_eq!(contents(&restored), contents(&db));
    assert!(db.notices().is_empty() && restored.notices().is_empty());
}

#[test]
fn an_old_reader_keeps_every_window_that_was_cut_since() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), small()).unwrap();
    fill(&db, 0, 3);
    let reader = db.stream(&[], ALL.0, ALL.1, Options::default().limits).unwrap();
    for now in [1_600, 2_600, 3_600, 9_000] {
        db.maintain(now).unwrap();
    }
    assert_eq!(db.stats().head_samples, 60);
    assert_eq!(
        reader.map(|s| s.unwrap().samples.len()).collect::<Vec<_>>(),
        [30, 30]
    );
    db.maintain(9_000).unwrap();
    assert_eq!(db.stats().head_samples, 0);
}

#[test]
fn readers_see_everything_while_windows_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), small()).unwrap();
    let seconds = 30;
    std::thread::scope(|s| {
        let writer = s.spawn(|| {
            for second in 0..seconds {
                fill(&db, second, 1);
                db.maintain(second * 1000 + 999).unwrap();
            }
        });
        let mut seen = 0;
        while !writer.is_finished() {
            let got = db.select(&[Matcher::eq("job", "a")], ALL.0, ALL.1).unwrap();
            let times: Vec<i64> = got.iter().flat_map(|s| s.samples.iter().map(|x| x.0)).collect();
            assert!(
                times.len() >= seen,
                "samples vanished: {} after {seen}",
                times.len()
            );
            let want: Vec<i64> = (0..times.len() as i64).map(|i| i * 100).collect();
            assert_eq!(times, want);
            seen = times.len();
        }
    });
    assert_eq!(contents(&db).len(), 2 * 10 * seconds as usize);
}

#[test]
fn the_index_cache_keeps_to_its_budget() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        index_cache_bytes: 1000,
        max_block_ms: 1_000,
        ..small()
    };
    let db = Tsdb::open(dir.path(), options).unwrap();
    fill(&db, 0, 10);
    db.maintain(12_000).unwrap();
    assert_eq!(db.stats().blocks, 10);
    assert_eq!(contents(&db).len(), 200);
    let cached = db.stats().index_cache_bytes;
    assert!(cached > 0 && cached <= 1000, "{cached}");
}
