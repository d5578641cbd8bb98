//! `kill -9` at random moments: nothing acknowledged is lost, nothing is made up.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use tsdb::{Batch, Tsdb};

use crate::support::{ALL, small, up};

const DIR_VARIABLE: &str = "TSDB_KILL_TEST_DIR";
const FIRST_VARIABLE: &str = "TSDB_KILL_TEST_FIRST";
const ROUNDS: u64 = 20;

/// Time and value of a numbered sample. Every fifth is late.
fn sample(n: i64) -> (i64, f64) {
    let late = if n % 5 == 0 { 3_003 } else { 0 };
    (n * 20 + 10_000 - late, n as f64 / 7.0)
}

/// Not a test of its own: what the killed process does.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR_VARIABLE) else {
        return;
    };
    let first: i64 = std::env::var(FIRST_VARIABLE).unwrap().parse().unwrap();
    let db = Tsdb::open(dir, small()).unwrap();
    std::thread::scope(|s| {
        for worker in 0..3 {
            let db = &db;
            s.spawn(move || {
                for n in first.. {
                    let (t, v) = sample(n);
                    let mut batch = Batch::new();
                    batch.push(&up(&worker.to_string()), t, v);
                    assert_eq!(db.append(&batch).unwrap().rejected_total(), 0);
                    // One write per line: lines of threads do not mix, and none is held back.
                    println!("\nack {worker} {n}");
                    if worker == 0 && n % 40 == 0 {
                        db.maintain(t).unwrap();
                    }
                }
            });
        }
    });
}

/// Starts the child, kills it after `lines` acknowledgements; returns the last number per worker.
fn run_and_kill(dir: &Path, first: i64, lines: u64) -> BTreeMap<String, i64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture"])
        .env(DIR_VARIABLE, dir)
        .env(FIRST_VARIABLE, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut acked = BTreeMap::new();
    let mut left = lines;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(("ack", rest)) = line.split_once(' ') else {
            continue;
        };
        let (worker, n) = rest.split_once(' ').unwrap();
        acked.insert(worker.to_owned(), n.parse().unwrap());
        left = left.saturating_sub(1);
        if left == 0 {
            // SIGKILL. What is still in the pipe was acknowledged as well: read on to its end.
            let _ = child.kill();
        }
    }
    child.wait().unwrap();
    assert_eq!(left, 0, "the child ended by itself");
    acked
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut seed: u64 = std::env::var("MAINSTAY_TEST_SEED").map_or(20_261_129, |text| text.parse().unwrap());
    println!("MAINSTAY_TEST_SEED={seed}");
    let mut first = 0;
    // Samples per worker that must be there: those up to the acknowledged one of each round.
    let mut rounds: Vec<(i64, BTreeMap<String, i64>)> = Vec::new();
    for round in 0..ROUNDS {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let acked = run_and_kill(dir.path(), first, 20 + (seed >> 33) % 400);
        let highest = acked.values().max().copied().unwrap();
        rounds.push((first, acked));
        // One sample per worker may have been under way; start the next round above it.
        first = highest + 2;
        let db = Tsdb::open(dir.path(), small()).unwrap();
        for (from, acked) in &rounds {
            for (worker, last) in acked {
                check(&db, worker, *from, *last, round);
            }
        }
        assert_eq!(db.stats().wal_corruptions + db.stats().block_corruptions, 0);
    }
}

fn check(db: &Tsdb, worker: &str, from: i64, last: i64, round: u64) {
    let got = db
        .select(&[tsdb::Matcher::eq("job", worker)], ALL.0, ALL.1)
        .unwrap();
    let found: BTreeMap<i64, f64> = got.iter().flat_map(|s| s.samples.iter().copied()).collect();
    for n in from..=last {
        let (t, v) = sample(n);
        assert_eq!(
            found.get(&t),
            Some(&v),
            "round {round}: worker {worker} lost sample {n}"
        );
    }
}
