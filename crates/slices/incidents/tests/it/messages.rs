//! What a page carries of the alerts that it tells of.

use std::collections::BTreeMap;

use alerting::{Labels, Severity, Signal};
use incidents::Settings;
use jiff::SignedDuration;

use crate::parts::{House, houses};

async fn observe(house: &House, name: &str, annotations: &[(&str, &str)]) {
    let pairs = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pairs = all.iter();
        pairs
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    };
    let labels: Labels = pairs(&[("instance", "db-1"), ("name", "postgres")]);
    let signal = Signal {
        source: format!("rule:{name}"),
        name: name.into(),
        annotations: pairs(annotations),
        labels,
        severity: Severity::Critical,
        active: true,
        value: Some(42.0),
        at: house.kernel().clock.now(),
        for_ms: 0,
        keep_firing_for_ms: 0,
    };
    let mut tx = house.kernel().db.write().await.unwrap();
    alerting::observe(&mut tx, &[signal]).await.unwrap();
    tx.commit().await.unwrap();
    house.settle().await;
}

async fn last_page(house: &House) -> notify::Page {
    let mut reader = house.kernel().db.read().await.unwrap();
    let list = notify::store::messages::list(&mut reader, "", "", i64::MAX, 1)
        .await
        .unwrap();
    list[0].page.clone()
}

#[tokio::test]
async fn a_rules_description_runbook_value_labels_and_place_are_in_the_page() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        let annotations = [
            ("summary", "A volume fills"),
            ("description", "Volume data has 42 % left; delete old dumps first"),
            ("runbook_url", "https://runbooks.example.org/volume"),
            ("dashboard", "https://grafana.example.org/d/1"),
        ];
        observe(&house, "DataVolumeFills", &annotations).await;
        let page = last_page(&house).await;
        assert_eq!(page.title, "#1 A volume fills");
        let alert = &page.alerts[0];
        assert_eq!(
            alert.description,
            "Volume data has 42 % left; delete old dumps first"
        );
        assert_eq!(
            alert.runbook_url.as_deref(),
            Some("https://runbooks.example.org/volume")
        );
        assert_eq!(alert.value.as_deref(), Some("42"));
        assert_eq!(
            (alert.service.as_deref(), alert.host.as_deref()),
            (Some("postgres"), Some("db-1"))
        );
        assert_eq!(alert.labels["instance"], "db-1");
        assert_eq!(alert.annotations["dashboard"], "https://grafana.example.org/d/1");
        assert_eq!(alert.since, Some(house.kernel().clock.now()));
    }
}

#[tokio::test]
async fn an_alert_with_a_message_alone_is_titled_by_it() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        observe(&house, "OnlyAMessage", &[("message", "The exporter has gone")]).await;
        let page = last_page(&house).await;
        assert_eq!(page.title, "#1 The exporter has gone");
        assert_eq!(page.alerts[0].description, "The exporter has gone");
    }
}

/// Neither hours late nor at once and again.
#[tokio::test]
async fn a_reminder_keeps_its_wait_when_the_clock_steps_two_hours() {
    for step_h in [2, -2] {
        for house in houses(Settings::default()).await {
            house.shop().await;
            observe(&house, "DiskFull", &[("summary", "A disk is full")]).await;
            let before = house.pages().await.len();
            let step = SignedDuration::from_hours(step_h);
            house.kernel().clock.advance(step);
            house.incidents.follow_step(step).await.unwrap();
            house.advance(899).await;
            assert_eq!(house.pages().await.len(), before, "early after {step_h} h");
            house.advance(2).await;
            assert_eq!(house.pages().await.len(), before + 1, "late after {step_h} h");
        }
    }
}
