//! Live tail: order, filters, bounds, the end of a subscription.
use crate::{open, record, search, small};
use logs::{Delivery, Found, Query, Selection};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn a_tail_gets_what_it_selects_in_order_and_counts_what_it_loses() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(dir.path(), small());
    logs.append(&[record(1, "a", "error before")]).unwrap();
    let tail = logs.subscribe(search("error host:a"), 2);
    assert_eq!(tail.first_seq(), 1);
    logs.append(&[
        record(5, "a", "error 1"),
        record(5, "b", "error 2"),
        record(4, "a", "Error 3"),
    ])
    .unwrap();
    logs.append(&[record(6, "a", "fine"), record(6, "a", "error 4")])
        .unwrap();
    let wait = || {
        tail.recv_timeout(Duration::from_secs(5))
            .map(|found| (found.position.seq, found.record.text))
    };
    assert_eq!(wait(), Some((1, "error 1".to_string())));
    assert_eq!(wait(), Some((3, "Error 3".to_string())));
    assert_eq!(tail.try_recv(), None);
    assert_eq!(tail.dropped(), 1);
    assert_eq!(logs.stats().subscribers, 1);
    drop(tail);
    logs.append(&[record(7, "a", "error 5")]).unwrap();
    assert_eq!(logs.stats().subscribers, 0);
}

#[test]
fn history_and_tail_meet_without_gap_or_overlap() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(dir.path(), small());
    let seen: Arc<Mutex<Vec<Found>>> = Arc::default();
    let sink = Arc::clone(&seen);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let logs = &logs;
            scope.spawn(move || {
                for number in 0..60 {
                    logs.append(&[record(number, "a", &format!("{thread}/{number}"))])
                        .unwrap();
                }
            });
        }
        scope.spawn(|| {
            let take = move |found| {
                sink.lock().unwrap().push(found);
                Delivery::Taken
            };
            let (first_seq, _dropped) = logs.subscribe_with(Selection::default(), take);
            let query = Query {
                limit: 1000,
                ..Query::new(0, 1000)
            };
            let mut history = logs.query(&query).unwrap().records;
            history.retain(|found| found.position.seq < first_seq);
            assert_eq!(history.len() as u64, first_seq);
        });
    });
    let seen = seen.lock().unwrap();
    let mut expected: Vec<u64> = seen.iter().map(|found| found.position.seq).collect();
    assert!(expected.is_sorted());
    expected.dedup();
    assert_eq!(expected.len(), seen.len());
    assert_eq!(expected.last().map_or(180, |last| last + 1), 180);
}

#[test]
fn many_appends_share_commits_and_a_sink_can_leave() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(dir.path(), small());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let (_, _dropped) = logs.subscribe_with(Selection::default(), move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Delivery::Gone
    });
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let logs = &logs;
            scope.spawn(move || {
                for number in 0..25 {
                    logs.append(&[record(number, "a", &format!("{thread}"))]).unwrap();
                }
            });
        }
    });
    let stats = logs.stats();
    assert_eq!((stats.records, stats.appended_total), (200, 200));
    assert!(stats.commits_total <= 200);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn whoever_lets_go_is_forgotten_though_no_line_matches() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(dir.path(), small());
    let tail = logs.subscribe(search("never"), 1);
    let (_, dropped) = logs.subscribe_with(Selection::default(), |_| Delivery::Dropped);
    assert_eq!(logs.stats().subscribers, 2);
    logs.append(&[record(1, "a", "line")]).unwrap();
    drop((tail, dropped));
    assert_eq!(logs.stats().subscribers, 0);
    logs.append(&[record(2, "a", "line")]).unwrap();
    assert_eq!(logs.stats().tail_dropped_total, 1);
}
