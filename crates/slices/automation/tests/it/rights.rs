//! Who may do what, on which targets.

use serde_json::{Value, json};

use crate::kit::House;

const TEXT: &str = "name: Act\nrisk: low\ntargets: kind=host\nsteps:\n  - name: A\n    command: [act]\n";

fn run_of(answer: crate::client::Answer) -> String {
    answer.ok(200)["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn roles_and_scopes_hold_for_every_target() {
    for house in House::both().await {
        let prod = house.robot_with(1, &[("env", "prod")], None, |_, _| crate::robot::Fate::End(0));
        let prod = prod.await;
        let test = house.robot_with(2, &[("env", "test")], None, |_, _| crate::robot::Fate::End(0));
        let test = test.await;
        let id = house.runbook(TEXT).await;
        let runs = format!("/api/v1/runbooks/{id}/runs");
        let everything = json!({});
        for role in ["viewer", "auditor"] {
            house
                .send("POST", &runs, &everything, &[("role", role)])
                .await
                .ok(403);
        }
        // Who sees only a part acts on that part.
        let scoped = [("role", "operator"), ("env", "test")];
        let elsewhere = json!({ "targets": "name=web-1" });
        house.send("POST", &runs, &elsewhere, &scoped).await.ok(422);
        let own = run_of(house.send("POST", &runs, &everything, &scoped).await);
        let done = house.until(&own, "succeeded").await;
        assert_eq!(done["targets"].as_array().unwrap().len(), 1);
        assert_eq!((test.begun().len(), prod.begun().len()), (1, 0));
        // Seeing everything is not acting on everything.
        let reader = [("role", "operator"), ("env", "test"), ("also", "viewer")];
        house.send("POST", &runs, &everything, &reader).await.ok(403);
        house.send("POST", &runs, &elsewhere, &reader).await.ok(403);
        assert_eq!((test.begun().len(), prod.begun().len()), (1, 0));
        assert_eq!(house.events("run.requested").await.len(), 1);
    }
}

/// What an operator names narrows what the runbook is for, and never replaces it.
#[tokio::test]
async fn targets_of_a_request_stay_within_the_runbooks_own() {
    for house in House::both().await {
        let web = house
            .robot_with(1, &[("grp", "web")], None, |_, _| crate::robot::Fate::End(0))
            .await;
        let db = house
            .robot_with(2, &[("grp", "db")], None, |_, _| crate::robot::Fate::End(0))
            .await;
        let id = house
            .runbook(&TEXT.replace("kind=host", "kind=host tag:grp=web"))
            .await;
        let runs = format!("/api/v1/runbooks/{id}/runs");
        for targets in ["name=web-2", "kind=host tag:grp=db"] {
            let refused = house.post(&runs, &json!({ "targets": targets })).await.ok(422);
            assert!(refused.to_string().contains("within the runbook's"), "{refused}");
        }
        let run = house.run(&id, json!({ "targets": "kind=host" })).await;
        house.until(&run, "succeeded").await;
        assert_eq!((web.begun().len(), db.begun().len()), (1, 0));
    }
}

/// What has no targets concerns everything: a role that holds for a part does not reach it.
#[tokio::test]
async fn a_run_without_targets_needs_a_role_everywhere() {
    const TELL: &str = "name: Tell\nrisk: low\nsteps:\n  - name: T\n    notify: { title: hello }\n";
    for house in House::both().await {
        let runs = format!("/api/v1/runbooks/{}/runs", house.runbook(TELL).await);
        for headers in [
            &[("role", "operator"), ("env", "test")][..],
            &[("role", "manager"), ("env", "test"), ("also", "viewer")],
        ] {
            house.send("POST", &runs, &json!({}), headers).await.ok(403);
        }
        assert!(house.events("run.").await.is_empty() && house.events("change.").await.is_empty());
        house
            .send("POST", &runs, &json!({}), &[("role", "operator")])
            .await
            .ok(200);
    }
}

/// A run over hosts of two owners shows each of them their own.
#[tokio::test]
async fn a_run_shows_the_targets_that_one_may_see() {
    for house in House::both().await {
        for (n, env) in [(1, "prod"), (2, "test")] {
            house
                .robot_with(n, &[("env", env)], None, |_, _| crate::robot::Fate::End(0))
                .await;
        }
        let run = house.run(&house.runbook(TEXT).await, json!({})).await;
        house.until(&run, "succeeded").await;
        let viewer = [("role", "viewer"), ("env", "test"), ("who", "eve")];
        for path in [
            format!("/api/v1/runs/{run}"),
            "/api/v1/runs".into(),
            format!("/api/v1/runs/{run}/stream"),
        ] {
            let seen = house.send("GET", &path, &Value::Null, &viewer).await;
            assert!(
                seen.text.contains("web-2") && !seen.text.contains("web-1"),
                "{path}: {}",
                seen.text
            );
        }
    }
}

#[tokio::test]
async fn runs_out_of_scope_are_neither_seen_nor_steered() {
    for house in House::both().await {
        let one = house.robot_with(1, &[("env", "prod")], None, |_, _| crate::robot::Fate::Hold);
        let one = one.await;
        let run = house.run(&house.runbook(TEXT).await, json!({})).await;
        one.until_begun("act", 1).await;
        let path = format!("/api/v1/runs/{run}");
        let stranger = [("role", "operator"), ("env", "test"), ("who", "eve")];
        house.send("GET", &path, &Value::Null, &stranger).await.ok(404);
        let stream = format!("{path}/stream");
        house.send("GET", &stream, &Value::Null, &stranger).await.ok(404);
        let list = house
            .send("GET", "/api/v1/runs", &Value::Null, &stranger)
            .await
            .ok(200);
        assert_eq!(list["items"], json!([]));
        let cancel = format!("{path}/cancel");
        house.send("POST", &cancel, &Value::Null, &stranger).await.ok(404);
        let reader = [("role", "operator"), ("env", "test"), ("also", "viewer")];
        house.send("GET", &path, &Value::Null, &reader).await.ok(200);
        house.send("POST", &cancel, &Value::Null, &reader).await.ok(403);
        house
            .send("POST", &cancel, &Value::Null, &[("role", "viewer")])
            .await
            .ok(403);
        let operator = [("role", "operator"), ("env", "prod")];
        house.send("POST", &cancel, &Value::Null, &operator).await.ok(200);
        house.until(&run, "cancelled").await;
    }
}

#[tokio::test]
async fn a_team_acts_on_its_own_hosts_and_approves_its_own_changes() {
    for house in House::both().await {
        let one = house.robot_with(1, &[], Some("team_1"), |_, _| crate::robot::Fate::End(0));
        let one = one.await;
        let id = house.runbook(&TEXT.replace("low", "high")).await;
        let runs = format!("/api/v1/runbooks/{id}/runs");
        let other = [("role", "operator"), ("team", "team_2")];
        house.send("POST", &runs, &json!({}), &other).await.ok(422);
        let own = [("role", "operator"), ("team", "team_1")];
        let run = run_of(house.send("POST", &runs, &json!({}), &own).await);
        let path = format!("/api/v1/runs/{run}");
        let seen = house.send("GET", &path, &Value::Null, &own).await.ok(200);
        house
            .send(
                "GET",
                &path,
                &Value::Null,
                &[("role", "viewer"), ("team", "team_2"), ("who", "eve")],
            )
            .await
            .ok(404);
        let change = format!("/api/v1/changes/{}/approve", seen["change_id"].as_str().unwrap());
        let word = json!({ "version": 1 });
        let foreign = [("role", "manager"), ("team", "team_2"), ("who", "eve")];
        house.send("POST", &change, &word, &foreign).await.ok(404);
        let manager = [("role", "manager"), ("team", "team_1"), ("who", "bob")];
        house.send("POST", &change, &word, &manager).await.ok(200);
        house.until(&run, "succeeded").await;
        assert_eq!(one.begun(), ["act"]);
    }
}

#[tokio::test]
async fn runbooks_are_written_by_those_who_answer_for_everything() {
    for house in House::both().await {
        let body = json!({ "text": TEXT });
        let path = "/api/v1/runbooks";
        for headers in [
            &[("role", "operator")][..],
            &[("role", "viewer")],
            &[("role", "manager"), ("env", "test")],
            &[("role", "manager"), ("env", "test"), ("also", "viewer")],
        ] {
            house.send("POST", path, &body, headers).await.ok(403);
        }
        let made = house
            .send("POST", path, &body, &[("role", "manager")])
            .await
            .ok(200);
        let one = format!("{path}/{}", made["id"].as_str().unwrap());
        let scoped = [("role", "manager"), ("env", "test")];
        let change = json!({ "text": TEXT, "version": 1 });
        house.send("PUT", &one, &change, &scoped).await.ok(403);
        house.send("DELETE", &one, &Value::Null, &scoped).await.ok(403);
        house.send("GET", &one, &Value::Null, &scoped).await.ok(200);
    }
}
