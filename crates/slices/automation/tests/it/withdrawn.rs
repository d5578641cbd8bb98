//! What an alert asked for does not outlive it.

use jiff::SignedDuration;
use kernel::Clock;
use serde_json::{Value, json};

use crate::kit::{House, until};
use crate::robot::Fate;

/// Restarts the database of the host that the alert names.
fn runbook(risk: &str, mode: &str) -> String {
    format!(
        "name: Restart the database\nrisk: {risk}\ntriggers:\n  - alert: DatabaseDown\n    mode: {mode}\n    cooldown: 1ms\n\
         steps:\n  - name: A\n    command: [restart]\n"
    )
}

fn alert(id: &str) -> Value {
    json!({ "alert_id": id, "fingerprint": "f1", "name": "DatabaseDown",
        "labels": { "instance": "web-1", "name": "postgresql" }, "annotations": { "summary": "the database is down" } })
}

async fn waiting(house: &House, count: usize) -> String {
    house.event("run.waiting", count).await.subject
}

#[tokio::test]
async fn what_waits_is_withdrawn_when_the_alert_resolves() {
    for (risk, mode) in [("low", "ask"), ("high", "run")] {
        for house in House::both().await {
            let one = house.robot(1).await;
            house.runbook(&runbook(risk, mode)).await;
            house.say("alert.fired", "alr_1", alert("alr_1")).await;
            let run = waiting(&house, 1).await;
            house.conditions.resolve("alr_1");
            house.say("alert.resolved", "alr_1", alert("alr_1")).await;
            let done = house.until(&run, "cancelled").await;
            assert_eq!(
                done["note"],
                "withdrawn: DatabaseDown has resolved, nothing more is to be done"
            );
            if let Some(change) = done["change_id"].as_str() {
                let path = format!("/api/v1/changes/{change}");
                assert_eq!(house.get(&path).await["state"], "cancelled");
                let word = json!({ "version": 2 });
                house
                    .send("POST", &format!("{path}/approve"), &word, &[("who", "bob")])
                    .await
                    .ok(409);
            }
            house.approve(&run).await.ok(409);
            assert!(one.begun().is_empty());
            assert_eq!(house.parked().await, 0);
        }
    }
}

/// The news of the resolve has not come yet, or never comes: it is asked before anything is done.
#[tokio::test]
async fn an_approval_asks_whether_the_alert_still_fires() {
    for house in House::both().await {
        let one = house.robot(1).await;
        house.runbook(&runbook("low", "ask")).await;
        house.say("alert.fired", "alr_1", alert("alr_1")).await;
        let run = waiting(&house, 1).await;
        house.conditions.resolve("alr_1");
        let refused = house.approve(&run).await.ok(409);
        assert!(
            refused["detail"].as_str().unwrap().contains("has resolved"),
            "{refused}"
        );
        assert_eq!(house.look(&run).await["state"], "cancelled");
        house
            .runbook(&runbook("high", "run").replace("Restart", "Rebuild"))
            .await;
        house.say("alert.fired", "alr_2", alert("alr_2")).await;
        let run = until("the run of the second alert", async || {
            let all = house.events("run.waiting").await;
            let own = all
                .iter()
                .find(|e| e.data["alert_id"] == "alr_2" && !e.data["change_id"].is_null());
            own.map(|event| event.subject.clone())
        })
        .await;
        house.conditions.resolve("alr_2");
        let change = house.look(&run).await["change_id"].clone();
        let path = format!("/api/v1/changes/{}/approve", change.as_str().unwrap());
        house
            .send("POST", &path, &json!({ "version": 1 }), &[("who", "bob")])
            .await
            .ok(200);
        house.until(&run, "cancelled").await;
        assert!(one.begun().is_empty());
    }
}

/// In line behind another run for hours, while the fault goes away.
#[tokio::test]
async fn a_run_in_line_asks_before_it_begins() {
    for house in House::both().await {
        let one = house
            .robot_with(1, &[], None, |label, _| {
                if label == "hold" { Fate::Hold } else { Fate::End(0) }
            })
            .await;
        let text = "name: Hold\nrisk: low\ntargets: kind=host\nsteps:\n  - name: A\n    command: [hold]\n";
        let holder = house.run(&house.runbook(text).await, json!({})).await;
        one.until_begun("hold", 1).await;
        house.runbook(&runbook("low", "run")).await;
        house.say("alert.fired", "alr_1", alert("alr_1")).await;
        let run = until("the run of the alert", async || {
            let all = house.events("run.requested").await;
            all.iter()
                .find(|e| e.data["alert_id"] == "alr_1")
                .map(|e| e.subject.clone())
        })
        .await;
        house.conditions.resolve("alr_1");
        one.release("hold", 0);
        house.until(&holder, "succeeded").await;
        house.until(&run, "cancelled").await;
        assert_eq!(one.begun(), ["hold"]);
    }
}

/// What it does once it has begun, verification included, it does to its end.
#[tokio::test]
async fn a_run_at_work_is_not_withdrawn() {
    for house in House::both().await {
        let one = house.robot_with(1, &[], None, |_, _| Fate::Hold).await;
        house.runbook(&runbook("low", "run")).await;
        house.say("alert.fired", "alr_1", alert("alr_1")).await;
        one.until_begun("restart", 1).await;
        let run = house.event("run.started", 1).await.subject;
        house.conditions.resolve("alr_1");
        house.say("alert.resolved", "alr_1", alert("alr_1")).await;
        one.release("restart", 0);
        house.until(&run, "succeeded").await;
    }
}

/// The message names what, where and why, and comes after that of the incident.
#[tokio::test]
async fn the_approval_request_names_service_host_alert_and_action() {
    for house in House::both_at(Clock::fake(Clock::System.now())).await {
        crate::runs::pager(&house).await;
        house.robot(1).await;
        house.runbook(&runbook("low", "ask")).await;
        house.say("alert.fired", "alr_1", alert("alr_1")).await;
        let run = waiting(&house, 1).await;
        assert!(house.pages().await.is_empty(), "not before its incident");
        house.clock.advance(SignedDuration::from_secs(11));
        let page = until("the message", async || house.pages().await.into_iter().next()).await;
        assert_eq!(page["title"], "Approval required: Restart the database on web-1");
        let text = page.to_string();
        for part in [
            "web-1: run restart",
            "DatabaseDown",
            "postgresql",
            "the database is down",
            run.as_str(),
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
