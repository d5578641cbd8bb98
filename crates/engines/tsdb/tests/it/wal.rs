//! Damage to the log: torn tails are cut, bad middles are stepped over, both are counted and told.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tsdb::{Options, Tsdb};

use crate::support::{contents, names, one, up};

fn segments(dir: &Path) -> Vec<PathBuf> {
    names(&dir.join("wal"))
        .into_iter()
        .map(|n| dir.join("wal").join(n))
        .collect()
}

/// Twenty appends of one sample; the file's length after each of them.
fn write_log(dir: &Path) -> Vec<u64> {
    let db = Tsdb::open(dir, Options::default()).unwrap();
    let mut ends = Vec::new();
    for t in 0..20 {
        db.append(&one(&up("a"), t, t as f64)).unwrap();
        ends.push(fs::metadata(&segments(dir)[0]).unwrap().len());
    }
    ends
}

fn times(db: &Tsdb) -> Vec<i64> {
    contents(db).keys().map(|k| k.1).collect()
}

#[test]
fn a_torn_tail_is_cut_wherever_it_tore() {
    let dir = tempfile::tempdir().unwrap();
    let ends = write_log(dir.path());
    let path = segments(dir.path())[0].clone();
    let whole = fs::read(&path).unwrap();
    for len in (0..whole.len()).rev().step_by(3) {
        let _ = fs::remove_dir_all(dir.path().join("wal"));
        fs::create_dir(dir.path().join("wal")).unwrap();
        fs::write(&path, &whole[..len]).unwrap();
        let sound = ends.iter().filter(|e| **e <= len as u64).count();
        let db = Tsdb::open(dir.path(), Options::default()).unwrap();
        assert_eq!(times(&db), (0..sound as i64).collect::<Vec<_>>(), "{len} bytes");
        let torn = db.stats().wal_torn_bytes;
        let clean = ends.contains(&(len as u64)) || len == 16;
        assert_eq!(torn == 0, clean, "{len} bytes: {torn} torn");
        drop(db);
        let db = Tsdb::open(dir.path(), Options::default()).unwrap();
        assert_eq!(
            (db.stats().wal_torn_bytes, db.notices().len()),
            (0, 0),
            "told once"
        );
        assert_eq!(times(&db).len(), sound);
    }
}

#[test]
fn a_bad_middle_loses_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let ends = write_log(dir.path());
    let path = segments(dir.path())[0].clone();
    let mut bytes = fs::read(&path).unwrap();
    // The tenth record: its length field, so that the next one has to be found again.
    let at = ends[9] as usize + 4;
    bytes[at] ^= 0xff;
    fs::write(&path, &bytes).unwrap();
    let db = Tsdb::open(dir.path(), Options::default()).unwrap();
    assert_eq!(times(&db), (0..20).filter(|t| *t != 10).collect::<Vec<_>>());
    assert_eq!(db.stats().wal_corruptions, 1);
    assert!(
        db.notices()[0].text.contains("0000000001.wal"),
        "{:?}",
        db.notices()
    );
    // The store stays usable and the lost instant can be filled again.
    assert_eq!(db.append(&one(&up("a"), 10, 10.0)).unwrap().accepted, 1);
    assert_eq!(times(&db).len(), 20);
}

#[test]
fn lost_labels_and_a_damaged_header_do_not_stop_the_start() {
    let dir = tempfile::tempdir().unwrap();
    write_log(dir.path());
    let path = segments(dir.path())[0].clone();
    let mut bytes = fs::read(&path).unwrap();
    bytes[2] ^= 1;
    bytes[40] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let db = Tsdb::open(dir.path(), Options::default()).unwrap();
    assert!(times(&db).is_empty(), "the first record named the series");
    assert_eq!(db.notices().len(), 2, "{:?}", db.notices());
    assert!(db.notices()[1].text.contains("19 samples"), "{:?}", db.notices());
    assert_eq!(db.append(&one(&up("a"), 30, 1.0)).unwrap().accepted, 1);
}

#[test]
fn an_unreadable_segment_is_left_out_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    write_log(dir.path());
    // A folder in the place of a file: reading it fails whoever asks.
    fs::create_dir(dir.path().join("wal/0000000002.wal")).unwrap();
    let db = Tsdb::open(dir.path(), Options::default()).unwrap();
    assert_eq!(times(&db).len(), 20);
    assert_eq!((db.stats().wal_corruptions, db.notices().len()), (1, 1));
    db.append(&one(&up("a"), 20, 1.0)).unwrap();
    assert_eq!(names(&dir.path().join("wal")).len(), 3);
}

#[test]
fn a_folder_that_cannot_be_made_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let text = Tsdb::open(file.join("store"), Options::default())
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("cannot create folder") && text.contains("file/store"),
        "{text}"
    );
}

#[test]
fn a_restart_without_news_leaves_no_empty_segments() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        drop(Tsdb::open(dir.path(), Options::default()).unwrap());
    }
    assert!(segments(dir.path()).is_empty());
    write_log(dir.path());
    for _ in 0..3 {
        drop(Tsdb::open(dir.path(), Options::default()).unwrap());
    }
    assert_eq!(segments(dir.path()).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_damage_is_survived(hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let dir = tempfile::tempdir().unwrap();
        write_log(dir.path());
        let path = segments(dir.path())[0].clone();
        let mut bytes = fs::read(&path).unwrap();
        for (at, value) in &hits {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        fs::write(&path, &bytes).unwrap();
        let db = Tsdb::open(dir.path(), Options::default()).unwrap();
        // What is read is right; nothing is made up.
        for ((labels, t), v) in contents(&db) {
            prop_assert_eq!(labels, up("a"));
            prop_assert_eq!(v, (t as f64).to_bits());
        }
        prop_assert!(db.append(&one(&up("b"), 50, 1.0)).unwrap().accepted == 1);
    }
}
