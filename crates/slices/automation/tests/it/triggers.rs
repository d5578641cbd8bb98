//! What starts runbooks by itself: alerts within guard rails, and schedules.

use jiff::{SignedDuration, Timestamp};
use kernel::{Clock, Event};
use serde_json::{Value, json};

use crate::kit::{House, until};
use crate::robot::Fate;

fn runbook(mode: &str, more: &str) -> String {
    format!(
        "name: Mend\nrisk: low\ninputs:\n  service: {{ pattern: \"[a-z]+\" }}\nmax_targets: 2\n\
         triggers:\n  - alert: Service*\n    labels: {{ env: prod }}\n    mode: {mode}\n    \
         inputs: {{ service: \"{{{{ alert.labels.name }}}}\" }}\n{more}\
         steps:\n  - name: A\n    command: [mend, \"{{{{ inputs.service }}}}\", \"{{{{ alert.labels.instance }}}}\"]\n"
    )
}

fn alert(n: u32, name: &str, labels: &Value) -> Value {
    let mut all = json!({ "alertname": name, "env": "prod", "name": "nginx", "instance": "web-1" });
    for (key, value) in labels.as_object().unwrap() {
        all[key] = value.clone();
    }
    json!({ "alert_id": format!("alr_{n}"), "fingerprint": format!("f{n}"), "name": name, "labels": all })
}

impl House {
    async fn fire(&self, n: u32, name: &str, labels: Value) {
        self.say("alert.fired", &format!("alr_{n}"), alert(n, name, &labels))
            .await;
    }

    /// Why something was not started, the `count`th time.
    async fn held_back(&self, count: usize) -> String {
        let event = self.event("run.held_back", count).await;
        event.data["reason"].as_str().unwrap().to_owned()
    }

    async fn only_run(&self) -> Value {
        let list = until("a run", async || {
            let list = self.get("/api/v1/runs").await;
            list["items"].get(0).is_some().then_some(list)
        })
        .await;
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list:#}");
        list["items"][0].clone()
    }

    /// Waits until the mark of the schedule is of a clock that is right.
    async fn mark_before(&self, then: &str) {
        let then: Timestamp = then.parse().unwrap();
        until("the mark is set back", async || {
            (self.schedule_mark().await < then.as_microsecond()).then_some(())
        })
        .await;
    }

    async fn seq_of(&self, topic: &str) -> Event {
        self.event(topic, 1).await
    }
}

#[tokio::test]
async fn an_alert_starts_a_run_with_its_labels_as_inputs() {
    for house in House::both().await {
        let one = house.robot(1).await;
        house.robot(2).await;
        house.runbook(&runbook("run", "")).await;
        house.fire(1, "Other", json!({})).await;
        house.fire(2, "ServiceDown", json!({ "env": "test" })).await;
        house.fire(3, "ServiceDown", json!({})).await;
        let run = house.only_run().await;
        let done = house.until(run["id"].as_str().unwrap(), "succeeded").await;
        assert_eq!(
            (&done["source"], &done["alert_id"]),
            (&json!("alert"), &json!("alr_3"))
        );
        assert_eq!(one.begun(), ["mend nginx web-1"], "steps name the alert too");
        let fired = house.events("alert.fired").await;
        let requested = house.seq_of("run.requested").await;
        assert_eq!(requested.cause, Some(fired[2].seq), "the causal chain");
        assert!(house.events("run.held_back").await.is_empty());
    }
}

#[tokio::test]
async fn a_run_that_asks_waits_for_a_person_and_not_for_ever() {
    for house in House::both_at(Clock::fake(Clock::System.now())).await {
        let one = house.robot(1).await;
        house.runbook(&runbook("ask", "")).await;
        house.fire(1, "ServiceDown", json!({})).await;
        let run = house.only_run().await;
        let id = run["id"].as_str().unwrap();
        let waiting = house.until(id, "awaiting_person").await;
        assert_eq!(waiting["note"], "ServiceDown fired: start it?");
        assert!(one.begun().is_empty());
        house.steer(id, "approve").await.ok(200);
        house.until(id, "succeeded").await;
        assert_eq!(one.begun(), ["mend nginx web-1"]);
        house.clock.advance(SignedDuration::from_mins(11));
        house.fire(1, "ServiceDown", json!({})).await;
        let second = house.event("run.waiting", 2).await.subject;
        house.clock.advance(SignedDuration::from_hours(25));
        let done = house.until(&second, "rejected").await;
        assert_eq!(done["note"], "nobody answered in time");
        assert_eq!(one.begun().len(), 1);
    }
}

#[tokio::test]
async fn a_dry_run_comes_first_where_it_is_wished() {
    for house in House::both().await {
        let one = house.robot(1).await;
        house.runbook(&runbook("dry_run", "")).await;
        house.fire(1, "ServiceDown", json!({})).await;
        let run = house.only_run().await;
        let done = house.until(run["id"].as_str().unwrap(), "succeeded").await;
        assert_eq!(done["is_dry"], true);
        assert_eq!(done["tasks"][0]["note"], "would run mend nginx web-1");
        assert!(one.begun().is_empty());
        assert!(house.events("change.").await.is_empty());
    }
}

