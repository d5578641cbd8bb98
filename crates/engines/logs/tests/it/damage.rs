//! Damaged, foreign and unwritable files: what can be saved is, and what happened is said.
use crate::{everything, open, record, search, small, texts};
use logs::{Error, Logs, Options, Query};
use std::path::{Path, PathBuf};

fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = paths
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    found.sort();
    found
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

/// Twenty sealed lines and one in the head.
fn fill(dir: &Path) {
    let options = Options {
        segment_age_ms: 0,
        ..small()
    };
    let logs = open(dir, options);
    for number in 0..20 {
        logs.append(&[record(number, "a", &format!("line {number} {}", "x".repeat(60)))])
            .unwrap();
    }
    logs.maintain(50).unwrap();
    logs.append(&[record(99, "a", "the last")]).unwrap();
}

#[test]
fn a_torn_tail_is_cut_off_and_told() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let wal = files(dir.path(), ".log").pop().unwrap();
    let mut bytes = std::fs::read(&wal).unwrap();
    bytes.extend_from_slice(&[0xF5, 0x4C, 0x97, 0x1E, 200, 0, 0, 0, 1, 2, 3]);
    std::fs::write(&wal, bytes).unwrap();
    let logs = open(dir.path(), small());
    let notices = logs.take_notices();
    assert!(
        notices.len() == 1 && notices[0].message.contains("11 bytes"),
        "{notices:?}"
    );
    logs.append(&[record(100, "a", "after")]).unwrap();
    drop(logs);
    let logs = open(dir.path(), small());
    assert_eq!(logs.take_notices(), []);
    assert_eq!(
        texts(&logs.query(&Query::new(99, 200)).unwrap().records),
        ["after", "the last"]
    );
}

#[test]
fn damage_within_the_write_ahead_log_loses_only_the_damaged_frame() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(dir.path(), Options::default());
    let lengths: Vec<u64> = ["one", "two", "three"]
        .iter()
        .map(|text| {
            logs.append(&[record(1, "a", text)]).unwrap();
            logs.stats().wal_bytes
        })
        .collect();
    drop(logs);
    flip(&files(dir.path(), ".log")[0], lengths[0] as usize + 25);
    let logs = open(dir.path(), Options::default());
    assert!(logs.take_notices()[0].message.contains("damaged"));
    logs.append(&[record(2, "a", "four")]).unwrap();
    let page = logs.query(&everything()).unwrap();
    assert_eq!(texts(&page.records), ["four", "three", "one"]);
    assert_eq!(page.records[0].position.seq, 3, "numbers are not given twice");
}

#[test]
fn a_damaged_block_is_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    flip(&files(dir.path(), ".seg")[0], 12);
    let logs = open(dir.path(), small());
    let page = logs.query(&everything()).unwrap();
    assert_eq!(page.damaged_blocks, 1);
    assert!(page.records.len() > 10 && page.records.len() < 21);
    assert_eq!(
        logs.histogram(
            &Query {
                selection: search("line"),
                ..Query::new(0, 60)
            },
            60
        )
        .unwrap()
        .damaged_blocks,
        1
    );
}

#[test]
fn a_segment_without_a_footer_is_set_aside_and_never_deleted() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let segment = files(dir.path(), ".seg")[0].clone();
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &bytes[..bytes.len() - 3]).unwrap();
    let logs = open(dir.path(), small());
    assert_eq!(texts(&logs.query(&everything()).unwrap().records), ["the last"]);
    assert_eq!(logs.stats().quarantined_total, 1);
    assert!(logs.take_notices()[0].message.contains("set aside"));
    assert_eq!(files(dir.path(), ".damaged").len(), 1);
}

#[test]
fn a_crash_between_sealing_and_removing_the_write_ahead_log_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_age_ms: 0,
        ..Options::default()
    };
    let logs = open(dir.path(), options.clone());
    logs.append(&[record(1, "a", "only once")]).unwrap();
    let wal = files(dir.path(), ".log")[0].clone();
    let kept = std::fs::read(&wal).unwrap();
    logs.maintain(5).unwrap();
    drop(logs);
    std::fs::write(&wal, &kept).unwrap();
    assert_eq!(
        open(dir.path(), options.clone())
            .query(&everything())
            .unwrap()
            .records
            .len(),
        1
    );
    assert!(!wal.exists());

    std::fs::write(&wal, &kept).unwrap();
    std::fs::write(files(dir.path(), ".seg")[0].clone(), "cut").unwrap();
    let logs = open(dir.path(), options);
    assert_eq!(
        logs.query(&everything()).unwrap().records.len(),
        1,
        "the write-ahead log still has it"
    );
}

#[test]
fn a_second_process_and_another_format_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(dir.path(), small());
    let second = Logs::open(dir.path(), small()).unwrap_err();
    assert!(matches!(second, Error::Locked { .. }), "{second}");
    drop(logs);
    std::fs::write(dir.path().join("FORMAT"), "mainstay-logs 2").unwrap();
    let newer = Logs::open(dir.path(), small()).unwrap_err();
    assert!(newer.to_string().contains("newer program"), "{newer}");
}

#[test]
fn lines_of_a_wrong_form_are_refused_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(
        dir.path(),
        Options {
            max_text_bytes: 5,
            ..small()
        },
    );
    let mut wrong = record(1, "a", "x");
    wrong.severity = Some(8);
    let outcome = logs
        .append(&[
            wrong,
            record(1, &"h".repeat(5000), "y"),
            record(1, "a", "abcdüef"),
        ])
        .unwrap();
    assert_eq!((outcome.appended, outcome.shortened), (1, 1));
    assert_eq!(
        outcome
            .refused
            .iter()
            .map(|refusal| refusal.index)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    assert!(outcome.refused[0].reason.contains("severity 8"));
    assert_eq!(texts(&logs.query(&everything()).unwrap().records), ["abcd"]);
    assert_eq!(logs.stats().refused_total, 2);
}
