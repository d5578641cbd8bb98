//! An agent in a process of its own, ended with `kill -9`.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use agent::Options;
use protocol::{Action, Body, CommandState};

use crate::server::{Server, eventually};

/// The agent's process; it does not outlive the test.
struct Agent(Child);

impl Agent {
    fn start(dir: &tempfile::TempDir, server: &Server) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::agent_to_be_killed", "--ignored", "--nocapture"])
            .env("AGENT_STATE", dir.path().join("state"))
            .env("AGENT_TOKEN", server.token())
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "the other process of the tests here"]
async fn agent_to_be_killed() {
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

fn script(id: &str, text: String, idempotent: bool) -> protocol::Command {
    let action = Action::Script {
        interpreter: None,
        script: text,
        args: Vec::new(),
        env: BTreeMap::new(),
        user: None,
    };
    protocol::Command {
        id: id.into(),
        action,
        timeout_ms: 60_000,
        output_cap_bytes: 1 << 20,
        idempotent,
    }
}

#[tokio::test]
async fn numbers_go_on_and_commands_are_accounted_for() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = Agent::start(&dir, &server);
    eventually("batches", || (server.record.batches().len() > 2).then_some(())).await;
    let pid_file = dir.path().join("pid");
    let once = dir.path().join("once");
    server.dispatch(script(
        "opaque",
        format!("echo $$ > {}; sleep 600", pid_file.display()),
        false,
    ));
    let again = format!("[ -e {0} ] && exit 0; echo x > {0}; sleep 600", once.display());
    server.dispatch(script("again", again, true));
    let pid = eventually("both to begin", || {
        let pid = std::fs::read_to_string(&pid_file)
            .ok()
            .filter(|text| text.ends_with('\n'))?;
        once.exists().then_some(pid.trim().to_owned())
    })
    .await;
    // Until the process is in the journal the kill would orphan it.
    eventually("the journal", || {
        let journal = std::fs::read(dir.path().join("state/commands/journal")).ok()?;
        let text = String::from_utf8_lossy(&journal).into_owned();
        (text.matches("spawned").count() == 2).then_some(())
    })
    .await;
    agent.kill();
    let last = server.record.batches().last().unwrap().seq;
    let _agent = Agent::start(&dir, &server);
    let end = |id: &'static str| {
        let record = server.record.clone();
        async move { eventually(id, || record.states(id).into_iter().find(CommandState::is_end)).await }
    };
    assert_eq!(end("opaque").await, CommandState::Interrupted);
    assert!(matches!(
        end("again").await,
        CommandState::Exited {
            exit_code: Some(0),
            ..
        }
    ));
    eventually("the end of what was left", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    })
    .await;
    let batches = eventually("new batches", || {
        let batches = server.record.batches();
        batches.iter().any(|batch| batch.seq > last).then_some(batches)
    })
    .await;
    let seqs: Vec<u64> = batches.iter().map(|batch| batch.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
}

/// Twenty kills at any moment: whatever is missing in the numbers is covered by gaps.
#[tokio::test]
async fn what_kills_lose_is_told() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.record.config.lock().unwrap().sample_interval_ms = 100;
    for round in 0..20 {
        let before = server.record.batches().len();
        let agent = Agent::start(&dir, &server);
        eventually("batches", || {
            (server.record.batches().len() > before + round % 4).then_some(())
        })
        .await;
        agent.kill();
    }
    let before = server.record.batches().len();
    let _agent = Agent::start(&dir, &server);
    let batches = eventually("the last batches", || {
        let batches = server.record.batches();
        (batches.len() > before + 2).then_some(batches)
    })
    .await;
    let gaps = batches
        .iter()
        .flat_map(|batch| &batch.body)
        .filter_map(|body| match body {
            Body::Gap(gap) => Some(gap.batches),
            _ => None,
        });
    let told: u64 = gaps.sum();
    let mut seqs: BTreeMap<u64, i64> = BTreeMap::new();
    for batch in &batches {
        // One that comes again (its acknowledgement was on the way) is the same one.
        assert_eq!(
            *seqs.entry(batch.seq).or_insert(batch.at_ms),
            batch.at_ms,
            "number {} was given twice",
            batch.seq
        );
    }
    let missing = seqs.keys().last().unwrap() - seqs.len() as u64;
    // A batch whose acknowledgement was not yet noted may be told as lost and have arrived.
    assert!(
        told >= missing,
        "{missing} batches are missing, {told} are told of"
    );
}
