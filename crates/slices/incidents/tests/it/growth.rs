//! A fault that joins an open incident: people are notified, acknowledged or not, and a flood is few messages.

use alerting::Severity::{Critical, Info, Warning};
use alerting::{Labels, Severity, Signal};
use incidents::Settings;
use serde_json::json;

use crate::parts::{House, houses};

const DISK: &[(&str, &str)] = &[("instance", "db-1"), ("mountpoint", "/data")];
const POSTGRES: &[(&str, &str)] = &[("instance", "db-1"), ("name", "postgres")];

#[tokio::test]
async fn another_fault_in_an_unacknowledged_incident_is_told() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("DiskFull", DISK, Critical, true).await;
        house.advance(120).await;
        house.look("ServiceDown", POSTGRES, Critical, true).await;
        assert_eq!(house.one().await["state"], "triggered");
        house.advance(10).await;
        let pages = house.pages().await;
        assert_eq!(pages.len(), 2, "{pages:?}");
        assert_eq!(
            pages[1],
            (
                "incident_updated".into(),
                "#1 DiskFull on db-1: ServiceDown on db-1".into()
            )
        );
        // The next critical one waits for a minute at most, a warning for five.
        house.look("Inodes", DISK, Critical, true).await;
        house.advance(49).await;
        assert_eq!(house.pages().await.len(), 2);
        house.advance(11).await;
        assert_eq!(house.pages().await.len(), 3);
        house.look("Latency", DISK, Warning, true).await;
        house.advance(290).await;
        assert_eq!(house.pages().await.len(), 3);
        house.advance(10).await;
        assert_eq!(house.pages().await.len(), 4);
    }
}

/// A note opens no incident; one that joins an open incident is seen in it and notifies nobody.
#[tokio::test]
async fn a_note_opens_no_incident_and_notifies_nobody() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("ListenerStopped", POSTGRES, Info, true).await;
        house.advance(60).await;
        assert!(house.pages().await.is_empty());
        house.look("ListenerStopped", POSTGRES, Info, false).await;
        house.look("DiskFull", DISK, Critical, true).await;
        house.look("Scrubbed", DISK, Info, true).await;
        house.advance(400).await;
        let incident = house.one().await;
        assert_eq!(incident["alerts"].as_array().unwrap().len(), 2, "{incident}");
        assert_eq!(house.pages().await.len(), 1, "{:?}", house.pages().await);
    }
}

/// Who lowers the severity for one fault has not seen the next.
#[tokio::test]
async fn a_critical_fault_is_urgent_in_an_incident_that_was_lowered() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("DiskFull", DISK, Critical, true).await;
        let incident = house.one().await;
        house
            .command(&incident, "severity", &json!({ "severity": "sev4" }))
            .await
            .ok(200);
        house.look("ServiceDown", POSTGRES, Critical, true).await;
        house.advance(10).await;
        let queued = house.events("message.queued").await;
        assert_eq!(queued.last().unwrap().data["severity"], "critical");
        assert_eq!(queued.len(), 2);
    }
}

#[tokio::test]
async fn symptoms_and_what_was_told_are_not_told_again() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("ServiceDown", POSTGRES, Critical, true).await;
        house
            .look(
                "ApiErrors",
                &[("instance", "web-1"), ("name", "api")],
                Critical,
                true,
            )
            .await;
        house.look("DiskFull", DISK, Critical, true).await;
        house.advance(10).await;
        assert_eq!(
            house.pages().await.len(),
            2,
            "the full disk is news, the errors are not"
        );
        house.look("DiskFull", DISK, Critical, false).await;
        house.advance(100).await;
        house.look("DiskFull", DISK, Critical, true).await;
        house.advance(600).await;
        assert_eq!(house.pages().await.len(), 2);
    }
}

/// What the incident was named after has ended, and another fault of it fires: the title says so.
#[tokio::test]
async fn the_title_is_of_what_fires() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("DiskFull", DISK, Critical, true).await;
        house.look("ServiceDown", POSTGRES, Critical, true).await;
        house.look("DiskFull", DISK, Critical, false).await;
        let incident = house.one().await;
        assert_eq!(incident["title"], "ServiceDown on db-1");
        assert!(
            !house
                .pages()
                .await
                .iter()
                .any(|(kind, _)| kind == "incident_resolved")
        );
    }
}

async fn storm(house: &House, count: usize, label: impl Fn(usize) -> Labels) {
    let kernel = house.kernel();
    let signals: Vec<Signal> = (0..count)
        .map(|n| Signal {
            source: "rule:storm".into(),
            name: "EndpointSlow".into(),
            labels: label(n),
            annotations: Labels::from([("summary".into(), format!("endpoint {n} is slow"))]),
            severity: Severity::Critical,
            active: true,
            value: None,
            at: kernel.clock.now(),
            for_ms: 0,
            keep_firing_for_ms: 0,
        })
        .collect();
    let mut tx = kernel.db.write().await.unwrap();
    alerting::observe(&mut tx, &signals).await.unwrap();
    tx.commit().await.unwrap();
    house.settle().await;
}

/// One rule, many series, no host: one incident with a count, and two messages in the first minutes.
#[tokio::test]
async fn one_evaluation_of_one_rule_is_one_incident() {
    for house in houses(Settings::default()).await {
        storm(&house, 300, |n| {
            Labels::from([("route".into(), format!("/r{n}"))])
        })
        .await;
        let incident = house.one().await;
        assert_eq!(incident["alert_count"], 300);
        house.advance(60).await;
        let pages = house.pages().await;
        assert_eq!(pages.len(), 2, "{pages:?}");
        assert!(pages[1].1.ends_with("and 298 more alerts"), "{pages:?}");
        // Alerts of the same rule a minute later are the same story, long after it another.
        storm(&house, 301, |n| {
            Labels::from([("route".into(), format!("/r{n}"))])
        })
        .await;
        assert_eq!(house.one().await["alert_count"], 301);
        house.advance(300).await;
        storm(&house, 302, |n| {
            Labels::from([("route".into(), format!("/r{n}"))])
        })
        .await;
        assert_eq!(house.open().await.len(), 2);
    }
}

#[tokio::test]
async fn a_rule_that_fires_on_many_hosts_at_once_is_one_incident() {
    for house in houses(Settings::default()).await {
        storm(&house, 200, |n| {
            Labels::from([("instance".into(), format!("host-{n}"))])
        })
        .await;
        assert_eq!(house.one().await["alert_count"], 200);
        house.advance(30).await;
        // The flood goes on with the next evaluations.
        storm(&house, 400, |n| {
            Labels::from([("instance".into(), format!("host-{n}"))])
        })
        .await;
        assert_eq!(house.one().await["alert_count"], 400);
        house.advance(120).await;
        assert!(house.pages().await.len() <= 4, "{:?}", house.pages().await);
    }
}
