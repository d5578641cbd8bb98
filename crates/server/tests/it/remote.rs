//! Agents in processes of their own, behind a line that can be cut.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use testkit::TestHost;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::TestClock;
use crate::house::{House, PROGRAM};

/// A TCP line from a port of its own to the server's; cut, it drops what is open and takes nothing new.
pub struct Line {
    port: u16,
    is_whole: watch::Sender<bool>,
    carrier: JoinSet<()>,
}

impl Line {
    /// Listens at once; where it leads is said with [`Line::lead_to`].
    pub async fn new() -> (Line, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Line {
            port,
            is_whole: watch::channel(true).0,
            carrier: JoinSet::new(),
        };
        (line, listener)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn lead_to(&mut self, listener: TcpListener, to: String) {
        let is_whole = self.is_whole.subscribe();
        self.carrier.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let (to, mut whole) = (to.clone(), is_whole.clone());
                open.spawn(async move {
                    if !*whole.borrow() {
                        return;
                    }
                    let Ok(mut far) = TcpStream::connect(&to).await else {
                        return;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = whole.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
    }

    pub fn cut(&self) {
        self.is_whole.send_replace(false);
    }

    pub fn mend(&self) {
        self.is_whole.send_replace(true);
    }
}

/// `mainstay agent run` with a state folder of its own.
pub struct Agent {
    state: PathBuf,
    log: PathBuf,
    pub host: TestHost,
    clock: Option<TestClock>,
    token: String,
    child: Option<Child>,
}

impl Agent {
    /// Joins the house and stays.
    pub async fn join(house: &House) -> Agent {
        Agent::join_at(house, None).await
    }

    /// The same, with a clock of its own.
    pub async fn join_at(house: &House, clock: Option<TestClock>) -> Agent {
        Agent::join_with(house, clock, house.scratch("far-agent")).await
    }

    /// The same, with its state in a folder of the test's choosing.
    pub async fn join_with(house: &House, clock: Option<TestClock>, state: PathBuf) -> Agent {
        let (status, made) = house
            .call("POST", "/api/v1/join-tokens", Some(&json!({ "uses": 1 })))
            .await;
        assert!(status < 300, "{made}");
        let mut agent = Agent {
            state,
            log: house.scratch("far-agent.log"),
            host: TestHost::new(house.scratch("far-host"), "fedcba9876543210fedcba9876543210"),
            clock,
            token: made["token"].as_str().unwrap().to_owned(),
            child: None,
        };
        agent.start();
        agent
    }

    pub fn start(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let mut command = Command::new(PROGRAM);
        if let Some(clock) = &self.clock {
            clock.wind(&mut command);
        }
        let child = command
            .args(["agent", "run", "--state"])
            .arg(&self.state)
            .env("MAINSTAY_JOIN_TOKEN", &self.token)
            .env("MAINSTAY_AGENT_ROOT", self.host.root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
