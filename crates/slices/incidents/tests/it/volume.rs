//! Many alerts in one incident.

use std::time::{Duration, Instant};

use alerting::{Labels, Severity, Signal};
use incidents::Settings;

use crate::parts::houses;

const MANY: usize = 600;

#[tokio::test]
async fn a_host_that_takes_hundreds_of_alerts_with_it_is_one_incident() {
    for house in houses(Settings::default()).await {
        let kernel = house.kernel();
        house.item("host", None, "db-1").await;
        let storm: Vec<Signal> = (0..MANY)
            .map(|n| Signal {
                source: "rule:storm".into(),
                name: format!("Alert{n}"),
                labels: Labels::from([("instance".into(), "db-1".into())]),
                annotations: Labels::new(),
                severity: Severity::Critical,
                active: true,
                value: None,
                at: kernel.clock.now(),
                for_ms: 0,
                keep_firing_for_ms: 0,
            })
            .collect();
        let mut tx = kernel.db.write().await.unwrap();
        alerting::observe(&mut tx, &storm).await.unwrap();
        tx.commit().await.unwrap();
        let started = Instant::now();
        house.settle().await;
        let grouped = started.elapsed();
        let started = Instant::now();
        let incident = house.one().await;
        let read = started.elapsed();
        println!(
            "{:?}: {MANY} alerts grouped in {grouped:?}, list and detail in {read:?}",
            kernel.db.kind()
        );
        assert_eq!(incident["alert_count"], MANY);
        assert_eq!(house.pages().await.len(), 1, "a storm is one page");
        assert!(grouped < Duration::from_secs(120) && read < Duration::from_secs(10));
    }
}
