//! Operational stories, from the fault to its end.

use serde_json::json;

use crate::house::{House, Service, unique};

/// A service stops: an incident, a page, a person starts the runbook that is offered, and the incident ends by itself with its story.
#[tokio::test]
async fn a_stopped_service_is_paged_mended_and_closed() {
    let house = House::up().await;
    let name = unique("shop");
    let mut service = Service::start(house.scratch("").as_path(), &name);
    house.watch(&[&name]).await;
    let text = format!(
        "name: Start the shop\nrisk: low\ninputs:\n  service: {{ pattern: \"[a-z0-9]+\" }}\n\
         triggers:\n  - alert: ServiceDown\n    inputs: {{ service: \"{{{{ alert.labels.name }}}}\" }}\n    mode: ask\n\
         steps:\n  - name: Look\n    command: [sh, -c, \"echo looking at $INPUT_SERVICE\"]\n  \
         - name: Start\n    script: setsid '{}' 1000 >/dev/null 2>&1 </dev/null &\n  \
         - name: Up again\n    wait: {{ query: 'mainstay_service_up{{name=\"{{{{ inputs.service }}}}\"}} == 1', every: 1s }}\n    timeout: 1m\n",
        service.program().display()
    );
    let (status, runbook) = house
        .call("POST", "/api/v1/runbooks", Some(&json!({ "text": text })))
        .await;
    assert_eq!(status, 200, "{runbook}");

    service.kill();
    house.until_paged(&name, 1).await;
    let incident = house.open_incidents(&name).await.remove(0);
    let id = incident["id"].as_str().unwrap();
    let (status, _) = house
        .call(
            "POST",
            &format!("/api/v1/incidents/{id}/acknowledge"),
            Some(&json!({})),
        )
        .await;
    assert_eq!(status, 200);
    let offered = house.get(&format!("/api/v1/incidents/{id}/runbooks")).await;
    assert_eq!(offered[0]["name"], "Start the shop", "{offered}");

    let run = house.until("the waiting run", "/api/v1/runs?state=awaiting_person", |body| {
        body["items"][0]["id"].as_str().map(str::to_owned)
    });
    let run = run.await;
    let (status, body) = house
        .call("POST", &format!("/api/v1/runs/{run}/approve"), Some(&json!({})))
        .await;
    assert_eq!(status, 200, "{body}");
    let path = format!("/api/v1/runs/{run}");
    let ended = house.until("the end of the run", &path, |body| {
        matches!(body["state"].as_str(), Some("succeeded" | "failed")).then(|| body.clone())
    });
    let ended = ended.await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let command = ended["tasks"][0]["command_id"].as_str().unwrap();
    let output = house.get(&format!("/api/v1/commands/{command}")).await;
    assert_eq!(output["exit_code"], 0, "{output}");

    house
        .until(
            "the incident to resolve",
            &format!("/api/v1/incidents/{id}"),
            |body| (body["state"] == "resolved").then_some(()),
        )
        .await;
    house.until_paged("esolved", 1).await;
    let timeline = house
        .get(&format!("/api/v1/incidents/{id}/timeline?limit=500"))
        .await;
    let topics: Vec<&str> = timeline["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["topic"].as_str())
        .collect();
    for topic in [
        "alert.fired",
        "incident.opened",
        "message.sent",
        "incident.acknowledged",
        "run.approved",
        "run.started",
        "alert.resolved",
        "incident.resolved",
    ] {
        assert!(topics.contains(&topic), "{topic} is not in {topics:?}");
    }
}

/// This machine is there within seconds: host, services, disks, charts, logs, its own figures.
#[tokio::test]
async fn a_newcomer_sees_this_machine() {
    let house = House::up().await;
    house
        .until("the host", "/api/v1/items?q=kind%3Dhost", |body| {
            body["items"][0]["name"].as_str().map(|_| ())
        })
        .await;
    house
        .until("disks", "/api/v1/items?q=kind%3Ddisk", |body| {
            body["items"][0]["name"].as_str().map(|_| ())
        })
        .await;
    for query in [
        "node_load1",
        "node_memory_MemAvailable_bytes",
        "node_cpu_seconds_total",
        "node_filesystem_avail_bytes",
    ] {
        house
            .until(query, &format!("/api/v1/query?query={query}"), |body| {
                body["data"]["result"][0]["value"][1].as_str().map(|_| ())
            })
            .await;
    }
    house
        .until(
            "1 s resolution",
            "/api/v1/query?query=count_over_time(node_load1%5B10s%5D)",
            |body| {
                let count: f64 = body["data"]["result"][0]["value"][1].as_str()?.parse().ok()?;
                (count >= 8.0).then_some(())
            },
        )
        .await;
    let page = reqwest::get(house.url()).await.unwrap();
    assert_eq!(page.status().as_u16(), 200);
    assert!(page.text().await.unwrap().contains("<!doctype html>"));
}