#[tokio::test]
async fn guard_rails_hold_back_what_comes_too_often_or_reaches_too_far() {
    for house in House::both_at(Clock::fake(Clock::System.now())).await {
        let one = house.robot(1).await;
        for n in 2..=3 {
            house.robot(n).await;
        }
        let rails = "    cooldown: 10m\n    max_per_hour: 3\n";
        house.runbook(&runbook("run", rails)).await;
        house.fire(1, "ServiceDown", json!({})).await;
        house.event("run.finished", 1).await;
        house.clock.advance(SignedDuration::from_mins(5));
        house.fire(1, "ServiceDown", json!({})).await;
        assert_eq!(
            house.held_back(1).await,
            "it was started for this 300 s ago; the cooldown is 600 s"
        );
        house.clock.advance(SignedDuration::from_mins(6));
        house.fire(1, "ServiceDown", json!({})).await;
        house.event("run.finished", 2).await;
        house.fire(2, "ServiceSlow", json!({})).await;
        house.event("run.finished", 3).await;
        house.fire(3, "ServiceSlow", json!({})).await;
        let reason = house.held_back(2).await;
        assert!(
            reason.contains("3 times in the last hour; the limit is 3"),
            "{reason}"
        );
        house.clock.advance(SignedDuration::from_hours(2));
        let mut flapping = alert(4, "ServiceDown", &json!({}));
        flapping["flapping"] = json!(true);
        house.say("alert.fired", "alr_4", flapping).await;
        assert!(house.held_back(3).await.contains("flaps"));
        house.fire(5, "ServiceDown", json!({ "name": "a b; rm" })).await;
        assert!(
            house
                .held_back(4)
                .await
                .contains("inputs.service: does not match")
        );
        house
            .fire(6, "ServiceDown", json!({ "instance": "web-1\" name=\"*" }))
            .await;
        assert!(
            house
                .held_back(5)
                .await
                .contains("nothing that you may see matches")
        );
        // A label is a name, never a pattern.
        house.fire(7, "ServiceDown", json!({ "instance": "web-*" })).await;
        assert!(
            house
                .held_back(6)
                .await
                .contains("nothing that you may see matches")
        );
        assert_eq!(one.begun().len(), 3);
        assert_eq!(house.events("run.requested").await.len(), 3);
        assert_eq!(house.parked().await, 0);
    }
}

#[tokio::test]
async fn the_label_of_an_alert_is_no_pattern() {
    for house in House::both().await {
        house.robot(1).await;
        let text = "name: Reach\nrisk: low\ninputs:\n  hosts: { type: glob }\n  tier: { type: glob }\n\
            targets: 'kind=host name={{ inputs.hosts }}'\n\
            triggers:\n  - alert: Service*\n    mode: run\n    \
            inputs: { hosts: \"{{ alert.labels.instance }}\", tier: \"web-*\" }\n\
            steps:\n  - name: A\n    command: [echo]\n";
        house.runbook(text).await;
        house.fire(1, "ServiceDown", json!({ "instance": "*" })).await;
        let why = house.held_back(1).await;
        assert!(why.contains("`hosts`") && why.contains("no patterns"), "{why}");
        // What the author wrote may be one.
        house.fire(2, "ServiceDown", json!({})).await;
        house.only_run().await;
    }
}

#[tokio::test]
async fn the_blast_radius_and_the_number_of_open_runs_are_limited() {
    for house in House::both_at(Clock::fake(Clock::System.now())).await {
        let mut robots = Vec::new();
        for n in 1..=3 {
            robots.push(house.robot_with(n, &[], None, |_, _| Fate::Hold).await);
        }
        let rails = "    max_active: 2\n    max_per_hour: 100\ntargets: \"kind=host name={{ alert.labels.instance }}{% if alert.labels.instance == 'web' %}-*{% endif %}\"\n";
        house.runbook(&runbook("run", rails)).await;
        house.fire(1, "ServiceDown", json!({ "instance": "web" })).await;
        let reason = house.held_back(1).await;
        assert!(
            reason.contains("matches 3 targets and the runbook allows 2"),
            "{reason}"
        );
        house.fire(2, "ServiceDown", json!({})).await;
        house.fire(3, "ServiceDown", json!({ "instance": "web-2" })).await;
        robots[0].until_begun("mend nginx web-1", 1).await;
        robots[1].until_begun("mend nginx web-2", 1).await;
        house.fire(4, "ServiceDown", json!({ "instance": "web-3" })).await;
        let reason = house.held_back(2).await;
        assert_eq!(reason, "2 runs of it by alerts have not ended; the limit is 2");
        house.clock.advance(SignedDuration::from_mins(11));
        house.fire(2, "ServiceDown", json!({})).await;
        assert_eq!(house.held_back(3).await, "a run for this has not ended");
        robots[0].release("mend nginx web-1", 0);
        house.event("run.finished", 1).await;
        house.fire(4, "ServiceDown", json!({ "instance": "web-3" })).await;
        robots[2].until_begun("mend nginx web-3", 1).await;
        assert_eq!(robots[2].begun().len(), 1);
    }
}

