//! What the tests share: small stores, one-sample batches, copies of folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tsdb::{Batch, Labels, Options, Tsdb};

/// Every time there is.
pub const ALL: (i64, i64) = (i64::MIN, i64::MAX);

/// Windows of a second, stretches of four, small log segments.
pub fn small() -> Options {
    Options {
        block_ms: 1_000,
        max_block_ms: 4_000,
        retention_ms: 1_000_000,
        out_of_order_ms: 1_000_000,
        wal_segment_bytes: 4096,
        ..Options::default()
    }
}

pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

pub fn up(job: &str) -> Labels {
    labels(&[("__name__", "up"), ("job", job)])
}

pub fn one(l: &Labels, t: i64, v: f64) -> Batch {
    let mut b = Batch::new();
    b.push(l, t, v);
    b
}

/// All samples as bits, by series and time.
pub type Contents = BTreeMap<(Labels, i64), u64>;

pub fn contents(db: &Tsdb) -> Contents {
    let mut all = Contents::new();
    for series in db.select(&[], ALL.0, ALL.1).unwrap() {
        assert!(series.samples.is_sorted_by(|a, b| a.0 < b.0));
        for (t, v) in series.samples {
            all.insert((series.labels.clone(), t), v.to_bits());
        }
    }
    all
}

/// Copies a folder tree as it is at this moment.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Names in a folder, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
