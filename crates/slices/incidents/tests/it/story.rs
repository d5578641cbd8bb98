//! From a full disk to a resolved incident, with every cause on the timeline.

use alerting::Severity::{Critical, Warning};
use incidents::Settings;
use serde_json::{Value, json};

use crate::parts::{House, houses};

const DISK: &[(&str, &str)] = &[("instance", "db-1"), ("mountpoint", "/data")];

async fn timeline(house: &House, incident: &Value) -> Vec<Value> {
    let id = incident["id"].as_str().unwrap();
    let page = house.get(&format!("/api/v1/incidents/{id}/timeline")).await;
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_disk_fills_people_are_told_and_it_resolves_itself() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("DiskFull", DISK, Critical, true).await;
        let incident = house.one().await;
        assert_eq!(
            (incident["state"].clone(), incident["severity"].clone()),
            (json!("triggered"), json!("sev2"))
        );
        assert_eq!(incident["runbooks"][0]["name"], "mend");
        assert_eq!(
            house.pages().await,
            [("incident_opened".into(), "#1 DiskFull on db-1".into())]
        );
        house.advance(60).await;
        house.command(&incident, "acknowledge", &json!({})).await.ok(200);
        house.command(&incident, "acknowledge", &json!({})).await.ok(200);
        house
            .command(&incident, "comment", &json!({ "text": "old dumps" }))
            .await
            .ok(200);
        // A run that was started from the incident, and what it leads to.
        let id = incident["id"].as_str().unwrap();
        let run = json!({ "run_id": "run_1", "runbook": "mend", "state": "running", "incident_id": id });
        house.say("run.started", "run_1", &run).await;
        house.advance(240).await;
        house.look("DiskFull", DISK, Critical, false).await;
        assert!(house.open().await.is_empty());
        let ended = house.get(&format!("/api/v1/incidents/{id}")).await;
        assert_eq!(ended["state"], "resolved");
        assert_eq!(ended["resolution"], "Its alert has ended.");
        let told: Vec<Value> = timeline(&house, &incident).await;
        let topics: Vec<&str> = told.iter().map(|e| e["topic"].as_str().unwrap()).collect();
        assert_eq!(
            topics,
            [
                "alert.fired",
                "incident.opened",
                "message.queued",
                "incident.acknowledged",
                "incident.commented",
                "run.started",
                "alert.resolved",
                "incident.resolved",
                "message.queued"
            ]
        );
        for (index, cause) in [(1, 0), (2, 1), (7, 6), (8, 7)] {
            assert_eq!(
                told[index]["cause"], told[cause]["seq"],
                "{}",
                told[index]["topic"]
            );
        }
        assert_eq!(told[4]["text"], "Ann: old dumps");
        let stats = house.get("/api/v1/incidents/stats").await;
        assert_eq!(
            (stats["mtta_s"].clone(), stats["mttr_s"].clone()),
            (json!(60.0), json!(300.0))
        );
    }
}

#[tokio::test]
async fn what_comes_back_soon_opens_the_same_incident_again() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("DiskFull", DISK, Critical, true).await;
        let first = house.one().await;
        house.advance(30).await;
        house.look("DiskFull", DISK, Critical, false).await;
        house.advance(300).await;
        house.look("DiskFull", DISK, Critical, true).await;
        let again = house.one().await;
        assert_eq!(
            (again["id"].clone(), again["reopened"].clone()),
            (first["id"].clone(), json!(1))
        );
        house.advance(30).await;
        house.look("DiskFull", DISK, Critical, false).await;
        house.advance(601).await;
        house.look("DiskFull", DISK, Critical, true).await;
        assert_ne!(house.one().await["id"], first["id"]);
        let kinds: Vec<String> = house.pages().await.into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(
            kinds,
            [
                "incident_opened",
                "incident_resolved",
                "incident_opened",
                "incident_resolved",
                "incident_opened"
            ]
        );
    }
}

#[tokio::test]
async fn a_resolve_can_be_held() {
    let settings = Settings {
        resolve_hold_s: 60,
        ..Settings::default()
    };
    for house in houses(settings).await {
        house.shop().await;
        house.look("DiskFull", DISK, Critical, true).await;
        house.advance(10).await;
        house.look("DiskFull", DISK, Critical, false).await;
        house.advance(30).await;
        house.look("DiskFull", DISK, Critical, true).await;
        house.advance(60).await;
        assert_eq!(house.one().await["alert_count"], 2);
        house.look("DiskFull", DISK, Critical, false).await;
        house.advance(59).await;
        assert_eq!(house.open().await.len(), 1);
        house.advance(1).await;
        assert!(house.open().await.is_empty());
        assert_eq!(house.pages().await.len(), 2);
    }
}

