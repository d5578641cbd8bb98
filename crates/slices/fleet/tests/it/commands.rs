//! Commands from order to end.

use std::collections::BTreeMap;

use fleet::{DispatchError, Order, State, Target};
use protocol::{Action, CommandState, Stream, ToAgent};

use crate::kit::{Rig, tester, wait_until};

fn script(text: &str) -> Action {
    Action::Script {
        interpreter: None,
        script: text.into(),
        args: vec![],
        env: BTreeMap::new(),
        user: None,
    }
}

impl Rig {
    async fn order(&self, agent: &str, tune: impl Fn(&mut Order)) -> fleet::CommandId {
        let mut order = Order::new(
            Target::Agent(agent.parse().unwrap()),
            script("true"),
            "run_1/step",
        );
        tune(&mut order);
        let mut tx = self.kernel().db.write().await.unwrap();
        let id = self.fleet.dispatch(&mut tx, &tester(), &order).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    async fn command(&self, id: &fleet::CommandId) -> fleet::Command {
        let mut reader = self.kernel().db.read().await.unwrap();
        fleet::store::command(&mut reader, id).await.unwrap().unwrap()
    }

    async fn state(&self, id: &fleet::CommandId, wanted: State) -> fleet::Command {
        wait_until(&format!("{wanted:?}"), async || {
            Some(self.command(id).await).filter(|command| command.state == wanted)
        })
        .await
    }
}

#[tokio::test]
async fn a_command_runs_and_its_output_is_kept() {
    for rig in Rig::both().await {
        let (agent, mut link) = rig.connect(1).await;
        let id = rig.order(&agent.id, |_| {}).await;
        let mut watch = rig.fleet.watch_output(&id);
        let command = link.wait_command().await;
        assert_eq!(
            (command.id.as_str(), &command.action),
            (id.as_str(), &script("true"))
        );
        link.run(&command.id, 1000, "hello\n", 3).await;
        let done = rig.command(&id).await;
        assert_eq!(
            (done.state, done.exit_code(), done.is_success()),
            (State::Exited, Some(3), false)
        );
        let finished = rig.event("command.finished", 1).await;
        assert_eq!(finished.data["order"], "run_1/step");
        assert_eq!(finished.data["exit_code"], 3);
        let chunks = rig.fleet.output(&id, None, 0).await.unwrap();
        assert_eq!(chunks.len(), 1);
        assert_eq!(chunks[0].data, b"hello\n");
        assert_eq!(watch.recv().await.unwrap(), chunks[0]);
        assert!(watch.recv().await.is_err(), "closed at the end");
        // An end that is said again is acknowledged again and tells nothing.
        link.report(&command.id, 1000, CommandState::Interrupted).await;
        link.wait_for(|m| matches!(m, ToAgent::CommandAck { .. }).then_some(()))
            .await;
        assert_eq!(
            rig.topics("command.").await,
            ["command.queued", "command.finished"]
        );
    }
}

#[tokio::test]
async fn a_command_waits_for_its_agent_and_is_sent_again_until_accepted() {
    for rig in Rig::both().await {
        let mut agent = rig.join(1).await;
        let id = rig.order(&agent.id, |_| {}).await;
        let mut link = agent.connect().await.unwrap();
        assert_eq!(link.wait_command().await.id, id.as_str());
        // The connection breaks before it is accepted.
        drop(link);
        let mut link = agent.connect().await.unwrap();
        assert_eq!(link.wait_command().await.id, id.as_str());
        link.report(id.as_str(), 1, CommandState::Accepted).await;
        link.report(id.as_str(), 1, CommandState::Running).await;
        rig.state(&id, State::Running).await;
        // It breaks while the command runs: the agent still knows it.
        drop(link);
        agent.running = vec![id.to_string()];
        let mut link = agent.connect().await.unwrap();
        link.run(id.as_str(), 2, "late", 0).await;
        assert!(rig.command(&id).await.is_success());
        assert_eq!(rig.topics("command.finished").await.len(), 1);
    }
}

#[tokio::test]
async fn an_agent_that_has_forgotten_a_running_command_interrupted_it() {
    for rig in Rig::both().await {
        let (agent, mut link) = rig.connect(1).await;
        let id = rig.order(&agent.id, |_| {}).await;
        link.wait_command().await;
        link.report(id.as_str(), 1, CommandState::Running).await;
        rig.state(&id, State::Running).await;
        drop(link);
        let _link = agent.connect().await.unwrap();
        rig.state(&id, State::Interrupted).await;
    }
}

#[tokio::test]
async fn cancelling_ends_what_waits_and_asks_what_runs() {
    for rig in Rig::both().await {
        let agent = rig.join(1).await;
        let cancel = async |id: &fleet::CommandId| {
            let mut tx = rig.kernel().db.write().await.unwrap();
            let is_open = rig.fleet.cancel(&mut tx, &tester(), id).await.unwrap();
            tx.commit().await.unwrap();
            is_open
        };
        let waiting = rig.order(&agent.id, |_| {}).await;
        assert!(cancel(&waiting).await);
        assert_eq!(rig.command(&waiting).await.state, State::Cancelled);
        assert!(!cancel(&waiting).await);
        let mut link = agent.connect().await.unwrap();
        let running = rig.order(&agent.id, |_| {}).await;
        assert_eq!(
            link.wait_command().await.id,
            running.as_str(),
            "the cancelled one is not sent"
        );
        link.report(running.as_str(), 1, CommandState::Running).await;
        rig.state(&running, State::Running).await;
        assert!(cancel(&running).await);
        let asked = link
            .wait_for(|m| match m {
                ToAgent::Cancel { id } => Some(id.clone()),
                _ => None,
            })
            .await;
        assert_eq!(asked, running.as_str());
        link.report(&asked, 2, CommandState::Cancelled { duration_ms: 5 })
            .await;
        rig.state(&running, State::Cancelled).await;
    }
}

#[tokio::test]
async fn what_nobody_takes_in_time_expires() {
    for rig in Rig::both().await {
        let agent = rig.join(1).await;
        let id = rig.order(&agent.id, |order| order.patience_ms = 100).await;
        rig.state(&id, State::Expired).await;
        let mut link = agent.connect().await.unwrap();
        let next = rig.order(&agent.id, |_| {}).await;
        assert_eq!(
            link.wait_command().await.id,
            next.as_str(),
            "the expired one is not sent"
        );
        assert_eq!(rig.event("command.finished", 1).await.data["state"], "expired");
    }
}

#[tokio::test]
async fn output_is_capped_and_repeats_are_harmless() {
    for rig in Rig::both().await {
        let (agent, mut link) = rig.connect(1).await;
        let id = rig.order(&agent.id, |order| order.output_cap_bytes = 10).await;
        link.wait_command().await;
        link.report(id.as_str(), 1, CommandState::Running).await;
        link.write_output(id.as_str(), Stream::Stdout, 0, b"abcd").await;
        link.write_output(id.as_str(), Stream::Stderr, 0, b"oops").await;
        wait_until("the first output", async || {
            (rig.fleet.output(&id, None, 0).await.unwrap().len() >= 2).then_some(())
        })
        .await;
        drop(link);
        let mut agent = agent;
        agent.running = vec![id.to_string()];
        let link = agent.connect().await.unwrap();
        link.write_output(id.as_str(), Stream::Stdout, 2, b"cdefghijklmnop")
            .await;
        link.write_output(id.as_str(), Stream::Stdout, 0, b"abcd").await;
        let end = CommandState::TimedOut { duration_ms: 9 };
        link.report(id.as_str(), 2, end).await;
        rig.state(&id, State::TimedOut).await;
        let stdout: Vec<u8> = rig
            .fleet
            .output(&id, Some(Stream::Stdout), 0)
            .await
            .unwrap()
            .into_iter()
            .flat_map(|chunk| chunk.data)
            .collect();
        assert_eq!(stdout, b"abcdefghij");
    }
}

#[tokio::test]
async fn commands_go_to_the_host_of_an_item_and_to_nobody_else() {
    for rig in Rig::both().await {
        let (agent, mut link) = rig.connect(1).await;
        let (_, other) = rig.connect(2).await;
        let host = rig.agent(&agent.id).await.item;
        let mut tx = rig.kernel().db.write().await.unwrap();
        let order = Order::new(Target::Item(host), script("true"), "r");
        let id = rig.fleet.dispatch(&mut tx, &tester(), &order).await.unwrap();
        let nowhere = Order::new(Target::Item(inventory::ItemId::new()), script("true"), "r");
        let refused = rig.fleet.dispatch(&mut tx, &tester(), &nowhere).await;
        assert!(matches!(refused, Err(DispatchError::NoAgent(_))));
        tx.commit().await.unwrap();
        assert_eq!(link.wait_command().await.id, id.as_str());
        // Another agent cannot end it, nor write into it.
        other.write_output(id.as_str(), Stream::Stdout, 0, b"evil").await;
        other.report(id.as_str(), 1, CommandState::Interrupted).await;
        link.run(id.as_str(), 1, "fine", 0).await;
        assert!(rig.command(&id).await.is_success());
        assert_eq!(rig.fleet.output(&id, None, 0).await.unwrap()[0].data, b"fine");
    }
}

#[tokio::test]
async fn a_rolled_back_order_was_never_there() {
    for rig in Rig::both().await {
        let (agent, mut link) = rig.connect(1).await;
        let mut tx = rig.kernel().db.write().await.unwrap();
        let order = Order::new(Target::Agent(agent.id.parse().unwrap()), script("rm"), "r");
        rig.fleet.dispatch(&mut tx, &tester(), &order).await.unwrap();
        tx.rollback().await.unwrap();
        let kept = rig.order(&agent.id, |_| {}).await;
        assert_eq!(link.wait_command().await.id, kept.as_str());
    }
}
