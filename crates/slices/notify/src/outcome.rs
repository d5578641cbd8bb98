//! What an attempt makes of its message: state, next attempt, events, and a word to people about a channel that cannot deliver.

use kernel::{Actor, DbError, NewEvent, Timestamp, Tx};
use rand::RngExt;

use crate::Notify;
use crate::decide::{Outcome, wait, wait_unknown};
use crate::deliver::Attempt;
use crate::events::MessageData;
use crate::model::{Channel, Message, MessageState, Page, Severity};
use crate::page::{self, add_s};
use crate::store::{channels, messages};

/// Writes down how an attempt ended, tells of it, and of a channel that needs somebody's hand.
pub async fn mark(
    notify: &Notify,
    (attempted, channel): (&Message, &Channel),
    ended: &Attempt,
) -> Result<(), DbError> {
    let mut tx = notify.kernel().db.write().await?;
    let now = tx.now();
    let mut message = attempted.clone();
    let outcome = &ended.outcome;
    let is_told = settle(&mut message, outcome, now);
    if message.state == MessageState::Sent {
        message.error.clone_from(&ended.template_fault);
    }
    if !messages::set_outcome(&mut tx, &message, notify.owner()).await? {
        return Ok(());
    }
    let fault = message.error.as_deref();
    match outcome.reason() {
        None => channels::set_sent(&mut tx, &message.channel, now, fault).await?,
        Some(error) => channels::set_failed(&mut tx, &message.channel, now, error).await?,
    }
    if is_told {
        tell(&mut tx, &message, &channel.name).await?;
    }
    if let Outcome::Misconfigured { reason } = outcome {
        tell_misconfigured(&mut tx, channel, reason).await?;
    }
    tx.commit().await
}

/// What an outcome makes of a message; true when it is worth an event.
fn settle(message: &mut Message, outcome: &Outcome, now: Timestamp) -> bool {
    message.outcome = outcome.name().to_owned();
    message.error = outcome.reason().map(str::to_owned);
    match outcome {
        Outcome::Delivered => {
            message.state = MessageState::Sent;
            message.sent_at = Some(now);
            true
        }
        Outcome::Permanent { .. } | Outcome::Misconfigured { .. } => {
            message.state = MessageState::Dead;
            true
        }
        Outcome::Unknown { .. } => {
            message.unknowns += 1;
            match wait_unknown(message.unknowns) {
                Some(wait_s) => message.next_attempt_at = add_s(now, wait_s),
                None => message.state = MessageState::Unconfirmed,
            }
            message.unknowns == 1 || message.state == MessageState::Unconfirmed
        }
        Outcome::Temporary { retry_after, .. } => {
            let pause = wait(message.attempts, *retry_after, rand::rng().random());
            let pause_s = i64::try_from(pause.as_secs().max(1)).unwrap_or(i64::MAX);
            message.next_attempt_at = add_s(now, pause_s);
            if message.next_attempt_at >= message.expires_at {
                message.state = MessageState::Dead;
                return true;
            }
            message.attempts == 1
        }
    }
}

/// Tells on the other channels that this one needs somebody's hand, once a day.
async fn tell_misconfigured(tx: &mut Tx, channel: &Channel, reason: &str) -> Result<(), DbError> {
    let others = channels::enabled(tx).await?.into_iter().map(|other| other.id);
    let others: Vec<_> = others.filter(|other| *other != channel.id).collect();
    if others.is_empty() {
        return Ok(());
    }
    let day = tx.now().as_second().div_euclid(86_400);
    let page = Page {
        dedup_key: format!("channel-misconfigured:{}:{day}", channel.id),
        severity: Severity::Warning,
        title: format!("The channel \"{}\" does not deliver", channel.name),
        text: format!(
            "{reason}.\nIts messages are kept. They are sent once its address or credentials have been changed, for up to 24 hours."
        ),
        fields: vec![(
            "Channel".into(),
            format!("{} ({})", channel.name, channel.config.kind()),
        )],
        channels: Some(others),
        ..Page::default()
    };
    page::page(tx, &Actor::system("notify"), &page).await?;
    Ok(())
}

/// Appends how a message fared.
pub async fn tell(tx: &mut Tx, message: &Message, channel_name: &str) -> Result<(), DbError> {
    let data = MessageData {
        error: message.error.clone(),
        is_final: message.state == MessageState::Dead,
        ..MessageData::of(message, channel_name)
    };
    let topic = match message.state {
        MessageState::Sent => "message.sent",
        MessageState::Unconfirmed => "message.unconfirmed",
        MessageState::Waiting | MessageState::Bundled | MessageState::Dead => "message.failed",
    };
    let event = NewEvent::new(topic, &message.id, &data).caused_by(message.cause);
    tx.append(&Actor::system("notify"), event).await?;
    Ok(())
}
