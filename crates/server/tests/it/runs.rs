//! Runs over kills: of the server, of the agent, at whatever moment.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::faults::kills;
use crate::house::{House, Plan};
use crate::remote::Agent;

/// Appends a line, takes its time, appends another: done twice, it shows.
fn runbook(file: &Path) -> String {
    format!(
        "name: Leave a mark\nrisk: low\ninputs:\n  mark: {{ pattern: \"[a-z0-9]+\" }}\ntargets: kind=host\nsteps:\n  \
         - name: First\n    script: echo \"$INPUT_MARK first\" >> '{file}'; sleep 0.1; echo \"$INPUT_MARK first-end\" >> '{file}'\n  \
         - name: Second\n    script: echo \"$INPUT_MARK second\" >> '{file}'\n",
        file = file.display()
    )
}

fn count(text: &str, mark: &str, what: &str) -> usize {
    let line = format!("{mark} {what}");
    text.lines().filter(|l| *l == line).count()
}

/// Server and agent are killed in turn at another moment of a run each time: every run that was taken ends,
/// no step is done twice, and what is reported as done was done.
#[tokio::test]
async fn a_kill_makes_no_run_lost_and_no_step_double() {
    kill_through_runs(Plan::default()).await;
}

#[tokio::test]
async fn a_kill_makes_no_run_lost_and_no_step_double_on_postgresql() {
    let [_, plan] = Plan::both().await;
    kill_through_runs(plan).await;
}

async fn kill_through_runs(plan: Plan) {
    let mut house = House::built(Plan {
        is_alone: true,
        config: "[fleet]\nstart_grace_ms = 0\n".into(),
        ..plan
    })
    .await;
    let mut agent = Agent::join(&house).await;
    let presence = |body: &Value| (body["items"][0]["presence"] == "connected").then_some(());
    house.until("the agent", "/api/v1/agents", presence).await;
    let file = house.scratch("marks");
    let text = runbook(&file);
    let (status, made) = house
        .call("POST", "/api/v1/runbooks", Some(&json!({ "text": text })))
        .await;
    assert_eq!(status, 200, "{made}");
    let start = format!("/api/v1/runbooks/{}/runs", made["id"].as_str().unwrap());
    for round in 0..kills() {
        let mark = format!("m{round}");
        let (status, run) = house
            .call(
                "POST",
                &start,
                Some(&json!({ "inputs": { "mark": mark }, "reason": "test" })),
            )
            .await;
        assert!(status < 300, "{run}");
        tokio::time::sleep(Duration::from_millis(round * 23 % 250)).await;
        if round % 2 == 0 {
            house.kill();
            house.start().await;
        } else {
            agent.kill();
            agent.start();
        }
        let path = format!("/api/v1/runs/{}", run["id"].as_str().unwrap());
        let ended = house
            .until("the end of the run", &path, |body| {
                matches!(body["state"].as_str(), Some("succeeded" | "failed")).then(|| body.clone())
            })
            .await;
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let (first, second) = (count(&text, &mark, "first"), count(&text, &mark, "second"));
        assert!(
            first <= 1 && second <= 1,
            "round {round}: a step was done twice:\n{text}\n{ended:#}"
        );
        if ended["state"] == "succeeded" {
            let end = count(&text, &mark, "first-end");
            assert_eq!(
                (first, end, second),
                (1, 1, 1),
                "round {round}: said to be done:\n{text}\n{ended:#}"
            );
        } else {
            let is_said = |task: &Value| task["state"] == "unknown" || task["state"] == "failed";
            let tasks = ended["tasks"].as_array().unwrap();
            assert!(tasks.iter().any(is_said), "round {round}: {ended:#}");
        }
        if round % 2 == 0 {
            assert_eq!(
                ended["state"], "succeeded",
                "a killed server loses no step: {ended:#}"
            );
        }
    }
}
