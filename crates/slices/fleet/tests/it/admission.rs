//! Connections that say nothing keep nobody out.

use std::time::{Duration, Instant};

use testkit::agent::{FakeAgent, identity};
use tokio::net::{TcpSocket, TcpStream};

use crate::kit::Rig;

/// A connection from another address of this machine that never says a word.
async fn half_open(rig: &Rig) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    socket.connect(rig.address).await.unwrap()
}

#[tokio::test]
async fn half_open_connections_delay_no_agent_from_elsewhere() {
    for rig in Rig::both_with(|settings| {
        settings.max_handshakes = 40;
        settings.lost_after_ms = 60_000;
    })
    .await
    {
        let token = rig.token(2).await;
        let mut silent = Vec::new();
        for _ in 0..120 {
            silent.push(half_open(&rig).await);
        }
        let started = Instant::now();
        let agent = FakeAgent::join(&token, "web-1", identity(1)).await.unwrap();
        let mut link = agent.connect().await.unwrap();
        let seq = link.batch(1, vec![]).await;
        link.wait_ack(seq).await;
        // Far less than the time after which a silent connection is given up.
        assert!(
            started.elapsed() < Duration::from_secs(8),
            "{:?}",
            started.elapsed()
        );
        for _ in 0..120 {
            silent.push(half_open(&rig).await);
        }
        let seq = link.batch(2, vec![]).await;
        link.wait_ack(seq).await;
    }
}

#[tokio::test]
async fn whoever_has_no_token_costs_no_write() {
    for rig in Rig::both().await {
        let (_, expired) = rig.token_with(1, Duration::ZERO, None).await;
        let _writer = rig.kernel().db.write().await.unwrap();
        // The writer is taken: a refusal does not wait for it.
        let reason = FakeAgent::join(&expired, "web-1", identity(1))
            .await
            .err()
            .unwrap();
        assert!(reason.contains("expired"), "{reason}");
    }
}
