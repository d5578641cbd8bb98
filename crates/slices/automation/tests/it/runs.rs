//! Runs: every kind of step, live, with an end for each target.

use serde_json::{Value, json};

use crate::client::tasks;
use crate::kit::House;
use crate::robot::Fate;

const EVERYTHING: &str = r#"name: Everything
risk: low
inputs:
  who: {}
targets: "kind=host"
steps:
  - name: Command
    command: [greet, "{{ inputs.who }}", "{{ target.name }}"]
  - name: Script
    script: echo "$INPUT_WHO"
  - name: Service
    service: { name: nginx, action: restart }
  - name: Request
    http: { url: "http://{{ target.name }}/health", method: POST }
  - name: Wait
    wait: { query: 'up{host="{{ target.name }}"}', every: 100ms }
    timeout: 1m
  - name: Only one
    command: [only]
    when: target.name == "web-1"
  - name: Ask
    approval: "{{ inputs.who }}, go on?"
  - name: Tell
    notify: { title: "hello {{ inputs.who }}", text: done, severity: warning }
"#;

/// A channel, so that messages are written.
pub async fn pager(house: &House) {
    let channel = json!({ "name": "pager", "config": { "type": "webhook", "url": "http://127.0.0.1:9/" } });
    house.post("/api/v1/channels", &channel).await.ok(201);
}

