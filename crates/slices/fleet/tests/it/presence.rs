//! Who is there, who is lost, who is back.

use fleet::Presence;

use crate::kit::{Rig, wait_until};

#[tokio::test]
async fn a_silent_agent_is_lost_and_returns() {
    for rig in Rig::both().await {
        let (agent, mut link) = rig.connect(1).await;
        rig.event("agent.connected", 1).await;
        link.freeze();
        let lost = rig.event("agent.lost", 1).await;
        assert_eq!(lost.data["name"], "web-1");
        assert_eq!(lost.subject, agent.id);
        link.wait_closed().await;
        assert_eq!(rig.agent(&agent.id).await.presence, Presence::Lost);
        let _link = agent.connect().await.unwrap();
        let returned = rig.event("agent.returned", 1).await;
        assert!(returned.data["gap_s"].as_i64().unwrap() >= 1, "{returned:?}");
        assert_eq!(rig.agent(&agent.id).await.presence, Presence::Connected);
    }
}

#[tokio::test]
async fn a_closed_connection_is_told_at_once_and_lost_later() {
    for rig in Rig::both().await {
        let (agent, link) = rig.connect(1).await;
        drop(link);
        rig.event("agent.disconnected", 1).await;
        rig.event("agent.lost", 1).await;
        let topics = rig.topics("agent.").await;
        assert_eq!(
            topics,
            [
                "agent.joined",
                "agent.connected",
                "agent.disconnected",
                "agent.lost"
            ]
        );
        assert!(rig.agent(&agent.id).await.heard_at < rig.agent(&agent.id).await.presence_at);
    }
}

#[tokio::test]
async fn an_agent_that_is_back_in_time_is_not_lost() {
    for rig in Rig::both_with(|settings| settings.lost_after_ms = 3000).await {
        let (agent, link) = rig.connect(1).await;
        drop(link);
        rig.event("agent.disconnected", 1).await;
        let mut link = agent.connect().await.unwrap();
        rig.event("agent.connected", 2).await;
        let started = std::time::Instant::now();
        let mut n = 0;
        wait_until("longer than the time to loss", async || {
            n += 1;
            let seq = link.batch(n, vec![]).await;
            link.wait_ack(seq).await;
            (started.elapsed().as_millis() > 4000).then_some(())
        })
        .await;
        assert!(rig.topics("agent.lost").await.is_empty());
    }
}

#[tokio::test]
async fn an_idle_agent_answers_pings_and_stays() {
    for rig in Rig::both_with(|settings| settings.lost_after_ms = 2500).await {
        let (agent, _link) = rig.connect(1).await;
        let started = std::time::Instant::now();
        wait_until("twice the time to loss", async || {
            (started.elapsed().as_millis() > 5000).then_some(())
        })
        .await;
        assert_eq!(rig.agent(&agent.id).await.presence, Presence::Connected);
        assert!(rig.topics("agent.lost").await.is_empty());
    }
}
