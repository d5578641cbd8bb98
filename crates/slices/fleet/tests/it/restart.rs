//! The server starts again, and many agents at once.

use std::sync::Arc;

use fleet::{Fleet, Presence, Settings};
use testkit::agent::{FakeAgent, identity, sample};
use tokio::net::TcpListener;

use crate::kit::{Recorder, Rig, wait_until};

/// A second fleet on the same database, as after a crash.
async fn again(rig: &Rig) -> (Fleet, String, Arc<Recorder>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = Settings {
        lost_after_ms: 2000,
        start_grace_ms: 500,
        ..Settings::default()
    };
    let fleet = Fleet::new(rig.kernel(), settings, "http://x", address)
        .await
        .unwrap();
    let intake = Arc::new(Recorder::default());
    fleet.set_intake(intake.clone());
    for task in fleet::slice(&fleet).tasks {
        kernel::task::start(rig.kernel(), task);
    }
    let serve = fleet.clone();
    kernel::task::spawn(
        rig.kernel(),
        "test.again",
        async move { serve.run(listener).await },
    );
    (fleet, address.to_string(), intake)
}

#[tokio::test]
async fn who_does_not_come_back_after_a_restart_is_lost() {
    for rig in Rig::both_with(|settings| settings.lost_after_ms = 600_000).await {
        let (mut back, first) = rig.connect(1).await;
        let (gone, second) = rig.connect(2).await;
        // The first server is cut off from its agents without writing anything: as if it were killed.
        let (_fleet, address, _) = again(&rig).await;
        first.freeze();
        second.freeze();
        back.addresses = vec![address];
        let mut link = back.connect().await.unwrap();
        let lost = rig.event("agent.lost", 1).await;
        assert_eq!(lost.subject, gone.id);
        let seq = link.batch(1, vec![]).await;
        link.wait_ack(seq).await;
        assert_eq!(rig.agent(&back.id).await.presence, Presence::Connected);
        assert_eq!(
            rig.topics("agent.connected").await.len(),
            2,
            "coming back to a new server is no news"
        );
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_not_taken_again_after_a_restart() {
    for rig in Rig::both_with(|settings| settings.lost_after_ms = 600_000).await {
        let (mut agent, mut link) = rig.connect(1).await;
        let unit = protocol::UnitChange {
            at_ms: 1,
            name: "nginx".into(),
            manager: "init".into(),
            state: "failed".into(),
            reason: Some("signal 9".into()),
        };
        let body = vec![protocol::Body::Units { changes: vec![unit] }];
        link.batch_numbered(5, 500, body.clone()).await;
        link.wait_ack(5).await;
        let (_fleet, address, intake) = again(&rig).await;
        agent.addresses = vec![address];
        let mut link = agent.connect().await.unwrap();
        // The acknowledgement was lost on the way, say.
        link.batch_numbered(5, 500, body).await;
        link.wait_ack(5).await;
        assert_eq!(rig.topics("service.changed").await.len(), 1);
        assert!(intake.taken.lock().unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_agents_at_once() {
    for rig in Rig::both_with(|settings| settings.lost_after_ms = 20_000).await {
        let token = rig.token(60).await;
        let agents = (1..=60u32).map(|n| {
            let token = token.clone();
            async move {
                let agent = FakeAgent::join(&token, &format!("web-{n}"), identity(n))
                    .await
                    .unwrap();
                let mut link = agent.connect().await.unwrap();
                for round in 1..=5 {
                    let seq = link.batch(round, vec![sample(1, "up", round, 1.0)]).await;
                    link.wait_ack(seq).await;
                }
                link
            }
        });
        let links = futures_util::future::join_all(agents).await;
        assert_eq!(rig.intake.taken.lock().unwrap().len(), 300);
        assert_eq!(rig.topics("agent.connected").await.len(), 60);
        drop(links);
        wait_until("all of them gone", async || {
            (rig.topics("agent.disconnected").await.len() == 60).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_lost_host_that_joins_anew_returns() {
    for rig in Rig::both().await {
        let (_, link) = rig.connect(1).await;
        drop(link);
        rig.event("agent.lost", 1).await;
        let (_, _link) = rig.connect(1).await;
        rig.event("agent.returned", 1).await;
    }
}