#[tokio::test]
async fn a_run_does_every_kind_of_step() {
    for house in House::both().await {
        pager(&house).await;
        let (one, two) = (house.robot(1).await, house.robot(2).await);
        house.conditions.set(r#"up{host="web-1"}"#, Ok(vec![1.0]));
        let id = house.runbook(EVERYTHING).await;
        let who = "x; rm -rf / $(id)";
        let run = house.run(&id, json!({ "inputs": { "who": who } })).await;
        let asked = async || (house.conditions.asked(r#"up{host="web-2"}"#) > 1).then_some(());
        crate::kit::until("the condition of web-2 is asked again", asked).await;
        assert_eq!(house.look(&run).await["state"], "running", "web-2 is not up yet");
        house.conditions.set(r#"up{host="web-2"}"#, Ok(vec![0.0, 2.0]));
        let waiting = house.until(&run, "awaiting_person").await;
        assert_eq!(waiting["note"], format!("{who}, go on?"));
        house.approve(&run).await.ok(200);
        let done = house.until(&run, "succeeded").await;
        let states: Vec<String> = (0..5)
            .flat_map(|step| [format!("{step} web-1 ok"), format!("{step} web-2 ok")])
            .chain([
                "5 web-1 ok".into(),
                "5 web-2 skipped".into(),
                "6  ok".into(),
                "7  ok".into(),
            ])
            .collect();
        let mut found = tasks(&done);
        found.sort();
        assert_eq!(found, states);
        let begun = |name: &str| {
            let fixed = ["echo \"$INPUT_WHO\"".to_owned(), "restart nginx".into()];
            let mut all = vec![format!("greet {who} {name}")];
            all.extend(fixed);
            all.push(format!("post http://{name}/health"));
            all
        };
        assert_eq!(two.begun(), begun("web-2"));
        assert_eq!(one.begun(), [begun("web-1"), vec!["only".into()]].concat());
        let messages = house.events("message.queued").await;
        let titles: Vec<&Value> = messages.iter().map(|m| &m.data["title"]).collect();
        assert_eq!(
            titles,
            [
                "Approval required: Everything on 2 targets",
                format!("hello {who}").as_str()
            ]
        );
        let topics: Vec<String> = house
            .events("run.")
            .await
            .into_iter()
            .map(|e| e.topic)
            .filter(|t| t != "run.step_finished")
            .collect();
        let story = [
            "run.requested",
            "run.started",
            "run.waiting",
            "run.approved",
            "run.finished",
        ];
        assert_eq!(topics, story);
        assert_eq!(house.lock_holder(&one.item).await, None);
        let change = house
            .get(&format!(
                "/api/v1/changes/{}",
                done["change_id"].as_str().unwrap()
            ))
            .await;
        assert_eq!(change["state"], "succeeded");
        assert_eq!(house.parked().await, 0);
    }
}

#[tokio::test]
async fn inputs_reach_scripts_as_data() {
    for house in House::both().await {
        let one = house.robot_with(1, &[], None, |_, _| Fate::Hold).await;
        let text = "name: Env\nrisk: low\ninputs: { who: {} }\ntargets: kind=host\nsteps:\n  - name: S\n    script: run\n";
        let run = house
            .run(&house.runbook(text).await, json!({ "inputs": { "who": "a'b" } }))
            .await;
        one.until_begun("run", 1).await;
        let env = one.environment("run");
        assert_eq!(env["INPUT_WHO"], "a'b");
        assert_eq!((&env["TARGET_NAME"], &env["RUN_ID"]), (&"web-1".to_owned(), &run));
        one.release("run", 0);
        house.until(&run, "succeeded").await;
    }
}

#[tokio::test]
async fn output_and_states_are_streamed_and_kept() {
    for house in House::both().await {
        let one = house.robot_with(1, &[], None, |name, _| match name {
            "second" => Fate::Hold,
            _ => Fate::End(0),
        });
        let one = one.await;
        let text = "name: Two\nrisk: low\ntargets: kind=host\nsteps:\n  - name: A\n    command: [first]\n  - name: B\n    command: [second]\n";
        let run = house.run(&house.runbook(text).await, json!({})).await;
        one.until_begun("second", 1).await;
        let path = format!("/api/v1/runs/{run}/stream");
        // The stream ends with the run, so the whole of it can be read.
        let (stream, ()) = tokio::join!(house.send("GET", &path, &Value::Null, &[]), async {
            one.release("second", 4);
        });
        assert_eq!(stream.status, 200);
        let frames: Vec<Value> = stream
            .text
            .lines()
            .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
            .collect();
        let end = frames.last().unwrap();
        assert_eq!(end["state"], "failed", "{}", stream.text);
        assert_eq!(tasks(end), ["0 web-1 ok", "1 web-1 failed"]);
        assert_eq!(end["tasks"][1]["exit_code"], 4);
        let command = end["tasks"][0]["command_id"].as_str().unwrap();
        let output = house
            .send(
                "GET",
                &format!("/api/v1/commands/{command}/output"),
                &Value::Null,
                &[],
            )
            .await;
        assert!(output.text.contains(r#""text":"first\n""#), "{}", output.text);
        assert!(output.text.contains("event: end"), "{}", output.text);
    }
}

#[tokio::test]
async fn a_dry_run_says_what_it_would_do_and_touches_nothing() {
    for house in House::both().await {
        let one = house.robot(1).await;
        let id = house.runbook(EVERYTHING).await;
        let run = house
            .run(&id, json!({ "inputs": { "who": "Ann" }, "dry_run": true }))
            .await;
        let done = house.until(&run, "succeeded").await;
        assert_eq!(done["tasks"][0]["note"], "would run greet Ann web-1");
        assert_eq!(done["tasks"][6]["note"], "would ask: Ann, go on?");
        assert!(one.begun().is_empty());
        assert!(house.events("command.").await.is_empty());
        assert!(house.events("change.").await.is_empty());
    }
}

#[tokio::test]
async fn retries_failures_and_what_is_ignored() {
    for house in House::both().await {
        let one = house.robot_with(1, &[], None, |name, before| match (name, before) {
            ("flaky", 2) | ("last", _) => Fate::End(0),
            _ => Fate::End(1),
        });
        let one = one.await;
        let text = "name: Try\nrisk: low\ntargets: kind=host\nsteps:\n  - name: A\n    command: [flaky]\n    retries: 2\n  \
            - name: B\n    command: [bad]\n    ignore_errors: true\n  - name: C\n    command: [last]\n  \
            - name: D\n    command: [worse]\n    retries: 1\n  - name: E\n    command: [never]\n";
        let run = house.run(&house.runbook(text).await, json!({})).await;
        let done = house.until(&run, "failed").await;
        assert_eq!(
            one.begun(),
            ["flaky", "flaky", "flaky", "bad", "last", "worse", "worse"]
        );
        let expected = ["0 web-1 ok", "1 web-1 failed", "2 web-1 ok", "3 web-1 failed"];
        assert_eq!(tasks(&done), expected);
        assert_eq!(done["tasks"][0]["attempt"], 3);
        assert_eq!(done["note"], "1 of 1 targets failed");
        let change = house
            .get(&format!(
                "/api/v1/changes/{}",
                done["change_id"].as_str().unwrap()
            ))
            .await;
        assert_eq!(change["state"], "failed");
    }
}

#[tokio::test]
async fn waves_stop_at_the_threshold() {
    for house in House::both().await {
        let mut robots = Vec::new();
        for n in 1..=4 {
            let fate = move |_: &str, _: usize| Fate::End(i32::from(n == 1 || n == 2));
            robots.push(house.robot_with(n, &[], None, fate).await);
        }
        let text = |allowed: usize| {
            format!(
                "name: Roll {allowed}\nrisk: low\ntargets: kind=host\nstrategy: {{ batch: 25%, max_failures: {allowed} }}\n\
                 steps:\n  - name: A\n    command: [roll]\n  - name: B\n    command: [check]\n"
            )
        };
        let run = house.run(&house.runbook(&text(1)).await, json!({})).await;
        let done = house.until(&run, "failed").await;
        assert_eq!(
            tasks(&done),
            ["0 web-1 failed", "0 web-2 failed"],
            "no third wave"
        );
        assert_eq!(done["note"], "2 of 4 targets failed");
        let run = house.run(&house.runbook(&text(2)).await, json!({})).await;
        let done = house.until(&run, "succeeded").await;
        assert_eq!(done["note"], "2 of 4 targets failed");
        let mut states = tasks(&done);
        states.sort();
        let expected = [
            "0 web-1 failed",
            "0 web-2 failed",
            "0 web-3 ok",
            "0 web-4 ok",
            "1 web-3 ok",
            "1 web-4 ok",
        ];
        assert_eq!(states, expected);
        assert_eq!(robots[3].begun(), ["roll", "check"]);
    }
}

#[tokio::test]
async fn a_condition_that_never_holds_fails_in_time_and_a_hung_target_holds_up_nobody() {
    for house in House::both().await {
        let one = house.robot_with(1, &[], None, |_, _| Fate::Hold).await;
        let two = house.robot(2).await;
        let held = "name: Held\nrisk: low\ntargets: name=web-1\nsteps:\n  - name: A\n    command: [hang]\n";
        let waits = "name: Waits\nrisk: low\ntargets: name=web-2\nsteps:\n  - name: A\n    command: [go]\n  \
            - name: B\n    wait: { query: never, every: 50ms }\n    timeout: 300ms\n";
        let hung = house.run(&house.runbook(held).await, json!({})).await;
        one.until_begun("hang", 1).await;
        house.conditions.set("never", Err("the store is away".into()));
        let run = house.run(&house.runbook(waits).await, json!({})).await;
        let done = house.until(&run, "failed").await;
        assert_eq!(done["tasks"][1]["note"], "the store is away");
        assert_eq!(two.begun(), ["go"]);
        assert_eq!(house.look(&hung).await["state"], "running");
    }
}

/// What had been done by the time-out is unknown: only what does no harm twice is tried again.
#[tokio::test]
async fn a_timed_out_step_is_not_tried_again() {
    for (more, begun, end) in [("", 1, "failed"), ("    idempotent: true\n", 2, "succeeded")] {
        for house in House::both().await {
            let fate = |_: &str, before: usize| if before == 0 { Fate::TimeOut } else { Fate::End(0) };
            let one = house.robot_with(1, &[], None, fate).await;
            let text = format!(
                "name: Pay\nrisk: low\ntargets: kind=host\nsteps:\n  - name: A\n    command: [pay]\n    retries: 3\n{more}"
            );
            let run = house.run(&house.runbook(&text).await, json!({})).await;
            let done = house.until(&run, end).await;
            assert_eq!(one.begun().len(), begun, "{done:#}");
        }
    }
}
