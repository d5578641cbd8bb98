//! Reading the log. Appending is [`crate::Tx::append`].

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

pub use super::list::{Filter, before};

use super::Event;
use crate::clock::from_micros;
use crate::db::{DbError, from_json};

pub(super) fn row_to_event(row: &AnyRow) -> Result<Event, DbError> {
    Ok(Event {
        seq: row.try_get(0)?,
        at: from_micros(row.try_get(1)?),
        topic: row.try_get(2)?,
        subject: row.try_get(3)?,
        actor: row.try_get(4)?,
        actor_name: row.try_get(5)?,
        cause: row.try_get(6)?,
        data: from_json("event.data", &row.try_get::<String, _>(7)?)?,
    })
}

const AFTER: &str = "SELECT seq, at, topic, subject, actor, actor_name, cause, data FROM event WHERE seq > $1 ORDER BY seq LIMIT $2";

/// Events after `seq`, oldest first.
pub async fn after(connection: &mut AnyConnection, seq: i64, limit: i64) -> Result<Vec<Event>, DbError> {
    let rows = sqlx::query(AFTER)
        .bind(seq)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_event).collect()
}

/// A row of the log. One that does not read is still an entry: its number and topic are known.
pub(super) struct Entry {
    pub seq: i64,
    pub topic: String,
    pub event: Result<Event, String>,
}

/// Entries after `seq`, oldest first.
pub(super) async fn entries_after(
    connection: &mut AnyConnection,
    seq: i64,
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    let rows = sqlx::query(AFTER)
        .bind(seq)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Entry {
                seq: row.try_get(0)?,
                topic: row.try_get(2)?,
                event: row_to_event(row).map_err(|error| error.to_string()),
            })
        })
        .collect()
}

/// Numbers and topics after `seq`, oldest first.
pub async fn topics_after(
    connection: &mut AnyConnection,
    seq: i64,
    limit: i64,
) -> Result<Vec<(i64, String)>, DbError> {
    let rows = sqlx::query("SELECT seq, topic FROM event WHERE seq > $1 ORDER BY seq LIMIT $2")
        .bind(seq)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

pub async fn get(connection: &mut AnyConnection, seq: i64) -> Result<Option<Event>, DbError> {
    let sql = "SELECT seq, at, topic, subject, actor, actor_name, cause, data FROM event WHERE seq = $1";
    let row = sqlx::query(sql).bind(seq).fetch_optional(connection).await?;
    row.as_ref().map(row_to_event).transpose()
}

/// The event, what led to it and what followed from it: its causal chain, oldest first, at most `limit`.
pub async fn chain(connection: &mut AnyConnection, seq: i64, limit: i64) -> Result<Vec<Event>, DbError> {
    let sql = "WITH RECURSIVE up(seq, cause) AS ( \
            SELECT seq, cause FROM event WHERE seq = $1 \
            UNION SELECT e.seq, e.cause FROM event e JOIN up ON e.seq = up.cause), \
        root(seq) AS (SELECT MIN(seq) FROM up), \
        down(seq) AS (SELECT seq FROM root UNION SELECT e.seq FROM event e JOIN down ON e.cause = down.seq) \
        SELECT e.seq, e.at, e.topic, e.subject, e.actor, e.actor_name, e.cause, e.data \
        FROM event e JOIN down ON e.seq = down.seq ORDER BY e.seq LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(seq)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_event).collect()
}

/// Number of the newest event, 0 when there is none.
pub async fn latest(connection: &mut AnyConnection) -> Result<i64, DbError> {
    let row = sqlx::query("SELECT CAST(COALESCE(MAX(seq), 0) AS BIGINT) FROM event")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

pub async fn cursor(connection: &mut AnyConnection, name: &str) -> Result<Option<i64>, DbError> {
    let row = sqlx::query("SELECT seq FROM consumer_cursor WHERE name = $1")
        .bind(name)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Gives a consumer a place at the beginning, unless it has one.
pub async fn create_cursor(connection: &mut AnyConnection, name: &str) -> Result<(), DbError> {
    create_cursor_at(connection, name, 0).await
}

/// Gives a consumer its place, unless it has one.
pub async fn create_cursor_at(connection: &mut AnyConnection, name: &str, seq: i64) -> Result<(), DbError> {
    let sql = "INSERT INTO consumer_cursor (name, seq) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    sqlx::query(sql).bind(name).bind(seq).execute(connection).await?;
    Ok(())
}

/// Moves a cursor from `from` to `to`; false when another process has moved it.
pub async fn advance(
    connection: &mut AnyConnection,
    name: &str,
    from: i64,
    to: i64,
) -> Result<bool, DbError> {
    let sql = "UPDATE consumer_cursor SET seq = $1 WHERE name = $2 AND seq = $3";
    let done = sqlx::query(sql)
        .bind(to)
        .bind(name)
        .bind(from)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Time of the newest event, in microseconds; 0 when there is none.
pub async fn newest_at(connection: &mut AnyConnection) -> Result<i64, DbError> {
    let row = sqlx::query("SELECT at FROM event ORDER BY seq DESC LIMIT 1")
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
}

/// The latest time that any event has, in microseconds; 0 when there is none. Not that of the newest event where the clock
/// stepped back.
pub async fn latest_at(connection: &mut AnyConnection) -> Result<i64, DbError> {
    let row = sqlx::query("SELECT CAST(COALESCE(MAX(at), 0) AS BIGINT) FROM event")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

/// The smallest number that some consumer has not passed; `None` without consumers.
pub async fn slowest_cursor(connection: &mut AnyConnection) -> Result<Option<i64>, DbError> {
    let row = sqlx::query("SELECT MIN(seq) FROM consumer_cursor")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

pub async fn count_parked(connection: &mut AnyConnection) -> Result<i64, DbError> {
    let row = sqlx::query("SELECT CAST(COUNT(*) AS BIGINT) FROM event_parked")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}
