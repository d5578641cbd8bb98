//! What changed before it.

use alerting::Severity::{Critical, Warning};
use incidents::Settings;
use serde_json::{Value, json};

use crate::parts::{House, houses, houses_with_telemetry};

const API: &[(&str, &str)] = &[("instance", "web-1"), ("name", "api")];
const POSTGRES: &[(&str, &str)] = &[("instance", "db-1"), ("name", "postgres")];

fn titles(incident: &Value, list: &str) -> Vec<String> {
    let all = incident[list].as_array().unwrap().iter();
    all.map(|s| s["title"].as_str().unwrap().to_owned()).collect()
}

fn target(id: &inventory::ItemId) -> Value {
    json!([{ "item_id": id.as_str(), "name": "x" }])
}

async fn detail(house: &House, incident: &Value) -> Value {
    house
        .get(&format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap()))
        .await
}

/// What happened after the opening precedes the reopening, and only what precedes counts; what people did about it does not.
#[tokio::test]
async fn a_reopened_incident_looks_at_the_time_before_the_reopening() {
    for house in houses(Settings::default()).await {
        let shop = house.shop().await;
        let change =
            |title: &str| json!({ "title": title, "reason": "planned", "targets": target(&shop.postgres) });
        house.say("change.granted", "chg_1", &change("first")).await;
        house.advance(40).await;
        house.look("ApiErrors", API, Critical, true).await;
        let first = house.one().await;
        assert_eq!(titles(&first, "suspects"), ["Change: first"]);
        house.command(&first, "acknowledge", &json!({})).await.ok(200);
        house.advance(25).await;
        // Later acts are no suspects of what was there before them.
        house.say("change.granted", "chg_2", &change("second")).await;
        let own = json!({ "runbook": "Restart a service", "incident_id": first["id"], "targets": target(&shop.api) });
        house.say("run.started", "run_1", &own).await;
        assert_eq!(
            titles(&detail(&house, &first).await, "suspects"),
            ["Change: first"]
        );
        house.look("ApiErrors", API, Critical, false).await;
        house.advance(100).await;
        house.look("ApiErrors", API, Critical, true).await;
        let again = house.one().await;
        assert_eq!(again["id"], first["id"]);
        assert_eq!(titles(&again, "suspects"), ["Change: second", "Change: first"]);
        let evidence = again["suspects"][0]["evidence"].to_string();
        assert!(evidence.contains("100 s before the reopening"), "{evidence}");
        // All of it says the same: it is unacknowledged, and began with the reopening.
        let now = house.kernel().clock.now().to_string();
        assert_eq!(again["state"], "triggered");
        assert_eq!(again["reopened_at"], json!(now));
        assert_eq!(again["suspects_until"], json!(now));
        for field in ["acknowledged_at", "acknowledged_by", "resolved_at", "resolution"] {
            assert_eq!(again[field], Value::Null, "{field}");
        }
        let list = house.get("/api/v1/incidents?state=triggered").await;
        assert_eq!(list["items"][0]["reopened_at"], again["reopened_at"]);
    }
}

/// What an alert asked for, dry runs, and whatever follows from an alert are no suspects; no change found is an answer.
#[tokio::test]
async fn what_an_alert_caused_is_no_suspect() {
    for house in houses(Settings::default()).await {
        let shop = house.shop().await;
        let run = |more: Value| {
            let mut data = json!({ "runbook": "Restart", "targets": target(&shop.api), "source": "person", "is_dry": false });
            data.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            data
        };
        house.look("ApiErrors", API, Warning, true).await;
        let fired = house.events("alert.fired").await[0].seq;
        house.look("ApiErrors", API, Warning, false).await;
        house.advance(700).await;
        house
            .say(
                "run.started",
                "run_1",
                &run(json!({ "source": "alert", "alert_id": "alr_1" })),
            )
            .await;
        house
            .say("run.started", "run_2", &run(json!({ "is_dry": true })))
            .await;
        house
            .say(
                "change.granted",
                "chg_1",
                &run(json!({ "source": "alert", "title": "Restart" })),
            )
            .await;
        let mut tx = house.kernel().db.write().await.unwrap();
        let follows = kernel::NewEvent::new("run.started", "run_3", &run(json!({}))).caused_by(Some(fired));
        tx.append(&kernel::Actor::system("test"), follows).await.unwrap();
        tx.commit().await.unwrap();
        house.settle().await;
        house.advance(10).await;
        house.look("Latency", API, Critical, true).await;
        let incident = house.one().await;
        assert_eq!(titles(&incident, "suspects"), Vec::<String>::new());
        assert_eq!(incident["suspects_until"], incident["opened_at"]);
    }
}