#[tokio::test]
async fn nobody_acknowledges_and_people_are_reminded() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("DiskFull", DISK, Critical, true).await;
        house.advance(899).await;
        assert_eq!(house.pages().await.len(), 1);
        house.advance(1).await;
        assert_eq!(house.pages().await.len(), 2);
        house.advance(1_799).await;
        assert_eq!(house.pages().await.len(), 2);
        house.advance(1).await;
        assert_eq!(house.pages().await.len(), 3);
        let incident = house.one().await;
        house.command(&incident, "acknowledge", &json!({})).await.ok(200);
        house.advance(86_400).await;
        assert_eq!(house.pages().await.len(), 3);
    }
}

#[tokio::test]
async fn a_silence_keeps_alerts_away_until_it_ends() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        let ends = house.kernel().clock.now() + jiff::SignedDuration::from_secs(600);
        let silence = json!({
            "matchers": [{ "name": "instance", "op": "=", "value": "db-1" }], "comment": "x", "ends_at": ends.to_string(),
        });
        house.post("/api/v1/silences", &silence).await.ok(201);
        house.look("DiskFull", DISK, Warning, true).await;
        assert!(house.open().await.is_empty());
        house.advance(600).await;
        assert_eq!(house.open().await.len(), 1);
    }
}

#[tokio::test]
async fn after_the_acknowledgement_only_what_is_new_is_told() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("DiskFull", DISK, Critical, true).await;
        let incident = house.one().await;
        house.command(&incident, "acknowledge", &json!({})).await.ok(200);
        house.look("Inodes", DISK, Critical, true).await;
        house.look("Latency", DISK, Critical, true).await;
        house.advance(10).await;
        assert_eq!(house.pages().await.len(), 2, "what joins together is one page");
        house.advance(300).await;
        house.look("Errors", DISK, Critical, true).await;
        house.advance(10).await;
        assert_eq!(house.pages().await.len(), 3);
    }
}

#[tokio::test]
async fn what_comes_and_goes_is_told_once() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        for _ in 0..6 {
            house.look("Edge", DISK, Critical, true).await;
            house.advance(30).await;
            house.look("Edge", DISK, Critical, false).await;
            house.advance(30).await;
        }
        // The first three turns are told; with the fourth it is known to flap, and its incident stays open.
        assert_eq!(house.pages().await.len(), 7);
        assert_eq!(house.open().await.len(), 1);
        house.advance(600).await;
        assert!(house.open().await.is_empty());
        assert_eq!(house.pages().await.len(), 8);
    }
}

/// Muted, its incident resolved by a person, and still so when the silence ends: somebody must learn of it.
#[tokio::test]
async fn what_still_holds_after_a_silence_opens_its_incident_again() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("DiskFull", DISK, Critical, true).await;
        let incident = house.one().await;
        let ends = house.kernel().clock.now() + jiff::SignedDuration::from_secs(3_600);
        let silence = json!({
            "matchers": [{ "name": "instance", "op": "=", "value": "db-1" }], "comment": "x", "ends_at": ends.to_string(),
        });
        house.post("/api/v1/silences", &silence).await.ok(201);
        house.settle().await;
        house
            .command(&incident, "resolve", &json!({ "note": "later" }))
            .await
            .ok(200);
        assert!(house.open().await.is_empty());
        house.advance(3_600).await;
        assert_eq!(house.one().await["id"], incident["id"]);
    }
}

#[tokio::test]
async fn runbooks_are_attached_by_rules_and_by_their_own_triggers() {
    let text = "\
name: grow-disk
description: Makes room
targets: kind=host
triggers:
  - alert: Disk*
    labels:
      instance: db-1
steps:
  - name: done
    script: echo done
";
    for house in houses(Settings::default()).await {
        house.shop().await;
        let mut tx = house.kernel().db.write().await.unwrap();
        let id = automation::RunbookId::new();
        let sql = "INSERT INTO runbook (id, name, text, is_enabled, updated_by, updated_by_name, updated_at, version) \
            VALUES ($1, 'grow-disk', $2, 1, 'x', 'x', 0, 1)";
        sqlx::query(sql)
            .bind(id.as_str().to_owned())
            .bind(text)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        house.look("DiskFull", DISK, Critical, true).await;
        let incident = house.one().await;
        let named = incident["runbooks"].as_array().unwrap().iter();
        let named: Vec<&str> = named.map(|r| r["name"].as_str().unwrap()).collect();
        let is_read = automation::parse_document(text);
        assert!(is_read.is_ok(), "{is_read:?}");
        assert_eq!(named, ["mend", "grow-disk"]);
    }
}
