//! Runbooks: checked with places, kept in versions, planned before they are run.

use serde_json::{Value, json};

use crate::kit::House;
use crate::robot::Fate;

const RESTART: &str = r#"name: Restart
inputs:
  service: { pattern: "[a-z]+" }
  count: { type: integer, min: 1, max: 3, default: "1" }
targets: "kind=host name=web-*"
strategy: { batch: 1 }
steps:
  - name: Look
    command: [look, "{{ inputs.service }}", "{{ target.name }}"]
  - name: Restart
    service: { name: "{{ inputs.service }}", action: restart }
  - name: Tell
    notify: { title: "{{ inputs.service }} is new" }
"#;

#[tokio::test]
async fn faults_are_told_with_their_places_and_nothing_is_kept() {
    for house in House::both().await {
        let text = "name: x\nsteps:\n  - name: a\n    comand: [ls]\n  - name: b\n    service: { name: s, action: bounce }\n";
        let checked = house
            .post("/api/v1/runbooks/validate", &json!({ "text": text }))
            .await
            .ok(200);
        let places: Vec<(u64, u64)> = checked["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| (e["line"].as_u64().unwrap(), e["column"].as_u64().unwrap()))
            .collect();
        assert_eq!(places, [(3, 5), (6, 33)], "{checked}");
        let refused = house
            .post("/api/v1/runbooks", &json!({ "text": text }))
            .await
            .ok(422);
        let first = refused["errors"][0]["message"].as_str().unwrap();
        assert!(first.starts_with("line 3, column 5: "), "{refused}");
        assert_eq!(house.get("/api/v1/runbooks").await, json!([]));
        let good = house
            .post("/api/v1/runbooks/validate", &json!({ "text": RESTART }))
            .await
            .ok(200);
        assert_eq!(good["errors"], json!([]));
        assert_eq!(good["steps"][1], json!({ "name": "Restart", "kind": "service" }));
        let huge = json!({ "text": "x".repeat(300_000) });
        house.post("/api/v1/runbooks/validate", &huge).await.ok(422);
    }
}

#[tokio::test]
async fn versions_stay_readable_and_a_stale_one_is_refused() {
    for house in House::both().await {
        let id = house.runbook(RESTART).await;
        let path = format!("/api/v1/runbooks/{id}");
        let second = RESTART.replace("name: Restart\ninputs", "name: Restart it\ninputs");
        let change = json!({ "text": second, "version": 1 });
        let changed = house.send("PUT", &path, &change, &[]).await.ok(200);
        assert_eq!(
            (&changed["version"], &changed["name"]),
            (&json!(2), &json!("Restart it"))
        );
        house.send("PUT", &path, &change, &[]).await.ok(412);
        let unread = json!({ "text": second });
        house.send("PUT", &path, &unread, &[]).await.ok(422);
        let versions = house.get(&format!("{path}/versions")).await;
        let numbers: Vec<&Value> = versions
            .as_array()
            .unwrap()
            .iter()
            .map(|v| &v["version"])
            .collect();
        assert_eq!(numbers, [2, 1]);
        let first = house.get(&format!("{path}/versions/1")).await;
        assert_eq!(first["text"], RESTART);
        let twin = json!({ "text": second });
        house.post("/api/v1/runbooks", &twin).await.ok(409);
        house.send("DELETE", &path, &Value::Null, &[]).await.ok(204);
        house.send("GET", &path, &Value::Null, &[]).await.ok(404);
        let topics: Vec<String> = house
            .events("runbook.")
            .await
            .into_iter()
            .map(|e| e.topic)
            .collect();
        assert_eq!(topics, ["runbook.created", "runbook.changed", "runbook.removed"]);
    }
}

#[tokio::test]
async fn a_plan_says_exactly_what_would_be_done_and_does_nothing() {
    for house in House::both().await {
        let (one, _two) = (house.robot(1).await, house.robot(2).await);
        let id = house.runbook(RESTART).await;
        let path = format!("/api/v1/runbooks/{id}/plan");
        let body = json!({ "inputs": { "service": "nginx" } });
        let plan = house.post(&path, &body).await.ok(200);
        assert_eq!(plan["waves"], json!([["web-1"], ["web-2"]]));
        let first = json!({ "target": "web-1", "what": "run look nginx web-1" });
        assert_eq!(plan["steps"][0]["on"][0], first);
        let last = json!([{ "target": "", "what": "tell people: nginx is new" }]);
        assert_eq!(plan["steps"][2]["on"], last);
        for topic in ["run.", "change.", "command."] {
            let told = house.events(topic).await;
            assert!(told.is_empty(), "a plan leaves no trace: {told:?}");
        }
        assert!(one.begun().is_empty());
        assert_eq!(house.post(&path, &body).await.ok(200)["hash"], plan["hash"]);
        let other = json!({ "inputs": { "service": "nginx" }, "targets": "name=web-2" });
        assert_ne!(house.post(&path, &other).await.ok(200)["hash"], plan["hash"]);
    }
}

#[tokio::test]
async fn inputs_are_typed_and_all_faults_are_told() {
    for house in House::both().await {
        house.robot(1).await;
        let id = house.runbook(RESTART).await;
        let path = format!("/api/v1/runbooks/{id}/runs");
        let bad = json!({ "inputs": { "service": "a; rm -rf /", "count": "9", "mood": "x" } });
        let refused = house.post(&path, &bad).await.ok(422);
        let fields: Vec<&str> = refused["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["field"].as_str().unwrap())
            .collect();
        assert_eq!(fields, ["inputs.mood", "inputs.service", "inputs.count"]);
        let nowhere = json!({ "inputs": { "service": "a" }, "targets": "name=nowhere" });
        let refused = house.post(&path, &nowhere).await.ok(422);
        assert_eq!(refused["errors"][0]["field"], "targets");
        let broken = json!({ "inputs": { "service": "a" }, "targets": "name=" });
        house.post(&path, &broken).await.ok(422);
        assert!(house.events("run.").await.is_empty());
    }
}

#[tokio::test]
async fn the_examples_that_come_with_the_house_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/runbooks");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let errors = automation::parse_document(&text).err();
            assert!(errors.is_none(), "{}: {errors:?}", path.display());
            read += 1;
        }
    }
    assert!(read > 0, "no examples in {folder}");
}

