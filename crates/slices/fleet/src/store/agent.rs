//! Agents.

use inventory::ItemId;
use kernel::clock::from_micros;
use kernel::db::{from_json, to_json};
use kernel::{DbError, Timestamp};
use protocol::AgentConfig;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::model::{Agent, AgentId, AgentState, Presence};

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, item, state, presence, version, address, identity, config, join_token, joined_at, presence_at, \
             heard_at, seq, seq_at_ms, certificate_expires_at, clock_offset_ms, refused_items FROM agent ",
            $rest
        )
    };
}

pub(super) fn id_error(error: kernel::id::IdError) -> DbError {
    DbError::Sqlx(sqlx::Error::Decode(Box::new(error)))
}

fn row_to_agent(row: &AnyRow) -> Result<Agent, DbError> {
    let text = |index: usize| row.try_get::<String, _>(index);
    let time = |index: usize| row.try_get::<i64, _>(index).map(from_micros);
    let config: Option<String> = row.try_get(7)?;
    Ok(Agent {
        id: text(0)?.parse().map_err(id_error)?,
        item: text(1)?.parse().map_err(id_error)?,
        state: AgentState::parse(&text(2)?).unwrap_or(AgentState::Revoked),
        presence: Presence::parse(&text(3)?).unwrap_or(Presence::Lost),
        version: text(4)?,
        address: text(5)?,
        identity: from_json("agent.identity", &text(6)?)?,
        config: config.map(|json| from_json("agent.config", &json)).transpose()?,
        join_token: text(8)?,
        joined_at: time(9)?,
        presence_at: time(10)?,
        heard_at: time(11)?,
        seq: u64::try_from(row.try_get::<i64, _>(12)?).unwrap_or(0),
        seq_at_ms: row.try_get(13)?,
        certificate_expires_at: time(14)?,
        clock_offset_ms: row.try_get(15)?,
        refused_items: row.try_get(16)?,
    })
}

pub async fn agent(conn: &mut AnyConnection, id: &AgentId) -> Result<Option<Agent>, DbError> {
    let row = sqlx::query(columns!("WHERE id = $1"))
        .bind(id.as_str())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(row_to_agent).transpose()
}

/// The active agent on a host.
pub async fn agent_of_item(conn: &mut AnyConnection, item: &ItemId) -> Result<Option<Agent>, DbError> {
    let row = sqlx::query(columns!(
        "WHERE item = $1 AND state = 'active' ORDER BY id DESC LIMIT 1"
    ))
    .bind(item.as_str())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(row_to_agent).transpose()
}

/// Agents after an id, oldest first; `state` empty for all.
pub async fn agents(
    conn: &mut AnyConnection,
    state: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Agent>, DbError> {
    let rows = sqlx::query(columns!(
        "WHERE ($1 = '' OR state = $1) AND id > $2 ORDER BY id LIMIT $3"
    ))
    .bind(state)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(row_to_agent).collect()
}

/// Active agents that the database holds for present or gone a moment ago.
pub async fn absent(conn: &mut AnyConnection) -> Result<Vec<Agent>, DbError> {
    let rows = sqlx::query(columns!(
        "WHERE state = 'active' AND presence IN ('connected', 'disconnected')"
    ))
    .fetch_all(conn)
    .await?;
    rows.iter().map(row_to_agent).collect()
}

pub async fn insert_agent(conn: &mut AnyConnection, agent: &Agent) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO agent (id, item, state, presence, version, address, identity, join_token, joined_at, presence_at, \
         heard_at, seq, seq_at_ms, certificate_expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, 0, 0, $11)",
    )
    .bind(agent.id.as_str())
    .bind(agent.item.as_str())
    .bind(agent.state.as_str())
    .bind(agent.presence.as_str())
    .bind(agent.version.clone())
    .bind(agent.address.clone())
    .bind(to_json("agent.identity", &agent.identity)?)
    .bind(agent.join_token.clone())
    .bind(agent.joined_at.as_microsecond())
    .bind(agent.heard_at.as_microsecond())
    .bind(agent.certificate_expires_at.as_microsecond())
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn save_state(conn: &mut AnyConnection, id: &AgentId, state: AgentState) -> Result<(), DbError> {
    sqlx::query("UPDATE agent SET state = $2 WHERE id = $1")
        .bind(id.as_str())
        .bind(state.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn save_presence(
    conn: &mut AnyConnection,
    id: &AgentId,
    presence: Presence,
    at: Timestamp,
    heard_at: Timestamp,
) -> Result<(), DbError> {
    sqlx::query("UPDATE agent SET presence = $2, presence_at = $3, heard_at = $4 WHERE id = $1")
        .bind(id.as_str())
        .bind(presence.as_str())
        .bind(at.as_microsecond())
        .bind(heard_at.as_microsecond())
        .execute(conn)
        .await?;
    Ok(())
}

/// What an agent says of itself when it connects.
pub async fn save_hello(
    conn: &mut AnyConnection,
    id: &AgentId,
    version: &str,
    address: &str,
    identity: &protocol::Identity,
) -> Result<(), DbError> {
    sqlx::query("UPDATE agent SET version = $2, address = $3, identity = $4 WHERE id = $1")
        .bind(id.as_str())
        .bind(version)
        .bind(address)
        .bind(to_json("agent.identity", identity)?)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn save_progress(
    conn: &mut AnyConnection,
    id: &AgentId,
    seq: u64,
    seq_at_ms: i64,
    heard_at: Timestamp,
) -> Result<(), DbError> {
    sqlx::query("UPDATE agent SET seq = $2, seq_at_ms = $3, heard_at = $4 WHERE id = $1")
        .bind(id.as_str())
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .bind(seq_at_ms)
        .bind(heard_at.as_microsecond())
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn save_clock_offset(
    conn: &mut AnyConnection,
    id: &AgentId,
    offset_ms: i64,
) -> Result<(), DbError> {
    sqlx::query("UPDATE agent SET clock_offset_ms = $2 WHERE id = $1")
        .bind(id.as_str())
        .bind(offset_ms)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn save_refused_items(conn: &mut AnyConnection, id: &AgentId, count: i64) -> Result<(), DbError> {
    sqlx::query("UPDATE agent SET refused_items = $2 WHERE id = $1 AND refused_items <> $2")
        .bind(id.as_str())
        .bind(count)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn save_certificate(
    conn: &mut AnyConnection,
    id: &AgentId,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    sqlx::query("UPDATE agent SET certificate_expires_at = $2 WHERE id = $1")
        .bind(id.as_str())
        .bind(expires_at.as_microsecond())
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn save_config(
    conn: &mut AnyConnection,
    id: &AgentId,
    config: Option<&AgentConfig>,
) -> Result<(), DbError> {
    let config = config.map(|config| to_json("agent.config", config)).transpose()?;
    sqlx::query("UPDATE agent SET config = $2 WHERE id = $1")
        .bind(id.as_str())
        .bind(config)
        .execute(conn)
        .await?;
    Ok(())
}
