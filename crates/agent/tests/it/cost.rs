//! What an agent costs at one sample a second with logs on: run by hand, it takes half a minute.
//! `cargo nextest run -p agent --run-ignored only what_an_agent_costs --no-capture`

use std::process::{Command, Stdio};
use std::time::Duration;

use agent::Options;

use crate::server::{Server, eventually};

const MEASURED: Duration = Duration::from_secs(20);

/// CPU seconds and resident bytes of a process.
fn cost(pid: u32) -> (f64, f64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let words: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: f64 = words[11].parse::<f64>().unwrap() + words[12].parse::<f64>().unwrap();
    (ticks / 100.0, words[21].parse::<f64>().unwrap() * 4096.0)
}

#[tokio::test]
#[ignore = "takes half a minute and measures, decides nothing"]
async fn what_an_agent_costs() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    {
        let mut config = server.record.config.lock().unwrap();
        *config = protocol::AgentConfig::default();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "cost::agent_for_the_measurement",
            "--ignored",
            "--nocapture",
        ])
        .env("AGENT_STATE", dir.path().join("state"))
        .env("AGENT_TOKEN", server.token())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("samples", || (server.record.batches().len() > 5).then_some(())).await;
    let (before, _) = cost(child.id());
    let batches = server.record.batches().len();
    tokio::time::sleep(MEASURED).await;
    let (after, resident) = cost(child.id());
    let batches = server.record.batches().len() - batches;
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let parts = status
        .lines()
        .filter(|line| line.starts_with("Rss") || line.starts_with("Threads"));
    println!("{}", parts.collect::<Vec<_>>().join(", "));
    child.kill().unwrap();
    child.wait().unwrap();
    let samples = server
        .record
        .samples()
        .iter()
        .filter(|(_, at, _)| *at > 0)
        .count();
    println!(
        "cpu {:.2} % of a core, resident {:.1} MiB, {batches} batches, {samples} samples in all",
        (after - before) / MEASURED.as_secs_f64() * 100.0,
        resident / 1048576.0
    );
}

/// The other process of the measurement.
#[tokio::test]
#[ignore = "part of what_an_agent_costs"]
async fn agent_for_the_measurement() {
    let (Ok(state), Ok(token)) = (std::env::var("AGENT_STATE"), std::env::var("AGENT_TOKEN")) else {
        return;
    };
    agent::run(
        Options {
            token: Some(token),
            ..Options::new(state)
        },
        Default::default(),
    )
    .await
    .unwrap();
}
