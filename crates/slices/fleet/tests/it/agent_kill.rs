//! The real agent, in a process of its own, killed with `-9` again and again under the real fleet: every log line is in
//! the intake, every command has one end, none began twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fleet::{Order, State, Target};
use protocol::{Action, Body};

use crate::kit::{Rig, tester, wait_until};

const KILLS: usize = 12;

struct Process(Child);

impl Process {
    fn start(dir: &Path, token: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "agent_kill::agent_to_be_killed",
                "--ignored",
                "--nocapture",
            ])
            .env("AGENT_DIR", dir)
            .env("AGENT_TOKEN", token)
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
#[ignore = "the other process of the test here"]
async fn agent_to_be_killed() {
    let (Ok(dir), Ok(token)) = (std::env::var("AGENT_DIR"), std::env::var("AGENT_TOKEN")) else {
        return;
    };
    let dir = PathBuf::from(dir);
    let options = agent::Options {
        token: Some(token),
        roots: agent::Roots {
            rootfs: dir.join("root"),
            ..agent::Roots::default()
        },
        ..agent::Options::new(dir.join("state"))
    };
    agent::run(options, Default::default()).await.unwrap();
}

fn append(path: &Path, text: &str) {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

fn lines(rig: &Rig) -> BTreeSet<String> {
    let taken = rig.intake.taken.lock().unwrap();
    let bodies = taken.iter().flat_map(|(_, _, bodies)| bodies);
    let lines = bodies.filter_map(|body| match body {
        Body::Logs { lines, .. } => Some(lines.iter().map(|line| line.text.clone())),
        _ => None,
    });
    lines.flatten().collect()
}

async fn dispatch(rig: &Rig, agent: &str, mark: &Path) -> fleet::CommandId {
    let action = Action::Script {
        interpreter: None,
        script: format!("echo begun >> {}; sleep 0.05", mark.display()),
        args: vec![],
        env: BTreeMap::new(),
        user: None,
    };
    let order = Order::new(Target::Agent(agent.parse().unwrap()), action, "r");
    let mut tx = rig.kernel().db.write().await.unwrap();
    let id = rig.fleet.dispatch(&mut tx, &tester(), &order).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn state(rig: &Rig, id: &fleet::CommandId) -> State {
    let mut reader = rig.kernel().db.read().await.unwrap();
    fleet::store::command(&mut reader, id)
        .await
        .unwrap()
        .unwrap()
        .state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_no_line_and_begin_no_command_twice() {
    let tune = |settings: &mut fleet::Settings| {
        settings.agent.sample_interval_ms = 100;
        settings.agent.journal = false;
        settings.agent.log_files = vec!["/var/log/app.log".into()];
        settings.agent.certificate_paths.clear();
    };
    let rig = Rig::start(testkit::Bed::sqlite(crate::kit::SCHEMA).await, tune).await;
    let dir = rig.bed.dir().join("host");
    let log = dir.join("root/var/log/app.log");
    std::fs::create_dir_all(log.parent().unwrap()).unwrap();
    let token = rig.token(1).await;
    let mut commands = Vec::new();
    let mut written = 0;
    let mut write = || {
        append(&log, &format!("line {written}\nline {}\n", written + 1));
        written += 2;
        written
    };
    for round in 0..KILLS {
        write();
        let _process = Process::start(&dir, &token);
        let agent = rig.event("agent.connected", round + 1).await.subject;
        write();
        let mark = dir.join(format!("mark-{round}"));
        let id = dispatch(&rig, &agent, &mark).await;
        // The moment of the kill: sent, begun, ended, or a while after.
        wait_until("the moment", async || {
            let is_reached = match round % 4 {
                0 => true,
                1 => mark.exists(),
                2 => state(&rig, &id).await != State::Queued,
                _ => state(&rig, &id).await.is_end(),
            };
            is_reached.then_some(())
        })
        .await;
        commands.push((id, mark));
    }
    let written = write();
    let _process = Process::start(&dir, &token);
    for (id, mark) in commands {
        let state = wait_until("the end of a command", async || {
            Some(state(&rig, &id).await).filter(|state| state.is_end())
        })
        .await;
        let begins = std::fs::read_to_string(&mark).unwrap_or_default().lines().count();
        match state {
            State::Exited => assert_eq!(begins, 1),
            State::Interrupted => assert!(begins <= 1, "began {begins} times"),
            other => panic!("{other:?}, began {begins} times"),
        }
    }
    wait_until("every line", async || {
        (lines(&rig).len() == written).then_some(())
    })
    .await;
    assert_eq!(rig.topics("command.finished").await.len(), KILLS);
}
