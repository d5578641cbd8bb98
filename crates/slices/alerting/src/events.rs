//! What alerting says on the timeline. Topics and payloads are a contract: other slices and people's scripts read them.

use kernel::{Actor, DbError, NewEvent, Tx};

use crate::model::Alert;
use crate::silence::Silence;
use crate::window::Window;

/// It holds, it is not muted, and somebody should know. At most once for an alert.
pub const FIRED: &str = "alert.fired";
/// It has ended; said of every alert that was said to have fired or to be muted.
pub const RESOLVED: &str = "alert.resolved";
/// It holds, and a silence mutes it.
pub const SILENCED: &str = "alert.silenced";
/// It holds, and a maintenance window mutes it.
pub const SUPPRESSED: &str = "alert.suppressed";
/// It was said to have fired, was muted for a while, and is not muted any more.
pub const UNMUTED: &str = "alert.unmuted";

pub const SILENCE_CREATED: &str = "silence.created";
pub const SILENCE_STARTED: &str = "silence.started";
pub const SILENCE_CHANGED: &str = "silence.changed";
pub const SILENCE_EXPIRED: &str = "silence.expired";
pub const MAINTENANCE_CREATED: &str = "maintenance.created";
pub const MAINTENANCE_STARTED: &str = "maintenance.started";
pub const MAINTENANCE_CHANGED: &str = "maintenance.changed";
pub const MAINTENANCE_ENDED: &str = "maintenance.ended";

/// What there is to say about an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Fired,
    Resolved,
    Silenced,
    Suppressed,
    Unmuted,
}

impl News {
    fn topic(self) -> &'static str {
        match self {
            Self::Fired => FIRED,
            Self::Resolved => RESOLVED,
            Self::Silenced => SILENCED,
            Self::Suppressed => SUPPRESSED,
            Self::Unmuted => UNMUTED,
        }
    }
}

/// Says all of it in the order given, with few statements: ten thousand alerts may fire at once.
pub async fn say_alerts(tx: &mut Tx, said: impl IntoIterator<Item = (&Alert, News)>) -> Result<(), DbError> {
    let events = said
        .into_iter()
        .map(|(alert, news)| NewEvent::new(news.topic(), &alert.id, &alert.data()))
        .collect();
    tx.append_all(&Actor::system("alerting"), events).await?;
    Ok(())
}

pub async fn say_silence(
    tx: &mut Tx,
    actor: &Actor,
    topic: &'static str,
    silence: &Silence,
) -> Result<i64, DbError> {
    tx.append(actor, NewEvent::new(topic, &silence.id, silence)).await
}

pub async fn say_window(
    tx: &mut Tx,
    actor: &Actor,
    topic: &'static str,
    window: &Window,
) -> Result<i64, DbError> {
    tx.append(actor, NewEvent::new(topic, &window.id, window)).await
}
