//! What people do with incidents, over HTTP.

use alerting::Severity::{Critical, Warning};
use incidents::Settings;
use serde_json::{Value, json};

use crate::parts::{House, houses};

async fn declared(house: &House, title: &str) -> Value {
    let body = json!({ "title": title, "severity": "sev2", "items": [], "description": "people write" });
    let made = house.post("/api/v1/incidents", &body).await.ok(201);
    house.settle().await;
    made
}

#[tokio::test]
async fn a_declared_incident_lives_by_its_people() {
    for house in houses(Settings::default()).await {
        let incident = declared(&house, "Checkout does not answer").await;
        assert_eq!(house.pages().await.len(), 1);
        for (verb, body, state) in [
            ("acknowledge", json!({ "note": "looking" }), "acknowledged"),
            ("mitigate", json!({}), "mitigated"),
            ("resolve", json!({ "note": "restarted it" }), "resolved"),
            ("close", json!({}), "closed"),
            ("reopen", json!({ "reason": "not yet" }), "triggered"),
        ] {
            let after = house.command(&incident, verb, &body).await.ok(200);
            assert_eq!(after["state"], state);
            let again = house.command(&incident, verb, &body).await.ok(200);
            assert_eq!(again["version"], after["version"], "{verb} twice is {verb} once");
        }
        house.command(&incident, "close", &json!({})).await.ok(409);
        house
            .command(&incident, "comment", &json!({ "text": " " }))
            .await
            .ok(422);
        let renamed = house
            .command(&incident, "rename", &json!({ "title": "Payments fail" }))
            .await
            .ok(200);
        assert_eq!(renamed["title"], "Payments fail");
    }
}

#[tokio::test]
async fn a_person_leads() {
    for house in houses(Settings::default()).await {
        let incident = declared(&house, "x").await;
        let problem = house
            .command(&incident, "assign", &json!({ "person": "per_nobody" }))
            .await
            .ok(422);
        assert_eq!(problem["errors"][0]["field"], "person");
        let none = house
            .command(&incident, "assign", &json!({ "person": null }))
            .await
            .ok(200);
        assert_eq!(none["lead"], Value::Null);
    }
}

#[tokio::test]
async fn stale_writes_are_refused() {
    for house in houses(Settings::default()).await {
        let incident = declared(&house, "x").await;
        let path = format!(
            "/api/v1/incidents/{}/acknowledge",
            incident["id"].as_str().unwrap()
        );
        let version = incident["version"].to_string();
        let seen = [("if-match", version.as_str())];
        house.send("POST", &path, &json!({}), &seen).await.ok(200);
        house.send("POST", &path, &json!({}), &seen).await.ok(412);
        house
            .send("POST", &path, &json!({}), &[("if-match", "x")])
            .await
            .ok(400);
    }
}

#[tokio::test]
async fn merging_by_hand_moves_alerts_and_story() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        let known = declared(&house, "Shop is slow").await;
        house.look("Load", &[("instance", "web-1")], Warning, true).await;
        let list = house.get("/api/v1/incidents?state=open&severity=sev3").await;
        let found = list["items"][0].clone();
        let into = json!({ "into": known["id"], "note": "same thing" });
        let merged = house.command(&found, "merge", &into).await.ok(200);
        assert_eq!(
            (merged["id"].clone(), merged["alert_count"].clone()),
            (known["id"].clone(), json!(1))
        );
        assert_eq!(merged["title"], "Shop is slow", "people have named it");
        house.command(&found, "merge", &into).await.ok(200);
        house.command(&found, "acknowledge", &json!({})).await.ok(409);
        house
            .command(&known, "merge", &json!({ "into": known["id"] }))
            .await
            .ok(422);
        let story = house
            .get(&format!(
                "/api/v1/incidents/{}/timeline?order=desc&limit=3",
                known["id"].as_str().unwrap()
            ))
            .await;
        assert_eq!(story["items"].as_array().unwrap().len(), 3);
        let next = story["next"].as_str().unwrap();
        let rest = house
            .get(&format!(
                "/api/v1/incidents/{}/timeline?order=desc&limit=500&cursor={next}",
                known["id"].as_str().unwrap()
            ))
            .await;
        let topics: Vec<&str> = story["items"]
            .as_array()
            .unwrap()
            .iter()
            .chain(rest["items"].as_array().unwrap())
            .map(|e| e["topic"].as_str().unwrap())
            .collect();
        for topic in ["alert.fired", "incident.merged", "incident.opened"] {
            assert!(topics.contains(&topic), "{topic} not in {topics:?}");
        }
        // Its alert ends; a declared incident waits for its people.
        house.look("Load", &[("instance", "web-1")], Warning, false).await;
        assert_eq!(house.open().await.len(), 1);
    }
}

#[tokio::test]
async fn a_role_for_one_team_sees_its_own() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house
            .look("DiskFull", &[("instance", "db-1")], Critical, true)
            .await;
        let incident = house.one().await;
        let path = format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap());
        let scoped = [("role", "operator"), ("team", "team_1")];
        house.send("GET", &path, &Value::Null, &scoped).await.ok(404);
        house
            .send("POST", &format!("{path}/acknowledge"), &json!({}), &scoped)
            .await
            .ok(404);
        let list = house
            .send("GET", "/api/v1/incidents", &Value::Null, &scoped)
            .await
            .ok(200);
        assert!(list["items"].as_array().unwrap().is_empty());
        house
            .send(
                "POST",
                &format!("{path}/acknowledge"),
                &json!({}),
                &[("role", "viewer")],
            )
            .await
            .ok(403);
    }
}

#[tokio::test]
async fn bad_questions_get_good_answers() {
    for house in houses(Settings::default()).await {
        let send = async |path: &str| house.send("GET", path, &Value::Null, &[]).await;
        send("/api/v1/incidents?state=wrong").await.ok(422);
        send("/api/v1/incidents?cursor=wrong!").await.ok(400);
        send("/api/v1/incidents/inc_none").await.ok(404);
        send("/api/v1/incidents/inc_none/timeline").await.ok(404);
        send("/api/v1/incidents/stats?from=2030-01-01T00:00:00Z&to=2020-01-01T00:00:00Z")
            .await
            .ok(422);
        for body in [
            json!({ "title": "", "severity": "sev2" }),
            json!({ "title": "x", "severity": "sev9" }),
            json!({ "title": "x", "severity": "sev2", "items": ["itm_none"] }),
        ] {
            house.post("/api/v1/incidents", &body).await.ok(422);
        }
    }
}
