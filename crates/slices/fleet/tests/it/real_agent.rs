//! The real agent against the real fleet: join, facts, samples, a command, renewal of nothing but trust.

use std::collections::BTreeMap;

use fleet::{Order, Presence, State, Target};
use protocol::{Action, Body};
use tokio_util::sync::CancellationToken;

use crate::kit::{Rig, tester, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_agent_joins_observes_and_obeys() {
    for rig in Rig::both_with(|settings| settings.lost_after_ms = 5000).await {
        let token = rig.token(1).await;
        let dir = rig.bed.dir().join("agent");
        let stop = CancellationToken::new();
        let options = agent::Options {
            token: Some(token),
            ..agent::Options::new(&dir)
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
