//! The server's own disk: full, read-only, or written by a newer program. Said clearly, and nothing is lost.

use serde_json::{Value, json};

use crate::disk::Disk;
use crate::house::{House, Plan, Service, unique};

fn channel(name: &str) -> Value {
    json!({ "name": name, "config": { "type": "webhook", "url": "http://127.0.0.1:9/" } })
}

/// Large enough that a few hundred fill what the write-ahead log still has room for.
fn runbook(name: &str) -> Value {
    let filler = "# what this is for\n".repeat(3000);
    json!({ "text": format!("name: {name}\n{filler}steps:\n  - name: Look\n    command: [uptime]\n") })
}

/// The disk under the data folder fills: writes are refused with a reason, reads go on, the server stays;
/// with room again the fault of the meantime is told.
#[tokio::test]
async fn a_full_data_disk_is_said_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mounted(&folder.path().join("disk"), 128) else {
        return;
    };
    let mut house = House::built(Plan {
        data: Some(disk.point().join("data")),
        ..Plan::default()
    })
    .await;
    let name = unique("tide");
    let mut service = Service::start(&house, &name);
    house.watch(&[&name]).await;
    let filler = disk.fill(0);
    let mut refused = Value::Null;
    let mut taken = Vec::new();
    for number in 0..500 {
        let name = format!("c{number}");
        let (status, body) = house
            .call("POST", "/api/v1/runbooks", Some(&runbook(&name)))
            .await;
        if status >= 300 {
            assert_eq!(status, 503, "{body}");
            refused = body;
            break;
        }
        taken.push(name);
    }
    let detail = refused["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("disk space"), "{refused}");
    service.kill();
    let (status, body) = house.call("GET", "/api/v1/channels", None).await;
    assert_eq!(status, 200, "reads go on: {body}");
    assert!(house.is_running(), "{}", house.log());

    std::fs::remove_file(filler).unwrap();
    house
        .until("the incident of the meantime", "/api/v1/incidents", |body| {
            let all = body["items"].as_array()?;
            all.iter()
                .any(|i| i["title"].as_str().is_some_and(|t| t.contains(&name)))
                .then_some(())
        })
        .await;
    house.until_paged(&name, 1).await;
    let (status, body) = house
        .call("POST", "/api/v1/runbooks", Some(&runbook("after")))
        .await;
    assert!(status < 300, "{body}");
    house.kill();
    house.start().await;
    let kept = house
        .until("the runbooks", "/api/v1/runbooks?limit=500", |body| {
            body.is_array().then(|| body.clone())
        })
        .await;
    let names: Vec<&str> = kept
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|c| c["name"].as_str())
        .collect();
    for name in taken.iter().map(String::as_str).chain(["after"]) {
        assert!(
            names.contains(&name),
            "{name} was taken and is not there: {names:?}"
        );
    }
}

/// The kernel makes a failing file system read-only under the server: the same, and a start on it says what is wrong.
#[tokio::test]
async fn a_read_only_data_disk_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mounted(&folder.path().join("disk"), 128) else {
        return;
    };
    let mut house = House::built(Plan {
        data: Some(disk.point().join("data")),
        ..Plan::default()
    })
    .await;
    disk.abort();
    let (status, body) = house
        .call("POST", "/api/v1/channels", Some(&channel("late")))
        .await;
    assert_eq!(status, 503, "{body}");
    assert!(body["detail"].as_str().unwrap().contains("disk"), "{body}");
    let (status, body) = house.call("GET", "/api/v1/channels", None).await;
    assert_eq!(status, 200, "reads go on: {body}");
    assert!(house.is_running(), "{}", house.log());
    house.kill();
    let output = house.command().output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("read-only") && error.contains("data folder"),
        "{error}"
    );
}

/// A database that a newer program has written is refused before anything is touched, on both databases.
#[tokio::test]
async fn a_newer_database_than_the_program_is_refused() {
    for plan in Plan::both().await {
        let url = plan.database_url.clone();
        let mut house = House::built(plan).await;
        house.stop();
        let options = url.map_or_else(
            || kernel::db::DbOptions::sqlite(&house.data().join("mainstay.db")),
            |url| kernel::db::DbOptions::postgres(&url),
        );
        testkit::age_into_the_future(&options).await;
        let output = house.command().output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("newer") && error.contains("access"), "{error}");
    }
}
