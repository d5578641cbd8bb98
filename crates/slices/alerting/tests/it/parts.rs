//! What the tests share.

use alerting::{Labels, Severity, Signal};
use inventory::{ItemId, Observation};
use kernel::event::store::Filter;
use kernel::{Actor, Clock, Event, Kernel, Timestamp};
use testkit::Bed;

pub const SCHEMA: &[(&str, &[kernel::Migration])] = &[
    ("inventory", inventory::MIGRATIONS),
    ("alerting", alerting::MIGRATIONS),
];

pub fn start() -> Timestamp {
    "2026-03-01T10:00:00Z".parse().unwrap()
}

/// One bed per database, with the time held.
pub async fn beds() -> Vec<Bed> {
    vec![
        Bed::sqlite_at(SCHEMA, Clock::fake(start())).await,
        Bed::postgres_at(SCHEMA, Clock::fake(start())).await,
    ]
}

pub fn advance(kernel: &Kernel, seconds: i64) {
    kernel.clock.advance(jiff::SignedDuration::from_secs(seconds));
}

pub fn signal(kernel: &Kernel, name: &str, instance: &str, active: bool) -> Signal {
    Signal {
        source: "rule:1".into(),
        name: name.into(),
        labels: Labels::from([("instance".into(), instance.into())]),
        annotations: Labels::from([("summary".into(), format!("{name} on {instance}"))]),
        severity: Severity::Warning,
        active,
        value: Some(0.95),
        at: kernel.clock.now(),
        for_ms: 0,
        keep_firing_for_ms: 0,
    }
}

pub async fn observe(kernel: &Kernel, signals: &[Signal]) {
    let mut tx = kernel.db.write().await.unwrap();
    alerting::observe(&mut tx, signals).await.unwrap();
    tx.commit().await.unwrap();
}

/// A host with a service on it.
pub async fn host(kernel: &Kernel, name: &str) -> (ItemId, ItemId) {
    tagged_host(kernel, name, "test").await
}

/// A host of an environment with a service on it.
pub async fn tagged_host(kernel: &Kernel, name: &str, env: &str) -> (ItemId, ItemId) {
    let mut tx = kernel.db.write().await.unwrap();
    let actor = Actor::system("test");
    let seen = |kind: &str, parent: Option<ItemId>, name: &str| Observation {
        kind: kind.into(),
        key: name.into(),
        parent,
        name: name.into(),
        source: "test".into(),
        tags: Labels::from([("env".into(), env.into())]),
        ..Observation::default()
    };
    let host = inventory::observe(&mut tx, &actor, &seen("host", None, name))
        .await
        .unwrap();
    let service = seen("service", Some(host.clone()), "nginx");
    let service = inventory::observe(&mut tx, &actor, &service).await.unwrap();
    tx.commit().await.unwrap();
    (host, service)
}

/// The alert events so far, oldest first.
pub async fn told(kernel: &Kernel) -> Vec<Event> {
    let mut reader = kernel.db.read().await.unwrap();
    let filter = Filter {
        topic_prefix: Some("alert.".into()),
        ..Filter::default()
    };
    let mut events = kernel::event::store::before(&mut reader, &filter, i64::MAX, 100_000)
        .await
        .unwrap();
    events.reverse();
    events
}

pub async fn topics(kernel: &Kernel) -> Vec<String> {
    told(kernel).await.into_iter().map(|event| event.topic).collect()
}