#[tokio::test]
async fn a_freeze_holds_back_alerts_unless_it_allows_remediation() {
    for house in House::both().await {
        let one = house.robot(1).await;
        house.runbook(&runbook("run", "    cooldown: 1ms\n")).await;
        let freeze = |allows: bool| {
            let now = house.clock.now();
            json!({ "title": "Peak", "starts_at": now, "allows_remediation": allows,
                "ends_at": now.checked_add(SignedDuration::from_hours(1)).unwrap() })
        };
        let made = house.post("/api/v1/freezes", &freeze(false)).await.ok(200);
        house.fire(1, "ServiceDown", json!({})).await;
        assert!(
            house
                .held_back(1)
                .await
                .contains("the freeze \"Peak\" covers web-1")
        );
        assert!(one.begun().is_empty());
        let end = format!("/api/v1/freezes/{}/end", made["id"].as_str().unwrap());
        house.post(&end, &Value::Null).await.ok(204);
        house.post("/api/v1/freezes", &freeze(true)).await.ok(200);
        house.fire(1, "ServiceDown", json!({})).await;
        house.event("run.finished", 1).await;
        assert_eq!(one.begun().len(), 1);
    }
}

const HOURLY: &str = "name: Hourly\nrisk: low\ninputs: { who: {} }\ntriggers:\n  - schedule: \"0 * * * *\"\n    inputs: { who: cron }\n\
    steps:\n  - name: T\n    notify: { title: \"hello {{ inputs.who }}\" }\n";

#[tokio::test]
async fn a_schedule_starts_once_each_time_and_not_for_times_long_missed() {
    let start: Timestamp = "2026-03-01T10:30:00Z".parse().unwrap();
    for house in House::both_at(Clock::fake(start)).await {
        let id = house.runbook(HOURLY).await;
        let advance = |minutes: i64| house.clock.advance(SignedDuration::from_mins(minutes));
        let count = async || house.events("run.requested").await.len();
        advance(30);
        house.event("run.finished", 1).await;
        assert_eq!(house.only_run().await["inputs"], json!({ "who": "cron" }));
        // Killed and started again within the same minute.
        house.kill_and_start().await;
        advance(30);
        house.kill_and_start().await;
        // Down over 12:00 by four minutes: made up for. Down over 13:00 by twenty: left out.
        house.kill().await;
        advance(34);
        house.start().await;
        house.event("run.finished", 2).await;
        house.kill().await;
        advance(76);
        house.start().await;
        advance(40);
        house.event("run.finished", 3).await;
        let reasons: Vec<String> = house
            .events("change.requested")
            .await
            .iter()
            .map(|event| event.data["reason"].as_str().unwrap().to_owned())
            .collect();
        let due = ["11:00", "12:00", "14:00"].map(|at| format!("scheduled for 2026-03-01T{at}:00Z"));
        assert_eq!(reasons, due);
        // Changing a runbook does not make up for what came before.
        advance(55);
        let path = format!("/api/v1/runbooks/{id}");
        let off = json!({ "text": HOURLY, "version": 1, "is_enabled": false });
        house.send("PUT", &path, &off, &[]).await.ok(200);
        advance(10);
        let on = json!({ "text": HOURLY, "version": 2 });
        house.send("PUT", &path, &on, &[]).await.ok(200);
        house.kill_and_start().await;
        advance(56);
        house.event("run.finished", 4).await;
        assert_eq!(count().await, 4, "nothing for 15:00");
        assert_eq!(house.parked().await, 0);
    }
}

#[tokio::test]
async fn two_servers_start_a_schedule_once() {
    let start: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
    let house = House::postgres_at(Clock::fake(start)).await;
    house.runbook(HOURLY).await;
    let other = house.twin().await;
    for hour in 1..=4 {
        house.clock.advance(SignedDuration::from_hours(1));
        house.event("run.finished", hour).await;
    }
    assert_eq!(house.events("run.requested").await.len(), 4);
    drop(other);
}

/// The clock ran a day ahead, the schedule was started by it, and the clock was set back.
#[tokio::test]
async fn a_clock_that_ran_ahead_does_not_silence_a_schedule() {
    let start: Timestamp = "2026-03-01T10:30:00Z".parse().unwrap();
    for house in House::both_at(Clock::fake(start)).await {
        house.runbook(HOURLY).await;
        house.clock.advance(SignedDuration::from_mins(23 * 60 + 31));
        house.event("run.finished", 1).await;
        house.clock.advance(SignedDuration::from_hours(-24));
        house.mark_before("2026-03-01T10:02:00Z").await;
        house.clock.advance(SignedDuration::from_mins(60));
        house.event("run.finished", 2).await;
        house.clock.advance(SignedDuration::from_hours(1));
        house.event("run.finished", 3).await;
        let reasons: Vec<String> = house
            .events("change.requested")
            .await
            .iter()
            .map(|event| event.data["reason"].as_str().unwrap().to_owned())
            .collect();
        let due = ["02T10:00", "01T11:00", "01T12:00"].map(|at| format!("scheduled for 2026-03-{at}:00Z"));
        assert_eq!(reasons, due);
    }
}
