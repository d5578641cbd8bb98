//! Cancelling, and two runs on one target.

use serde_json::json;

use crate::client::tasks;
use crate::kit::{House, until};
use crate::robot::Fate;

fn text(name: &str, targets: &str, command: &str) -> String {
    format!(
        "name: {name}\nrisk: low\ntargets: {targets}\nsteps:\n  - name: A\n    command: [{command}]\n  - name: B\n    command: [after]\n"
    )
}

#[tokio::test]
async fn cancelling_ends_what_runs_and_lets_go_of_the_targets() {
    for house in House::both().await {
        let one = house.robot_with(1, &[], None, |_, _| Fate::Hold).await;
        let two = house.robot(2).await;
        let run = house
            .run(&house.runbook(&text("A", "kind=host", "hang")).await, json!({}))
            .await;
        one.until_begun("hang", 1).await;
        two.until_begun("hang", 1).await;
        house.steer(&run, "cancel").await.ok(200);
        let done = house.until(&run, "cancelled").await;
        assert_eq!(done["note"], "cancelled by ann");
        assert_eq!(tasks(&done), ["0 web-1 cancelled", "0 web-2 ok"]);
        assert_eq!(one.cancelled(), ["hang"], "asked of the agent once");
        assert_eq!(two.begun(), ["hang"], "nothing more began");
        assert_eq!(house.lock_holder(&one.item).await, None);
        assert_eq!(house.lock_holder(&two.item).await, None);
        let change = house
            .get(&format!(
                "/api/v1/changes/{}",
                done["change_id"].as_str().unwrap()
            ))
            .await;
        assert_eq!(change["state"], "cancelled");
        house.steer(&run, "cancel").await.ok(409);
        assert_eq!(house.events("run.finished").await.len(), 1);
    }
}

#[tokio::test]
async fn what_waits_is_cancelled_without_an_agent() {
    for house in House::both().await {
        house.robot(1).await;
        let wait =
            "name: W\nrisk: low\ntargets: kind=host\nsteps:\n  - name: A\n    wait: { query: never }\n";
        let run = house.run(&house.runbook(wait).await, json!({})).await;
        until("the condition is asked", async || {
            (house.conditions.asked("never") > 0).then_some(())
        })
        .await;
        house.steer(&run, "cancel").await.ok(200);
        let done = house.until(&run, "cancelled").await;
        assert_eq!(tasks(&done), ["0 web-1 cancelled"]);
        let told = house.event("run.step_finished", 1).await;
        assert_eq!(told.data["state"], "cancelled");
        let high = "name: H\nrisk: high\ntargets: kind=host\nsteps:\n  - name: A\n    command: [x]\n";
        let run = house.run(&house.runbook(high).await, json!({})).await;
        house.steer(&run, "cancel").await.ok(200);
        let done = house.until(&run, "cancelled").await;
        let path = format!("/api/v1/changes/{}", done["change_id"].as_str().unwrap());
        assert_eq!(
            house.get(&path).await["state"],
            "cancelled",
            "nobody can approve it any more"
        );
    }
}

#[tokio::test]
async fn runs_on_one_target_are_one_after_the_other_in_the_order_of_asking() {
    for house in House::both().await {
        let one = house.robot_with(1, &[], None, |_, _| Fate::Hold).await;
        let two = house.robot(2).await;
        let first = house
            .run(&house.runbook(&text("First", "name=web-1", "a")).await, json!({}))
            .await;
        one.until_begun("a", 1).await;
        let both = house
            .run(&house.runbook(&text("Both", "kind=host", "b")).await, json!({}))
            .await;
        let waiting = until("the second run says why it waits", async || {
            let run = house.look(&both).await;
            run["note"].as_str().map(str::to_owned)
        })
        .await;
        assert_eq!(waiting, format!("waits for {first}, which works on web-1"));
        // web-2 is free, but kept for who came before.
        let last = house
            .run(&house.runbook(&text("Last", "name=web-2", "c")).await, json!({}))
            .await;
        let waiting = until("the third run says why it waits", async || {
            let run = house.look(&last).await;
            run["note"].as_str().map(str::to_owned)
        })
        .await;
        assert_eq!(waiting, format!("waits for {both}, which works on web-2"));
        for label in ["a", "after"] {
            one.until_begun(label, 1).await;
            one.release(label, 0);
        }
        house.until(&first, "succeeded").await;
        one.until_begun("b", 1).await;
        one.release("b", 0);
        one.until_begun("after", 2).await;
        one.release("after", 0);
        house.until(&both, "succeeded").await;
        house.until(&last, "succeeded").await;
        assert_eq!(one.begun(), ["a", "after", "b", "after"]);
        assert_eq!(two.begun(), ["b", "after", "c", "after"]);
        assert_eq!(house.parked().await, 0);
    }
}

#[tokio::test]
async fn a_run_that_ended_long_ago_is_forgotten() {
    for house in House::both().await {
        house.robot(1).await;
        let runbook = house.runbook(&text("A", "kind=host", "go")).await;
        let old = house.run(&runbook, json!({})).await;
        house.until(&old, "succeeded").await;
        let young = house.run(&runbook, json!({})).await;
        house.until(&young, "succeeded").await;
        let trim = async || {
            house
                .inside(|kernel, _| async move {
                    let bounds = automation::bounds(&automation::Settings::default());
                    kernel::retention::trim(&kernel, &bounds).await.unwrap();
                })
                .await;
        };
        trim().await;
        house.get(&format!("/api/v1/runs/{old}")).await;
        // 401 days in microseconds.
        house
            .sql("UPDATE run SET finished_at = finished_at - 34646400000000 WHERE id IN (SELECT id FROM run ORDER BY requested_at LIMIT 1)")
            .await;
        trim().await;
        let left = house.get("/api/v1/runs").await;
        assert_eq!(left["items"].as_array().unwrap().len(), 1);
        assert_eq!(left["items"][0]["id"], young.as_str());
    }
}
