//! Observing, retiring, identity, selecting.

use inventory::{IdentityKey, MANUAL, Observation, Selector, State};
use kernel::Kernel;
use serde_json::json;

use crate::kit::{agent, beds, events, item, named, observe, topics};
use crate::kit::{facts, identity};

async fn see(kernel: &Kernel, seen: &Observation) -> inventory::ItemId {
    let mut tx = kernel.db.write().await.unwrap();
    let id = inventory::observe(&mut tx, &agent(), seen).await.unwrap();
    tx.commit().await.unwrap();
    id
}

fn database(attribute: &str, value: &str) -> Observation {
    Observation {
        kind: "database".into(),
        key: "orders".into(),
        name: "orders".into(),
        attributes: [(attribute.to_owned(), json!(value))].into(),
        source: "probe".into(),
        ..Observation::default()
    }
}

#[tokio::test]
async fn what_is_not_new_writes_nothing() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let first = see(kernel, &database("version", "16")).await;
        let second = see(kernel, &database("version", "16")).await;
        assert_eq!(first, second);
        assert_eq!(topics(kernel).await, ["item.created"]);
        see(kernel, &database("version", "17")).await;
        let all = events(kernel).await;
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].topic, "item.changed");
        assert_eq!(all[1].data["before"], "16");
        assert_eq!(all[1].data["after"], "17");
        assert_eq!(item(kernel, &first).await.version, 2);
    }
}

#[tokio::test]
async fn a_manual_value_stands_over_what_is_observed() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let id = see(kernel, &database("role", "replica")).await;
        let mut manual = database("role", "primary");
        manual.source = MANUAL.into();
        see(kernel, &manual).await;
        see(kernel, &database("role", "standby")).await;
        let item = item(kernel, &id).await;
        assert_eq!(item.text("role"), Some("primary"));
        assert_eq!(
            item.attributes.observed_difference("role").unwrap().value,
            "standby"
        );
        assert_eq!(events(kernel).await[2].data["overridden"], true);
    }
}

#[tokio::test]
async fn things_retire_with_what_is_on_them_and_return() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let host = observe(kernel, 1, &facts("web-1", "10.0.0.1")).await;
        let mut tx = kernel.db.write().await.unwrap();
        inventory::retire(&mut tx, &agent(), &host, MANUAL).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(item(kernel, &host).await.state, State::Retired);
        assert_eq!(
            named(kernel, "service", "ssh.service").await.state,
            State::Retired
        );
        assert_eq!(observe(kernel, 1, &facts("web-1", "10.0.0.1")).await, host);
        assert!(item(kernel, &host).await.is_active());
        assert!(named(kernel, "service", "ssh.service").await.is_active());
        assert!(topics(kernel).await.iter().any(|topic| topic == "item.returned"));
    }
}

#[tokio::test]
async fn live_clones_stay_apart_and_are_told() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let original = observe(kernel, 1, &facts("web-1", "10.0.0.1")).await;
        let mut tx = kernel.db.write().await.unwrap();
        let mut clone = identity(2);
        clone.machine_id = identity(1).machine_id;
        let copy = inventory::observe_facts(
            &mut tx,
            &agent(),
            "agent:2",
            &facts("web-1", "10.0.0.2"),
            &clone,
            None,
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        assert_ne!(original, copy);
        assert_eq!(item(kernel, &copy).await.name, "web-1-2", "host names are unique");
        let mut reader = kernel.db.read().await.unwrap();
        let conflicts = inventory::store::conflicts(&mut reader, &original).await.unwrap();
        assert_eq!(
            conflicts,
            [(copy.clone(), IdentityKey::new("machine_id", "machine1"))]
        );
        drop(reader);
        // The same facts again change nothing.
        let before = topics(kernel).await.len();
        let mut tx = kernel.db.write().await.unwrap();
        let again = inventory::observe_facts(
            &mut tx,
            &agent(),
            "agent:2",
            &facts("web-1", "10.0.0.2"),
            &clone,
            Some(copy.clone()),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        assert_eq!((again, topics(kernel).await.len()), (copy, before));
    }
}

#[tokio::test]
async fn a_host_that_a_person_added_is_found_by_its_name() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let manual = Observation {
            kind: "host".into(),
            key: "db-1".into(),
            name: "db-1".into(),
            source: MANUAL.into(),
            ..Observation::default()
        };
        let id = see(kernel, &manual).await;
        assert_eq!(observe(kernel, 1, &facts("db-1", "10.0.0.1")).await, id);
        // Renamed on the machine: the name that the person gave stays.
        assert_eq!(observe(kernel, 1, &facts("other", "10.0.0.1")).await, id);
        assert_eq!(item(kernel, &id).await.name, "db-1");
        assert_eq!(item(kernel, &id).await.text("hostname"), Some("other"));
    }
}

#[tokio::test]
async fn selectors_select() {
    for bed in beds().await {
        let kernel = bed.kernel();
        for n in 1..=3 {
            observe(kernel, n, &facts(&format!("web-{n}"), &format!("10.0.0.{n}"))).await;
        }
        let names = async |text: &str| {
            let selector: Selector = text.parse().unwrap();
            let mut reader = kernel.db.read().await.unwrap();
            let items = inventory::store::select(&mut reader, &selector).await.unwrap();
            items.into_iter().map(|item| item.name).collect::<Vec<_>>()
        };
        assert_eq!(names("kind=host name=web-*").await, ["web-1", "web-2", "web-3"]);
        assert_eq!(
            names("kind=host attr:os_name=Debian* name!=web-2").await,
            ["web-1", "web-3"]
        );
        assert_eq!(names("kind=service on=web-3").await, ["ssh.service"]);
        assert_eq!(names("attr:addresses=10.0.0.2 kind=host").await, ["web-2"]);
        assert!(names("kind=host tag:env=prod").await.is_empty());
    }
}
