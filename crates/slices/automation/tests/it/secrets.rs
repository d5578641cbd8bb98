//! Secrets of runs: the agent gets them, and they stand nowhere else.

use serde_json::{Value, json};

use crate::kit::House;
use crate::robot::Fate;

const VALUE: &str = "correct-horse-1";
const STORED: &str = "battery-staple-2";

const TEXT: &str = r#"name: Log in
risk: low
targets: kind=host
inputs:
  password: { type: secret }
steps:
  - name: A
    command: [login, "--password={{ inputs.password }}", "--key={{ secrets.api_key }}"]
  - name: B
    script: 'echo "$INPUT_PASSWORD"'
  - name: C
    http: { url: "http://example.org/", method: POST, headers: { authorization: "Bearer {{ secrets.api_key }}" }, body: "{{ inputs.password }}" }
"#;

/// Every row of every table, as one text.
async fn everything(house: &House) -> String {
    let mut all = String::new();
    for table in [
        "run",
        "run_task",
        "change",
        "command",
        "command_output",
        "event",
        "message",
        "runbook",
        "runbook_version",
    ] {
        all.push_str(&house.table(table).await);
    }
    all
}

#[tokio::test]
async fn a_secret_reaches_the_agent_and_stands_nowhere_else() {
    for house in House::both().await {
        crate::runs::pager(&house).await;
        let fate = |label: &str, _| {
            if label.starts_with("echo") {
                Fate::Hold
            } else {
                Fate::End(0)
            }
        };
        let one = house.robot_with(1, &[], None, fate).await;
        let put = json!({ "value": STORED });
        house
            .send("PUT", "/api/v1/runbook-secrets/api_key", &put, &[])
            .await
            .ok(204);
        let id = house.runbook(TEXT).await;
        let run = house.run(&id, json!({ "inputs": { "password": VALUE } })).await;
        let script = "echo \"$INPUT_PASSWORD\"";
        one.until_begun(script, 1).await;
        assert_eq!(one.environment(script)["INPUT_PASSWORD"], VALUE);
        one.release(script, 0);
        let done = house.until(&run, "succeeded").await;
        assert_eq!(done["inputs"]["password"], "(secret)");
        assert_eq!(one.begun()[0], format!("login --password={VALUE} --key={STORED}"));
        // The robot writes what it was told to do: it is covered in the output.
        let command = done["tasks"][0]["command_id"].as_str().unwrap();
        let output = house
            .send(
                "GET",
                &format!("/api/v1/commands/{command}/output"),
                &Value::Null,
                &[],
            )
            .await
            .text;
        let all = format!("{}{done}{output}", everything(&house).await);
        assert!(
            all.contains("--password=[secret "),
            "the stored command names it: {all}"
        );
        for secret in [VALUE, STORED] {
            assert!(
                !all.contains(secret),
                "{secret} stands in plain text: {}",
                around(&all, secret)
            );
        }
        let list = house.get("/api/v1/runbook-secrets").await.to_string();
        assert!(list.contains("api_key") && !list.contains(STORED));
    }
}

fn around(all: &str, secret: &str) -> String {
    let at = all.find(secret).unwrap_or(0);
    all.chars().skip(at.saturating_sub(120)).take(300).collect()
}

#[tokio::test]
async fn a_secret_stays_where_it_is_put_in_and_is_never_a_default() {
    let house = House::both().await.remove(0);
    for (step, why) in [
        (
            "inputs: { p: { type: secret, default: abcdefgh } }\nsteps: [{name: a, command: [id]}]",
            "no default",
        ),
        (
            "inputs: { p: { type: secret } }\nsteps: [{name: a, when: \"inputs.p == 'x'\", command: [id]}]",
            "is a secret",
        ),
        (
            "inputs: { p: { type: secret } }\nsteps: [{name: a, approval: \"{{ inputs.p }}\"}]",
            "is a secret",
        ),
        (
            "inputs: { p: { type: secret } }\nsteps: [{name: a, notify: { title: \"{{ inputs.p }}\" }}]",
            "is a secret",
        ),
        (
            "steps: [{name: a, notify: { title: \"{{ secrets.k }}\" }}]",
            "there is no `secrets` here",
        ),
    ] {
        let text = format!("name: x\n{step}\n");
        let refused = house
            .post("/api/v1/runbooks", &json!({ "text": text }))
            .await
            .ok(422);
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let text = "name: x\nrisk: low\ntargets: kind=host\nsteps: [{name: a, command: [id, \"{{ secrets.unknown }}\"]}]\n";
    house.robot(1).await;
    let runs = format!("/api/v1/runbooks/{}/runs", house.runbook(text).await);
    house.post(&runs, &json!({})).await.ok(422);
    for headers in [&[("role", "operator")][..], &[("role", "manager"), ("env", "x")]] {
        house
            .send("GET", "/api/v1/runbook-secrets", &Value::Null, headers)
            .await
            .ok(403);
        let put = json!({ "value": STORED });
        house
            .send("PUT", "/api/v1/runbook-secrets/k", &put, headers)
            .await
            .ok(403);
    }
}
