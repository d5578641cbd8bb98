//! What happens on the host arrives: services that end and come back, log lines over rotation, facts.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use agent::Options;
use protocol::{Body, Facts, UnitChange};

use crate::server::{Running, Server, eventually};

fn options(dir: &tempfile::TempDir, server: &Server) -> Options {
    Options {
        token: Some(server.token()),
        ..Options::new(dir.path().join("state"))
    }
}

/// A program with a name of its own that runs until it is killed.
fn program(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    fs::copy("/bin/sleep", &path).unwrap();
    path
}

/// A child that does not outlive the test.
struct Process(Child);

impl Process {
    fn start(program: &Path) -> Self {
        Self(Command::new(program).arg("600").spawn().unwrap())
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Values of `mainstay_service_up` for a name, in order of time.
fn ups(server: &Server, name: &str) -> Vec<f64> {
    let is_it = |labels: &protocol::Labels| {
        labels.iter().any(|(_, value)| value == "mainstay_service_up")
            && labels.iter().any(|(_, value)| value == name)
    };
    let mut samples = server.record.samples();
    samples.retain(|(labels, ..)| is_it(labels));
    samples.sort_by_key(|(_, at_ms, _)| *at_ms);
    samples.into_iter().map(|(.., value)| value).collect()
}

fn changes(server: &Server, name: &str) -> Vec<UnitChange> {
    let bodies = server.record.batches().into_iter().flat_map(|batch| batch.body);
    let changes = bodies.filter_map(|body| {
        if let Body::Units { changes } = body {
            Some(changes)
        } else {
            None
        }
    });
    changes.flatten().filter(|change| change.name == name).collect()
}

#[tokio::test]
async fn a_killed_service_is_down_at_once_and_up_when_it_is_back() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let name = &format!("ms-{}", std::process::id());
    {
        let mut config = server.record.config.lock().unwrap();
        config.watched_services = vec![name.clone()];
        // No tick comes to help.
        config.sample_interval_ms = 60_000;
    }
    let program = program(dir.path(), name);
    let mut child = Process::start(&program);
    let agent = Running::start(options(&dir, &server));
    eventually("the service in the table", || {
        let text = fs::read_to_string(dir.path().join("state/services.json")).ok()?;
        text.contains(name).then_some(())
    })
    .await;
    let killed = Instant::now();
    child.kill();
    eventually("up 0", || (ups(&server, name).last() == Some(&0.0)).then_some(())).await;
    let latency = killed.elapsed();
    println!("down after {latency:?}");
    assert!(latency < Duration::from_millis(900), "{latency:?}");
    let change = changes(&server, name).pop().unwrap();
    assert_eq!(
        (change.state.as_str(), change.manager.as_str()),
        ("inactive", "process")
    );
    assert!(change.reason.unwrap().contains("ended"));
    let mut child = Process::start(&program);
    eventually("up 1", || (ups(&server, name).last() == Some(&1.0)).then_some(())).await;
    // A quick restart is told as down and up.
    let before = changes(&server, name).len();
    child.kill();
    let mut child = Process::start(&program);
    eventually("down and up", || {
        let states: Vec<String> = changes(&server, name)
            .into_iter()
            .skip(before)
            .map(|change| change.state)
            .collect();
        (states == ["inactive", "active"]).then_some(())
    })
    .await;
    // Known over a restart of the agent: gone meanwhile, it is down.
    agent.stop().await.unwrap();
    child.kill();
    let agent = Running::start(options(&dir, &server));
    eventually("up 0 after the restart", || {
        (ups(&server, name).last() == Some(&0.0)).then_some(())
    })
    .await;
    agent.stop().await.unwrap();
}

fn append(path: &Path, text: &str) {
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

fn lines(server: &Server, name: &Path) -> Vec<String> {
    let bodies = server.record.batches().into_iter().flat_map(|batch| batch.body);
    let of_file = |body| match body {
        Body::Logs { source, lines } if source.name == name.display().to_string() => Some(lines),
        _ => None,
    };
    bodies
        .filter_map(of_file)
        .flatten()
        .map(|line| line.text)
        .collect()
}

#[tokio::test]
async fn every_line_arrives_once_over_rotation_and_restart() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let log = dir.path().join("app.log");
    server.record.config.lock().unwrap().log_files = vec![format!("{}/*.log", dir.path().display())];
    append(&log, "line 0\n");
    let agent = Running::start(options(&dir, &server));
    eventually("the first line", || {
        (lines(&server, &log).len() == 1).then_some(())
    })
    .await;
    // Renamed, written to once more by a program that has it open, and made anew.
    let old = dir.path().join("app.log.1");
    append(&log, "line 1\n");
    fs::rename(&log, &old).unwrap();
    append(&old, "line 2\n");
    append(&log, "line 3\n");
    eventually("four lines", || (lines(&server, &log).len() == 4).then_some(())).await;
    // Copied away and cut in place.
    fs::write(&log, "l 4\n").unwrap();
    eventually("five lines", || (lines(&server, &log).len() == 5).then_some(())).await;
    append(&log, "half");
    agent.stop().await.unwrap();
    // Rotated while the agent is away.
    append(&log, " line 5\nline 6\n");
    fs::rename(&log, dir.path().join("app.log.2")).unwrap();
    append(&log, "line 7\n");
    let agent = Running::start(options(&dir, &server));
    eventually("the rest", || (lines(&server, &log).len() >= 8).then_some(())).await;
    agent.stop().await.unwrap();
    let mut found = lines(&server, &log);
    found.sort();
    let expected = [
        "half line 5",
        "l 4",
        "line 0",
        "line 1",
        "line 2",
        "line 3",
        "line 6",
        "line 7",
    ]
    .map(str::to_owned);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn facts_arrive_soon_after_the_start() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = Running::start(options(&dir, &server));
    let facts: Facts = eventually("facts", || {
        let bodies = server.record.batches().into_iter().flat_map(|batch| batch.body);
        bodies
            .filter_map(|body| {
                if let Body::Facts(facts) = body {
                    Some(*facts)
                } else {
                    None
                }
            })
            .next()
    })
    .await;
    assert!(!facts.hostname.is_empty() && facts.cpu_count > 0 && !facts.interfaces.is_empty());
    assert!(
        facts
            .listening
            .iter()
            .any(|listen| listen.port == server.address.port())
    );
    agent.stop().await.unwrap();
}
