//! What goes wrong at night while something else is wrong already: each of these once paged nobody, or told what was not so.

use std::time::Duration;

use serde_json::{Value, json};

use crate::disk::Disk;
use crate::house::{House, Plan, Service, unique};
use crate::remote::Agent;

/// A second service stops while nobody has looked at the first: it is told of as well.
#[tokio::test]
async fn a_second_fault_during_an_open_incident_is_told() {
    let house = House::up().await;
    let names = [unique("first"), unique("second")];
    let mut services: Vec<Service> = names.iter().map(|name| Service::start(&house, name)).collect();
    house.watch(&[&names[0], &names[1]]).await;
    services[0].kill();
    house.until_paged(&names[0], 1).await;
    services[1].kill();
    let has_told = |page: &Value| page.to_string().contains(names[1].as_str());
    house.until_page("the second fault", has_told).await;
}

/// What an alert asked for is withdrawn when the alert ends: an approval hours later restarts nothing that is healthy.
#[tokio::test]
async fn an_approval_after_the_recovery_acts_on_nothing() {
    let house = House::up().await;
    let name = unique("base");
    let mut service = Service::start(&house, &name);
    house.watch(&[&name]).await;
    let mark = house.scratch("acted");
    let text = format!(
        "name: Restart the base\nrisk: low\ninputs:\n  service: {{ pattern: \"[a-z0-9]+\" }}\n\
         triggers:\n  - alert: ServiceDown\n    inputs: {{ service: \"{{{{ alert.labels.name }}}}\" }}\n    mode: ask\n\
         steps:\n  - name: Restart\n    script: touch '{}'\n",
        mark.display()
    );
    let (status, runbook) = house
        .call("POST", "/api/v1/runbooks", Some(&json!({ "text": text })))
        .await;
    assert_eq!(status, 200, "{runbook}");
    service.kill();
    let run = house
        .until("the waiting run", "/api/v1/runs?state=awaiting_person", |body| {
            body["items"][0]["id"].as_str().map(str::to_owned)
        })
        .await;
    service.restart();
    let path = format!("/api/v1/runs/{run}");
    house
        .until("the run to be withdrawn", &path, |body| {
            (body["state"] != "awaiting_person").then_some(())
        })
        .await;
    let (status, body) = house
        .call("POST", &format!("{path}/approve"), Some(&json!({})))
        .await;
    assert!(status == 409 || status == 422, "{status}: {body}");
    assert!(!mark.exists(), "the healthy service was acted on");
}

/// Opened again, an incident says in all its parts that it is open, and what people did to it is no suspect.
#[tokio::test]
async fn a_reopened_incident_is_open_in_all_its_parts() {
    let house = House::up().await;
    let name = unique("till");
    let mut service = Service::start(&house, &name);
    house.watch(&[&name]).await;
    service.kill();
    house.until_paged(&name, 1).await;
    let id = house.open_incidents(&name).await.remove(0)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/v1/incidents/{id}");
    service.restart();
    house
        .until("the end", &path, |body| {
            (body["state"] == "resolved").then_some(())
        })
        .await;
    service.kill();
    let incident = house
        .until("the reopening", &path, |body| {
            (body["state"] == "triggered").then(|| body.clone())
        })
        .await;
    assert!(incident["resolved_at"].is_null(), "{incident}");
    let opened = incident["reopened_at"]
        .as_str()
        .or(incident["opened_at"].as_str());
    let opened: kernel::Timestamp = opened.unwrap().parse().unwrap();
    let suspects = house.get(&format!("{path}/suspects")).await;
    let all = suspects["items"].as_array().or(suspects.as_array()).cloned();
    for suspect in all.unwrap_or_default() {
        if let Some(at) = suspect["at"].as_str() {
            let at: kernel::Timestamp = at.parse().unwrap();
            assert!(at <= opened, "a suspect from after the opening: {suspect}");
        }
    }
}

/// The disk under an agent's state fills while a command comes, and the agent is killed: what was begun is not begun again, what
/// cannot be noted is not begun, and with room again commands run as before.
#[tokio::test]
async fn a_torn_command_journal_on_a_full_disk_is_survived() {
    let house = House::built(Plan {
        is_alone: true,
        config: "[fleet]\nstart_grace_ms = 0\n".into(),
        ..Plan::default()
    })
    .await;
    let Some(disk) = Disk::mounted(&house.scratch("far-disk"), 24) else {
        return;
    };
    let mut agent = Agent::join_with(&house, None, disk.point().join("state")).await;
    let is_connected = |body: &Value| (body["items"][0]["presence"] == "connected").then_some(());
    house.until("the agent", "/api/v1/agents", is_connected).await;
    let marks = house.scratch("marks");
    let text = format!(
        "name: Leave a mark\nrisk: low\ninputs:\n  mark: {{ pattern: \"[a-z]+\" }}\ntargets: kind=host\nsteps:\n  \
         - name: Mark\n    script: echo \"$INPUT_MARK\" >> '{}'\n",
        marks.display()
    );
    let (status, made) = house
        .call("POST", "/api/v1/runbooks", Some(&json!({ "text": text })))
        .await;
    assert_eq!(status, 200, "{made}");
    let start = format!("/api/v1/runbooks/{}/runs", made["id"].as_str().unwrap());
    let run = async |mark: &str| {
        let body = json!({ "inputs": { "mark": mark }, "reason": "test" });
        let (status, run) = house.call("POST", &start, Some(&body)).await;
        assert!(status < 300, "{run}");
        format!("/api/v1/runs/{}", run["id"].as_str().unwrap())
    };
    let is_over = |body: &Value| {
        let state = body["state"].as_str()?;
        matches!(state, "succeeded" | "failed").then(|| state.to_owned())
    };
    let count = |mark: &str| {
        let text = std::fs::read_to_string(&marks).unwrap_or_default();
        text.lines().filter(|line| *line == mark).count()
    };
    let before = run("before").await;
    assert_eq!(house.until("the run before", &before, is_over).await, "succeeded");

    let filler = disk.fill(0);
    let during = run("during").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    agent.kill();
    std::fs::remove_file(filler).unwrap();
    agent.start();
    house.until("the run on the full disk", &during, is_over).await;
    assert!(count("during") <= 1, "a step was done twice");

    let after = run("after").await;
    assert_eq!(house.until("the run after", &after, is_over).await, "succeeded");
    assert_eq!((count("before"), count("after")), (1, 1));
}
