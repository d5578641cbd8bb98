//! Taking and cancelling commands.

use inventory::ItemId;
use kernel::clock::from_micros;
use kernel::{Actor, NewEvent, Timestamp, Tx};
use protocol::Action;

use super::progress::{end, event_of};
use crate::Fleet;
use crate::error::DispatchError;
use crate::model::{Agent, AgentId, AgentState, Command, CommandId, State};
use crate::store;

/// Largest command: the frame that carries it has room for its wrapping too.
const MOST_BYTES: usize = protocol::MAX_FRAME - 64 * 1024;

/// For whom a command is.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Agent(AgentId),
    /// A host, or something on one.
    Item(ItemId),
}

/// What is to be done on one host.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub target: Target,
    pub action: Action,
    /// After this long the whole process group is ended.
    pub timeout_ms: u64,
    /// Output beyond this many bytes a stream is dropped.
    pub output_cap_bytes: u64,
    /// After a crash of the agent in its middle it may begin again.
    pub idempotent: bool,
    /// How long it may wait for the agent before it expires.
    pub patience_ms: u64,
    /// The caller's own name for it, given back in events.
    pub reference: String,
}

impl Order {
    /// Ten minutes to begin, one minute to run, 1 MiB of output, not idempotent.
    pub fn new(target: Target, action: Action, reference: impl Into<String>) -> Self {
        Self {
            target,
            action,
            timeout_ms: 60_000,
            output_cap_bytes: 1024 * 1024,
            idempotent: false,
            patience_ms: 600_000,
            reference: reference.into(),
        }
    }
}

pub async fn dispatch(
    fleet: &Fleet,
    tx: &mut Tx,
    actor: &Actor,
    order: &Order,
) -> Result<CommandId, DispatchError> {
    let agent = agent_of(tx, &order.target).await?;
    let size = protocol::encode(&order.action).map_or(usize::MAX, |frame| frame.len());
    let plain = serde_json::to_string(&order.action).map_or(usize::MAX, |text| text.len());
    if size > MOST_BYTES || plain > MOST_BYTES {
        return Err(DispatchError::TooLarge { limit: MOST_BYTES });
    }
    let now = tx.now();
    let command = Command {
        id: CommandId::new(),
        agent: agent.id.clone(),
        item: agent.item.clone(),
        reference: order.reference.clone(),
        action: order.action.clone(),
        timeout_ms: order.timeout_ms,
        output_cap_bytes: order.output_cap_bytes,
        idempotent: order.idempotent,
        state: State::Queued,
        result: None,
        cancel_requested: false,
        actor: actor.key(),
        actor_name: actor.name.clone(),
        cause: tx.cause(),
        created_at: now,
        sent_at: None,
        started_at: None,
        ended_at: None,
        give_up_at: later(now, order.patience_ms),
    };
    store::insert_command(tx, &command).await?;
    let event = NewEvent::new("command.queued", &command.id, &event_of(&command));
    tx.append(actor, event).await?;
    let fleet = fleet.clone();
    tx.after_commit(move || fleet.hub().wake(&agent.id));
    Ok(command.id)
}

/// Asks for a command to be ended. One that was never sent ends at once. False when there is nothing to end.
pub async fn cancel(
    fleet: &Fleet,
    tx: &mut Tx,
    actor: &Actor,
    id: &CommandId,
) -> Result<bool, kernel::DbError> {
    let Some(mut command) = store::hold_command(tx, id).await?.filter(|c| !c.state.is_end()) else {
        return Ok(false);
    };
    if command.cancel_requested {
        // It is asked of the agent again and again by itself.
        return Ok(true);
    }
    command.cancel_requested = true;
    if command.state == State::Queued && command.sent_at.is_none() {
        end(tx, actor, &mut command, State::Cancelled).await?;
        let (fleet, id) = (fleet.clone(), id.to_string());
        tx.after_commit(move || fleet.hub().end_output(&id));
    } else {
        store::save_command(tx, &command).await?;
        let fleet = fleet.clone();
        tx.after_commit(move || fleet.hub().wake(&command.agent));
    }
    Ok(true)
}

async fn agent_of(tx: &mut Tx, target: &Target) -> Result<Agent, DispatchError> {
    match target {
        Target::Agent(id) => store::agent(tx, id)
            .await?
            .filter(|agent| agent.state == AgentState::Active)
            .ok_or_else(|| DispatchError::UnknownAgent(id.to_string())),
        Target::Item(item) => {
            let mut here = Some(item.clone());
            // Up the parents: a service's commands go to its host.
            for _ in 0..8 {
                let Some(id) = here else { break };
                if let Some(agent) = store::agent_of_item(tx, &id).await? {
                    return Ok(agent);
                }
                here = inventory::store::item(tx, &id)
                    .await?
                    .and_then(|item| item.parent);
            }
            Err(DispatchError::NoAgent(item.clone()))
        }
    }
}

/// `at` and some milliseconds; far too many clamp.
pub fn later(at: Timestamp, ms: u64) -> Timestamp {
    let us = i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1000);
    from_micros(
        at.as_microsecond()
            .saturating_add(us)
            .min(Timestamp::MAX.as_microsecond()),
    )
}
