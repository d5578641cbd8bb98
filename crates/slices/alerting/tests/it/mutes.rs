//! Silences and maintenance windows.

use crate::parts::{advance, beds, host, observe, signal, told, topics};

use alerting::settle_all;
use serde_json::json;

use crate::api::Client;

async fn silence(client: &Client, seconds: i64) -> String {
    let ends = client.now() + jiff::SignedDuration::from_secs(seconds);
    let body = json!({
        "matchers": [{ "name": "instance", "op": "=~", "value": "web-.*" }],
        "comment": "known", "ends_at": ends.to_string(),
    });
    let made = client.post("/api/v1/silences", &body).await.ok(201);
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_fires_under_a_silence_is_told_when_it_ends() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let client = Client::new(kernel);
        silence(&client, 600).await;
        observe(
            kernel,
            &[
                signal(kernel, "DiskFull", "web-1", true),
                signal(kernel, "DiskFull", "db-1", true),
            ],
        )
        .await;
        let mut told = topics(kernel).await;
        told.sort();
        assert_eq!(told, ["alert.fired", "alert.silenced"]);
        advance(kernel, 600);
        settle_all(kernel).await.unwrap();
        settle_all(kernel).await.unwrap();
        assert_eq!(topics(kernel).await.last().unwrap(), "alert.fired");
        assert_eq!(topics(kernel).await.len(), 3);
    }
}

#[tokio::test]
async fn a_silence_over_a_fired_alert_does_not_make_it_fire_again() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let client = Client::new(kernel);
        observe(kernel, &[signal(kernel, "DiskFull", "web-1", true)]).await;
        let id = silence(&client, 600).await;
        client.delete(&format!("/api/v1/silences/{id}")).await.ok(200);
        client.delete(&format!("/api/v1/silences/{id}")).await.ok(200);
        assert_eq!(
            topics(kernel).await,
            ["alert.fired", "alert.silenced", "alert.unmuted"]
        );
    }
}

#[tokio::test]
async fn a_resolve_is_told_through_a_silence() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let client = Client::new(kernel);
        observe(kernel, &[signal(kernel, "DiskFull", "web-1", true)]).await;
        silence(&client, 600).await;
        advance(kernel, 10);
        observe(kernel, &[signal(kernel, "DiskFull", "web-1", false)]).await;
        assert_eq!(
            topics(kernel).await,
            ["alert.fired", "alert.silenced", "alert.resolved"]
        );
    }
}

#[tokio::test]
async fn a_silence_that_lies_ahead_begins_by_itself() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let client = Client::new(kernel);
        observe(kernel, &[signal(kernel, "DiskFull", "web-1", true)]).await;
        let later = |s| (client.now() + jiff::SignedDuration::from_secs(s)).to_string();
        let body = json!({
            "matchers": [{ "name": "alertname", "op": "=", "value": "DiskFull" }],
            "comment": "tonight", "starts_at": later(100), "ends_at": later(200),
        });
        let made = client.post("/api/v1/silences", &body).await.ok(201);
        assert_eq!(made["phase"], "pending");
        assert_eq!(topics(kernel).await, ["alert.fired"]);
        advance(kernel, 100);
        settle_all(kernel).await.unwrap();
        assert_eq!(topics(kernel).await, ["alert.fired", "alert.silenced"]);
        advance(kernel, 100);
        settle_all(kernel).await.unwrap();
        assert_eq!(topics(kernel).await.last().unwrap(), "alert.unmuted");
    }
}

#[tokio::test]
async fn a_preview_tells_what_would_be_hidden() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let client = Client::new(kernel);
        observe(kernel, &[signal(kernel, "DiskFull", "web-1", true)]).await;
        advance(kernel, 3_600);
        observe(kernel, &[signal(kernel, "DiskFull", "web-1", false)]).await;
        observe(
            kernel,
            &[
                signal(kernel, "DiskFull", "web-2", true),
                signal(kernel, "DiskFull", "db-1", true),
            ],
        )
        .await;
        let body = json!({ "matchers": [{ "name": "instance", "op": "=~", "value": "web-.*" }] });
        let preview = client.post("/api/v1/silences/preview", &body).await.ok(200);
        assert_eq!(
            (preview["now"].clone(), preview["last_week"].clone()),
            (json!(1), json!(2))
        );
        assert_eq!(preview["alerts"][0]["labels"]["instance"], "web-2");
    }
}

#[tokio::test]
async fn maintenance_covers_what_is_on_its_items() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let client = Client::new(kernel);
        let (web, nginx) = host(kernel, "web-1").await;
        host(kernel, "db-1").await;
        let ends = (client.now() + jiff::SignedDuration::from_secs(600)).to_string();
        let body = json!({ "title": "new kernel", "items": [web.as_str()], "ends_at": ends });
        let window = client.post("/api/v1/maintenance", &body).await.ok(201);
        let mut down = signal(kernel, "ServiceDown", "web-1", true);
        down.labels.insert("name".into(), "nginx".into());
        observe(kernel, &[down, signal(kernel, "Load", "db-1", true)]).await;
        let events = told(kernel).await;
        let muted = events.iter().find(|e| e.topic == "alert.suppressed").unwrap();
        assert_eq!(muted.data["item_id"], nginx.as_str());
        assert_eq!(muted.data["suppressed_by"], window["id"]);
        assert!(events.iter().any(|e| e.topic == "alert.fired"));
        advance(kernel, 600);
        settle_all(kernel).await.unwrap();
        assert_eq!(topics(kernel).await.last().unwrap(), "alert.fired");
    }
}

#[tokio::test]
async fn maintenance_by_selector_and_its_refusals() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let client = Client::new(kernel);
        let (web, _) = host(kernel, "web-1").await;
        observe(kernel, &[signal(kernel, "Load", "web-1", true)]).await;
        let ends = (client.now() + jiff::SignedDuration::from_secs(600)).to_string();
        let by = |selector: &str| json!({ "title": "x", "selector": selector, "ends_at": ends });
        let problem = client
            .post("/api/v1/maintenance", &by("kind=host tag:env=\"te"))
            .await
            .ok(422);
        assert_eq!(problem["errors"][0]["field"], "selector");
        client
            .post("/api/v1/maintenance", &json!({ "title": "x", "ends_at": ends }))
            .await
            .ok(422);
        let unknown = json!({ "title": "x", "items": ["itm_x"], "ends_at": ends });
        client.post("/api/v1/maintenance", &unknown).await.ok(404);
        let made = client
            .post("/api/v1/maintenance", &by("kind=host tag:env=test"))
            .await
            .ok(201);
        assert_eq!(topics(kernel).await, ["alert.fired", "alert.suppressed"]);
        let path = format!("/api/v1/maintenance/{}", made["id"].as_str().unwrap());
        client.delete(&path).await.ok(200);
        assert_eq!(topics(kernel).await.last().unwrap(), "alert.unmuted");
        // A role for one team reaches neither other teams' items nor, with a selector, everybody's.
        let scoped = [("role", "operator"), ("team", "team_1")];
        let send = async |body| client.send("POST", "/api/v1/maintenance", &body, &scoped).await;
        send(by("kind=host")).await.ok(403);
        send(json!({ "title": "x", "items": [web.as_str()], "ends_at": ends }))
            .await
            .ok(404);
        let seen = client
            .send("GET", "/api/v1/alerts", &json!(null), &scoped)
            .await
            .ok(200);
        assert!(seen["items"].as_array().unwrap().is_empty());
    }
}
