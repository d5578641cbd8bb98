//! Clocks that are wrong or step, of the server and of agents: pages come as ever, and a wrong clock is told of.

use std::time::Duration;

use serde_json::Value;

use crate::clock::TestClock;
use crate::house::{House, Plan, Service, unique};

const HOURS: i64 = 3600;

/// The clock of server and agent steps ahead by two hours: a service that stops is paged after each step, and its
/// incident ends when it is back.
#[tokio::test]
async fn a_clock_that_steps_delays_no_page() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new(folder.path().join("clock"));
    let house = House::built(Plan {
        clock: Some(clock.clone()),
        ..Plan::default()
    })
    .await;
    let names: Vec<String> = ["right", "ahead"].map(unique).to_vec();
    let mut services: Vec<Service> = names.iter().map(|name| Service::start(&house, name)).collect();
    house
        .watch(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    for ((offset, name), service) in [0, 2 * HOURS].into_iter().zip(&names).zip(&mut services) {
        clock.set(offset);
        // Both sides have read their clock anew.
        tokio::time::sleep(Duration::from_secs(3)).await;
        service.kill();
        house.until_paged(name, 1).await;
        service.restart();
        house
            .until("the end of the incident", "/api/v1/incidents", |body| {
                let all = body["items"].as_array()?;
                let is_open = |i: &Value| {
                    i["title"].as_str().is_some_and(|title| title.contains(name)) && i["state"] != "resolved"
                };
                (!all.iter().any(is_open)).then_some(())
            })
            .await;
    }
}
