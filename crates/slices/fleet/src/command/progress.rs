//! Following commands: what agents report, what is to be sent, what is given up.

use std::collections::HashSet;

use kernel::clock::from_millis;
use kernel::{Actor, DbError, NewEvent, Tx};
use protocol::{CommandState, ToAgent};

use super::dispatch::later;
use crate::Fleet;
use crate::decide::{Step, step};
use crate::events::CommandEvent;
use crate::model::{AgentId, Command, CommandId, State};
use crate::{secret, store};

/// How much longer than its timeout a command may be silent before it is given up.
const SLACK_MS: u64 = 60_000;

/// Takes a report of an agent. True when the agent may forget the command.
pub async fn report(
    fleet: &Fleet,
    actor: &Actor,
    agent: &AgentId,
    id: &str,
    at_ms: i64,
    reported: &CommandState,
) -> Result<bool, DbError> {
    let Ok(id) = id.parse::<CommandId>() else {
        return Ok(reported.is_end());
    };
    let reported = &without_secrets(fleet, &id, reported).await?;
    let mut tx = fleet.kernel().db.write().await?;
    let known = store::hold_command(&mut tx, &id).await?;
    let Some(mut command) = known.filter(|command| command.agent == *agent) else {
        return Ok(reported.is_end());
    };
    let now = tx.now();
    match step(command.state, State::of(reported)) {
        Step::Stay => return Ok(reported.is_end()),
        Step::Move(next) if next.is_end() => {
            command.result = Some(reported.clone());
            end(&mut tx, actor, &mut command, next).await?;
        }
        Step::Move(next) => {
            command.state = next;
            command.give_up_at = later(now, command.timeout_ms.saturating_add(SLACK_MS));
            if next == State::Running {
                // The agent's clock tells when it began, unless it is plainly wrong.
                command.started_at = Some(from_millis(at_ms).clamp(command.created_at.min(now), now));
            }
            store::save_command(&mut tx, &command).await?;
        }
        Step::Late(next) => {
            command.result = Some(reported.clone());
            command.state = next;
            store::save_command(&mut tx, &command).await?;
            let event = NewEvent::new("command.late", &command.id, &event_of(&command));
            tx.append(actor, event.caused_by(command.cause)).await?;
        }
    }
    tx.commit().await?;
    if reported.is_end() {
        fleet.hub().end_output(id.as_str());
    }
    Ok(reported.is_end())
}

/// What went wrong, told without the command's secrets.
async fn without_secrets(
    fleet: &Fleet,
    id: &CommandId,
    reported: &CommandState,
) -> Result<CommandState, DbError> {
    let CommandState::Failed { error } = reported else {
        return Ok(reported.clone());
    };
    let command = store::command(&mut *fleet.kernel().db.read().await?, id).await?;
    let secrets = match command {
        Some(command) => fleet.secrets_of(&command.reference).await?,
        None => Default::default(),
    };
    Ok(CommandState::Failed {
        error: secret::mask_text(error, &secrets),
    })
}

/// What an agent that says hello does not know: commands that it had accepted and has forgotten, and cancelled ones that never reached it.
pub async fn reconcile(
    fleet: &Fleet,
    actor: &Actor,
    agent: &AgentId,
    running: &[String],
) -> Result<(), DbError> {
    let known: HashSet<&str> = running.iter().map(String::as_str).collect();
    let mut reader = fleet.kernel().db.read().await?;
    let open = store::open_of_agent(&mut reader, agent).await?;
    drop(reader);
    for command in open.iter().filter(|c| !known.contains(c.id.as_str())) {
        let end = match command.state {
            // It never came there, and is not wanted any more.
            State::Queued if command.cancel_requested => CommandState::Cancelled { duration_ms: 0 },
            State::Queued => continue,
            _ => CommandState::Interrupted,
        };
        let now_ms = fleet.kernel().clock.now_ms();
        report(fleet, actor, agent, command.id.as_str(), now_ms, &end).await?;
    }
    Ok(())
}

