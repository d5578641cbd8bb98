//! A host whose clock is wrong: its observations have the server's times, and how far it is off is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use protocol::{Body, UnitChange};
use testkit::agent::{FakeAgent, sample};

use crate::kit::{Rig, wait_until};

const HOUR_MS: i64 = 3_600_000;

fn times(rig: &Rig) -> Vec<i64> {
    let taken = rig.intake.taken.lock().unwrap();
    let bodies = taken.iter().flat_map(|(_, _, body)| body);
    bodies
        .filter_map(|body| match body {
            Body::Metrics { samples, .. } => Some(samples[0].1),
            _ => None,
        })
        .collect()
}

/// An agent whose clock is ahead by what the number says.
async fn agent(rig: &Rig, offset_ms: &Arc<AtomicI64>) -> FakeAgent {
    let mut agent = rig.join(1).await;
    let (clock, offset_ms) = (rig.kernel().clock.clone(), offset_ms.clone());
    agent.clock = Some(Arc::new(move || {
        clock.now_ms() + offset_ms.load(Ordering::SeqCst)
    }));
    agent
}

#[tokio::test]
async fn observations_have_the_servers_time() {
    for ahead_ms in [2 * HOUR_MS, -26 * HOUR_MS] {
        for rig in Rig::both().await {
            let offset = Arc::new(AtomicI64::new(ahead_ms));
            let agent = agent(&rig, &offset).await;
            let mut link = agent.connect().await.unwrap();
            let now = rig.kernel().clock.now_ms();
            let unit = UnitChange {
                at_ms: now + ahead_ms,
                name: "nginx.service".into(),
                manager: "systemd".into(),
                state: "failed".into(),
                reason: None,
            };
            let body = vec![
                sample(1, "load", now + ahead_ms, 1.0),
                Body::Units { changes: vec![unit] },
            ];
            let seq = link.batch(now + ahead_ms, body).await;
            link.wait_ack(seq).await;
            let at = times(&rig)[0];
            assert!((at - now).abs() <= 2_000, "{} ms off", at - now);
            let changed = rig.event("service.changed", 1).await;
            let at: kernel::Timestamp = changed.data["at"].as_str().unwrap().parse().unwrap();
            assert!((at.as_millisecond() - now).abs() <= 2_000, "{at}");
            let known = rig.agent(&agent.id).await.clock_offset_ms.unwrap();
            assert!((known - ahead_ms).abs() <= 2_000, "{known}");
        }
    }
}

#[tokio::test]
async fn a_clock_that_steps_is_measured_again() {
    for rig in Rig::both().await {
        let offset = Arc::new(AtomicI64::new(0));
        let agent = agent(&rig, &offset).await;
        let mut link = agent.connect().await.unwrap();
        offset.store(2 * HOUR_MS, Ordering::SeqCst);
        let mut number = 0;
        wait_until("the correction", async || {
            number += 1;
            let now = rig.kernel().clock.now_ms();
            let seq = link
                .batch(now, vec![sample(1, "load", now + 2 * HOUR_MS, 1.0)])
                .await;
            link.wait_ack(seq).await;
            let at = *times(&rig).last().unwrap();
            // Silence is what makes the server ask.
            tokio::time::sleep(std::time::Duration::from_millis(600)).await;
            ((at - now).abs() <= 2_000).then_some(())
        })
        .await;
        assert!(number > 1, "it was right before");
    }
}
