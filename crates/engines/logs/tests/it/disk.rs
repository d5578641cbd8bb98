//! A disk that refuses: what was acknowledged stays, what was refused may be sent again, and no duty waits for another.
use crate::{everything, open, record, small, texts};
use logs::{FaultHook, Logs, Options, Origin, Query};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Refuses the step that it names.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<&'static str>>);

impl Disk {
    fn refuse(&self, step: &'static str) {
        *self.0.lock().unwrap() = step;
    }

    fn options(&self) -> Options {
        let refused = self.0.clone();
        Options {
            faults: FaultHook::new(move |step| match *refused.lock().unwrap() == step {
                true => Err(io::Error::from_raw_os_error(5)),
                false => Ok(()),
            }),
            ..small()
        }
    }
}

fn send(logs: &Logs, seq: u64, text: &str) -> Result<bool, logs::Error> {
    let at_ms = seq as i64;
    let origin = Origin {
        source: "agent",
        seq,
        at_ms,
    };
    let outcome = logs.append_from(origin, &[record(at_ms, "a", text)])?;
    Ok(outcome.is_repeated)
}

fn stored(logs: &Logs) -> Vec<String> {
    let page = logs.query(&everything()).unwrap();
    texts(&page.records).into_iter().map(str::to_owned).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn after_a_failed_sync_lines_are_taken_again_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let logs = open(dir.path(), disk.options());
    send(&logs, 1, "one").unwrap();
    disk.refuse("sync log");
    send(&logs, 2, "two").unwrap_err();
    disk.refuse("create log");
    send(&logs, 2, "two").unwrap_err();
    disk.refuse("");
    assert!(
        !send(&logs, 2, "two").unwrap(),
        "the batch and those behind it are taken"
    );
    assert!(!send(&logs, 3, "three").unwrap());
    assert!(send(&logs, 2, "two").unwrap(), "and known when it comes again");
    assert_eq!(stored(&logs), ["three", "two", "one"]);
    assert_eq!(logs.stats().append_failures_total, 2);
    assert!(logs.take_notices()[0].message.contains("new write-ahead log"));

    // What was acknowledged before is written anew; the file that was not synced is not relied on.
    logs.maintain(10).unwrap();
    assert_eq!(logs.stats().segments, 1);
    drop(logs);
    let logs = open(dir.path(), small());
    assert_eq!(stored(&logs), ["three", "two", "one"]);
    assert!(send(&logs, 3, "three").unwrap());
}

#[test]
fn a_sync_that_fails_for_the_very_first_line_leaves_no_file_behind() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let logs = open(dir.path(), disk.options());
    disk.refuse("sync log");
    send(&logs, 1, "one").unwrap_err();
    disk.refuse("");
    send(&logs, 1, "one").unwrap();
    drop(logs);
    let logs = open(dir.path(), small());
    assert_eq!(stored(&logs), ["one"]);
    let wals = names(dir.path())
        .iter()
        .filter(|name| name.starts_with("wal-"))
        .count();
    assert_eq!(wals, 1);
}

#[test]
fn retention_goes_on_while_nothing_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let options = Options {
        segment_age_ms: 0,
        retention_ms: 1_000,
        ..disk.options()
    };
    let logs = open(dir.path(), options);
    logs.append(&[record(100, "a", "old")]).unwrap();
    logs.maintain(100).unwrap();
    logs.append(&[record(1_500, "a", "new")]).unwrap();
    for step in ["create log", "write segment"] {
        disk.refuse(step);
        logs.maintain(1_600).unwrap_err();
    }
    assert_eq!(logs.stats().expired_by_age_total, 1);
    assert_eq!(stored(&logs), ["new"]);
    disk.refuse("");
    assert_eq!(logs.maintain(1_700).unwrap().sealed, 1);
    assert_eq!(logs.stats().maintain_failures_total, 2);
}

#[test]
fn a_file_that_cannot_be_removed_is_removed_later() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let options = Options {
        segment_age_ms: 0,
        retention_ms: 1_000,
        ..disk.options()
    };
    let logs = open(dir.path(), options);
    logs.append(&[record(100, "a", "old")]).unwrap();
    logs.maintain(100).unwrap();
    disk.refuse("remove file");
    logs.append(&[record(4_000, "a", "new")]).unwrap();
    logs.maintain(4_000).unwrap_err();
    let stats = logs.stats();
    assert_eq!(
        (stats.expired_by_age_total, stats.segments),
        (1, 1),
        "sealing went on"
    );
    disk.refuse("");
    logs.maintain(4_001).unwrap();
    let kept = names(dir.path());
    assert_eq!(
        kept.iter().filter(|name| name.starts_with("seg-")).count(),
        1,
        "{kept:?}"
    );
    assert_eq!(
        kept.iter().filter(|name| name.starts_with("wal-")).count(),
        1,
        "{kept:?}"
    );
}

#[test]
fn retention_counts_from_the_time_that_the_caller_trusts() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_age_ms: 0,
        retention_ms: 1_000,
        ..small()
    };
    let logs = open(dir.path(), options);
    logs.append(&[record(100, "a", "a line")]).unwrap();
    logs.maintain(100).unwrap();
    assert_eq!(logs.maintain_aged(9_000_000, 200).unwrap().expired_by_age, 0);
    assert_eq!(
        logs.maintain_aged(9_000_000, 9_000_000).unwrap().expired_by_age,
        1
    );
}

#[test]
fn an_answer_says_what_is_missing_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_age_ms: 0,
        ..small()
    };
    let logs = open(dir.path(), options.clone());
    for (at_ms, text) in [(1, "one"), (2, "two")] {
        logs.append(&[record(at_ms, "a", text)]).unwrap();
        logs.maintain(at_ms).unwrap();
    }
    let segment = names(dir.path())
        .into_iter()
        .find(|name| name.starts_with("seg-"))
        .unwrap();
    let path = dir.path().join(segment);
    let kept = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let page = logs.query(&everything()).unwrap();
    assert_eq!(texts(&page.records), ["two"]);
    assert!(page.warnings.len() == 1 && page.damaged_blocks == 1, "{page:?}");
    let histogram = logs.histogram(&Query::new(0, 10), 10).unwrap();
    assert_eq!(histogram.warnings.len(), 1);
    assert_eq!(logs.stats().read_failures_total, 2);
    drop(logs);
    let logs = open(dir.path(), options);
    assert_eq!(
        stored(&logs),
        ["two"],
        "one file that cannot be read does not keep the store from opening"
    );
    drop(logs);
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, kept).unwrap();
    let logs = open(dir.path(), small());
    assert_eq!(stored(&logs), ["two", "one"], "nothing was deleted");
}

#[test]
fn a_page_is_bounded_in_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        fsync: false,
        ..Options::default()
    };
    let logs = open(dir.path(), options);
    let long = "x".repeat(200 << 10);
    for at_ms in 0..200 {
        logs.append(&[record(at_ms, "a", &long)]).unwrap();
    }
    for oldest_first in [false, true] {
        let mut query = Query {
            limit: 5_000,
            ..everything()
        };
        if oldest_first {
            query.direction = logs::Direction::OldestFirst;
        }
        let mut times = Vec::new();
        loop {
            let page = logs.query(&query).unwrap();
            let bytes: usize = page.records.iter().map(|found| found.record.text.len()).sum();
            assert!(bytes <= Query::MAX_BYTES && !page.records.is_empty());
            times.extend(page.records.iter().map(|found| found.record.at_ms));
            query.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        if !oldest_first {
            times.reverse();
        }
        assert_eq!(times, (0..200).collect::<Vec<i64>>());
    }
}
