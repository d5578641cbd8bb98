//! A source that sends again what it got no answer to has each line stored once.
use crate::{everything, open, record, small, texts};
use logs::{Logs, Options, Origin};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

fn origin(source: &str, seq: u64) -> Origin<'_> {
    Origin {
        source,
        seq,
        at_ms: seq as i64 * 1000,
    }
}

fn send(logs: &Logs, source: &str, seq: u64) -> bool {
    let records = [
        record(5, source, &format!("{source}/{seq}/a")),
        record(5, source, &format!("{source}/{seq}/b")),
    ];
    let outcome = logs.append_from(origin(source, seq), &records).unwrap();
    assert_eq!(outcome.appended, if outcome.is_repeated { 0 } else { 2 });
    !outcome.is_repeated
}

#[test]
fn a_repeated_append_is_known_over_sealing_retention_and_restart() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options {
        segment_age_ms: 0,
        retention_ms: 1_000,
        ..small()
    };
    let logs = open(dir.path(), options());
    assert!(send(&logs, "one", 1) && send(&logs, "two", 1) && send(&logs, "one", 2));
    assert!(!send(&logs, "one", 2) && !send(&logs, "one", 1));
    assert_eq!(logs.stats().repeated_total, 2);
    drop(logs);

    let logs = open(dir.path(), options());
    assert!(!send(&logs, "one", 2), "from the write-ahead log");
    logs.maintain(10).unwrap();
    assert!(!send(&logs, "one", 2), "after sealing");
    drop(logs);

    let logs = open(dir.path(), options());
    assert!(!send(&logs, "two", 1), "sealed, then opened");
    assert_eq!(logs.maintain(5_000).unwrap().expired_by_age, 6);
    drop(logs);

    let logs = open(dir.path(), options());
    assert!(!send(&logs, "one", 2), "after its lines have expired");
    assert!(send(&logs, "one", 3), "and the next is taken");
    assert_eq!(
        texts(&logs.query(&everything()).unwrap().records),
        ["one/3/b", "one/3/a"]
    );
}

#[test]
fn a_damaged_log_does_not_cost_the_marks_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(dir.path(), small());
    assert!(send(&logs, "one", 7));
    drop(logs);
    // Damage behind the first frame makes the log one that only waits to be sealed.
    let wal = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "log"))
        .unwrap();
    let good = std::fs::read(&wal).unwrap();
    let mut bytes = good.clone();
    bytes.extend_from_slice(b"what is this");
    bytes.extend_from_slice(&good[28..]);
    std::fs::write(&wal, bytes).unwrap();
    for _ in 0..3 {
        let logs = open(dir.path(), small());
        assert!(!send(&logs, "one", 7));
        logs.maintain(i64::MAX / 2).unwrap();
    }
}

#[test]
fn a_snapshot_knows_what_it_holds() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let logs = open(dir.path(), small());
    assert!(send(&logs, "one", 1));
    let target = copy.path().join("snapshot");
    logs.snapshot(&target).unwrap();
    assert!(send(&logs, "one", 2));
    let copied = open(&target, small());
    assert!(!send(&copied, "one", 1) && send(&copied, "one", 2));
}

#[test]
fn repeats_within_one_commit_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(dir.path(), Options::default());
    let stored: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| usize::from(send(&logs, "one", 1))))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(stored, 1);
    assert_eq!(logs.query(&everything()).unwrap().records.len(), 2);
}

const FOLDER: &str = "LOGS_REPEAT_TEST_FOLDER";
const FROM: &str = "LOGS_REPEAT_TEST_FROM";
const SOURCES: [&str; 3] = ["one", "two", "three"];

/// Runs only as the child of the test below: each source goes on from the number it is told.
#[test]
fn child_sends_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let from = std::env::var(FROM).unwrap();
    let options = Options {
        segment_bytes: 20_000,
        ..small()
    };
    let logs = open(Path::new(&folder), options);
    std::thread::scope(|scope| {
        for (source, from) in SOURCES.into_iter().zip(from.split(',')) {
            let (logs, from) = (&logs, from.parse::<u64>().unwrap());
            scope.spawn(move || {
                for seq in from.. {
                    send(logs, source, seq);
                    let line = format!("ack {source} {seq} .\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            });
        }
        scope.spawn(|| {
            loop {
                logs.maintain(0).unwrap();
                std::thread::yield_now();
            }
        });
    });
}

#[test]
fn no_line_doubles_when_sources_send_again_after_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = [0u64; 3];
    for run in 0..8 {
        // Some of what was acknowledged is sent again too: the answer may have been lost on its way.
        let from = acknowledged.map(|seq| seq.saturating_sub(run).max(1).to_string());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "repeat::child_sends_until_it_is_killed", "--nocapture"])
            .env(FOLDER, dir.path())
            .env(FROM, from.join(","))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut left = 40 + run * 67;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let ["ack", source, seq, "."] = line.split(' ').collect::<Vec<_>>()[..] {
                let index = SOURCES.iter().position(|known| *known == source).unwrap();
                acknowledged[index] = acknowledged[index].max(seq.parse().unwrap());
            }
            left = left.saturating_sub(1);
            if left == 0 {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());

        let logs = open(dir.path(), small());
        let query = logs::Query {
            limit: 100_000,
            ..everything()
        };
        let page = logs.query(&query).unwrap();
        let found: Vec<String> = page.records.into_iter().map(|found| found.record.text).collect();
        let distinct: BTreeSet<&String> = found.iter().collect();
        assert_eq!(distinct.len(), found.len(), "run {run}: no line is doubled");
        for (source, seq) in SOURCES.iter().zip(acknowledged) {
            for number in 1..=seq {
                let is_there = ["a", "b"].map(|part| distinct.contains(&format!("{source}/{number}/{part}")));
                assert_eq!(is_there, [true, true], "run {run}: {source}/{number}");
            }
        }
    }
}