const TYPED: &str = r#"name: Typed
inputs:
  host: {}
  on: { type: boolean, default: "false" }
  n: { type: integer, default: "3" }
targets: "kind=host name={{ inputs.host }}"
steps:
  - name: If on
    when: inputs.on
    command: [echo, on]
  - name: If many
    when: inputs.n > 5
    command: [echo, "{{ inputs.n }}", "{{ inputs.on }}"]
"#;

#[tokio::test]
async fn inputs_have_types_and_name_one_thing_each() {
    for house in House::both().await {
        let _one = house.robot_with(1, &[], None, |_, _| Fate::Hold).await;
        let _two = house.robot_with(2, &[], None, |_, _| Fate::Hold).await;
        let path = format!("/api/v1/runbooks/{}/plan", house.runbook(TYPED).await);
        let plan = async |inputs: Value| house.post(&path, &json!({ "inputs": inputs })).await;
        let what = |plan: &Value, step: usize| plan["steps"][step]["on"][0]["what"].clone();
        let off = plan(json!({ "host": "web-1" })).await.ok(200);
        assert_eq!(what(&off, 0), "nothing, since not: inputs.on");
        assert_eq!(what(&off, 1), "nothing, since not: inputs.n > 5");
        let on = plan(json!({ "host": "web-1", "on": true, "n": 9 })).await.ok(200);
        assert_eq!(
            (what(&on, 0), what(&on, 1)),
            (json!("run echo on"), json!("run echo 9 true"))
        );
        for host in ["*", "web-1,web-2", "web-1 tag:a=b"] {
            let refused = plan(json!({ "host": host })).await.ok(422);
            let message = refused["errors"][0]["message"].as_str().unwrap();
            let is_said = message.contains("more than itself") || message.contains("matches");
            assert!(is_said, "{host}: {refused}");
        }
    }
}
