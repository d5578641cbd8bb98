//! Queueing a page: one message for each recipient of each channel that takes it, in the caller's transaction.

use jiff::SignedDuration;
use kernel::{Actor, DbError, NewEvent, Timestamp, Tx};

use crate::decide::{EXPIRES_S, takes};
use crate::events::MessageData;
use crate::model::{Message, MessageId, MessageState, Page, PageAlert};
use crate::page_alert::{ALERTS_MAX, block, line};
use crate::store::{channels, messages};

/// Queues `page` and returns how many messages that made. They are sent as soon as the transaction is committed; when it is not,
/// nothing is sent. What was queued before under the same key is not queued again.
pub async fn page(tx: &mut Tx, actor: &Actor, page: &Page) -> Result<u64, DbError> {
    let page = clean(page);
    let mut queued = 0;
    for channel in channels::enabled(tx).await? {
        if !takes(&channel, &page) {
            continue;
        }
        for target in channel.config.targets() {
            let now = tx.now();
            let message = Message {
                seq: 0,
                id: MessageId::new(),
                channel: channel.id.to_string(),
                target,
                page: page.clone(),
                state: MessageState::Waiting,
                attempts: 0,
                created_at: now,
                next_attempt_at: now,
                expires_at: add_s(now, EXPIRES_S),
                sent_at: None,
                error: None,
                outcome: String::new(),
                unknowns: 0,
                bundle: None,
                cause: None,
            };
            if messages::insert(tx, &message).await? {
                let data = MessageData::of(&message, &channel.name);
                let event = NewEvent::new("message.queued", &message.id, &data);
                let cause = tx.append(actor, event).await?;
                messages::set_cause(tx, message.id.as_str(), cause).await?;
                queued += 1;
            }
        }
    }
    Ok(queued)
}

/// Alert annotations come from anywhere: bounded, and without what a database or a mail header does not take.
fn clean(page: &Page) -> Page {
    Page {
        dedup_key: line(&page.dedup_key, 300),
        title: line(&page.title, 250),
        text: block(&page.text, 10_000),
        url_path: page.url_path.as_deref().map(|path| line(path, 500)),
        fields: page
            .fields
            .iter()
            .take(30)
            .map(|(name, value)| (line(name, 100), line(value, 1000)))
            .collect(),
        alerts_left_out: page.alerts_left_out + page.alerts.len().saturating_sub(ALERTS_MAX) as u64,
        alerts: page
            .alerts
            .iter()
            .take(ALERTS_MAX)
            .map(PageAlert::clean)
            .collect(),
        source: page.source.as_deref().map(|source| line(source, 300)),
        ..page.clone()
    }
}

pub fn add_s(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(at)
}
