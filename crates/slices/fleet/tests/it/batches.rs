//! Observations: acknowledged once durable, harmless when they come twice.

use std::sync::atomic::Ordering;

use protocol::{Body, Facts, ServiceFact, ToAgent, UnitChange};
use testkit::agent::sample;

use crate::kit::{Rig, wait_until};

fn unit(name: &str, state: &str, at_ms: i64) -> UnitChange {
    UnitChange {
        at_ms,
        name: name.into(),
        manager: "systemd".into(),
        state: state.into(),
        reason: (state == "failed").then(|| "exit-code".into()),
    }
}

#[tokio::test]
async fn a_batch_is_acknowledged_after_the_intake_has_it() {
    for rig in Rig::both().await {
        let (agent, mut link) = rig.connect(1).await;
        rig.intake.is_full.store(true, Ordering::SeqCst);
        let seq = link.batch(1000, vec![sample(1, "up", 1000, 1.0)]).await;
        let early = tokio::time::timeout(std::time::Duration::from_millis(400), link.wait_ack(seq)).await;
        assert!(early.is_err(), "acknowledged before it was durable");
        rig.intake.is_full.store(false, Ordering::SeqCst);
        link.wait_ack(seq).await;
        let taken = rig.intake.taken.lock().unwrap().clone();
        assert_eq!(taken.len(), 1);
        assert_eq!(
            (taken[0].0.name.as_str(), taken[0].0.agent_id.as_str()),
            ("web-1", agent.id.as_str())
        );
        assert_eq!(taken[0].2, [sample(1, "up", 1000, 1.0)]);
        let connection = taken[0].1;
        drop(link);
        wait_until("forgetting the connection", async || {
            rig.intake
                .forgotten
                .lock()
                .unwrap()
                .contains(&connection)
                .then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_repeated_batch_is_acknowledged_and_not_taken_again() {
    for rig in Rig::both().await {
        let (agent, mut link) = rig.connect(1).await;
        for seq in 1..=3 {
            link.batch_numbered(seq, 1000 + seq as i64, vec![sample(1, "up", 1, 1.0)])
                .await;
            link.wait_ack(seq).await;
        }
        drop(link);
        rig.event("agent.disconnected", 1).await;
        let mut link = agent.connect().await.unwrap();
        link.batch_numbered(3, 1003, vec![sample(1, "up", 1, 1.0)]).await;
        link.wait_ack(3).await;
        link.batch_numbered(4, 1004, vec![sample(1, "up", 1, 1.0)]).await;
        link.wait_ack(4).await;
        assert_eq!(rig.intake.taken.lock().unwrap().len(), 4);
        // A folder restored from a backup counts from an old number, later.
        link.batch_numbered(2, 9000, vec![sample(1, "up", 1, 1.0)]).await;
        link.wait_ack(2).await;
        assert_eq!(rig.intake.taken.lock().unwrap().len(), 5);
    }
}

#[tokio::test]
async fn samples_alone_do_not_write_the_database() {
    for rig in Rig::both().await {
        let (agent, mut link) = rig.connect(1).await;
        let before = rig.agent(&agent.id).await;
        for n in 1..50 {
            let seq = link.batch(1000 + n, vec![sample(1, "up", n, 1.0)]).await;
            link.wait_ack(seq).await;
        }
        assert_eq!(rig.agent(&agent.id).await.seq, before.seq);
        drop(link);
        rig.event("agent.disconnected", 1).await;
        assert_eq!(
            rig.agent(&agent.id).await.seq,
            49,
            "written when the connection ends"
        );
    }
}

#[tokio::test]
async fn service_changes_become_events_once() {
    for rig in Rig::both().await {
        let (agent, mut link) = rig.connect(1).await;
        let changes = vec![unit("nginx.service", "failed", 5000)];
        let seq = link.batch(5000, vec![Body::Units { changes }]).await;
        link.wait_ack(seq).await;
        let event = rig.event("service.changed", 1).await;
        assert_eq!(event.data["name"], "nginx.service");
        assert_eq!(event.data["state"], "failed");
        assert_eq!(event.data["reason"], "exit-code");
        assert_eq!(event.data["host_name"], "web-1");
        assert_eq!(event.subject, event.data["item"].as_str().unwrap());
        // The database knows the number at once: a restart of the server would not tell it twice.
        assert_eq!(rig.agent(&agent.id).await.seq, seq);
        let mut reader = rig.kernel().db.read().await.unwrap();
        let item = inventory::store::item(&mut reader, &event.subject.parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(item.text("state"), Some("failed"));
    }
}

#[tokio::test]
async fn facts_reach_the_inventory() {
    for rig in Rig::both().await {
        let (agent, mut link) = rig.connect(1).await;
        let facts = Facts {
            hostname: "renamed".into(),
            os_name: "Debian".into(),
            services: vec![ServiceFact {
                name: "ssh.service".into(),
                ..ServiceFact::default()
            }],
            ..Facts::default()
        };
        let seq = link.batch(1, vec![Body::Facts(Box::new(facts))]).await;
        link.wait_ack(seq).await;
        let item = rig.agent(&agent.id).await.item;
        let mut reader = rig.kernel().db.read().await.unwrap();
        let host = inventory::store::item(&mut reader, &item).await.unwrap().unwrap();
        assert_eq!(
            (host.name.as_str(), host.text("os_name")),
            ("renamed", Some("Debian"))
        );
        drop(reader);
        let seq = link.batch(2, vec![sample(1, "up", 1, 1.0)]).await;
        link.wait_ack(seq).await;
        let name = rig.intake.taken.lock().unwrap().last().unwrap().0.name.clone();
        assert_eq!(name, "renamed", "the next series carry the new name");
    }
}

#[tokio::test]
async fn an_agent_is_slowed_down_while_the_intake_is_behind() {
    for rig in Rig::both_with(|settings| settings.lost_after_ms = 3000).await {
        let (_, mut link) = rig.connect(1).await;
        rig.intake.is_full.store(true, Ordering::SeqCst);
        for n in 1..=40 {
            link.batch(n, vec![sample(1, "up", n, 1.0)]).await;
        }
        let throttled = |wanted: bool| {
            move |message: &ToAgent| match message {
                ToAgent::Throttle { min_interval_ms } => ((*min_interval_ms > 0) == wanted).then_some(()),
                _ => None,
            }
        };
        link.wait_for(throttled(true)).await;
        rig.intake.is_full.store(false, Ordering::SeqCst);
        // Acknowledgements come before the all-clear.
        link.wait_for(throttled(false)).await;
        let seq = link.batch(41, vec![]).await;
        link.wait_ack(seq).await;
        assert_eq!(rig.intake.taken.lock().unwrap().len(), 41);
        assert!(
            rig.topics("agent.lost").await.is_empty(),
            "we were busy, it was not silent"
        );
    }
}
