//! A crash between any two steps, and a disk that refuses at any step.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tsdb::{FaultHook, Options, Tsdb};

use crate::support::{Contents, contents, copy_tree, names, one, small, up};

/// Appends, late samples, cuts and merges in the given seconds; notes what was acknowledged. A refused
/// append or housekeeping is repeated once the disk is well again (`mend`).
fn story(db: &Tsdb, seconds: Range<i64>, acked: &Mutex<Contents>, mend: &dyn Fn()) {
    let put = |job: &str, t: i64, v: f64| {
        let batch = one(&up(job), t, v);
        let outcome = db.append(&batch).or_else(|e| {
            assert!(e.is_disk_full() && e.is_retryable(), "{e}");
            assert!(e.to_string().contains("free space"), "{e}");
            mend();
            db.append(&batch)
        });
        assert_eq!(outcome.unwrap().accepted, 1);
        acked.lock().unwrap().insert((up(job), t), v.to_bits());
    };
    let maintain = |now| {
        if db.maintain(now).is_err() {
            mend();
            db.maintain(now).unwrap();
        }
    };
    for second in seconds {
        for i in 0..5 {
            put("a", second * 1000 + i * 200, i as f64);
            put("b", second * 1000 + i * 200, 0.5);
        }
        if second % 3 == 2 {
            put("a", (second - 2) * 1000 + 50, 7.0);
            maintain(second * 1000 + 500);
        }
    }
}

fn check(dir: &Path, options: &Options, want: &Contents, step: &str) {
    let db = Tsdb::open(dir, options.clone()).unwrap();
    assert_eq!(&contents(&db), want, "after a crash at {step}");
    assert!(db.notices().is_empty(), "{step}: {:?}", db.notices());
    db.maintain(21_000).unwrap();
    assert_eq!(&contents(&db), want, "housekeeping after a crash at {step}");
    let stats = db.stats();
    assert_eq!((stats.head_samples, stats.wal_segments), (0, 0), "{step}");
    assert_eq!(
        stats.block_samples,
        want.len() as u64,
        "no sample is stored twice after {step}"
    );
    assert!(names(&dir.join("blocks")).iter().all(|n| n.starts_with('b')));
}

#[test]
fn a_crash_between_any_two_steps_leaves_everything_acknowledged() {
    let root = tempfile::tempdir().unwrap();
    let live = root.path().join("live");
    let acked = Arc::new(Mutex::new(Contents::new()));
    let copies: Arc<Mutex<Vec<(String, PathBuf, Contents)>>> = Arc::default();
    let hook = {
        let (live, root, acked, copies) = (
            live.clone(),
            root.path().to_owned(),
            Arc::clone(&acked),
            Arc::clone(&copies),
        );
        FaultHook::new(move |step| {
            // Every append writes and syncs: one in seven is enough of these.
            let mut copies = copies.lock().unwrap();
            let n = copies.len();
            let want = acked.lock().unwrap().clone();
            if step.ends_with(" log") && want.len() % 7 != 3 || step == "write chunks" && n.is_multiple_of(2)
            {
                return Ok(());
            }
            let to = root.join(format!("copy{n}"));
            copy_tree(&live, &to);
            copies.push((step.to_owned(), to, want));
            Ok(())
        })
    };
    let db = Tsdb::open(
        &live,
        Options {
            faults: hook,
            ..small()
        },
    )
    .unwrap();
    story(&db, 0..10, &acked, &|| {});
    db.maintain(20_000).unwrap();
    drop(db);
    let copies = std::mem::take(&mut *copies.lock().unwrap());
    assert!(copies.len() > 50);
    for step in [
        "rename block",
        "sync blocks folder",
        "delete log segment",
        "delete block files",
    ] {
        assert!(copies.iter().any(|c| c.0 == step), "{step} was not reached");
    }
    for (step, dir, mut want) in copies {
        // A crash after the write but before the answer may leave the sample that was under way.
        if step == "sync log" {
            want = with_unanswered(&dir, want);
        }
        check(&dir, &small(), &want, &step);
    }
}

