//! Clocks that are wrong or step, of the server and of agents: pages come as ever, and a wrong clock is told of.

use std::time::Duration;

use serde_json::Value;

use crate::clock::TestClock;
use crate::house::{House, Plan, Service, unique};
use crate::remote::Agent;

const HOURS: i64 = 3600;

/// The clock of server and agent steps ahead and back by two hours: a service that stops is paged after each step, and its
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
    let names: Vec<String> = ["right", "ahead", "back", "behind"].map(unique).to_vec();
    let mut services: Vec<Service> = names.iter().map(|name| Service::start(&house, name)).collect();
    house
        .watch(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    for ((offset, name), service) in [0, 2 * HOURS, 0, -2 * HOURS]
        .into_iter()
        .zip(&names)
        .zip(&mut services)
    {
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

/// An agent whose clock is hours off is seen at the time of the server, pages as any other, and its clock is alerted.
#[tokio::test]
async fn a_host_with_a_wrong_clock_pages_and_is_told_of() {
    for offset in [2 * HOURS, -2 * HOURS] {
        let folder = tempfile::tempdir().unwrap();
        let clock = TestClock::new(folder.path().join("clock"));
        clock.set(offset);
        let house = House::built(Plan {
            is_alone: true,
            ..Plan::default()
        })
        .await;
        let agent = Agent::join_at(&house, Some(clock)).await;
        let name = unique("shop");
        let mut service = Service::start_on(&house, &agent.host, &name);
        house.watch(&[&name]).await;
        service.kill();
        house.until_paged(&name, 1).await;
        let alerts = "/api/v1/alerts";
        house
            .until("the alert about the clock", alerts, |body| {
                let all = body["items"].as_array()?;
                all.iter()
                    .any(|a| {
                        a["name"].as_str().is_some_and(|name| name.contains("Clock"))
                            && a["state"] == "firing"
                    })
                    .then_some(())
            })
            .await;
    }
}
