//! Nothing goes on without the word that it needs, and only on the plan that the word was for.

use jiff::SignedDuration;
use kernel::Clock;
use serde_json::{Value, json};

use crate::client::tasks;
use crate::kit::House;
use crate::robot::Fate;

const ASKS: &str = "name: Asks\nrisk: low\ntargets: kind=host\nsteps:\n  - name: A\n    command: [first]\n  \
    - name: Sure?\n    approval: go on?\n    timeout: 300ms\n  - name: B\n    command: [second]\n";
const HIGH: &str = "name: High\nrisk: high\ntargets: kind=host\nsteps:\n  - name: A\n    command: [act]\n";

#[tokio::test]
async fn a_rejected_question_ends_the_run() {
    for house in House::both().await {
        let one = house.robot(1).await;
        let id = house.runbook(&ASKS.replace("300ms", "1h")).await;
        let run = house.run(&id, json!({})).await;
        house.until(&run, "awaiting_person").await;
        assert_eq!(house.lock_holder(&one.item).await.as_deref(), Some(run.as_str()));
        house.steer(&run, "reject").await.ok(200);
        let done = house.look(&run).await;
        assert_eq!(
            (&done["state"], &done["note"]),
            (&json!("rejected"), &json!("rejected by ann"))
        );
        assert_eq!(tasks(&done), ["0 web-1 ok", "1  failed"]);
        assert_eq!(one.begun(), ["first"]);
        assert_eq!(house.lock_holder(&one.item).await, None);
        house.steer(&run, "approve").await.ok(409);
        house.steer(&run, "reject").await.ok(409);
        house.steer(&run, "cancel").await.ok(409);
    }
}

/// An approval step is answered by a second person: neither who asked, nor a program.
#[tokio::test]
async fn who_asked_does_not_answer_their_own_approval_step() {
    for house in House::both().await {
        let one = house.robot(1).await;
        let id = house.runbook(&ASKS.replace("300ms", "1h")).await;
        let run = house.run(&id, json!({})).await;
        house.until(&run, "awaiting_person").await;
        house.steer(&run, "approve").await.ok(409);
        let path = format!("/api/v1/runs/{run}/approve");
        house
            .send("POST", &path, &Value::Null, &[("who", "svc")])
            .await
            .ok(409);
        assert_eq!(house.state(&run).await, automation::RunState::AwaitingPerson);
        assert_eq!(one.begun(), ["first"]);
        house.approve(&run).await.ok(200);
        house.until(&run, "succeeded").await;
        assert_eq!(one.begun(), ["first", "second"]);
    }
}

/// The rules are asked again before each wave, and when a run leaves the line.
#[tokio::test]
async fn a_freeze_stops_a_run_before_its_next_wave() {
    const WAVES: &str = "name: Waves\nrisk: medium\ntargets: kind=host\nstrategy: { batch: 1 }\nsteps:\n  - name: A\n    command: [act]\n";
    for house in House::both().await {
        let one = house.robot_with(1, &[], None, |_, _| Fate::Hold).await;
        let two = house.robot(2).await;
        let id = house.runbook(WAVES).await;
        let run = house.run(&id, json!({})).await;
        one.until_begun("act", 1).await;
        let in_line = house.run(&id, json!({ "targets": "name=web-1" })).await;
        let now = house.clock.now();
        let freeze = json!({ "title": "Peak", "starts_at": now,
            "ends_at": now.checked_add(SignedDuration::from_hours(1)).unwrap() });
        house.post("/api/v1/freezes", &freeze).await.ok(200);
        one.release("act", 0);
        let done = house.until(&run, "failed").await;
        let note = done["note"].as_str().unwrap();
        assert!(
            note.starts_with("stopped before wave 2 of 2: the freeze \"Peak\""),
            "{note}"
        );
        assert!(two.begun().is_empty());
        let late = house.look(&in_line).await;
        if late["state"] == "awaiting_approval" {
            return; // a collision asked for a person: it is not in line
        }
        let late = house.until(&in_line, "failed").await;
        assert!(
            late["note"]
                .as_str()
                .unwrap()
                .starts_with("not begun: the freeze"),
            "{late}"
        );
        assert_eq!(one.begun(), ["act"]);
    }
}

#[tokio::test]
async fn a_question_that_nobody_answers_ends_the_run() {
    for house in House::both().await {
        let one = house.robot(1).await;
        let run = house.run(&house.runbook(ASKS).await, json!({})).await;
        let done = house.until(&run, "failed").await;
        assert_eq!(done["note"], "nobody answered in time");
        assert_eq!(tasks(&done), ["0 web-1 ok", "1  failed"]);
        assert_eq!(one.begun(), ["first"]);
        assert_eq!(house.lock_holder(&one.item).await, None);
    }
}

#[tokio::test]
async fn high_risk_waits_for_a_second_person() {
    for house in House::both().await {
        let one = house.robot(1).await;
        let id = house.runbook(HIGH).await;
        let run = house.run(&id, json!({ "reason": "it leaks" })).await;
        let waiting = house.until(&run, "awaiting_approval").await;
        let path = format!("/api/v1/changes/{}", waiting["change_id"].as_str().unwrap());
        let change = house.get(&path).await;
        assert_eq!(change["plan_summary"], "web-1: run act");
        let approve = format!("{path}/approve");
        let word = json!({ "version": 1 });
        house.post(&approve, &word).await.ok(409);
        assert!(one.begun().is_empty());
        house
            .send("POST", &approve, &word, &[("who", "bob")])
            .await
            .ok(200);
        house.until(&run, "succeeded").await;
        assert_eq!(one.begun(), ["act"]);
        assert_eq!(house.get(&path).await["state"], "succeeded");
        assert_eq!(house.parked().await, 0);
    }
}

