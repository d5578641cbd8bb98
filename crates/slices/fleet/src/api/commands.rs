//! Commands: where they stand, ending them, and their output as it comes.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use kernel::http::{Json, Path};
use kernel::slice::roles;
use kernel::{Actor, Problem, Timestamp};
use protocol::CommandState;
use serde::Serialize;
use sqlx::AnyConnection;
use tokio::sync::broadcast;
use utoipa::ToSchema;

use super::visible_item;
use crate::Fleet;
use crate::model::{Command, CommandId, State as CommandPlace};
use crate::store::{self, OutputChunk};

/// A command for one host.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Command)]
pub struct CommandView {
    pub id: String,
    pub agent_id: String,
    /// The host.
    pub item_id: String,
    /// The orderer's own name for it.
    pub order: String,
    /// What is done, with its arguments.
    #[schema(value_type = Object)]
    pub action: serde_json::Value,
    pub timeout_ms: u64,
    pub state: CommandPlace,
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why it could not begin.
    pub error: Option<String>,
    /// How long it ran on the host.
    pub duration_ms: Option<u64>,
    /// Output that was beyond the cap.
    pub dropped_bytes: Option<u64>,
    pub cancel_requested: bool,
    /// Who ordered it.
    pub actor: String,
    pub actor_name: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

impl From<Command> for CommandView {
    fn from(command: Command) -> Self {
        let mut view = Self {
            exit_code: command.exit_code(),
            signal: None,
            error: None,
            duration_ms: None,
            dropped_bytes: None,
            id: command.id.to_string(),
            agent_id: command.agent.to_string(),
            item_id: command.item.to_string(),
            order: command.reference,
            action: serde_json::to_value(command.action).unwrap_or_default(),
            timeout_ms: command.timeout_ms,
            state: command.state,
            cancel_requested: command.cancel_requested,
            actor: command.actor,
            actor_name: command.actor_name,
            created_at: command.created_at,
            started_at: command.started_at,
            ended_at: command.ended_at,
        };
        match command.result {
            Some(CommandState::Exited {
                signal,
                duration_ms,
                dropped_bytes,
                ..
            }) => {
                view.signal = signal;
                view.duration_ms = Some(duration_ms);
                view.dropped_bytes = Some(dropped_bytes);
            }
            Some(CommandState::Failed { error }) => view.error = Some(error),
            Some(CommandState::TimedOut { duration_ms } | CommandState::Cancelled { duration_ms }) => {
                view.duration_ms = Some(duration_ms);
            }
            _ => {}
        }
        view
    }
}

async fn visible(
    conn: &mut AnyConnection,
    actor: &Actor,
    id: &str,
) -> Result<(Command, inventory::Item), Problem> {
    let not_found = || Problem::not_found("command", &id);
    let command_id: CommandId = id.parse().map_err(|_| not_found())?;
    let command = store::command(conn, &command_id).await?.ok_or_else(not_found)?;
    let item = visible_item(conn, actor, &command.item)
        .await?
        .ok_or_else(not_found)?;
    Ok((command, item))
}

/// One command
#[utoipa::path(get, path = "/api/v1/commands/{id}", tag = "fleet", params(("id" = String, Path)),
    responses((status = 200, body = CommandView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_command(
    State(fleet): State<Fleet>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<CommandView>, Problem> {
    let mut reader = fleet.kernel().db.read().await?;
    let (command, _) = visible(&mut reader, &actor, &id).await?;
    Ok(Json(command.into()))
}

/// Ends a command and everything that it started
#[utoipa::path(post, path = "/api/v1/commands/{id}/cancel", tag = "fleet", params(("id" = String, Path)),
    responses((status = 202), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn cancel_command(
    State(fleet): State<Fleet>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let mut tx = fleet.kernel().db.write().await?;
    let (command, item) = visible(&mut tx, &actor, &id).await?;
    if !actor.may("commands.write", roles::OPERATE, item.team.as_deref(), &item.tags) {
        return Err(Problem::forbidden(format_args!(
            "your roles do not cover \"{}\"",
            item.name
        )));
    }
    if !fleet.cancel(&mut tx, &actor, &command.id).await? {
        return Err(Problem::conflict("this command has ended already"));
    }
    tx.commit().await?;
    Ok(StatusCode::ACCEPTED)
}

/// A piece of output, as the data of an `output` event.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommandOutput {
    pub stream: &'static str,
    /// Position of its first byte.
    pub start_byte: u64,
    /// What is not UTF-8 is replaced.
    pub text: String,
}

/// Output from its beginning and as it comes, as server-sent events: `output` with a piece, at last `end` with the command
#[utoipa::path(get, path = "/api/v1/commands/{id}/output", tag = "fleet", params(("id" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn stream_command_output(
    State(fleet): State<Fleet>,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Problem> {
    let mut reader = fleet.kernel().db.read().await?;
    let (command, _) = visible(&mut reader, &actor, &id).await?;
    drop(reader);
    let resumed = headers.get("last-event-id").and_then(|v| v.to_str().ok());
    let tail = Tail {
        wake: fleet.watch_output(&command.id),
        after: resumed.and_then(|text| text.parse().ok()).unwrap_or(0),
        fleet,
        id: command.id,
        ready: Vec::new(),
        rests: Default::default(),
        is_over: false,
    };
    let stream = stream::unfold(tail, |mut tail| async move {
        let event = tail.next().await?;
        Some((Ok(event), tail))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

struct Tail {
    fleet: Fleet,
    id: CommandId,
    wake: broadcast::Receiver<OutputChunk>,
    after: i64,
    /// Read but not sent, newest first.
    ready: Vec<OutputChunk>,
    /// The beginning of a character whose end is in the next chunk, by stream.
    rests: [Vec<u8>; 2],
    is_over: bool,
}

impl Tail {
    async fn next(&mut self) -> Option<SseEvent> {
        loop {
            if let Some(chunk) = self.ready.pop() {
                self.after = chunk.seq;
                return Some(self.event(chunk));
            }
            if self.is_over || self.fleet.kernel().stop.is_cancelled() {
                return None;
            }
            // The state first: what is stored before the end is read after it.
            let mut reader = self.fleet.kernel().db.read().await.ok()?;
            let command = store::command(&mut reader, &self.id).await.ok()??;
            self.ready = store::output(&mut reader, &self.id, None, self.after, 200)
                .await
                .ok()?;
            drop(reader);
            self.ready.reverse();
            if !self.ready.is_empty() {
                continue;
            }
            if command.state.is_end() {
                self.is_over = true;
                let event = SseEvent::default()
                    .event("end")
                    .json_data(CommandView::from(command));
                return Some(event.unwrap_or_default());
            }
            let stop = self.fleet.kernel().stop.clone();
            tokio::select! {
                () = stop.cancelled() => return None,
                outcome = tokio::time::timeout(Duration::from_secs(2), self.wake.recv()) => {
                    if matches!(outcome, Ok(Err(broadcast::error::RecvError::Closed))) {
                        // Ended, or about to be: not in a hurry to look again.
                        self.wake = self.fleet.watch_output(&self.id);
                    }
                }
            }
        }
    }

    fn event(&mut self, chunk: OutputChunk) -> SseEvent {
        let (name, index) = match chunk.stream {
            protocol::Stream::Stdout => ("stdout", 0),
            protocol::Stream::Stderr => ("stderr", 1),
        };
        let rest = &mut self.rests[index];
        let start_byte = chunk.start_byte.saturating_sub(rest.len() as u64);
        rest.extend_from_slice(&chunk.data);
        let data = CommandOutput {
            stream: name,
            start_byte,
            text: take_text(rest),
        };
        let event = SseEvent::default()
            .id(chunk.seq.to_string())
            .event("output")
            .json_data(&data);
        event.unwrap_or_default()
    }
}

/// Takes whole characters; the beginning of one at the end stays.
fn take_text(bytes: &mut Vec<u8>) -> String {
    let whole = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    };
    // An error earlier in the bytes hides an unfinished end; at most three bytes belong to one.
    let rest = bytes.split_off(whole);
    let text = String::from_utf8_lossy(bytes).into_owned();
    *bytes = rest;
    text
}

#[cfg(test)]
mod tests {
    use super::take_text;

    #[test]
    fn characters_are_not_cut() {
        let mut bytes = b"caf\xc3".to_vec();
        assert_eq!(take_text(&mut bytes), "caf");
        bytes.extend_from_slice(b"\xa9!");
        assert_eq!(take_text(&mut bytes), "é!");
        bytes.extend_from_slice(b"\xff\xfe");
        assert_eq!(take_text(&mut bytes), "\u{fffd}\u{fffd}");
        assert!(bytes.is_empty());
    }
}
