//! The command line against a running server, and a snapshot that is put back.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::json;

use crate::house::{House, PROGRAM};

#[tokio::test]
async fn ctl_answers_people_and_scripts() {
    let house = House::up().await;
    let host = house
        .until("the host", "/api/v1/items?q=kind%3Dhost", |body| {
            body["items"][0]["name"].as_str().map(str::to_owned)
        })
        .await;
    house
        .until("samples", "/api/v1/query?query=node_load1", |body| {
            body["data"]["result"][0]["value"][1].as_str().map(|_| ())
        })
        .await;
    for (args, part) in [
        (&["hosts"][..], "connected"),
        (&["agents"], &host),
        (&["query", "node_load1"], "node_load1{"),
        (&["query", "1 + 1"], "2"),
        (&["--json", "incidents", "list"], "["),
        (
            &["silence", "add", "alertname=Nothing", "--comment", "test"],
            "sil_",
        ),
        (&["silence", "list"], "alertname=\"Nothing\""),
        (&["tokens", "list"], "bootstrap"),
        (&["events", "--topic", "agent."], "agent.joined"),
        (&["joins", "list"], "HOST"),
        (&["parked-events", "list"], "CONSUMER"),
        (&["join-token"], "other machines cannot reach"),
        (&["--json", "join-token"], "join.sh"),
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
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("cannot reach http://127.0.0.1:1: connection refused; is the server running?"),
        "{error}"
    );
    for (args, exit, part) in [
        (&["api", "GET", "/nope"][..], 5, "/nope is not a path of the API"),
        (&["api", "GET", "/api/v1/nope"], 5, "/api/v1/nope"),
        (
            &["api", "GET", "/api/v1/items?kind=host"],
            4,
            "no parameter \"kind\"",
        ),
        (&["query", "up", "--last", "0"], 1, "--last 0"),
        (&["logs", "--last", "0s"], 1, "--last 0s"),
        (&["incidents", "show", "99"], 5, "no incident #99"),
        (&["incidents", "show", "x"], 1, "its number"),
    ] {
        let (code, text) = house.ctl(args);
        assert!(
            code == Some(exit) && text.contains(part),
            "{args:?}: {code:?} {text}"
        );
    }
}

#[tokio::test]
async fn an_incident_is_led_to_its_end_by_its_number() {
    let house = House::up().await;
    for title in ["Checkout is slow", "Basket is slow"] {
        let body = json!({ "title": title, "severity": "sev3", "items": [], "description": "" });
        let (status, body) = house.call("POST", "/api/v1/incidents", Some(&body)).await;
        assert_eq!(status, 201, "{body}");
    }
    let ann = json!({ "name": "Ann Lee", "login": "ann", "email": "ann@example.org", "password": "quite-a-secret-1" });
    let (status, body) = house.call("POST", "/api/v1/people", Some(&ann)).await;
    assert!(status < 300, "{body}");
    for (args, part) in [
        (&["list"][..], "#2"),
        (&["ack", "#1"], "#1  Checkout is slow  acknowledged  sev3"),
        (&["assign", "1", "ann"], "led by Ann Lee"),
        (&["assign", "1", "--nobody"], "acknowledged"),
        (&["severity", "1", "sev2", "--note", "more complain"], "sev2"),
        (&["merge", "2", "--into", "#1"], "#1  Checkout is slow"),
        (&["show", "2"], "Basket is slow"),
        (&["resolve", "1", "--note", "more workers"], "resolved"),
        (&["reopen", "1", "--reason", "again"], "triggered"),
        (&["show", "1"], "more complain"),
        (&["show", "1"], "No change found before the incident."),
    ] {
        let args: Vec<&str> = std::iter::once("incidents").chain(args.iter().copied()).collect();
        let (code, text) = house.ctl(&args);
        assert!(
            code == Some(0) && text.contains(part),
            "{args:?}: {code:?} {text}"
        );
    }
    for (args, exit, part) in [
        (&["confirm", "1", "2"][..], 0, "#1  Checkout is slow"),
        (&["dismiss", "1", "2"], 5, "candidate"),
        (
            &["split", "1", "DiskFull"],
            1,
            "no alert \"DiskFull\" is in this incident",
        ),
    ] {
        let args: Vec<&str> = std::iter::once("incidents").chain(args.iter().copied()).collect();
        let (code, text) = house.ctl(&args);
        assert!(
            code == Some(exit) && text.contains(part),
            "{args:?}: {code:?} {text}"
        );
    }
    // Where every field may be left away, so may the body.
    let number = house.get("/api/v1/incidents?number=1").await;
    let path = format!(
        "/api/v1/incidents/{}/acknowledge",
        number["items"][0]["id"].as_str().unwrap()
    );
    let (status, body) = house.call("POST", &path, None).await;
    assert_eq!(
        (status, body["state"].as_str()),
        (200, Some("acknowledged")),
        "{body}"
    );
}

