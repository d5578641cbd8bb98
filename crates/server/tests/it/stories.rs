//! Operational stories, from the fault to its end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::disk::Disk;
use crate::house::{House, Plan, Service, unique};
use crate::remote::{Agent, Line};

/// A service stops: an incident, a page, a person starts the runbook that is offered, and the incident ends by itself with its story.
#[tokio::test]
async fn a_stopped_service_is_paged_mended_and_closed() {
    for plan in Plan::both().await {
        stopped_service(&House::built(plan).await).await;
    }
}

async fn stopped_service(house: &House) {
    let name = unique("shop");
    let mut service = Service::start(house, &name);
    house.watch(&[&name]).await;
    let text = format!(
        "name: Start the shop\nrisk: low\ninputs:\n  service: {{ pattern: \"[a-z0-9]+\" }}\n\
         triggers:\n  - alert: ServiceDown\n    inputs: {{ service: \"{{{{ alert.labels.name }}}}\" }}\n    mode: ask\n\
         steps:\n  - name: Look\n    command: [sh, -c, \"echo looking at $INPUT_SERVICE\"]\n  \
         - name: Start\n    script: |\n      setsid '{}' 1000 >/dev/null 2>&1 </dev/null &\n      ln -sfn /proc/$! '{}'/proc/$!\n  \
         - name: Up again\n    wait: {{ query: 'mainstay_service_up{{name=\"{{{{ inputs.service }}}}\"}} == 1', every: 1s }}\n    timeout: 1m\n",
        service.program().display(),
        house.host.root().display(),
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
    // What an alert asks for is for the incident of the alert.
    let own = format!("/api/v1/runs?incident_id={id}");
    house
        .until("the run of the incident", &own, |body| {
            (body["items"][0]["id"] == run.as_str()).then_some(())
        })
        .await;
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
    let house = House::built(Plan {
        is_this_machine: true,
        ..Plan::default()
    })
    .await;
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

/// A real file system fills: told with the sample that shows it, over when there is room again.
#[tokio::test]
async fn a_disk_that_fills_is_an_incident_until_there_is_room() {
    let house = House::up().await;
    let point = "/shop";
    let Some(disk) = Disk::mounted(&house.host.mount_point("shop"), 64) else {
        return;
    };
    let path = format!("/api/v1/query?query=node_filesystem_avail_bytes%7Bmountpoint%3D%22{point}%22%7D");
    let value = |body: &Value| body["data"]["result"][0]["value"][1].as_str().map(str::to_owned);
    house.until("the disk's samples", &path, value).await;
    let filler = disk.fill(0);
    house.until_paged(point, 1).await;
    let incident = house.open_incidents(point).await.remove(0);
    let incident = house
        .get(&format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap()))
        .await;
    assert_eq!(incident["alerts"][0]["name"], "DiskFull", "{incident}");
    std::fs::remove_file(filler).unwrap();
    house
        .until("the end of the incident", "/api/v1/incidents", |body| {
            let all = body["items"].as_array()?;
            let ours = |i: &&Value| i["title"].as_str().is_some_and(|title| title.contains(point));
            all.iter()
                .filter(ours)
                .all(|i| i["state"] == "resolved")
                .then_some(())
        })
        .await;
}

/// A host is cut off: one incident. It comes back: what it saw meanwhile arrives, the time without word is marked, the incident ends.
#[tokio::test]
async fn a_host_that_is_cut_off_comes_back_with_its_samples() {
    let (mut line, listener) = Line::new().await;
    let house = House::built(Plan {
        is_alone: true,
        config: format!(
            "[fleet]\naddresses = [\"{}\"]\nstart_grace_ms = 0\n",
            line.address()
        ),
        ..Plan::default()
    })
    .await;
    line.lead_to(listener, house.agent_address());
    let _agent = Agent::join(&house).await;
    let count = "/api/v1/query?query=count_over_time(node_load1%5B10s%5D)";
    let samples = |body: &Value| {
        let value = body["data"]["result"][0]["value"][1].as_str()?;
        value.parse::<f64>().ok()
    };
    house
        .until("a sample a second", count, |body| {
            samples(body).filter(|n| *n >= 9.0)
        })
        .await;
    line.cut();
    house.until_paged("is down", 1).await;
    // Long enough for a hole that no staleness could hide.
    tokio::time::sleep(Duration::from_secs(8)).await;
    line.mend();
    house
        .until("the end of the incident", "/api/v1/incidents", |body| {
            let all = body["items"].as_array()?;
            all.iter().all(|i| i["state"] == "resolved").then_some(())
        })
        .await;
    let whole = "/api/v1/query?query=count_over_time(node_load1%5B20s%5D)";
    house
        .until("the spooled samples", whole, |body| {
            samples(body).filter(|n| *n >= 19.0)
        })
        .await;
    let gap = house
        .until("the return", "/api/v1/events?topic=agent.returned", |body| {
            body["items"][0]["data"]["gap_s"].as_i64()
        })
        .await;
    assert!(gap >= 8, "{gap} s without word");
    let incidents = house.get("/api/v1/incidents").await;
    assert_eq!(
        incidents["items"].as_array().unwrap().len(),
        1,
        "a host that is cut off is one incident: {incidents}"
    );
}
