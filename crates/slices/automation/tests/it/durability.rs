//! The server is killed wherever it stands, and the agent too: no step is lost, and none is done twice that may not be.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use automation::RunState;
use jiff::SignedDuration;
use kernel::Clock;
use serde_json::{Value, json};

use crate::client::tasks;
use crate::kit::{House, until};
use crate::robot::{Fate, Robot};

const LONG: &str = r#"name: Long
risk: low
targets: kind=host
strategy: { batch: BATCH }
steps:
  - name: A
    command: [a]
  - name: Restart
    service: { name: nginx, action: restart }
  - name: Sure?
    approval: go on?
  - name: Ready
    wait: { query: ready, every: 10ms }
  - name: Script
    script: b
  - name: Flaky
    command: [flaky]
    retries: 1
  - name: Tell
    notify: { title: done }
"#;

/// Two hosts, a channel, and a run that goes through every kind of state.
async fn long_run(house: &House, batch: usize) -> ([Robot; 2], String) {
    let channel = json!({ "name": "pager", "config": { "type": "webhook", "url": "http://127.0.0.1:9/" } });
    house.post("/api/v1/channels", &channel).await.ok(201);
    let fate = |label: &str, before: usize| Fate::End(i32::from(label == "flaky" && before == 0));
    let robots = [
        house.robot_with(1, &[], None, fate).await,
        house.robot_with(2, &[], None, fate).await,
    ];
    house.conditions.set("ready", Ok(vec![1.0]));
    let run = house
        .run(
            &house.runbook(&LONG.replace("BATCH", &batch.to_string())).await,
            json!({}),
        )
        .await;
    (robots, run)
}

impl House {
    /// Answers the run's question if it asks one. True when it has ended.
    async fn attend(&self, run: &str) -> bool {
        match self.state(run).await {
            RunState::AwaitingPerson => {
                self.approve(run).await;
                false
            }
            state => state.is_end(),
        }
    }

