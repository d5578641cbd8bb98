//! Killed at any moment, the store keeps every line that it acknowledged.
use crate::{everything, open, record, small};
use logs::Options;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const FOLDER: &str = "LOGS_CRASH_TEST_FOLDER";
const RUN: &str = "LOGS_CRASH_TEST_RUN";

/// Runs only as the child of the test below: appends from several threads and says what was acknowledged.
#[test]
fn child_appends_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let run = std::env::var(RUN).unwrap();
    let logs = open(
        Path::new(&folder),
        Options {
            segment_bytes: 20_000,
            ..small()
        },
    );
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (logs, run) = (&logs, &run);
            scope.spawn(move || {
                for number in 0.. {
                    let batch: Vec<_> = (0..=number % 4)
                        .map(|part| format!("{run}/{thread}/{number}/{part}"))
                        .collect();
                    let records: Vec<_> = batch.iter().map(|text| record(number, "a", text)).collect();
                    logs.append(&records).unwrap();
                    let acknowledged: String = batch.iter().map(|text| format!("ack {text}\n")).collect();
                    std::io::stdout()
                        .lock()
                        .write_all(acknowledged.as_bytes())
                        .unwrap();
                }
            });
        }
        scope.spawn(|| {
            for _ in 0.. {
                logs.maintain(0).unwrap();
                std::thread::yield_now();
            }
        });
    });
}

fn spawn(folder: &Path, run: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::child_appends_until_it_is_killed",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .env(RUN, run.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_over_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for run in 0..8 {
        let mut child = spawn(dir.path(), run);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = 150 + run * 130;
        for line in lines {
            let line = line.unwrap();
            // The last line may be cut by the kill: only whole acknowledgements, which end in a part, count.
            if let Some(text) = line
                .strip_prefix("ack ")
                .filter(|text| text.split('/').count() == 4)
            {
                acknowledged.insert(text.to_string());
            }
            left = left.saturating_sub(1);
            if left == 0 {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());

        let logs = open(dir.path(), small());
        let page = logs
            .query(&logs::Query {
                limit: 100_000,
                ..everything()
            })
            .unwrap();
        let found: Vec<String> = page.records.into_iter().map(|found| found.record.text).collect();
        let distinct: BTreeSet<String> = found.iter().cloned().collect();
        assert_eq!(distinct.len(), found.len(), "no line is doubled");
        let lost: Vec<_> = acknowledged.difference(&distinct).collect();
        assert!(
            lost.is_empty(),
            "run {run}: {} lost, as {:?}",
            lost.len(),
            lost.first()
        );
        let sealed = logs.stats().segments;
        assert!(run < 7 || sealed > 0, "the runs also went over sealing");
    }
}
