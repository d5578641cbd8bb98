//! What alerting does when others speak: a host that falls silent is a signal like any other.

use kernel::{AnyError, Consumer, Event, Tx};

use crate::model::{Labels, Severity, Signal};
use crate::observe::observe;

/// Name of the alert about a host that does not answer.
pub const HOST_LOST: &str = "HostLost";

pub fn presence() -> Consumer {
    Consumer::new(
        "alerting.presence",
        &["agent.lost", "agent.returned"],
        |tx, event| Box::pin(take(tx, event)),
    )
}

async fn take(tx: &mut Tx, event: &Event) -> Result<(), AnyError> {
    let Some(host) = host_name(event) else {
        return Err(format!("{} names no host", event.topic).into());
    };
    observe(tx, &[host_lost(&host, event.topic == "agent.lost", event)]).await?;
    Ok(())
}

fn host_name(event: &Event) -> Option<String> {
    event.data.get("name")?.as_str().map(str::to_owned)
}

fn host_lost(host: &str, is_lost: bool, event: &Event) -> Signal {
    let summary = format!("{host} is silent: its agent has not spoken for 10 seconds");
    let description = "The host is down, cut off from the network, or its agent has stopped. \
        Alerts about things on it are gathered in the same incident.";
    Signal {
        source: "fleet".into(),
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
        active: is_lost,
        value: None,
        at: event.at,
        for_ms: 0,
        keep_firing_for_ms: 0,
    }
}