const GREETING: &str = "name: Greet
risk: low
standard: true
targets: 'kind=host'
steps:
  - name: Ask
    approval: Shall it greet?
  - name: Say
    command: [sh, -c, 'echo hello; echo world >&2']
";

#[tokio::test]
async fn a_run_shows_its_output_and_says_what_it_waits_for() {
    let house = House::up().await;
    house
        .until("the agent", "/api/v1/agents", |body| {
            (body["items"][0]["presence"] == "connected").then_some(())
        })
        .await;
    let file = house.scratch("greet.yaml");
    std::fs::write(&file, GREETING).unwrap();
    let (code, text) = house.ctl(&["runbooks", "apply", &file.display().to_string()]);
    assert_eq!(code, Some(0), "{text}");
    let mut run = Command::new(PROGRAM)
        .args(["ctl", "--url", &house.url(), "--token-file"])
        .arg(house.token_file())
        .args(["run", "Greet"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let id = house
        .until("the question", "/api/v1/runs", |body| {
            let run = &body["items"][0];
            (run["state"] == "awaiting_person").then(|| run["id"].as_str().unwrap().to_owned())
        })
        .await;
    // Answered only once the follower has read the question: it shows what is, not what was.
    let mut shown = std::io::BufReader::new(run.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("runs reject") {
        let read = std::io::BufRead::read_line(&mut shown, &mut text).unwrap();
        assert!(read > 0, "{text}");
    }
    // Who asked does not answer; a second person does.
    let (code, answer) = house.ctl(&["runs", "approve", &id]);
    assert_ne!(code, Some(0), "{answer}");
    let bob = house.person("bob", "operator").await;
    let (code, answer) = house.ctl_as(&bob, &["runs", "approve", &id]);
    assert_eq!(code, Some(0), "{answer}");
    std::io::Read::read_to_string(&mut shown, &mut text).unwrap();
    let output = run.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}{error}");
    for part in [
        "awaiting approval",
        &format!("mainstay ctl runs approve {id}"),
        "| hello",
        "| world",
        &format!("{id} succeeded"),
    ] {
        assert!(text.contains(part), "{part}: {text}{error}");
    }
}

#[tokio::test]
async fn every_own_metric_says_what_it_is() {
    let house = House::up().await;
    house
        .until(
            "the own samples",
            "/api/v1/query?query=mainstay_event_consumer_lag",
            |body| body["data"]["result"][0]["value"][1].as_str().map(|_| ()),
        )
        .await;
    let (code, text) = house.ctl(&["api", "GET", "/metrics"]);
    assert_eq!(code, Some(0));
    let text = serde_json::from_str::<String>(&text).unwrap();
    let mut helped = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = rest.split(' ').next().unwrap();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert_eq!(rest.split(' ').next(), Some(helped), "without HELP: {line}");
        }
    }
    for name in [
        "process_resident_memory_bytes",
        "process_open_fds",
        "mainstay_db_connections{pool=\"write\"}",
        "mainstay_store_bytes{store=\"logs\"}",
        "mainstay_data_free_bytes",
        "mainstay_http_connections",
        "mainstay_commands_open",
        "mainstay_messages_waiting",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
    }
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
    let key = house.data().join("master.key").display().to_string();
    assert!(
        !std::path::Path::new(&path).join("master.key").exists(),
        "it would open the secrets beside it"
    );
    let bare = house.scratch("bare").display().to_string();
    let (code, text) = restore(&bare, &[]);
    assert!(code == Some(0) && text.contains("master key"), "{text}");
    let output = Command::new(PROGRAM)
        .args(["server", "--listen", "127.0.0.1:0", "--data", &bare])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && error.contains("master.key is missing"),
        "{error}"
    );
    let other = house.scratch("other.key");
    std::fs::write(&other, "00".repeat(32)).unwrap();
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).unwrap();
    let target = house.scratch("restored").display().to_string();
    let (code, _) = restore(&target, &["--master-key", &other.display().to_string()]);
    assert_eq!(code, Some(1), "the key of another server");
    let (code, text) = restore(&target, &["--master-key", &key]);
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
