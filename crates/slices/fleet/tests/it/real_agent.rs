//! The real agent against the real fleet: join, facts, samples, a command, renewal of nothing but trust.

use std::collections::BTreeMap;

use fleet::{Order, Presence, State, Target};
use protocol::{Action, Body};
use testkit::TestHost;
use tokio_util::sync::CancellationToken;

use crate::kit::{Rig, tester, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_agent_joins_observes_and_obeys() {
    for rig in Rig::both_with(|settings| settings.lost_after_ms = 5000).await {
        let token = rig.token(1).await;
        let dir = rig.bed.dir().join("agent");
        let stop = CancellationToken::new();
        let host = TestHost::new(rig.bed.dir().join("host"), "0123456789abcdef0123456789abcdef");
        let options = agent::Options {
            token: Some(token),
            ..agent::Options::new(&dir).watching(host.root())
        };
        let ended = stop.clone();
        let kernel = rig.kernel();
        let running = kernel::task::spawn(kernel, "test.agent", async move {
            agent::run(options, ended).await.unwrap();
        });
        let joined = rig.event("agent.connected", 1).await;
        let id: fleet::AgentId = joined.subject.parse().unwrap();
        rig.event("host.discovered", 1).await;
        wait_until("samples", async || {
            let taken = rig.intake.taken.lock().unwrap();
            let has = |body: &Body| matches!(body, Body::Metrics { samples, .. } if !samples.is_empty());
            taken
                .iter()
                .any(|(_, _, bodies)| bodies.iter().any(has))
                .then_some(())
        })
        .await;
        let action = Action::Script {
            interpreter: None,
            script: "echo out; echo err >&2; exit 7".into(),
            args: vec![],
            env: BTreeMap::new(),
            user: None,
        };
        let mut tx = rig.kernel().db.write().await.unwrap();
        let order = Order::new(Target::Agent(id.clone()), action, "r");
        let command = rig.fleet.dispatch(&mut tx, &tester(), &order).await.unwrap();
        tx.commit().await.unwrap();
        let finished = rig.event("command.finished", 1).await;
        assert_eq!(finished.data["exit_code"], 7, "{finished:?}");
        let output = rig.fleet.output(&command, None, 0).await.unwrap();
        let mut texts: Vec<String> = output
            .into_iter()
            .map(|chunk| String::from_utf8(chunk.data).unwrap())
            .collect();
        texts.sort();
        assert_eq!(texts, ["err\n", "out\n"]);
        let mut reader = rig.kernel().db.read().await.unwrap();
        let stored = fleet::store::command(&mut reader, &command)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stored.state, State::Exited);
        drop(reader);
        assert_eq!(rig.agent(id.as_str()).await.presence, Presence::Connected);
        stop.cancel();
        rig.event("agent.disconnected", 1).await;
        running.await.unwrap();
    }
}

/// Runs the real agent until dropped or stopped.
struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(rig: &Rig, token: Option<String>) -> Self {
        let stop = CancellationToken::new();
        let host = TestHost::new(rig.bed.dir().join("host"), "0123456789abcdef0123456789abcdef");
        let options = agent::Options {
            token,
            ..agent::Options::new(rig.bed.dir().join("agent")).watching(host.root())
        };
        let ended = stop.clone();
        let kernel = rig.kernel();
        let task = kernel::task::spawn(kernel, "test.agent", async move {
            agent::run(options, ended).await.unwrap();
        });
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_agent_keeps_what_it_sees_and_joins_again_with_a_new_token() {
    let rig = Rig::start(testkit::Bed::sqlite(crate::kit::SCHEMA).await, |_| {}).await;
    let agent = Running::start(&rig, Some(rig.token(1).await));
    let first = rig.event("agent.connected", 1).await.subject;
    let app = crate::api::app(&rig);
    let path = format!("/api/v1/agents/{first}");
    let (status, _) = crate::api::call(&app, "DELETE", &path, serde_json::Value::Null).await;
    assert_eq!(status, 204);
    // It has no token that still works: it goes on collecting, into its spool.
    let spool = rig.bed.dir().join("agent/spool");
    wait_until("a spool", async || std::fs::read_dir(&spool).ok()?.next()?.ok()).await;
    agent.stop().await;
    assert_eq!(rig.topics("agent.joined").await.len(), 1);
    // The agent is told of its new token as it is told of its first.
    rig.intake.taken.lock().unwrap().clear();
    let agent = Running::start(&rig, Some(rig.token(1).await));
    let second = rig.event("agent.connected", 2).await.subject;
    assert_ne!(first, second);
    let items = [rig.agent(&first).await.item, rig.agent(&second).await.item];
    assert_eq!(items[0], items[1], "it is the same host");
    wait_until("what was seen meanwhile, and what is seen now", async || {
        let taken = rig.intake.taken.lock().unwrap();
        // Spooled samples have an epoch of their own.
        let has = |is_spooled: bool| {
            taken.iter().any(|(host, _, bodies)| {
                let is_it =
                    |body: &Body| matches!(body, Body::Metrics { epoch, .. } if (*epoch != 0) == is_spooled);
                host.agent_id == second && bodies.iter().any(is_it)
            })
        };
        (has(true) && has(false)).then_some(())
    })
    .await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_a_token_that_works_comes_back_by_itself() {
    let rig = Rig::start(testkit::Bed::sqlite(crate::kit::SCHEMA).await, |_| {}).await;
    let agent = Running::start(&rig, Some(rig.token(2).await));
    let first = rig.event("agent.connected", 1).await.subject;
    let app = crate::api::app(&rig);
    let path = format!("/api/v1/agents/{first}");
    crate::api::call(&app, "DELETE", &path, serde_json::Value::Null).await;
    let second = rig.event("agent.connected", 2).await.subject;
    assert_ne!(first, second);
    agent.stop().await;
}
