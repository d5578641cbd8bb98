//! The command line against a running server, and a snapshot that is put back.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::house::{House, PROGRAM};

#[tokio::test]
async fn ctl_answers_people_and_scripts() {
    let house = House::up().await;
    house
        .until("the host", "/api/v1/items?q=kind%3Dhost", |body| {
            body["items"][0]["name"].as_str().map(|_| ())
        })
        .await;
    house
        .until("samples", "/api/v1/query?query=node_load1", |body| {
            body["data"]["result"][0]["value"][1].as_str().map(|_| ())
        })
        .await;
    for (args, part) in [
        (&["hosts"][..], "connected"),
        (&["query", "node_load1"], "node_load1{"),
        (&["query", "1 + 1"], "2"),
        (&["--json", "incidents", "list"], "["),
        (
            &["silence", "add", "alertname=Nothing", "--comment", "test"],
            "sil_",
        ),
        (&["silence", "list"], "test"),
        (&["tokens", "list"], "bootstrap"),
        (&["events", "--topic", "agent."], "agent.joined"),
        (&["join-token"], "join.sh"),
    ] {
        let (code, text) = house.ctl(args);
        assert!(
            code == Some(0) && text.contains(part),
            "{args:?}: {code:?} {text}"
        );
    }
    assert_eq!(
        house
            .ctl(&["incidents", "show", "inc_00000000000000000000000000000000"])
            .0,
        Some(5)
    );
    let (code, text) = house.ctl(&["query", "sum("]);
    assert!(code == Some(4) && text.contains("column"), "{text}");
    let output = Command::new(PROGRAM)
        .args(["ctl", "--url", "http://127.0.0.1:1", "hosts"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
}

#[tokio::test]
async fn a_snapshot_restores_and_damage_is_found() {
    let mut house = House::up().await;
    house
        .until("samples", "/api/v1/query?query=node_load1", |body| {
            body["data"]["result"][0]["value"][1].as_str().map(|_| ())
        })
        .await;
    let (code, text) = house.ctl(&["snapshot"]);
    assert_eq!(code, Some(0), "{text}");
    let path = text.split_whitespace().next().unwrap().to_owned();
    house.kill();
    let restore = |to: &str, extra: &[&str]| {
        let output = Command::new(PROGRAM)
            .args(["restore", &path, "--data", to])
            .args(extra)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let target = house.scratch("restored").display().to_string();
    let (code, text) = restore(&target, &[]);
    assert!(
        code == Some(0) && text.contains(&format!("up --data {target}")),
        "{text}"
    );
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&target), mode(&format!("{target}/mainstay.db"))),
        (0o750, 0o600)
    );
    std::fs::rename(house.data(), house.scratch("before")).unwrap();
    std::fs::rename(&target, house.data()).unwrap();
    house.start().await;
    house
        .until("the channel", "/api/v1/channels", |body| {
            (body["items"][0]["name"] == "sink").then_some(())
        })
        .await;
    let moved = path.replace("/data/", "/before/");
    std::fs::write(format!("{moved}/mainstay.db"), "broken").unwrap();
    let output = Command::new(PROGRAM)
        .args(["restore", &moved, "--check"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && error.contains("mainstay.db"),
        "{error}"
    );
}
