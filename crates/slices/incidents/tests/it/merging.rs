//! Incidents that may be one: two kinds of evidence merge, one kind is a candidate, and a person confirms, dismisses or splits.

use alerting::Severity::{Critical, Warning};
use incidents::Settings;
use serde_json::{Value, json};

use crate::parts::{House, houses};

const DISK: &[(&str, &str)] = &[("instance", "db-1"), ("mountpoint", "/data")];
const API: &[(&str, &str)] = &[("instance", "web-1"), ("name", "api")];
const POSTGRES: &[(&str, &str)] = &[("instance", "db-1"), ("name", "postgres")];

/// A full disk and errors of a service elsewhere, and then an alert that is on the host of the one and upstream of the other.
async fn two_and_a_third(house: &House) -> (Value, Value) {
    house.shop().await;
    house.look("DiskFull", DISK, Critical, true).await;
    house.look("ApiErrors", API, Critical, true).await;
    assert_eq!(house.open().await.len(), 2);
    house.look("ServiceDown", POSTGRES, Critical, true).await;
    let open = house.open().await;
    assert_eq!(open.len(), 2, "{open:#?}");
    (open[1].clone(), open[0].clone())
}

async fn detail(house: &House, incident: &Value) -> Value {
    house
        .get(&format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap()))
        .await
}

#[tokio::test]
async fn a_third_alert_does_not_merge_what_is_unrelated() {
    for house in houses(Settings::default()).await {
        let (disk, api) = two_and_a_third(&house).await;
        assert_eq!(
            (disk["title"].clone(), api["title"].clone()),
            (json!("DiskFull on db-1"), json!("ServiceDown on db-1"))
        );
        for (one, other) in [(&disk, &api), (&api, &disk)] {
            let candidates = detail(&house, one).await["candidates"].clone();
            assert_eq!(
                (candidates[0]["id"].clone(), candidates[0]["kind"].clone()),
                (other["id"].clone(), json!("same_host")),
                "{candidates:?}"
            );
        }
        let kinds: Vec<String> = house.pages().await.into_iter().map(|(kind, _)| kind).collect();
        assert!(!kinds.contains(&"incident_resolved".to_owned()), "{kinds:?}");
    }
}

#[tokio::test]
async fn a_person_confirms_a_candidate() {
    for house in houses(Settings::default()).await {
        let (disk, api) = two_and_a_third(&house).await;
        let path = format!("candidates/{}/confirm", disk["id"].as_str().unwrap());
        let into = house.command(&api, &path, &json!({})).await.ok(200);
        assert_eq!(
            (into["id"].clone(), into["alert_count"].clone()),
            (disk["id"].clone(), json!(3))
        );
        house.command(&api, &path, &json!({})).await.ok(200);
        let one = house.one().await;
        assert_eq!(one["candidates"], json!([]));
        // It is said where it went, and not that it is resolved: it fires.
        let pages = house.pages().await;
        let merged = pages
            .iter()
            .find(|(_, title)| title.contains("merged into #1"))
            .unwrap();
        assert_eq!(merged.0, "incident_updated");
        assert!(
            !pages.iter().any(|(kind, _)| kind == "incident_resolved"),
            "{pages:?}"
        );
    }
}

#[tokio::test]
async fn a_person_dismisses_a_candidate_for_good() {
    for house in houses(Settings::default()).await {
        let (disk, api) = two_and_a_third(&house).await;
        let path = format!("candidates/{}/dismiss", disk["id"].as_str().unwrap());
        house
            .command(&api, &path, &json!({ "note": "old logs" }))
            .await
            .ok(200);
        house.command(&api, &path, &json!({})).await.ok(200);
        house.look("Latency", POSTGRES, Critical, true).await;
        for one in [&disk, &api] {
            assert_eq!(detail(&house, one).await["candidates"], json!([]));
        }
        let nobody = format!(
            "candidates/{}/dismiss",
            "inc_0198f3b1-0000-7000-8000-000000000000"
        );
        house.command(&api, &nobody, &json!({})).await.ok(404);
        // Whoever may change only one of the two decides nothing.
        let full = format!("/api/v1/incidents/{}/{path}", api["id"].as_str().unwrap());
        let scoped = [("role", "operator"), ("team", "team_1")];
        house.send("POST", &full, &json!({}), &scoped).await.ok(404);
        house
            .send("POST", &full, &json!({}), &[("role", "viewer")])
            .await
            .ok(403);
    }
}

#[tokio::test]
async fn alerts_are_split_off() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("DiskFull", DISK, Critical, true).await;
        house.advance(30).await;
        house.look("ServiceDown", POSTGRES, Warning, true).await;
        let incident = house.one().await;
        let alerts = incident["alerts"].as_array().unwrap();
        let id = |name: &str| alerts.iter().find(|a| a["name"] == name).unwrap()["id"].clone();
        let made = house
            .command(
                &incident,
                "split",
                &json!({ "alerts": [id("DiskFull")], "note": "old logs" }),
            )
            .await
            .ok(201);
        assert_eq!(
            (
                made["title"].clone(),
                made["severity"].clone(),
                made["number"].clone()
            ),
            (json!("DiskFull on db-1"), json!("sev2"), json!(2))
        );
        let rest = detail(&house, &incident).await;
        assert_eq!(
            (
                rest["title"].clone(),
                rest["alert_count"].clone(),
                rest["alerts"][0]["role"].clone()
            ),
            (json!("ServiceDown on db-1"), json!(1), json!("root"))
        );
        house
            .command(&incident, "split", &json!({ "alerts": [id("ServiceDown")] }))
            .await
            .ok(422);
        house
            .command(&incident, "split", &json!({ "alerts": [id("DiskFull")] }))
            .await
            .ok(422);
        // Each ends with its own alerts, and the story of each is told.
        house.look("DiskFull", DISK, Critical, false).await;
        assert_eq!(house.one().await["id"], incident["id"]);
        let path = format!("/api/v1/incidents/{}/timeline", made["id"].as_str().unwrap());
        let story = house.get(&path).await;
        let topics: Vec<&str> = story["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["topic"].as_str().unwrap())
            .collect();
        for topic in ["alert.fired", "incident.split", "incident.resolved"] {
            assert!(topics.contains(&topic), "{topic} not in {topics:?}");
        }
    }
}

#[tokio::test]
async fn nothing_that_fires_is_called_resolved() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("DiskFull", DISK, Critical, true).await;
        let incident = house.one().await;
        let problem = house.command(&incident, "resolve", &json!({})).await.ok(409);
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .starts_with("still firing: DiskFull on db-1;"),
            "{problem}"
        );
        house.command(&incident, "mitigate", &json!({})).await.ok(200);
        house.look("DiskFull", DISK, Critical, false).await;
        assert!(house.open().await.is_empty());
    }
}
