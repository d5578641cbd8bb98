//! The test button: past the outbox, so that the answer tells how it went.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::extract::State;
use kernel::http::{Json, Path};
use kernel::slice::roles;
use kernel::{Actor, NewEvent, Problem, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::channels::find;
use super::require_everywhere;
use crate::Notify;
use crate::events::TestData;
use crate::model::{Channel, Message, MessageId, MessageState, Page, PageKind, Severity};
use crate::store;

/// A person waits for the answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a test went.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestResult {
    pub is_delivered: bool,
    /// What went wrong, one entry for each recipient that was not reached.
    pub errors: Vec<String>,
}

/// Send a test message now, past the outbox, and tell how it went
#[utoipa::path(post, path = "/api/v1/channels/{id}/test", tag = "notify", params(("id" = String, Path)),
    responses((status = 200, body = TestResult), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn test_channel(
    State(notify): State<Notify>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<TestResult>, Problem> {
    require_everywhere(&actor, "channels.write", roles::ADMINISTER)?;
    let mut reader = notify.kernel().db.read().await?;
    let channel = find(&mut reader, &id).await?;
    drop(reader);
    let attempts = channel.config.targets().into_iter().map(|target| {
        let message = test_message(&actor, &channel, target, notify.kernel().clock.now());
        let (notify, channel) = (&notify, &channel);
        async move {
            let handed_over = AtomicBool::default();
            let attempt = notify.attempt(channel, &message, &handed_over);
            let reason = match tokio::time::timeout(PATIENCE, attempt).await {
                Ok(ended) => ended.outcome.reason()?.to_owned(),
                Err(_) => format!("no confirmation within {} s", PATIENCE.as_secs()),
            };
            if message.target.is_empty() {
                Some(reason)
            } else {
                Some(format!("{}: {reason}", message.target))
            }
        }
    });
    let outcomes = futures_util::future::join_all(attempts).await;
    let errors: Vec<String> = outcomes.into_iter().flatten().collect();
    let mut tx = notify.kernel().db.write().await?;
    let now = tx.now();
    match errors.first() {
        None => store::channels::set_sent(&mut tx, &id, now, None).await?,
        Some(error) => store::channels::set_failed(&mut tx, &id, now, error).await?,
    }
    let data = TestData {
        name: channel.name,
        error: errors.first().cloned(),
    };
    tx.append(&actor, NewEvent::new("channel.tested", &id, &data))
        .await?;
    tx.commit().await?;
    Ok(Json(TestResult {
        is_delivered: errors.is_empty(),
        errors,
    }))
}

fn test_message(actor: &Actor, channel: &Channel, target: String, now: Timestamp) -> Message {
    let id = MessageId::new();
    Message {
        seq: 0,
        channel: channel.id.to_string(),
        target,
        page: Page {
            dedup_key: id.to_string(),
            kind: PageKind::Test,
            severity: Severity::Info,
            title: "This is a test".into(),
            text: format!(
                "{} tried the channel \"{}\". If you can read this, it works.",
                actor.name, channel.name
            ),
            fields: vec![("Channel".into(), channel.name.clone())],
            channels: Some(vec![channel.id.clone()]),
            ..Page::default()
        },
        id,
        state: MessageState::Waiting,
        attempts: 1,
        created_at: now,
        next_attempt_at: now,
        expires_at: now,
        sent_at: None,
        error: None,
        outcome: String::new(),
        unknowns: 0,
        bundle: None,
        cause: None,
    }
}