#[tokio::test]
async fn a_change_and_its_run_are_one_suspect() {
    for house in houses(Settings::default()).await {
        let shop = house.shop().await;
        let change = json!({ "title": "Roll out 2.0", "reason": "planned", "targets": target(&shop.api) });
        house.say("change.granted", "chg_1", &change).await;
        house.advance(20).await;
        for (topic, state) in [("run.started", "running"), ("run.finished", "succeeded")] {
            let run = json!({ "runbook": "Roll out", "change_id": "chg_1", "state": state, "targets": target(&shop.api) });
            house.say(topic, "run_1", &run).await;
            house.advance(20).await;
        }
        house.look("ApiErrors", API, Critical, true).await;
        let incident = house.one().await;
        assert_eq!(titles(&incident, "suspects"), ["Run: Roll out"]);
        assert_eq!(incident["suspects"][0]["evidence"][0], "40 s before the opening");
    }
}

/// The thing that failed is no cause of its own failure.
#[tokio::test]
async fn what_failed_is_a_symptom() {
    for house in houses(Settings::default()).await {
        let shop = house.shop().await;
        let at = house.kernel().clock.now().to_string();
        let failed = json!({ "item": shop.postgres.as_str(), "name": "postgres", "host_name": "db-1", "state": "failed", "at": at });
        house
            .say("service.changed", shop.postgres.as_str(), &failed)
            .await;
        house.look("ServiceDown", POSTGRES, Critical, true).await;
        let incident = house.one().await;
        assert_eq!(titles(&incident, "suspects"), Vec::<String>::new());
        assert_eq!(titles(&incident, "symptoms"), ["postgres became failed"]);
        // For what needs it, and has no alert of its own yet, it is a suspect.
        house.look("ServiceDown", POSTGRES, Critical, false).await;
        house.look("ApiErrors", API, Critical, true).await;
        assert_eq!(titles(&house.one().await, "suspects"), ["postgres became failed"]);
    }
}

fn line(house: &House, program: &str, text: &str) -> logs::Record {
    logs::Record {
        at_ms: house.kernel().clock.now_ms(),
        labels: logs::Labels::new([("host", "db-1"), ("source", "journal"), ("program", program)]),
        severity: None,
        text: text.into(),
    }
}

#[tokio::test]
async fn who_stopped_the_unit_is_found_in_the_journal() {
    for house in houses_with_telemetry().await {
        let shop = house.shop().await;
        let telemetry = house.telemetry.clone().unwrap();
        let lines = vec![
            line(
                &house,
                "sshd",
                "Accepted publickey for ada from 192.0.2.7 port 4711 ssh2",
            ),
            line(
                &house,
                "sudo",
                "ben : TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/systemctl status postgres",
            ),
            line(
                &house,
                "sudo",
                "ada : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/systemctl stop postgres",
            ),
            line(&house, "systemd", "Stopped postgres.service."),
            line(&house, "cron", "(root) CMD (test -x /usr/sbin/anacron)"),
        ];
        telemetry.ingest_lines(lines).await.unwrap();
        let at = house.kernel().clock.now().to_string();
        let stopped = json!({ "item": shop.postgres.as_str(), "name": "postgres", "host_name": "db-1", "state": "inactive", "at": at });
        house
            .say("service.changed", shop.postgres.as_str(), &stopped)
            .await;
        house.advance(3).await;
        house.look("ServiceDown", POSTGRES, Critical, true).await;
        let incident = house.one().await;
        assert_eq!(titles(&incident, "suspects"), ["ada ran systemctl stop postgres"]);
        let evidence = incident["suspects"][0]["evidence"].to_string();
        assert!(evidence.contains("ada logged in from 192.0.2.7"), "{evidence}");
        let symptom = incident["symptoms"][0]["evidence"].to_string();
        assert!(symptom.contains("Stopped postgres.service."), "{symptom}");
    }
}