/// Adds the one sample that was written but not yet acknowledged.
fn with_unanswered(dir: &Path, want: Contents) -> Contents {
    let found = contents(&Tsdb::open(dir, small()).unwrap());
    let extra = found.len() - want.len();
    assert!(extra <= 1 && want.iter().all(|(k, v)| found.get(k) == Some(v)));
    found
}

#[test]
fn a_full_disk_refuses_and_the_store_goes_on_when_there_is_space() {
    // First count the steps, then refuse each of them in a run of its own.
    let steps = run(usize::MAX);
    assert!(steps > 100);
    for n in (0..steps).step_by(7) {
        run(n);
    }
}

/// Runs the story with the disk full from step `refuse` on, until somebody makes space.
fn run(refuse: usize) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let steps = Arc::new(AtomicUsize::new(0));
    let mended = Arc::new(AtomicBool::new(false));
    let hook = {
        let (steps, mended) = (Arc::clone(&steps), Arc::clone(&mended));
        let wal = dir.path().join("wal");
        FaultHook::new(move |step| {
            let n = steps.fetch_add(1, Ordering::SeqCst);
            if n >= refuse && !mended.load(Ordering::SeqCst) {
                if step == "write log" {
                    // The disk took half a record before it was full.
                    let last = names(&wal).pop().unwrap();
                    let mut file = OpenOptions::new().append(true).open(wal.join(last)).unwrap();
                    file.write_all(b"half a record").unwrap();
                }
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            Ok(())
        })
    };
    let acked = Mutex::new(Contents::new());
    let options = Options {
        faults: hook,
        ..small()
    };
    let db = Tsdb::open(dir.path(), options).unwrap();
    let mend = || mended.store(true, Ordering::SeqCst);
    // What was acknowledged is on disk, not only in memory: look at it after each second.
    for second in 0..10 {
        story(&db, second..second + 1, &acked, &mend);
        let copy = tempfile::tempdir().unwrap();
        copy_tree(dir.path(), copy.path());
        let copied = Tsdb::open(copy.path(), small()).unwrap();
        assert_eq!(
            contents(&copied),
            *acked.lock().unwrap(),
            "refused at step {refuse}"
        );
        assert!(copied.notices().is_empty(), "{:?}", copied.notices());
    }
    if db.maintain(20_000).is_err() {
        mend();
        db.maintain(20_000).unwrap();
    }
    let want = acked.into_inner().unwrap();
    assert_eq!(contents(&db), want, "refused at step {refuse}");
    assert!(db.stats().append_failures <= 1);
    drop(db);
    check(dir.path(), &small(), &want, &format!("refusal at step {refuse}"));
    steps.load(Ordering::SeqCst)
}

#[test]
fn samples_that_arrive_during_a_cut_stay_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<OnceLock<Tsdb>> = Arc::default();
    let hook = {
        let (store, once) = (Arc::clone(&store), AtomicBool::new(false));
        FaultHook::new(move |step| {
            if step == "write index" && !once.swap(true, Ordering::SeqCst) {
                // Enough for several log segments, all in the window that is being written.
                for t in 0..400 {
                    let outcome = store.get().unwrap().append(&one(&up("late"), t, 1.0));
                    assert_eq!(outcome.unwrap().accepted, 1);
                }
            }
            Ok(())
        })
    };
    let db = Tsdb::open(
        dir.path(),
        Options {
            faults: hook,
            ..small()
        },
    )
    .unwrap();
    let db = store.get_or_init(|| db);
    db.append(&one(&up("a"), 500, 1.0)).unwrap();
    assert_eq!(db.maintain(3_000).unwrap().cut, 1);
    assert!(db.stats().wal_segments > 2);
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir.path(), copy.path());
    let copied = Tsdb::open(copy.path(), small()).unwrap();
    assert_eq!(contents(&copied).len(), 401);
    assert_eq!(copied.stats().head_samples, 400);
}