/// The messages that an agent needs now. What is queued is sent again until it is accepted.
pub async fn to_send(fleet: &Fleet, agent: &AgentId) -> Result<Vec<ToAgent>, DbError> {
    let mut reader = fleet.kernel().db.read().await?;
    let open = store::open_of_agent(&mut reader, agent).await?;
    drop(reader);
    let mut messages = Vec::new();
    for command in open {
        if command.cancel_requested && command.sent_at.is_some() {
            messages.push(ToAgent::Cancel {
                id: command.id.to_string(),
            });
        } else if command.state == State::Queued {
            if command.sent_at.is_none() && !mark_sent(fleet, &command).await? {
                continue;
            }
            let secrets = fleet.secrets_of(&command.reference).await?;
            messages.push(ToAgent::Dispatch(protocol::Command {
                id: command.id.to_string(),
                action: secret::fill(command.action, &secrets),
                timeout_ms: command.timeout_ms,
                output_cap_bytes: command.output_cap_bytes,
                idempotent: command.idempotent,
            }));
        }
    }
    Ok(messages)
}

/// Wakes the sessions of agents for whom something waits: with several servers, the one that took it is not always theirs.
pub async fn wake_unsent(fleet: &Fleet) -> Result<(), DbError> {
    let mut reader = fleet.kernel().db.read().await?;
    for agent in store::unsent(&mut reader).await? {
        fleet.hub().wake(&agent);
    }
    Ok(())
}

async fn mark_sent(fleet: &Fleet, command: &Command) -> Result<bool, DbError> {
    let mut tx = fleet.kernel().db.write().await?;
    let now = tx.now();
    if command.give_up_at < now {
        return Ok(false);
    }
    let give_up_at = later(now, command.timeout_ms.saturating_add(2 * SLACK_MS)).max(command.give_up_at);
    let is_ours = store::mark_sent(&mut tx, &command.id, now, give_up_at).await?;
    tx.commit().await?;
    Ok(is_ours)
}

/// Ends commands whose time is over: never sent ones have expired, of others nobody knows.
pub async fn give_up(fleet: &Fleet) -> Result<(), DbError> {
    let mut reader = fleet.kernel().db.read().await?;
    let overdue = store::overdue(&mut reader, fleet.kernel().clock.now()).await?;
    drop(reader);
    for command in overdue {
        let mut tx = fleet.kernel().db.write().await?;
        // Read again: it may have moved on.
        let Some(mut command) = store::hold_command(&mut tx, &command.id).await? else {
            continue;
        };
        if command.state.is_end() || command.give_up_at >= tx.now() {
            continue;
        }
        let is_unsent = command.state == State::Queued && command.sent_at.is_none();
        let state = if is_unsent { State::Expired } else { State::Lost };
        end(&mut tx, &Actor::system("fleet"), &mut command, state).await?;
        tx.commit().await?;
        fleet.hub().end_output(command.id.as_str());
    }
    Ok(())
}

/// Ends a command and tells it.
pub async fn end(tx: &mut Tx, actor: &Actor, command: &mut Command, state: State) -> Result<(), DbError> {
    command.state = state;
    command.ended_at = Some(tx.now());
    store::save_command(tx, command).await?;
    let event = NewEvent::new("command.finished", &command.id, &event_of(command));
    tx.append(actor, event.caused_by(command.cause)).await?;
    Ok(())
}

pub fn event_of(command: &Command) -> CommandEvent {
    let error = match &command.result {
        Some(CommandState::Failed { error }) => Some(error.chars().take(500).collect()),
        _ => None,
    };
    CommandEvent {
        command_id: command.id.to_string(),
        order: command.reference.clone(),
        agent_id: command.agent.to_string(),
        item_id: command.item.to_string(),
        state: command.state,
        exit_code: command.exit_code(),
        error,
    }
}
