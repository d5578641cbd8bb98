//! Every list of `mainstay ctl` against the answers of a running server: a column whose field the server does not send is a fault.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::json;

use crate::house::{House, PROGRAM};

const RUNBOOK: &str = "name: Look
risk: low
standard: true
targets: 'kind=host'
steps:
  - name: Look
    command: ['true']
";

const ALWAYS: &str = "groups:
  - name: always
    rules:
      - alert: Always
        expr: vector(1)
";

/// Each list with the arguments that show it, and a part of a row that must be in it.
const LISTS: &[(&[&str], &str)] = &[
    (&["hosts"], "connected"),
    (&["items"], "host"),
    (&["agents"], "connected"),
    (&["alerts"], "Always"),
    (&["incidents", "list"], "#1"),
    (&["incidents", "show", "1"], "incident.opened"),
    (&["silence", "list"], "alertname"),
    (&["runbooks", "list"], "Look"),
    (&["runs", "list"], "Look"),
    (&["changes", "list"], "Look"),
    (&["tokens", "list"], "bootstrap"),
    (&["events"], "agent.joined"),
    (&["parked-events", "list"], "CONSUMER"),
    (&["joins", "list"], "HOST"),
];

/// Commands that print no table of rows.
const OTHERS: &[&str] = &[
    "api",
    "join-token",
    "logs",
    "query",
    "run",
    "snapshot",
    "help",
    // Of the groups:
    "incidents ack",
    "incidents mitigate",
    "incidents resolve",
    "incidents reopen",
    "incidents close",
    "incidents assign",
    "incidents severity",
    "incidents rename",
    "incidents merge",
    "incidents confirm",
    "incidents dismiss",
    "incidents split",
    "incidents comment",
    "incidents confirm",
    "incidents dismiss",
    "incidents split",
    "silence add",
    "silence remove",
    "runbooks show",
    "runbooks check",
    "runbooks apply",
    "runs show",
    "runs follow",
    "runs approve",
    "runs reject",
    "runs cancel",
    "changes approve",
    "changes reject",
    "joins approve",
    "joins deny",
    "parked-events retry",
    "parked-events dismiss",
    "tokens create",
    "tokens revoke",
];

#[tokio::test]
async fn every_column_of_every_list_has_its_field() {
    let house = House::up().await;
    house
        .until("the agent", "/api/v1/agents", |body| {
            (body["items"][0]["presence"] == "connected").then_some(())
        })
        .await;
    let incident = json!({ "title": "Slow", "severity": "sev3", "items": [], "description": "" });
    let rules = json!({ "name": "always.yaml", "text": ALWAYS, "is_enabled": true });
    for (path, body) in [("/api/v1/incidents", &incident), ("/api/v1/rule-files", &rules)] {
        let (status, answer) = house.call("POST", path, Some(body)).await;
        assert!(status < 300, "{path}: {answer}");
    }
    let file = house.scratch("look.yaml");
    std::fs::write(&file, RUNBOOK).unwrap();
    let (code, text) = house.ctl(&["runbooks", "apply", &file.display().to_string()]);
    assert_eq!(code, Some(0), "{text}");
    for args in [
        &["run", "Look", "--detach"][..],
        &["silence", "add", "alertname=Nothing", "--comment", "test"],
    ] {
        let (code, text) = house.ctl(args);
        assert_eq!(code, Some(0), "{args:?}: {text}");
    }
    house
        .until("the alert", "/api/v1/alerts?name=Always", |body| {
            body["items"][0]["id"].as_str().map(|_| ())
        })
        .await;
    let mut wrong = Vec::new();
    for (args, part) in LISTS {
        let (code, text) = house.ctl(args);
        let unknown = text
            .lines()
            .filter(|line| line.split_whitespace().any(|cell| cell == "?"));
        let unknown: Vec<&str> = unknown.collect();
        if code != Some(0) || !text.contains(part) || !unknown.is_empty() {
            wrong.push(format!("{}: {code:?}\n{text}", args.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The commands under a command, as its help lists them.
fn commands(path: &[&str]) -> Vec<String> {
    let output = Command::new(PROGRAM)
        .arg("ctl")
        .args(path)
        .arg("--help")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let Some((_, list)) = text.split_once("Commands:\n") else {
        return Vec::new();
    };
    list.lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

#[test]
fn no_list_is_left_out() {
    let shown: BTreeSet<String> = LISTS
        .iter()
        .map(|(args, _)| args.iter().take(2).copied().collect::<Vec<_>>().join(" "))
        .collect();
    let mut left_out = Vec::new();
    for group in commands(&[]) {
        let under = commands(&[&group]);
        let names = if under.is_empty() {
            vec![group.clone()]
        } else {
            under
                .iter()
                .filter(|name| *name != "help")
                .map(|name| format!("{group} {name}"))
                .collect()
        };
        left_out.extend(
            names
                .into_iter()
                .filter(|name| !shown.contains(name) && !OTHERS.contains(&name.as_str())),
        );
    }
    assert!(
        left_out.is_empty(),
        "add to the lists of this test, or to the commands without a table: {left_out:?}"
    );
}