#[tokio::test]
async fn a_rejected_change_drops_its_run() {
    for house in House::both().await {
        let one = house.robot(1).await;
        let run = house.run(&house.runbook(HIGH).await, json!({})).await;
        let change = house.look(&run).await["change_id"].clone();
        let path = format!("/api/v1/changes/{}/reject", change.as_str().unwrap());
        let word = json!({ "version": 1, "note": "not today" });
        house.send("POST", &path, &word, &[("who", "bob")]).await.ok(200);
        let done = house.until(&run, "rejected").await;
        assert_eq!(done["note"], "rejected by bob");
        assert!(one.begun().is_empty());
    }
}

#[tokio::test]
async fn an_approval_holds_for_its_plan_alone() {
    for house in House::both().await {
        let one = house.robot(1).await;
        let id = house.runbook(HIGH).await;
        let runs = format!("/api/v1/runbooks/{id}/runs");
        // Somebody reads a plan; it is another one by the time that they start it.
        let plan = house
            .post(&format!("/api/v1/runbooks/{id}/plan"), &json!({}))
            .await
            .ok(200);
        let two = house.robot(2).await;
        let read = json!({ "plan_hash": plan["hash"] });
        house.post(&runs, &read).await.ok(412);
        assert!(house.events("run.").await.is_empty());
        let run = house.run(&id, json!({})).await;
        house.sql("UPDATE run SET plan_hash = 'another'").await;
        let change = house.look(&run).await["change_id"].clone();
        let path = format!("/api/v1/changes/{}/approve", change.as_str().unwrap());
        let word = json!({ "version": 1 });
        house.send("POST", &path, &word, &[("who", "bob")]).await.ok(200);
        let done = house.until(&run, "rejected").await;
        let note = done["note"].as_str().unwrap();
        assert!(note.contains("not the one that was approved"), "{note}");
        assert!(one.begun().is_empty() && two.begun().is_empty());
    }
}

#[tokio::test]
async fn a_change_that_nobody_decides_on_takes_its_run_along() {
    for house in House::both_at(Clock::fake(Clock::System.now())).await {
        let text = "name: Tell\nrisk: high\nsteps:\n  - name: T\n    notify: { title: hello }\n";
        let run = house.run(&house.runbook(text).await, json!({})).await;
        house.clock.advance(SignedDuration::from_hours(73));
        let done = house.until(&run, "rejected").await;
        assert!(
            done["note"]
                .as_str()
                .unwrap()
                .starts_with("nobody approved it until"),
            "{done}"
        );
        let path = format!("/api/v1/changes/{}", done["change_id"].as_str().unwrap());
        assert_eq!(house.get(&path).await["state"], "cancelled");
    }
}

#[tokio::test]
async fn a_freeze_and_a_closed_window_refuse_and_say_until_when() {
    for house in House::both_at(Clock::fake(Clock::System.now())).await {
        let one = house
            .robot_with(1, &[("env", "prod")], None, |_, _| Fate::End(0))
            .await;
        let now = house.clock.now();
        let freeze = json!({ "title": "Christmas", "tags": { "env": "prod" }, "starts_at": now,
            "ends_at": now.checked_add(SignedDuration::from_hours(1)).unwrap() });
        let made = house.post("/api/v1/freezes", &freeze).await.ok(200);
        let low = HIGH.replace("high", "low").replace("High", "Low");
        let runs = format!("/api/v1/runbooks/{}/runs", house.runbook(&low).await);
        let refused = house.post(&runs, &json!({})).await.ok(409);
        assert!(
            refused["detail"].as_str().unwrap().contains("Christmas"),
            "{refused}"
        );
        let list = house.get("/api/v1/runs").await;
        assert_eq!(list["items"], json!([]));
        assert_eq!(
            house.events("change.refused").await.len(),
            1,
            "the refusal is on record"
        );
        let end = format!("/api/v1/freezes/{}/end", made["id"].as_str().unwrap());
        house.post(&end, &Value::Null).await.ok(204);
        // A window on another day than today.
        let day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let zoned = now.to_zoned(jiff::tz::TimeZone::UTC);
        let other = day[(zoned.weekday().to_monday_zero_offset() as usize + 3) % 7];
        let window = json!({ "title": "Patch day", "days": [other], "start_minute": 60, "end_minute": 120, "time_zone": "UTC" });
        house.post("/api/v1/change-windows", &window).await.ok(200);
        let medium = HIGH.replace("high", "medium").replace("High", "Medium");
        let medium = format!("/api/v1/runbooks/{}/runs", house.runbook(&medium).await);
        let refused = house.post(&medium, &json!({})).await.ok(409);
        assert!(
            refused["detail"].as_str().unwrap().contains("Patch day"),
            "{refused}"
        );
        assert!(one.begun().is_empty());
        let answer = house.post(&runs, &json!({})).await.ok(200);
        house.until(answer["id"].as_str().unwrap(), "succeeded").await;
    }
}
