//! The outbox, for people.

use axum::extract::State;
use kernel::http::page::{Cursor, Page as ListPage};
use kernel::http::{Json, Path, Query};
use kernel::slice::roles;
use kernel::{Actor, NewEvent, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{refuse_scoped, require_everywhere};
use crate::Notify;
use crate::decide::EXPIRES_S;
use crate::events::MessageData;
use crate::model::{Message, MessageId, MessageState, PageKind, Severity};
use crate::page::add_s;
use crate::store;

/// A message, and how it fares.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageView {
    #[schema(value_type = String)]
    pub id: MessageId,
    /// Id of its channel, which may be gone.
    pub channel: String,
    /// The address, for e-mail; empty otherwise.
    pub target: String,
    pub state: MessageState,
    pub kind: PageKind,
    pub severity: Severity,
    pub title: String,
    pub text: String,
    /// Path of what it is about.
    pub url_path: Option<String>,
    pub attempts: i64,
    /// How the last attempt ended: `delivered`, `unknown` (handed over and not confirmed), `failed` (tried again), `refused`,
    /// `misconfigured` (the channel must be changed); empty before the first.
    pub outcome: String,
    /// Id of the message that it was sent with, when there were too many to send one by one.
    pub bundle: Option<String>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it is tried again; absent when it is not.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sent_at: Option<Timestamp>,
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        let is_waiting = message.state == MessageState::Waiting;
        Self {
            id: message.id,
            channel: message.channel,
            target: message.target,
            state: message.state,
            kind: message.page.kind,
            severity: message.page.severity,
            title: message.page.title,
            text: message.page.text,
            url_path: message.page.url_path,
            attempts: message.attempts,
            outcome: message.outcome,
            bundle: message.bundle,
            error: message.error,
            created_at: message.created_at,
            next_attempt_at: is_waiting.then_some(message.next_attempt_at),
            sent_at: message.sent_at,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessageQuery {
    /// Id of a channel.
    channel: Option<String>,
    state: Option<MessageState>,
    /// 1 to 500, 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Messages, newest first
#[utoipa::path(get, path = "/api/v1/messages", tag = "notify", params(MessageQuery),
    responses((status = 200, body = ListPage<MessageView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_messages(
    State(notify): State<Notify>,
    actor: Actor,
    Query(query): Query<MessageQuery>,
) -> Result<Json<ListPage<MessageView>>, Problem> {
    refuse_scoped(&actor)?;
    let cursor = Cursor::decode(query.cursor.as_deref())?;
    let before = cursor.map_or(Ok(i64::MAX), |cursor| cursor.first_i64())?;
    let limit = query.limit.unwrap_or(100).clamp(1, 500);
    let channel = query.channel.unwrap_or_default();
    let state = query.state.map_or("", MessageState::as_str);
    let mut reader = notify.kernel().db.read().await?;
    let messages = store::messages::list(&mut reader, &channel, state, before, i64::from(limit) + 1).await?;
    let page = ListPage::cut(messages, limit as usize, |message: &Message| {
        Cursor::of(&[&message.seq.to_string()])
    });
    Ok(Json(ListPage {
        items: page.items.into_iter().map(MessageView::from).collect(),
        next: page.next,
    }))
}

/// A message
#[utoipa::path(get, path = "/api/v1/messages/{id}", tag = "notify", params(("id" = String, Path)),
    responses((status = 200, body = MessageView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_message(
    State(notify): State<Notify>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<MessageView>, Problem> {
    refuse_scoped(&actor)?;
    let mut reader = notify.kernel().db.read().await?;
    let message = store::messages::get(&mut reader, &id)
        .await?
        .ok_or_else(|| Problem::not_found("message", &id))?;
    Ok(Json(message.into()))
}

/// Try a message again now that waits or was given up
#[utoipa::path(post, path = "/api/v1/messages/{id}/retry", tag = "notify", params(("id" = String, Path)),
    responses((status = 200, body = MessageView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn retry_message(
    State(notify): State<Notify>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<MessageView>, Problem> {
    require_everywhere(&actor, "messages.write", roles::OPERATE)?;
    let mut tx = notify.kernel().db.write().await?;
    let message = store::messages::get(&mut tx, &id)
        .await?
        .ok_or_else(|| Problem::not_found("message", &id))?;
    let channel = store::channels::get(&mut tx, &message.channel)
        .await?
        .ok_or_else(|| Problem::conflict("its channel is gone"))?;
    let now = tx.now();
    if !store::messages::requeue(&mut tx, &id, now, add_s(now, EXPIRES_S)).await? {
        return Err(Problem::conflict(
            "the message was sent, or is being sent right now",
        ));
    }
    let event = NewEvent::new("message.retried", &id, &MessageData::of(&message, &channel.name));
    tx.append(&actor, event.caused_by(message.cause)).await?;
    let message = store::messages::get(&mut tx, &id)
        .await?
        .ok_or_else(|| Problem::not_found("message", &id))?;
    tx.commit().await?;
    Ok(Json(message.into()))
}
