//! Kills and broken surroundings: nothing is lost, nothing happens twice, and what is wrong is said.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::house::{House, PROGRAM, Plan, Service, unique};

/// How often a server is killed in a test, which is done on both databases: a hundred times in all. More with MAINSTAY_KILLS.
pub fn kills() -> u64 {
    std::env::var("MAINSTAY_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(50)
}

/// The server is killed at another moment of the loop each time; each fault becomes one incident and one page to open and one to close.
#[tokio::test]
async fn a_killed_server_loses_and_doubles_nothing() {
    kill_through_the_loop(House::up().await).await;
}

#[tokio::test]
async fn a_killed_server_loses_and_doubles_nothing_on_postgresql() {
    let [_, plan] = Plan::both().await;
    kill_through_the_loop(House::built(plan).await).await;
}

async fn kill_through_the_loop(mut house: House) {
    // A service for each round: one that fails again and again would rightly be held open as flapping.
    let names: Vec<String> = (0..kills()).map(|_| unique("till")).collect();
    let mut services: Vec<Service> = names.iter().map(|name| Service::start(&house, name)).collect();
    house
        .watch(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    for (round, (name, service)) in names.iter().zip(&mut services).enumerate() {
        service.kill();
        // From before the sample is sent to after the page has gone out.
        tokio::time::sleep(std::time::Duration::from_millis(round as u64 * 37 % 300)).await;
        house.kill();
        house.start().await;
        house
            .until("the incident", "/api/v1/incidents", |body| {
                open(body, name).first().map(|_| ())
            })
            .await;
        service.restart();
        house
            .until("the end of the incident", "/api/v1/incidents", |body| {
                open(body, name).is_empty().then_some(())
            })
            .await;
    }
    let incidents = house.get("/api/v1/incidents?limit=500").await;
    for name in &names {
        let all = incidents["items"].as_array().unwrap();
        let ours: Vec<&Value> = all.iter().filter(|i| is_about(i, name)).collect();
        assert!(
            ours.len() == 1 && ours[0]["reopened"] == 0,
            "one opening for each fault: {ours:#?}"
        );
    }
    let messages = house.until("all messages sent", "/api/v1/messages?limit=500", |body| {
        let all = body["items"].as_array()?;
        all.iter().all(|m| m["state"] == "sent").then(|| all.clone())
    });
    let keys: Vec<String> = messages
        .await
        .iter()
        .map(|m| format!("{} {}", m["kind"], m["url_path"]))
        .collect();
    assert_eq!(
        keys.iter().collect::<HashSet<_>>().len(),
        keys.len(),
        "a page was queued twice: {keys:?}"
    );
    // At the far end a message may arrive once more after a kill, but under the id that it had: a receiver can tell.
    let received = house.pages.lock().unwrap().clone();
    let ids: HashSet<&str> = received.iter().filter_map(|page| page["id"].as_str()).collect();
    assert_eq!(ids.len(), keys.len(), "each message arrives, under one id");
}

fn is_about(incident: &Value, name: &str) -> bool {
    let title = incident["title"].as_str().unwrap_or_default();
    title.split(' ').any(|word| word == name)
}

fn open(body: &Value, name: &str) -> Vec<Value> {
    let all = body["items"].as_array().cloned().unwrap_or_default();
    all.into_iter()
        .filter(|i| is_about(i, name) && i["state"] != "resolved")
        .collect()
}

fn start_with(args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    command.env("MAINSTAY_DATABASE__WAIT_S", "0");
    let output = command.arg("server").args(args).output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let shown = data.display().to_string();
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(
        data.join("mainstay.toml"),
        "[server]\nlisten = '127.0.0.1:0'\nlitsen = 'x'\n",
    )
    .unwrap();
    let (code, error) = start_with(&["--data", &shown]);
    assert!(
        code == Some(1) && error.contains("litsen") && error.contains("line 3"),
        "{error}"
    );
    std::fs::remove_file(data.join("mainstay.toml")).unwrap();

    for (args, parts) in [
        (["--public-url", "foo"], ["\"foo\"", "https://"]),
        (["--public-url", "ftp://ops"], ["\"ftp://ops\"", "--public-url"]),
        (
            ["--public-url", "https://ops.example.org/mainstay"],
            ["has a path", "host name of its own"],
        ),
        (["--database-url", "mysql://x/y"], ["\"mysql\"", "postgres://"]),
        (
            ["--database-url", "postgres://u:pass@127.0.0.1:1/x"],
            ["127.0.0.1:1/x", "connection refused"],
        ),
    ] {
        let all: Vec<&str> = ["--data", &shown, "--listen", "127.0.0.1:0"]
            .into_iter()
            .chain(args)
            .collect();
        let (code, error) = start_with(&all);
        assert!(
            code == Some(1) && parts.iter().all(|part| error.contains(part)),
            "{error}"
        );
        assert_eq!(error.trim().lines().count(), 1, "one sentence: {error}");
        assert!(!error.contains("pass"), "{error}");
    }
    let damaged = data.join("mainstay.db");
    std::fs::write(
        &damaged,
        "no database at all, but long enough to have a first page ".repeat(200),
    )
    .unwrap();
    let (code, error) = start_with(&["--data", &shown, "--listen", "127.0.0.1:0"]);
    assert!(
        code == Some(1) && error.contains("damaged") && error.contains("mainstay restore"),
        "{error}"
    );
    assert_eq!(error.trim().lines().count(), 1, "one sentence: {error}");
    std::fs::remove_file(damaged).unwrap();

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, error) = start_with(&["--data", &shown, "--listen", &address]);
    assert!(
        code == Some(1) && error.contains("cannot listen") && error.contains("--listen"),
        "{error}"
    );

    std::fs::write(data.join("master.key"), "00".repeat(32)).unwrap();
    std::fs::set_permissions(data.join("master.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, error) = start_with(&["--data", &shown, "--listen", "127.0.0.1:0"]);
    assert!(code == Some(1) && error.contains("chmod 600"), "{error}");

    // A data folder that was used, whose database is gone or empty.
    std::fs::set_permissions(data.join("master.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    for is_empty_file in [false, true] {
        if is_empty_file {
            std::fs::write(data.join("mainstay.db"), "").unwrap();
        }
        let (code, error) = start_with(&["--data", &shown, "--listen", "127.0.0.1:0"]);
        assert!(
            code == Some(1) && error.contains("missing or empty") && error.contains("mainstay restore"),
            "{error}"
        );
    }
    let url = testkit::postgres::database().await;
    let (code, error) = start_with(&[
        "--data",
        &shown,
        "--listen",
        "127.0.0.1:0",
        "--database-url",
        &url,
    ]);
    assert!(
        code == Some(1) && error.contains("the database is empty"),
        "{error}"
    );
    assert_eq!(
        std::fs::metadata(data.join("mainstay.db")).unwrap().len(),
        0,
        "nothing was made"
    );
}

/// A folder of somebody else's is left as it is.
#[tokio::test]
async fn a_folder_with_other_files_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("letter.txt"), "dear all").unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let shown = dir.path().display().to_string();
    let (code, error) = start_with(&["--data", &shown, "--listen", "127.0.0.1:0"]);
    assert!(code == Some(1) && error.contains("not Mainstay's"), "{error}");
    let mode = std::fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o755);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused() {
    let house = House::up().await;
    let (code, error) = start_with(&[
        "--data",
        &house.data().display().to_string(),
        "--listen",
        "127.0.0.1:0",
    ]);
    assert!(
        code == Some(1) && error.contains("another mainstay server"),
        "{error}"
    );
}
