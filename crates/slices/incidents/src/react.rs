//! What incidents do when others speak: alerts open and close them, and whatever follows from an event of a story joins the story.

use kernel::{Actor, AnyError, Consumer, Event, Tx};

use crate::Incidents;
use crate::store;
use crate::work::Desk;

const TOPICS: &[&str] = &["alert.*", "message.*", "run.*", "change.*", "command.finished"];

pub fn consumer(incidents: &Incidents) -> Consumer {
    let incidents = incidents.clone();
    Consumer::new("incidents.react", TOPICS, move |tx, event| {
        let incidents = incidents.clone();
        Box::pin(async move { take(&incidents, tx, event).await })
    })
}

async fn take(incidents: &Incidents, tx: &mut Tx, event: &Event) -> Result<(), AnyError> {
    if !event.topic.starts_with("alert.") {
        return follow(tx, event).await;
    }
    let data: alerting::AlertData = event.parse()?;
    let mut desk = Desk::open(tx, Actor::system("incidents"), incidents).await?;
    match event.topic.as_str() {
        alerting::events::FIRED | alerting::events::UNMUTED => desk.alert_fired(event, &data).await?,
        alerting::events::RESOLVED => desk.alert_resolved(event, &data).await?,
        alerting::events::SILENCED | alerting::events::SUPPRESSED => desk.alert_muted(event, &data).await?,
        _ => {}
    }
    Ok(())
}

/// Causes come before what they cause, and events are taken in order: one look suffices.
async fn follow(tx: &mut Tx, event: &Event) -> Result<(), AnyError> {
    if let Some(cause) = event.cause {
        let is_followed = store::link::follow(tx, event.seq, cause).await?;
        if is_followed && event.topic == "run.requested" {
            adopt(tx, event).await?;
        }
    }
    if let Some(incident) = named_incident(event)
        && store::incident::get(tx, &incident).await?.is_some()
    {
        store::link::add(tx, &incident, event.seq).await?;
    }
    Ok(())
}

/// A run that an alert has started is for the incident of the alert.
async fn adopt(tx: &mut Tx, event: &Event) -> Result<(), AnyError> {
    if let Some(incident) = store::link::incident_of(tx, event.seq).await? {
        automation::store::adopt_run(tx, &event.subject, &incident).await?;
    }
    Ok(())
}

/// The incident that the payload names: a run that was started from its page, a message about it.
fn named_incident(event: &Event) -> Option<String> {
    let text = |field: &str| event.data.get(field)?.as_str().map(str::to_owned);
    text("incident_id")
        .or_else(|| text("incident"))
        .or_else(|| text("url_path")?.strip_prefix("/incidents/").map(str::to_owned))
        .filter(|id| id.starts_with("inc_"))
}
