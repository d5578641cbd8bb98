//! What alerting does when others speak: a host that falls silent is a signal like any other.
//!
//! The signal's source carries the host's item, so that the alert is found again when the host has got another name, or when
//! its agent is taken out and nobody will ever say that it returned.

use kernel::{AnyError, Consumer, Event, Tx};

use crate::model::{Labels, Severity, Signal};
use crate::observe::observe;
use crate::store;

/// Name of the alert about a host that does not answer.
pub const HOST_LOST: &str = "HostLost";

pub fn presence() -> Consumer {
    Consumer::new(
        "alerting.presence",
        &["agent.lost", "agent.returned", "agent.revoked", "item.retired"],
        |tx, event| Box::pin(take(tx, event)),
    )
}

async fn take(tx: &mut Tx, event: &Event) -> Result<(), AnyError> {
    let text = |field: &str| event.data.get(field).and_then(|value| value.as_str());
    let item = match event.topic.as_str() {
        "item.retired" => Some(event.subject.as_str()),
        _ => text("item_id"),
    };
    let source = format!("fleet:{}", item.unwrap_or(&event.subject));
    if event.topic == "agent.lost" {
        let Some(host) = text("name") else {
            return Err("agent.lost names no host".into());
        };
        observe(tx, &[host_lost(host, source, event)]).await?;
        return Ok(());
    }
    let live = store::alert::live_named(tx, HOST_LOST).await?;
    let over: Vec<Signal> = live
        .into_iter()
        .filter(|alert| alert.life.sources.contains_key(&source))
        .map(|alert| Signal {
            source: source.clone(),
            name: alert.name,
            labels: alert.labels,
            annotations: alert.annotations,
            severity: alert.severity,
            active: false,
            value: None,
            at: event.at,
            for_ms: 0,
            keep_firing_for_ms: 0,
        })
        .collect();
    observe(tx, &over).await?;
    Ok(())
}

fn host_lost(host: &str, source: String, event: &Event) -> Signal {
    let summary = format!("{host} stopped reporting: its agent does not respond");
    let description = "The host is down, cut off from the network, or its agent has stopped. \
        Alerts about things on it are gathered in the same incident.";
    Signal {
        source,
        name: HOST_LOST.into(),
        labels: Labels::from([
            ("instance".into(), host.to_owned()),
            ("job".into(), "mainstay".into()),
            ("severity".into(), Severity::Critical.as_str().into()),
        ]),
        annotations: Labels::from([
            ("summary".into(), summary),
            ("description".into(), description.into()),
        ]),
        severity: Severity::Critical,
        active: true,
        value: None,
        at: event.at,
        for_ms: 0,
        keep_firing_for_ms: 0,
    }
}
