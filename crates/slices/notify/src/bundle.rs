//! Messages that become one: what there is no token for is listed in a message that counts the rest. Nothing is dropped: what was
//! bundled names the message that it went with.

use kernel::{Actor, DbError, NewEvent, Tx};

use crate::budget;
use crate::decide::EXPIRES_S;
use crate::events::{BundleData, MessageData};
use crate::model::{Channel, Message, MessageId, MessageState, Page, PageKind};
use crate::page::add_s;
use crate::store::messages;

/// Messages that a bundle lists.
const LISTED: i64 = 10;

/// Makes one message of what was never tried for a recipient, of one source or of any. `None` when there is nothing.
pub async fn bundle(
    tx: &mut Tx,
    channel: &Channel,
    wanted: &budget::Bundle,
    url: impl Fn(&str) -> String,
) -> Result<Option<Message>, DbError> {
    let id = MessageId::new();
    let source = wanted.source.as_deref();
    let all = messages::bundle(tx, channel.id.as_str(), (&wanted.target, source), id.as_str()).await?;
    let listed = messages::of_bundle(tx, id.as_str(), LISTED).await?;
    let Some(first) = listed.first() else {
        return Ok(None);
    };
    let now = tx.now();
    let mut message = Message {
        seq: 0,
        channel: channel.id.to_string(),
        target: wanted.target.clone(),
        page: page_of(&id, &listed, all, url),
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
        cause: first.cause,
        id,
    };
    messages::insert(tx, &message).await?;
    let data = BundleData {
        message: MessageData::of(&message, &channel.name),
        count: all,
    };
    let event = NewEvent::new("message.bundled", &message.id, &data);
    let cause = tx.append(&Actor::system("notify"), event).await?;
    messages::set_cause(tx, message.id.as_str(), cause).await?;
    message.cause = Some(cause);
    Ok(Some(message))
}

fn page_of(id: &MessageId, listed: &[Message], all: u64, url: impl Fn(&str) -> String) -> Page {
    let mut lines = Vec::new();
    for message in listed {
        let page = &message.page;
        let lead = match page.kind {
            PageKind::IncidentResolved => "Resolved: ",
            _ => "",
        };
        let link = page.url_path.as_deref().map(|path| format!(" {}", url(path)));
        lines.push(format!(
            "- {lead}{} ({}){}",
            page.title,
            page.severity.as_str(),
            link.unwrap_or_default()
        ));
    }
    let more = all.saturating_sub(listed.len() as u64);
    if more > 0 {
        lines.push(format!("- and {more} more"));
    }
    let first = listed.first().map_or("", |message| &message.page.title);
    Page {
        dedup_key: format!("bundle:{id}"),
        severity: listed
            .iter()
            .map(|message| message.page.severity)
            .max()
            .unwrap_or_default(),
        title: format!("{all} notifications: {first}, and {} more", all.saturating_sub(1)),
        text: format!(
            "There were more messages than this channel gets one by one. They are all here:\n{}",
            lines.join("\n")
        ),
        url_path: None,
        ..Page::default()
    }
}