    /// What is durable of a run that has ended: everything once.
    async fn assert_everything_once(&self, robots: &[Robot; 2], run: &str) {
        let done = self.until(run, "succeeded").await;
        let mut found = tasks(&done);
        found.sort();
        let on_each = [0, 1, 3, 4, 5].map(|step| [format!("{step} web-1 ok"), format!("{step} web-2 ok")]);
        let mut wanted: Vec<String> = on_each.into_iter().flatten().collect();
        wanted.extend(["2  ok".to_owned(), "6  ok".to_owned()]);
        wanted.sort();
        assert_eq!(found, wanted);
        for robot in robots {
            assert_eq!(
                robot.begun(),
                ["a", "restart nginx", "b", "flaky", "flaky"],
                "{}",
                robot.name
            );
            assert_eq!(self.lock_holder(&robot.item).await, None);
        }
        let mut seen = BTreeSet::new();
        for event in self.events("run.step_finished").await {
            let key = ["step", "item_id", "attempt"].map(|field| event.data[field].to_string());
            assert!(seen.insert(key), "told twice: {:?}", event.data);
        }
        assert_eq!(seen.len(), 14, "12 tasks, two of them in two attempts");
        for topic in ["run.started", "run.finished", "run.approved", "change.finished"] {
            assert_eq!(self.events(topic).await.len(), 1, "{topic}");
        }
        let titles: Vec<Value> = self
            .events("message.queued")
            .await
            .iter()
            .map(|event| event.data["title"].clone())
            .collect();
        assert_eq!(titles, ["Approval required: Long on 2 targets", "done"]);
        assert_eq!(self.parked().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_every_event_a_run_goes_on() {
    for house in House::both().await {
        let (robots, run) = long_run(&house, 2).await;
        let (mut seen, mut kills) = (house.latest().await, 0);
        while !house.attend(&run).await {
            let newer = until("the next event", async || {
                let latest = house.latest().await;
                let is_over = house.state(&run).await.is_end();
                (latest > seen || is_over || house.state(&run).await == RunState::AwaitingPerson)
                    .then_some(latest)
            })
            .await;
            if newer > seen {
                // At the boundary itself, and a little into what comes after it.
                tokio::time::sleep(Duration::from_millis(kills % 4)).await;
                house.kill_and_start().await;
                kills += 1;
            }
            seen = house.latest().await.max(newer);
        }
        house.assert_everything_once(&robots, &run).await;
        assert!(kills >= 5, "only {kills} kills");
    }
}

/// Kills of one run; then it is left to end.
const KILLS: u32 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_a_run_goes_on() {
    for (house, seed) in House::both().await.into_iter().zip([1u64, 2]) {
        let (robots, run) = long_run(&house, 1).await;
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (mut kills, mut start) = (0, Duration::from_millis(100));
        while kills < KILLS && !house.attend(&run).await {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Some live too short to do anything, some long enough to do much, on a slow machine as well.
            tokio::time::sleep(start.mul_f64(1.5 * (random >> 33) as f64 / f64::from(1u32 << 31))).await;
            if house.state(&run).await != RunState::AwaitingPerson {
                house.kill().await;
                let began = Instant::now();
                house.start().await;
                start = began.elapsed();
                kills += 1;
            }
        }
        until("the end", async || house.attend(&run).await.then_some(())).await;
        house.assert_everything_once(&robots, &run).await;
        assert!(kills >= 3, "only {kills} kills");
    }
}

#[tokio::test]
async fn a_command_that_ends_while_the_server_is_away_is_heard_of() {
    for house in House::both().await {
        let one = house.robot_with(1, &[], None, |label, _| match label {
            "long" => Fate::Hold,
            _ => Fate::End(0),
        });
        let one = one.await;
        let text = "name: L\nrisk: low\ntargets: kind=host\nsteps:\n  - name: A\n    command: [long]\n  - name: B\n    command: [next]\n";
        let run = house.run(&house.runbook(text).await, json!({})).await;
        one.until_begun("long", 1).await;
        house.kill().await;
        one.release("long", 0);
        assert_eq!(house.state(&run).await, RunState::Running);
        house.start().await;
        house.until(&run, "succeeded").await;
        assert_eq!(one.begun(), ["long", "next"]);
    }
}

#[tokio::test]
async fn when_the_agent_dies_only_what_is_idempotent_begins_again() {
    for house in House::both().await {
        let one = house.robot_with(1, &[], None, |label, before| match (label, before) {
            ("safe" | "once", 0) => Fate::Die,
            _ => Fate::End(0),
        });
        let one = one.await;
        let text = "name: D\nrisk: low\ntargets: kind=host\nsteps:\n  - name: A\n    command: [safe]\n    idempotent: true\n  \
            - name: B\n    command: [once]\n    retries: 3\n  - name: C\n    command: [after]\n";
        let run = house.run(&house.runbook(text).await, json!({})).await;
        let done = house.until(&run, "failed").await;
        assert_eq!(tasks(&done), ["0 web-1 ok", "1 web-1 unknown"]);
        assert_eq!(one.begun(), ["safe", "safe", "once"]);
        let note = done["tasks"][1]["note"].as_str().unwrap();
        assert!(note.contains("unknown"), "{note}");
        assert_eq!(house.lock_holder(&one.item).await, None);
    }
}

#[tokio::test]
async fn a_command_that_nobody_knows_any_more_does_not_hold_its_target_for_ever() {
    for house in House::both_at(Clock::fake(Clock::System.now())).await {
        let one = house.robot_with(1, &[], None, |_, _| Fate::Hold).await;
        let text = "name: G\nrisk: low\ntargets: kind=host\nsteps:\n  - name: A\n    command: [gone]\n";
        let run = house.run(&house.runbook(text).await, json!({})).await;
        one.until_begun("gone", 1).await;
        house.sql("DELETE FROM command").await;
        house.clock.advance(SignedDuration::from_mins(21));
        let done = house.until(&run, "failed").await;
        assert_eq!(tasks(&done), ["0 web-1 unknown"]);
        assert_eq!(house.lock_holder(&one.item).await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cancels_is_not_overtaken_by_what_goes_on() {
    for house in House::both().await {
        let one = house.robot(1).await;
        let steps: String = (0..6)
            .map(|n| format!("  - name: S{n}\n    command: [s]\n"))
            .collect();
        let id = house
            .runbook(&format!(
                "name: R\nrisk: low\ntargets: kind=host\nsteps:\n{steps}"
            ))
            .await;
        let mut cancelled = 0;
        for round in 0..8 {
            let before = one.begun().len();
            let run = house.run(&id, json!({})).await;
            one.until_begun("s", before + 1 + round % 4).await;
            let answer = house.steer(&run, "cancel").await;
            let ended = until("the end", async || {
                let state = house.state(&run).await;
                state.is_end().then_some(state)
            })
            .await;
            match answer.status {
                200 => assert_eq!(ended, RunState::Cancelled),
                409 => assert_eq!(ended, RunState::Succeeded),
                other => panic!("{other}: {}", answer.text),
            }
            cancelled += usize::from(answer.status == 200);
        }
        assert!(cancelled > 0);
        assert_eq!(house.lock_holder(&one.item).await, None);
        assert_eq!(house.parked().await, 0);
    }
}

/// Two servers over one database move the same runs on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_do_nothing_twice() {
    let house = House::postgres().await;
    let twin = house.twin().await;
    let robots = [house.robot(1).await, house.robot(2).await];
    let text = "name: T\nrisk: low\ntargets: kind=host\nsteps:\n  - name: A\n    command: [a]\n  - name: B\n    command: [b]\n";
    let run = house.run(&house.runbook(text).await, json!({})).await;
    house.until(&run, "succeeded").await;
    for robot in &robots {
        assert_eq!(robot.begun(), ["a", "b"], "{}", robot.name);
    }
    assert_eq!(house.events("run.step_finished").await.len(), 4);
    assert_eq!(house.events("run.finished").await.len(), 1);
    // A command that the other server cancels is ended as well.
    let held = house
        .robot_with(3, &[("env", "test")], None, |_, _| Fate::Hold)
        .await;
    let text = text
        .replace("name: T", "name: H")
        .replace("kind=host", "tag:env=test");
    let run = house.run(&house.runbook(&text).await, json!({})).await;
    held.until_begun("a", 1).await;
    house.steer(&run, "cancel").await.ok(200);
    house.until(&run, "cancelled").await;
    assert_eq!(held.cancelled(), ["a"]);
    assert_eq!(house.parked().await, 0);
    drop(twin);
}
