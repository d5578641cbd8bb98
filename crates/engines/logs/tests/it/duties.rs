//! Sealing, retention and snapshots.
use crate::{everything, open, record, search, small, texts};
use logs::{Direction, Error, Options, Query};

#[test]
fn old_segments_go_first_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(
        dir.path(),
        Options {
            segment_age_ms: 0,
            retention_ms: 1_000,
            ..small()
        },
    );
    for at_ms in [100, 500, 900] {
        logs.append(&[record(at_ms, "a", &format!("at {at_ms}"))])
            .unwrap();
        assert_eq!(logs.maintain(at_ms).unwrap().sealed, 1);
    }
    assert_eq!(
        logs.maintain(1_100).unwrap().expired_by_age,
        0,
        "a line of exactly that age stays"
    );
    assert_eq!(logs.maintain(1_501).unwrap().expired_by_age, 2);
    assert_eq!(texts(&logs.query(&everything()).unwrap().records), ["at 900"]);
    assert_eq!(logs.stats().expired_by_age_total, 2);
}

#[test]
fn a_line_from_the_future_does_not_live_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(
        dir.path(),
        Options {
            segment_age_ms: 0,
            retention_ms: 1_000,
            ..small()
        },
    );
    logs.append(&[record(9_000_000, "a", "clock gone wrong")])
        .unwrap();
    logs.maintain(50).unwrap();
    assert_eq!(logs.maintain(1_051).unwrap().expired_by_age, 1);
}

#[test]
fn the_store_stays_below_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(
        dir.path(),
        Options {
            max_bytes: 6_000,
            fsync: false,
            ..small()
        },
    );
    let mut noise = 7u64;
    for number in 0..400 {
        let mut text = format!("line {number} ");
        for _ in 0..4 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(&format!("{noise:x}"));
        }
        logs.append(&[record(number, "a", &text)]).unwrap();
    }
    logs.maintain(400).unwrap();
    let stats = logs.stats();
    assert!(stats.segment_bytes + stats.wal_bytes <= 6_000, "{stats:?}");
    assert_eq!(stats.records + stats.expired_by_size_total, 400);
    let newest = logs
        .query(&Query {
            limit: 1,
            ..everything()
        })
        .unwrap();
    assert_eq!(newest.records[0].record.at_ms, 399);
    let oldest = logs
        .query(&Query {
            direction: Direction::OldestFirst,
            limit: 1,
            ..everything()
        })
        .unwrap();
    assert_eq!(
        oldest.records[0].record.at_ms as u64, stats.expired_by_size_total,
        "the oldest went"
    );
}

#[test]
fn appends_seal_by_themselves_when_nobody_maintains() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(
        dir.path(),
        Options {
            fsync: false,
            ..small()
        },
    );
    for number in 0..500 {
        logs.append(&[record(number, "a", "a line of some length to fill the head")])
            .unwrap();
    }
    let stats = logs.stats();
    assert!(stats.segments > 3 && stats.waiting_to_seal <= 2, "{stats:?}");
    assert_eq!(stats.records, 500);
    assert_eq!(logs.take_notices(), []);
}

#[test]
fn a_search_reads_only_blocks_that_may_hold_it() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(
        dir.path(),
        Options {
            segment_age_ms: 0,
            segment_bytes: 1 << 20,
            fsync: false,
            ..small()
        },
    );
    for number in 0..300 {
        let text = if number == 123 {
            "the needle".to_string()
        } else {
            format!("plain hay {number}")
        };
        logs.append(&[record(number, if number < 100 { "a" } else { "b" }, &text)])
            .unwrap();
    }
    logs.maintain(0).unwrap();
    let page = logs
        .query(&Query {
            selection: search("NEEDLE"),
            ..everything()
        })
        .unwrap();
    assert_eq!(texts(&page.records), ["the needle"]);
    assert!(page.read_blocks == 1 && page.skipped_blocks > 10, "{page:?}");
    let page = logs
        .query(&Query {
            selection: search("host:a needle"),
            ..everything()
        })
        .unwrap();
    assert!(page.records.is_empty() && page.read_blocks == 0);
    let page = logs
        .query(&Query {
            limit: 3,
            ..everything()
        })
        .unwrap();
    assert!(
        page.records.len() == 3 && page.read_blocks <= 2,
        "a short page does not read the whole store"
    );
}

#[test]
fn a_snapshot_opens_as_a_store_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(
        &dir.path().join("live"),
        Options {
            segment_age_ms: 0,
            ..small()
        },
    );
    logs.append(&[record(1, "a", "sealed")]).unwrap();
    logs.maintain(1).unwrap();
    logs.append(&[record(2, "a", "in the head")]).unwrap();
    let target = dir.path().join("copy");
    logs.snapshot(&target).unwrap();
    logs.append(&[record(3, "a", "later")]).unwrap();
    assert!(matches!(
        logs.snapshot(&target),
        Err(Error::SnapshotExists { .. })
    ));
    let copy = open(&target, small());
    assert_eq!(
        texts(&copy.query(&everything()).unwrap().records),
        ["in the head", "sealed"]
    );
    assert_eq!(copy.append(&[record(4, "a", "own")]).unwrap().first_seq, Some(2));
    assert_eq!(logs.query(&everything()).unwrap().records.len(), 3);
}