#[tokio::test]
async fn the_process_that_grew_is_a_suspect_where_memory_is_short() {
    for house in houses_with_telemetry().await {
        house.shop().await;
        let telemetry = house.telemetry.clone().unwrap();
        for step in 0..10_i32 {
            let t_ms = house.kernel().clock.now_ms();
            let gib = f64::from(1 << 30);
            let mut samples = Vec::new();
            let mut put = |pairs: &[(&str, &str)], value: f64| {
                let entry = telemetry::SeriesEntry::new("db-1", "mainstay", pairs.iter().copied());
                samples.push((entry, t_ms, value));
            };
            let memory = "mainstay_process_resident_memory_bytes";
            put(&[("__name__", "node_memory_MemTotal_bytes")], 16.0 * gib);
            put(
                &[("__name__", memory), ("name", "reports")],
                f64::from(step) * gib,
            );
            put(&[("__name__", memory), ("name", "postgres")], 4.0 * gib);
            telemetry.ingest_samples("db-1", samples).await.unwrap();
            house.advance(10).await;
        }
        house
            .look("MemoryShort", &[("instance", "db-1")], Critical, true)
            .await;
        let incident = house.one().await;
        assert_eq!(titles(&incident, "suspects"), ["reports grew by 9.0 GiB"]);
        assert_eq!(incident["suspects"][0]["kind"], "process");
    }
}

#[tokio::test]
async fn recent_changes_nearby_are_suspects_in_order() {
    for house in houses(Settings::default()).await {
        let shop = house.shop().await;
        let far = house.item("host", None, "far-1").await;
        let target = |id: &inventory::ItemId| json!([{ "item_id": id.as_str(), "name": "x" }]);
        let change = |title: &str, id: &inventory::ItemId| json!({ "title": title, "reason": "planned", "targets": target(id) });
        house
            .say("change.granted", "chg_1", &change("old change", &shop.postgres))
            .await;
        house.advance(5_000).await;
        house
            .say("change.granted", "chg_2", &change("far change", &far))
            .await;
        house
            .say("change.granted", "chg_3", &change("new index", &shop.postgres))
            .await;
        house.advance(40).await;
        house
            .look(
                "ApiErrors",
                &[("instance", "web-1"), ("name", "api")],
                Critical,
                true,
            )
            .await;
        let incident = house.one().await;
        let suspects = incident["suspects"].as_array().unwrap();
        let titles: Vec<&str> = suspects.iter().map(|s| s["title"].as_str().unwrap()).collect();
        assert_eq!(titles, ["Change: new index", "Change: old change"]);
        let evidence: Vec<&str> = suspects[0]["evidence"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e.as_str().unwrap())
            .collect();
        assert!(evidence.contains(&"40 s before the opening"), "{evidence:?}");
        assert!(evidence.contains(&"api needs postgres"), "{evidence:?}");
        assert!(suspects[0]["score"].as_f64().unwrap() > suspects[1]["score"].as_f64().unwrap());
        let id = incident["id"].as_str().unwrap();
        let own = json!({ "runbook": "mend", "incident_id": id, "targets": target(&shop.api) });
        house.say("run.started", "run_1", &own).await;
        let again = house.get(&format!("/api/v1/incidents/{id}")).await;
        assert_eq!(again["suspects"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn who_feels_it_is_told_with_the_way() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house
            .look(
                "ServiceDown",
                &[("instance", "db-1"), ("name", "postgres")],
                Critical,
                true,
            )
            .await;
        let incident = house.one().await;
        let impact = incident["impact"].as_array().unwrap();
        let api = impact.iter().find(|i| i["name"] == "api").unwrap();
        assert_eq!(
            (api["distance"].clone(), api["via"].clone()),
            (json!(1), json!("api needs postgres"))
        );
    }
}

#[tokio::test]
async fn a_release_on_several_hosts_is_one_suspect() {
    for house in houses(Settings::default()).await {
        for host in ["web-1", "web-2"] {
            let item = house.item("host", None, host).await;
            house.item("service", Some(&item), "api").await;
            let data = json!({ "host": host, "updated": ["api 1.0 → 1.1"], "added": [], "removed": [], "updated_count": 1 });
            house.say("package.changed", item.as_str(), &data).await;
        }
        house.advance(30).await;
        for host in ["web-1", "web-2"] {
            let labels = [("instance", host), ("name", "api")];
            house.look("ApiErrors", &labels, Critical, true).await;
        }
        let incident = house.one().await;
        let suspects = incident["suspects"].as_array().unwrap();
        assert_eq!(suspects.len(), 1, "{suspects:?}");
        assert_eq!(suspects[0]["title"], "api 1.0 → 1.1 on 2 hosts");
        assert!(
            suspects[0]["evidence"]
                .as_array()
                .unwrap()
                .contains(&json!("on web-1, web-2")),
            "{suspects:?}"
        );
    }
}
