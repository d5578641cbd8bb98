//! A role that holds for some hosts shows the samples, lines and alerts of these alone.

use inventory::Observation;
use kernel::Actor;
use logs::{Labels, Record};
use serde_json::json;

use crate::support::{House, Shown};

pub async fn host(house: &House, name: &str, env: &str) {
    let mut tx = house.bed.kernel().db.write().await.unwrap();
    let seen = Observation {
        kind: "host".into(),
        key: name.into(),
        name: name.into(),
        source: "test".into(),
        tags: [("env".to_owned(), env.to_owned())].into(),
        ..Observation::default()
    };
    inventory::observe(&mut tx, &Actor::system("test"), &seen)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_scope_shows_only_its_hosts() {
    for house in House::both().await {
        let now = house.now_ms();
        // `dev.1` is no pattern: it must not show `dev21`.
        for (name, env) in [("dev.1", "dev"), ("dev21", "prod")] {
            host(&house, name, env).await;
            let full: &[Shown<'_>] = &[
                ("mainstay_service_up", &[("name", name)], 0.0),
                ("load", &[(name, "x")], 1.0),
            ];
            house.send(name, now - 1000, full).await;
            let line = Record {
                at_ms: now - 1000,
                labels: Labels::new([("host", name), ("program", name)]),
                severity: Some(6),
                text: "a line".into(),
            };
            house.telemetry.logs().append(&[line]).unwrap();
        }
        for uri in [
            "/api/v1/query?query=load",
            "/api/v1/query?query=count_values(\"v\",load)by(instance)",
            "/api/v1/series?match[]=load",
            "/api/v1/labels",
            "/api/v1/label/instance/values",
            "/api/v1/label/instance/values?match[]=load",
            "/prometheus/api/v1/alerts",
            "/prometheus/api/v1/rules",
            "/api/v1/metrics/last?selector=load",
            "/api/v1/logs/query",
            "/api/v1/logs/labels/program/values",
        ] {
            let uri = uri.replace('"', "%22");
            let dev = house.get_in("dev", &uri).await.to_string();
            assert!(dev.contains("dev.1") && !dev.contains("dev21"), "{uri}: {dev}");
            let (_, all) = house.get(&uri).await;
            let all = all.to_string();
            assert!(all.contains("dev.1") && all.contains("dev21"), "{uri}: {all}");
        }
        let none = house.get_in("test", "/api/v1/query?query=load").await;
        assert_eq!(none["data"]["result"], json!([]));
        let counted = house.get_in("dev", "/api/v1/logs/histogram").await;
        let total: u64 = counted["buckets"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|bucket| bucket["total"].as_u64())
            .sum();
        assert_eq!(total, 1);
    }
}

/// A template's query shows nothing to a reader of the alert that they could not read themselves.
#[tokio::test]
async fn a_templates_query_sees_what_every_reader_of_the_alert_sees() {
    const RULES: &str = "groups:\n  - name: g\n    rules:\n      - alert: Load\n        expr: load > 0\n        annotations:\n          \
        summary: '{{ range query \"secret\" }}<{{ .Labels.instance }} {{ .Value }}>{{ end }}'\n";
    for house in House::both().await {
        for (name, env) in [("dev-1", "dev"), ("dev-2", "dev"), ("prod-1", "prod")] {
            host(&house, name, env).await;
        }
        let mut tx = house.bed.kernel().db.write().await.unwrap();
        sqlx::query(
            "INSERT INTO access_grant (id, holder, role, scope_tags, is_everywhere, created_at) \
             VALUES ('grt_1', 'per_1', 'viewer', '{\"env\":\"dev\"}', 0, 0)",
        )
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let house = house.restarted().await;
        let body = json!({ "name": "own", "text": RULES }).to_string();
        let (status, answer) = house
            .call("POST", "/api/v1/rule-files", "application/json", &body)
            .await;
        assert_eq!(status, 200, "{answer}");
        let now = house.now_ms();
        for (name, value) in [("prod-1", 4242.0), ("dev-2", 7.0), ("dev-1", 1.0)] {
            house.send(name, now - 1000, &[("secret", &[], value)]).await;
        }
        house.send("dev-1", now - 1000, &[("load", &[], 1.0)]).await;
        let told = house.get_in("dev", "/prometheus/api/v1/alerts").await.to_string();
        assert!(told.contains("<dev-1 1>") && told.contains("<dev-2 7>"), "{told}");
        assert!(!told.contains("prod-1") && !told.contains("4242"), "{told}");
    }
}

/// A host of this name that no other machine is.
async fn machine(house: &House, machine: &str, name: &str, env: &str) -> inventory::ItemId {
    let mut tx = house.bed.kernel().db.write().await.unwrap();
    let seen = Observation {
        kind: "host".into(),
        key: name.into(),
        name: name.into(),
        source: format!("agent:{machine}"),
        identity: vec![inventory::IdentityKey::new("machine_id", machine)],
        tags: [("env".to_owned(), env.to_owned())].into(),
        ..Observation::default()
    };
    let id = inventory::observe(&mut tx, &Actor::system("test"), &seen)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    id
}

/// A sample and a line of a host, now, and then some time.
async fn say(house: &House, name: &str, marker: &str) {
    let at_ms = house.now_ms();
    house
        .send(name, at_ms, &[("load", &[("marker", marker)], 1.0)])
        .await;
    let line = Record {
        at_ms,
        labels: Labels::new([("host", name), ("program", marker)]),
        severity: Some(6),
        text: format!("{marker} speaks"),
    };
    house.telemetry.logs().append(&[line]).unwrap();
    while house.now_ms() < at_ms + 5 {
        tokio::task::yield_now().await;
    }
}

const EVERYTHING: &[&str] = &[
    "/api/v1/query?query=last_over_time(load[1h])",
    "/api/v1/query?query=count_over_time(load[1h])",
    "/api/v1/series?match[]=load",
    "/api/v1/labels",
    "/api/v1/label/marker/values",
    "/api/v1/label/marker/values?match[]=load",
    "/api/v1/metrics/last?selector=load",
    "/api/v1/logs/query",
    "/api/v1/logs/labels/program/values",
];

#[tokio::test]
async fn a_name_that_went_to_another_host_opens_no_history() {
    for house in House::both().await {
        let old = machine(&house, "m1", "web", "dev").await;
        say(&house, "web", "before").await;
        let mut tx = house.bed.kernel().db.write().await.unwrap();
        inventory::retire(&mut tx, &Actor::system("test"), &old, "test")
            .await
            .unwrap();
        tx.commit().await.unwrap();
        // Retired, and still its own.
        let seen = house.get_in("dev", EVERYTHING[0]).await.to_string();
        assert!(seen.contains("before"), "{seen}");
        let new = machine(&house, "m2", "web", "prod").await;
        assert_ne!(new, old);
        say(&house, "web", "after").await;
        for uri in EVERYTHING {
            let dev = house.get_in("dev", uri).await.to_string();
            assert!(!dev.contains("after"), "{uri}: {dev}");
            let prod = house.get_in("prod", uri).await.to_string();
            assert!(!prod.contains("before"), "{uri}: {prod}");
            if *uri != "/api/v1/labels" {
                assert!(prod.contains("after"), "{uri}: {prod}");
            }
        }
        // A rename is no other way in.
        let third = machine(&house, "m3", "db", "test").await;
        let mut tx = house.bed.kernel().db.write().await.unwrap();
        inventory::retire(&mut tx, &Actor::system("test"), &new, "test")
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(machine(&house, "m3", "web", "test").await, third);
        for uri in EVERYTHING {
            let test = house.get_in("test", uri).await.to_string();
            assert!(
                !test.contains("before") && !test.contains("after"),
                "{uri}: {test}"
            );
        }
    }
}

#[tokio::test]
async fn a_scope_may_be_wide() {
    const HOSTS: usize = 2_600;
    for house in House::both().await {
        let mut tx = house.bed.kernel().db.write().await.unwrap();
        for n in 0..HOSTS {
            let name = format!("a-host-with-a-rather-long-name-{n}.example.internal");
            let seen = Observation {
                kind: "host".into(),
                key: name.clone(),
                name,
                source: "test".into(),
                tags: [("env".to_owned(), "prod".to_owned())].into(),
                ..Observation::default()
            };
            inventory::observe(&mut tx, &Actor::system("test"), &seen)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        host(&house, "other", "dev").await;
        say(
            &house,
            "a-host-with-a-rather-long-name-7.example.internal",
            "wide",
        )
        .await;
        say(&house, "other", "foreign").await;
        for uri in EVERYTHING {
            let prod = house.get_in("prod", uri).await.to_string();
            assert!(!prod.contains("foreign"), "{uri}: {prod}");
            if *uri != "/api/v1/labels" {
                assert!(prod.contains("wide"), "{uri}: {prod}");
            }
        }
    }
}
