//! Commands.

use kernel::clock::from_micros;
use kernel::db::{from_json, to_json};
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::agent::id_error;
use crate::model::{AgentId, Command, CommandId, State};

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, agent, item, reference, action, timeout_ms, output_cap_bytes, idempotent, state, result, \
             cancel_requested, actor, actor_name, cause, created_at, sent_at, started_at, ended_at, give_up_at FROM command ",
            $rest
        )
    };
}

fn row_to_command(row: &AnyRow) -> Result<Command, DbError> {
    let text = |index: usize| row.try_get::<String, _>(index);
    let number = |index: usize| row.try_get::<i64, _>(index);
    let time = |index: usize| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(index)?.map(from_micros));
    let result: Option<String> = row.try_get(9)?;
    Ok(Command {
        id: text(0)?.parse().map_err(id_error)?,
        agent: text(1)?.parse().map_err(id_error)?,
        item: text(2)?.parse().map_err(id_error)?,
        reference: text(3)?,
        action: from_json("command.action", &text(4)?)?,
        timeout_ms: u64::try_from(number(5)?).unwrap_or(0),
        output_cap_bytes: u64::try_from(number(6)?).unwrap_or(0),
        idempotent: number(7)? != 0,
        state: State::parse(&text(8)?).unwrap_or(State::Lost),
        result: result
            .map(|json| from_json("command.result", &json))
            .transpose()?,
        cancel_requested: number(10)? != 0,
        actor: text(11)?,
        actor_name: text(12)?,
        cause: row.try_get(13)?,
        created_at: from_micros(number(14)?),
        sent_at: time(15)?,
        started_at: time(16)?,
        ended_at: time(17)?,
        give_up_at: from_micros(number(18)?),
    })
}

pub async fn command(conn: &mut AnyConnection, id: &CommandId) -> Result<Option<Command>, DbError> {
    let row = sqlx::query(columns!("WHERE id = $1"))
        .bind(id.as_str())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(row_to_command).transpose()
}

/// Reads a command to change it. Invariant: until the transaction ends nobody else changes it; on PostgreSQL writers run side by
/// side, and one that read it before its end would undo the end.
pub(crate) async fn hold_command(
    conn: &mut AnyConnection,
    id: &CommandId,
) -> Result<Option<Command>, DbError> {
    sqlx::query("UPDATE command SET id = id WHERE id = $1")
        .bind(id.as_str())
        .execute(&mut *conn)
        .await?;
    command(conn, id).await
}

/// Commands that a caller ordered under its own reference, oldest first.
pub async fn commands_of_order(conn: &mut AnyConnection, reference: &str) -> Result<Vec<Command>, DbError> {
    let rows = sqlx::query(columns!("WHERE reference = $1 ORDER BY id"))
        .bind(reference)
        .fetch_all(conn)
        .await?;
    rows.iter().map(row_to_command).collect()
}

/// Commands of an agent that have not ended, oldest first.
pub async fn open_of_agent(conn: &mut AnyConnection, agent: &AgentId) -> Result<Vec<Command>, DbError> {
    let rows = sqlx::query(columns!(
        "WHERE agent = $1 AND state IN ('queued', 'accepted', 'running') ORDER BY id LIMIT 500"
    ))
    .bind(agent.as_str())
    .fetch_all(conn)
    .await?;
    rows.iter().map(row_to_command).collect()
}

/// Agents with commands that were never sent, or are to be ended.
pub async fn unsent(conn: &mut AnyConnection) -> Result<Vec<AgentId>, DbError> {
    let rows = sqlx::query(
        "SELECT DISTINCT agent FROM command WHERE state IN ('queued', 'accepted', 'running') \
         AND (cancel_requested = 1 OR (state = 'queued' AND sent_at IS NULL)) LIMIT 10000",
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| row.try_get::<String, _>(0)?.parse().map_err(id_error))
        .collect()
}

/// Commands that have not ended and whose time is over.
pub async fn overdue(conn: &mut AnyConnection, now: Timestamp) -> Result<Vec<Command>, DbError> {
    let rows = sqlx::query(columns!(
        "WHERE state IN ('queued', 'accepted', 'running') AND give_up_at < $1 ORDER BY give_up_at LIMIT 200"
    ))
    .bind(now.as_microsecond())
    .fetch_all(conn)
    .await?;
    rows.iter().map(row_to_command).collect()
}

pub async fn count_open_commands(conn: &mut AnyConnection) -> Result<i64, DbError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM command WHERE state IN ('queued', 'accepted', 'running')";
    Ok(sqlx::query(sql).fetch_one(conn).await?.try_get(0)?)
}

pub async fn insert_command(conn: &mut AnyConnection, command: &Command) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO command (id, agent, item, reference, action, timeout_ms, output_cap_bytes, idempotent, state, \
         cancel_requested, actor, actor_name, cause, created_at, give_up_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12, $13, $14)",
    )
    .bind(command.id.as_str())
    .bind(command.agent.as_str())
    .bind(command.item.as_str())
    .bind(command.reference.clone())
    .bind(to_json("command.action", &command.action)?)
    .bind(i64::try_from(command.timeout_ms).unwrap_or(i64::MAX))
    .bind(i64::try_from(command.output_cap_bytes).unwrap_or(i64::MAX))
    .bind(i64::from(command.idempotent))
    .bind(command.state.as_str())
    .bind(command.actor.clone())
    .bind(command.actor_name.clone())
    .bind(command.cause)
    .bind(command.created_at.as_microsecond())
    .bind(command.give_up_at.as_microsecond())
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what changes over a command's life.
pub async fn save_command(conn: &mut AnyConnection, command: &Command) -> Result<(), DbError> {
    let result = command
        .result
        .as_ref()
        .map(|r| to_json("command.result", r))
        .transpose()?;
    let time = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
    sqlx::query(
        "UPDATE command SET state = $2, result = $3, cancel_requested = $4, sent_at = $5, started_at = $6, \
         ended_at = $7, give_up_at = $8 WHERE id = $1",
    )
    .bind(command.id.as_str())
    .bind(command.state.as_str())
    .bind(result)
    .bind(i64::from(command.cancel_requested))
    .bind(time(command.sent_at))
    .bind(time(command.started_at))
    .bind(time(command.ended_at))
    .bind(command.give_up_at.as_microsecond())
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a command is about to be sent. False when it may not be any more.
pub async fn mark_sent(
    conn: &mut AnyConnection,
    id: &CommandId,
    now: Timestamp,
    give_up_at: Timestamp,
) -> Result<bool, DbError> {
    let done = sqlx::query(
        "UPDATE command SET sent_at = $2, give_up_at = $3 WHERE id = $1 AND state = 'queued' AND sent_at IS NULL \
         AND cancel_requested = 0",
    )
    .bind(id.as_str())
    .bind(now.as_microsecond())
    .bind(give_up_at.as_microsecond())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Only those whose output is deleted already.
pub const DELETE_OLD: &str = "DELETE FROM command WHERE id IN (SELECT c.id FROM command c WHERE c.ended_at < $1 \
    AND NOT EXISTS (SELECT 1 FROM command_output o WHERE o.command = c.id) ORDER BY c.ended_at, c.id LIMIT $2)";
