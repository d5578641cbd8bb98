//! What the server knows of a host: its share of the series, and the alerts about clock, identity and limits.

use fleet::{HostRef, Intake};
use inventory::{IdentityKey, Observation};
use kernel::Actor;
use protocol::{Batch, Body, Sample, SeriesDef};
use testkit::Bed;

use crate::support::{House, SCHEMA, settings};

fn host(n: u32) -> HostRef {
    HostRef {
        agent_id: format!("agt_{n}"),
        item_id: format!("itm_{n:032x}"),
        name: format!("web-{n}"),
    }
}

/// A batch with these new series, and a sample of each.
fn batch(house: &House, seq: u64, series: std::ops::Range<u32>) -> Batch {
    let at_ms = house.now_ms() - 60_000 + seq.cast_signed();
    let define = series.clone().map(|id| SeriesDef {
        id,
        labels: vec![
            ("__name__".into(), "made_up".into()),
            ("n".into(), id.to_string()),
        ],
    });
    let body = vec![Body::Metrics {
        epoch: 0,
        define: define.collect(),
        samples: series.map(|id| Sample(id, at_ms, 1.0)).collect(),
    }];
    Batch {
        seq,
        at_ms,
        spooled: false,
        body,
    }
}

async fn count(house: &House, name: &str) -> String {
    let uri = format!("/api/v1/query?query=count(made_up{{instance=%22{name}%22}})");
    let (_, answer) = house.get(&uri).await;
    answer["data"]["result"][0]["value"][1]
        .as_str()
        .unwrap_or("0")
        .to_owned()
}

#[tokio::test]
async fn a_host_keeps_to_its_share_over_reconnecting_and_restarts() {
    for bed in Bed::both(SCHEMA).await {
        let settings = || telemetry::Settings {
            max_series_per_host: 10,
            ..settings()
        };
        let house = House::with(bed, &settings()).await;
        for connection in 1..=5u32 {
            let new = batch(&house, connection.into(), connection * 6..connection * 6 + 6);
            house
                .telemetry
                .take(&host(1), connection.into(), &new)
                .await
                .unwrap();
            house.telemetry.forget(connection.into());
        }
        assert_eq!(count(&house, "web-1").await, "10");
        // The next one has room for itself, and the first one keeps what it has.
        house
            .telemetry
            .take(&host(2), 11, &batch(&house, 1, 0..6))
            .await
            .unwrap();
        assert_eq!(count(&house, "web-2").await, "6");
        let known = batch(&house, 9, 6..12);
        house.telemetry.take(&host(1), 12, &known).await.unwrap();
        let shown = house.bed.kernel().metrics.render();
        assert!(
            shown.contains("mainstay_samples_refused_total{host=\"web-1\",reason=\"series_of_host\"} 20"),
            "{shown}"
        );
        let house = house.restarted_with(&settings()).await;
        house
            .telemetry
            .take(&host(1), 1, &batch(&house, 20, 100..106))
            .await
            .unwrap();
        assert_eq!(count(&house, "web-1").await, "10");
    }
}

async fn observe(house: &House, n: u32, mac: &str) -> inventory::ItemId {
    let seen = Observation {
        kind: "host".into(),
        key: format!("web-{n}"),
        name: format!("web-{n}"),
        source: format!("agent:{n}"),
        identity: vec![
            IdentityKey::new("machine_id", "same"),
            IdentityKey::new("mac", mac),
        ],
        ..Observation::default()
    };
    let mut tx = house.bed.kernel().db.write().await.unwrap();
    let id = inventory::observe(&mut tx, &Actor::system("test"), &seen)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    id
}

#[tokio::test]
async fn clocks_and_identities_have_series_that_rules_read() {
    for house in House::both().await {
        let first = observe(&house, 1, "52:54:00:00:00:01").await;
        observe(&house, 2, "52:54:00:00:00:02").await;
        let mut tx = house.bed.kernel().db.write().await.unwrap();
        let identity = serde_json::to_string(&protocol::Identity::default()).unwrap();
        let sql = "INSERT INTO agent (id, item, state, presence, version, address, identity, join_token, joined_at, presence_at, \
            heard_at, seq, seq_at_ms, certificate_expires_at, clock_offset_ms, refused_items) \
            VALUES ($1, $2, 'active', 'connected', '1', '', $3, '', 0, 0, 0, 0, 0, 0, 7200000, 1000)";
        let insert = sqlx::query(sql)
            .bind(fleet::AgentId::new().as_str().to_owned())
            .bind(first.as_str())
            .bind(identity);
        insert.execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        house.run("telemetry.host_state");
        for (query, expected) in [
            ("mainstay_host_clock_offset_seconds{instance=%22web-1%22}", "7200"),
            ("mainstay_host_items_refused{instance=%22web-1%22}", "1000"),
            ("mainstay_host_identity_conflict{key=%22machine_id%22}", "1"),
        ] {
            crate::up::wait_for(&house, query, Some(expected)).await;
        }
        let (_, alerts) = house.get("/prometheus/api/v1/alerts").await;
        let text = alerts.to_string();
        assert!(text.contains("The clock of web-1 is 2h 0m 0s ahead"), "{text}");
        assert!(text.contains("show the same machine_id"), "{text}");
        assert!(text.contains("HostItemsRefused"), "{text}");
        // Once one of the two is gone there is nothing to tell.
        let mut tx = house.bed.kernel().db.write().await.unwrap();
        inventory::retire(&mut tx, &Actor::system("test"), &first, "test")
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let event = kernel::NewEvent::new("item.conflict", &first, &serde_json::json!({}));
        let mut tx = house.bed.kernel().db.write().await.unwrap();
        tx.append(&Actor::system("test"), event).await.unwrap();
        tx.commit().await.unwrap();
        crate::up::wait_for(&house, "mainstay_host_identity_conflict", None).await;
    }
}
