//! Tuning of the built-in rules, and which stopped services page.

use std::time::Duration;

use inventory::{Observation, RelationKind};
use kernel::Actor;
use serde_json::{Value, json};

use crate::scope::host;
use crate::support::{House, Shown};

const DISK: &[(&str, &str)] = &[
    ("mountpoint", "/srv"),
    ("fstype", "ext4"),
    ("device", "/dev/sdb1"),
];

/// A disk of which so many percent are used.
fn disk(percent: f64) -> Vec<Shown<'static>> {
    vec![
        ("node_filesystem_avail_bytes", DISK, 100.0 - percent),
        ("node_filesystem_free_bytes", DISK, 100.0 - percent),
        ("node_filesystem_size_bytes", DISK, 100.0),
        ("node_filesystem_readonly", DISK, 0.0),
    ]
}

async fn firing(house: &House) -> Vec<(String, String)> {
    let (_, body) = house.get("/prometheus/api/v1/alerts").await;
    let mut found: Vec<(String, String)> = body["data"]["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|alert| alert["state"] == "firing")
        .map(|alert| {
            let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
            (label("alertname"), label("instance"))
        })
        .collect();
    found.sort();
    found
}

fn fires(all: &[(String, String)], name: &str, host: &str) -> bool {
    all.iter()
        .any(|(alert, instance)| (alert.as_str(), instance.as_str()) == (name, host))
}

async fn post(house: &House, body: Value) -> (u16, Value) {
    let text = body.to_string();
    house
        .call("POST", "/api/v1/rule-tunings", "application/json", &text)
        .await
}

#[tokio::test]
async fn a_threshold_is_tuned_for_some_hosts_and_put_back() {
    for house in House::both().await {
        for (name, env) in [("t1", "test"), ("t2", "test"), ("p1", "prod")] {
            host(&house, name, env).await;
        }
        let wide =
            json!({ "rule": "DiskFull", "hosts": "tag:env=test", "threshold": 98.0, "note": "small disks" });
        let (status, wide) = post(&house, wide).await;
        assert_eq!(status, 200, "{wide}");
        let off = json!({ "rule": "DiskFull", "labels": { "instance": "t2", "mountpoint": "/srv" }, "is_off": true });
        let (status, off) = post(&house, off).await;
        assert_eq!(status, 200, "{off}");
        let now = house.now_ms();
        for name in ["t1", "t2", "p1"] {
            house.send(name, now - 4000, &disk(96.0)).await;
        }
        let all = firing(&house).await;
        assert!(fires(&all, "DiskFull", "p1"), "{all:?}");
        assert!(
            !fires(&all, "DiskFull", "t1") && !fires(&all, "DiskFull", "t2"),
            "{all:?}"
        );
        for name in ["t1", "t2"] {
            house.send(name, now - 3000, &disk(99.0)).await;
        }
        let all = firing(&house).await;
        assert!(
            fires(&all, "DiskFull", "t1"),
            "above the tuned threshold: {all:?}"
        );
        assert!(
            !fires(&all, "DiskFull", "t2"),
            "the more specific one counts: {all:?}"
        );

        let (status, list) = house.get("/api/v1/rule-tunings").await;
        assert_eq!((status, list["items"].as_array().unwrap().len()), (200, 2));
        for tuning in [&wide, &off] {
            let path = format!("/api/v1/rule-tunings/{}", tuning["id"].as_str().unwrap());
            assert_eq!(house.call("DELETE", &path, "application/json", "").await.0, 204);
        }
        house.send("t2", now - 2000, &disk(96.0)).await;
        assert!(fires(&firing(&house).await, "DiskFull", "t2"));
    }
}

#[tokio::test]
async fn a_preview_counts_the_past_week_as_it_was_and_as_it_would_be() {
    for house in House::both().await {
        host(&house, "p1", "prod").await;
        let now = house.now_ms();
        for minute in 10..40 {
            house.send("p1", now - minute * 60_000, &disk(96.0)).await;
        }
        let body =
            json!({ "rule": "DiskFull", "labels": { "instance": "p1" }, "threshold": 97.0 }).to_string();
        let uri = "/api/v1/rule-tunings/preview";
        let (status, seen) = house.call("POST", uri, "application/json", &body).await;
        assert_eq!(status, 200, "{seen}");
        assert_eq!(
            (&seen["today"]["count"], &seen["tuned"]["count"]),
            (&json!(1), &json!(0)),
            "{seen}"
        );
        assert_eq!(seen["today"]["firings"][0]["labels"]["instance"], "p1");
        // Nothing is kept of a preview.
        let (_, list) = house.get("/api/v1/rule-tunings").await;
        assert_eq!(list["items"], json!([]));
    }
}

#[tokio::test]
async fn a_tuning_that_cannot_be_is_refused_by_field() {
    let house = House::both().await.remove(0);
    for (body, field) in [
        (json!({ "rule": "DiskFul", "threshold": 97 }), "rule"),
        (json!({ "rule": "ServiceDown", "threshold": 97 }), "threshold"),
        (
            json!({ "rule": "DiskFull", "hosts": "name=\"web", "threshold": 97 }),
            "hosts",
        ),
        (json!({ "rule": "DiskFull", "for_s": -1 }), "for_s"),
        (json!({ "rule": "DiskFull" }), "is_off"),
        (
            json!({ "rule": "DiskFull", "threshold": 97, "is_off": true }),
            "is_off",
        ),
    ] {
        let (status, answer) = post(&house, body.clone()).await;
        assert_eq!(
            (status, &answer["errors"][0]["field"]),
            (422, &json!(field)),
            "{body}: {answer}"
        );
    }
}

#[tokio::test]
async fn whose_role_holds_for_some_hosts_tunes_for_one_of_them_only() {
    let house = House::both().await.remove(0);
    for (name, env) in [("t1", "test"), ("p1", "prod")] {
        host(&house, name, env).await;
    }
    let tuning = |place: Value| {
        let mut body = json!({ "rule": "DiskFull", "threshold": 97 });
        body.as_object_mut()
            .unwrap()
            .extend(place.as_object().unwrap().clone());
        body.to_string()
    };
    let uri = "/api/v1/rule-tunings";
    for place in [
        json!({}),
        json!({ "hosts": "tag:env=test" }),
        json!({ "labels": { "instance": "p1" } }),
        json!({ "labels": { "instance": "nobody" } }),
    ] {
        let (status, _) = house.call_in("test", "POST", uri, &tuning(place.clone())).await;
        assert_eq!(status, 403, "{place}");
    }
    let own = json!({ "labels": { "instance": "t1" } });
    assert_eq!(house.call_in("test", "POST", uri, &tuning(own)).await.0, 200);
    let (_, foreign) = post(
        &house,
        json!({ "rule": "DiskFull", "threshold": 97, "labels": { "instance": "p1" } }),
    )
    .await;
    let path = format!("{uri}/{}", foreign["id"].as_str().unwrap());
    assert_eq!(house.call_in("test", "DELETE", &path, "").await.0, 403);
    let mut change =
        json!({ "rule": "DiskFull", "threshold": 99, "labels": { "instance": "t1" }, "version": 1 });
    assert_eq!(
        house.call_in("test", "PUT", &path, &change.to_string()).await.0,
        403
    );
    change["labels"]["instance"] = json!("p1");
    let (status, changed) = house
        .call("PUT", &path, "application/json", &change.to_string())
        .await;
    assert_eq!((status, &changed["version"]), (200, &json!(2)), "{changed}");
    assert_eq!(
        house
            .call("PUT", &path, "application/json", &change.to_string())
            .await
            .0,
        412
    );
    let seen = house.get_in("test", uri).await.to_string();
    assert!(seen.contains("\"t1\"") && !seen.contains("\"p1\""), "{seen}");
}

async fn service(house: &House, host_name: &str, name: &str) -> inventory::ItemId {
    let mut tx = house.bed.kernel().db.write().await.unwrap();
    let parent = inventory::store::host_by_name(&mut tx, host_name)
        .await
        .unwrap()
        .unwrap()
        .id;
    let seen = Observation {
        kind: "service".into(),
        key: name.into(),
        name: name.into(),
        source: "test".into(),
        parent: Some(parent),
        ..Observation::default()
    };
    let id = inventory::observe(&mut tx, &Actor::system("test"), &seen)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    id
}

/// What was merely found because it listens pages when somebody depends on it; else its end is a note.
#[tokio::test]
async fn a_listener_that_nobody_depends_on_is_a_note() {
    for house in House::both().await {
        host(&house, "p1", "prod").await;
        let used = service(&house, "p1", "used").await;
        let user = service(&house, "p1", "user").await;
        service(&house, "p1", "alone").await;
        let mut tx = house.bed.kernel().db.write().await.unwrap();
        inventory::relate(
            &mut tx,
            &Actor::system("test"),
            &user,
            RelationKind::DependsOn,
            &used,
            "test",
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        house.run("telemetry.dependents");
        let uri = "/api/v1/query?query=mainstay_service_dependents";
        let begun = std::time::Instant::now();
        while house.get(uri).await.1["data"]["result"] == json!([]) {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "no series of dependents"
            );
            tokio::task::yield_now().await;
        }
        let now = house.now_ms();
        let state = |name, supervision, value| {
            let labels: &[(&str, &str)] = Box::leak(Box::new([("name", name), ("supervision", supervision)]));
            ("mainstay_service_up", labels, value)
        };
        let states = [
            state("used", "none", 0.0),
            state("alone", "none", 0.0),
            state("cron", "enabled", 0.0),
            state("watched", "watched", 0.0),
        ];
        house.send("p1", now - 1000, &states).await;
        house.run("telemetry.rules");
        let found = async || {
            let (_, body) = house.get("/prometheus/api/v1/alerts").await;
            let mut found: Vec<String> = body["data"]["alerts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|alert| {
                    let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default();
                    format!("{} {} {}", label("name"), label("alertname"), label("severity"))
                })
                .collect();
            found.sort();
            found
        };
        let wanted = [
            "alone ListenerStopped info",
            "cron ServiceDown critical",
            "used ServiceDown critical",
            "watched ServiceDown critical",
        ];
        let begun = std::time::Instant::now();
        loop {
            let all = found().await;
            if all == wanted {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{all:?}");
            tokio::task::yield_now().await;
        }
    }
}
