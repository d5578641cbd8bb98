//! An agent in a process of its own, ended with `kill -9`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use agent::{Options, Roots};
use protocol::{Action, CommandState};

use crate::server::{Server, eventually};

/// The agent's process; it does not outlive the test.
pub struct Agent(Child);

impl Agent {
    fn start(dir: &tempfile::TempDir, server: &Server) -> Self {
        Self::with(dir.path(), &server.token(), Path::new("/"))
    }

    /// On a host whose files other than those of the kernel are under `dir/root`.
    pub fn on_small_host(dir: &Path, token: &str) -> Self {
        Self::with(dir, token, &dir.join("root"))
    }

    fn with(dir: &Path, token: &str, root: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::agent_to_be_killed", "--ignored", "--nocapture"])
            .env("AGENT_STATE", dir.join("state"))
            .env("AGENT_ROOT", root)
            .env("AGENT_TOKEN", token)
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    pub fn kill(mut self) {
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
    let value = |name| std::env::var(name).ok();
    let (Some(state), Some(token)) = (value("AGENT_STATE"), value("AGENT_TOKEN")) else {
        return;
    };
    let rootfs = value("AGENT_ROOT").unwrap_or_else(|| "/".into()).into();
    agent::run(
        Options {
            token: Some(token),
            roots: Roots {
                rootfs,
                ..Roots::default()
            },
            ..Options::new(state)
        },
        Default::default(),
    )
    .await
    .unwrap();
}

pub fn script(id: &str, text: String, idempotent: bool) -> protocol::Command {
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
