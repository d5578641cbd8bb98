//! The outbox.

use kernel::db::{from_json, to_json};
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{id, optional_time, time};
use crate::budget::Backlog;
use crate::decide::{LEASE_S, LONGEST_WAIT_S, MISCONFIGURED};
use crate::model::{Message, MessageState, Page, Severity};
use crate::page::add_s;

fn row_to_message(row: &AnyRow) -> Result<Message, DbError> {
    let state: String = row.try_get(5)?;
    let state = MessageState::parse(&state)
        .ok_or_else(|| sqlx::Error::Decode(format!("\"{state}\" is not a state").into()))?;
    Ok(Message {
        seq: row.try_get(0)?,
        id: id(row, 1)?,
        channel: row.try_get(2)?,
        target: row.try_get(3)?,
        page: from_json("message.page", &row.try_get::<String, _>(4)?)?,
        state,
        attempts: row.try_get(6)?,
        created_at: time(row, 7)?,
        next_attempt_at: time(row, 8)?,
        expires_at: time(row, 9)?,
        sent_at: optional_time(row, 10)?,
        error: row.try_get(11)?,
        cause: row.try_get(12)?,
        outcome: row.try_get(13)?,
        unknowns: row.try_get(14)?,
        bundle: row.try_get(15)?,
    })
}

/// False when this page is on its way to this recipient already.
pub async fn insert(connection: &mut AnyConnection, message: &Message) -> Result<bool, DbError> {
    let sql = "INSERT INTO message (id, channel, target, dedup_key, thread, page, state, attempts, created_at, \
        next_attempt_at, expires_at, lease_owner, lease_until, source, urgency) \
        VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0, $7, $7, $8, '', 0, $9, $10) \
        ON CONFLICT (channel, target, dedup_key) DO NOTHING";
    let done = sqlx::query(sql)
        .bind(message.id.as_str())
        .bind(message.channel.clone())
        .bind(message.target.clone())
        .bind(message.page.dedup_key.clone())
        .bind(message.page.url_path.clone().unwrap_or_default())
        .bind(to_json("message.page", &message.page)?)
        .bind(message.created_at.as_microsecond())
        .bind(message.expires_at.as_microsecond())
        .bind(source(&message.page).to_owned())
        .bind(urgency(message.page.severity))
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// What a page counts for: its source, or what it is about, or itself.
pub fn source(page: &Page) -> &str {
    let named = page.source.as_deref().or(page.url_path.as_deref());
    named.unwrap_or(&page.dedup_key)
}

fn urgency(severity: Severity) -> i64 {
    match severity {
        Severity::Info => 0,
        Severity::Warning => 1,
        Severity::Critical => 2,
    }
}

pub async fn set_cause(connection: &mut AnyConnection, id: &str, cause: i64) -> Result<(), DbError> {
    sqlx::query("UPDATE message SET cause = $2 WHERE id = $1")
        .bind(id)
        .bind(cause)
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn get(connection: &mut AnyConnection, id: &str) -> Result<Option<Message>, DbError> {
    let sql = "SELECT seq, id, channel, target, page, state, attempts, created_at, next_attempt_at, expires_at, sent_at, \
        error, cause, outcome, unknowns, bundle FROM message WHERE id = $1";
    let row = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(row_to_message).transpose()
}

/// Messages before `seq`, newest first; `channel` and `state` narrow when they are not empty.
pub async fn list(
    connection: &mut AnyConnection,
    channel: &str,
    state: &str,
    before: i64,
    limit: i64,
) -> Result<Vec<Message>, DbError> {
    let sql = "SELECT seq, id, channel, target, page, state, attempts, created_at, next_attempt_at, expires_at, sent_at, \
        error, cause, outcome, unknowns, bundle FROM message WHERE seq < $1 AND ($2 = '' OR channel = $2) AND ($3 = '' OR state = $3) \
        ORDER BY seq DESC LIMIT $4";
    let rows = sqlx::query(sql)
        .bind(before)
        .bind(channel)
        .bind(state)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_message).collect()
}

/// The channels, as far as they are on, that have something to send.
pub async fn channels_due(connection: &mut AnyConnection, now: Timestamp) -> Result<Vec<String>, DbError> {
    let sql = "SELECT DISTINCT m.channel FROM message m JOIN channel c ON c.id = m.channel \
        WHERE m.state = 'waiting' AND (m.next_attempt_at <= $1 OR m.next_attempt_at > $2) \
        AND (m.lease_until <= $1 OR m.lease_until > $3) AND c.is_enabled = 1";
    let rows = sqlx::query(sql)
        .bind(now.as_microsecond())
        .bind(add_s(now, LONGEST_WAIT_S).as_microsecond())
        .bind(add_s(now, LEASE_S).as_microsecond())
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// What a channel has to send now: of each source the oldest first, and so in turns, the most urgent of each turn before the others.
/// What belongs together keeps its order, unless the earlier one keeps failing.
pub async fn due(
    connection: &mut AnyConnection,
    channel: &str,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Message>, DbError> {
    let sql = "SELECT m.seq, m.id, m.channel, m.target, m.page, m.state, m.attempts, m.created_at, m.next_attempt_at, \
        m.expires_at, m.sent_at, m.error, m.cause, m.outcome, m.unknowns, m.bundle FROM \
        (SELECT m.*, ROW_NUMBER() OVER (PARTITION BY m.target, m.source ORDER BY m.seq) AS place FROM message m \
        WHERE m.channel = $1 AND m.state = 'waiting' AND (m.next_attempt_at <= $2 OR m.next_attempt_at > $4) \
        AND (m.lease_until <= $2 OR m.lease_until > $5) \
        AND (m.thread = '' OR NOT EXISTS (SELECT 1 FROM message e WHERE e.thread = m.thread AND e.channel = m.channel \
        AND e.target = m.target AND e.state = 'waiting' AND e.seq < m.seq AND e.attempts < 3 AND e.unknowns = 0 \
        AND e.outcome <> 'unknown'))) m \
        ORDER BY m.place, m.urgency DESC, m.seq LIMIT $3";
    let rows = sqlx::query(sql)
        .bind(channel)
        .bind(now.as_microsecond())
        .bind(limit)
        .bind(add_s(now, LONGEST_WAIT_S).as_microsecond())
        .bind(add_s(now, LEASE_S).as_microsecond())
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_message).collect()
}

/// What of a channel was never tried and is not being tried, by recipient and source.
pub async fn backlog(connection: &mut AnyConnection, channel: &str) -> Result<Vec<Backlog>, DbError> {
    let sql = "SELECT target, source, CAST(COUNT(*) AS BIGINT) FROM message \
        WHERE channel = $1 AND state = 'waiting' AND attempts = 0 GROUP BY target, source";
    let rows = sqlx::query(sql).bind(channel).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(Backlog {
                target: row.try_get(0)?,
                source: row.try_get(1)?,
                count: u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0),
            })
        })
        .collect()
}

/// Makes what was never tried for a recipient, of one source or of any, part of the message `bundle`. Returns how many those were.
pub async fn bundle(
    connection: &mut AnyConnection,
    channel: &str,
    (target, source): (&str, Option<&str>),
    bundle: &str,
) -> Result<u64, DbError> {
    let sql = "UPDATE message SET state = 'bundled', bundle = $1, outcome = 'bundled' WHERE channel = $2 AND target = $3 \
        AND ($4 = 1 OR source = $5) AND state = 'waiting' AND attempts = 0 AND dedup_key NOT LIKE 'bundle:%'";
    let done = sqlx::query(sql)
        .bind(bundle)
        .bind(channel)
        .bind(target)
        .bind(i64::from(source.is_none()))
        .bind(source.unwrap_or_default())
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Messages of a bundle, the most urgent first.
pub async fn of_bundle(
    connection: &mut AnyConnection,
    bundle: &str,
    limit: i64,
) -> Result<Vec<Message>, DbError> {
    let sql = "SELECT seq, id, channel, target, page, state, attempts, created_at, next_attempt_at, expires_at, sent_at, \
        error, cause, outcome, unknowns, bundle FROM message WHERE bundle = $1 ORDER BY urgency DESC, seq LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(bundle)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_message).collect()
}

/// Takes a message for one attempt. False when somebody else has it.
pub async fn lease(
    connection: &mut AnyConnection,
    id: &str,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, DbError> {
    let sql = "UPDATE message SET lease_owner = $2, lease_until = $4, attempts = attempts + 1 \
        WHERE id = $1 AND state = 'waiting' AND (lease_until <= $3 OR lease_until > $5)";
    let done = sqlx::query(sql)
        .bind(id)
        .bind(owner)
        .bind(now.as_microsecond())
        .bind(until.as_microsecond())
        .bind(add_s(now, LEASE_S).as_microsecond())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps a message for longer, as long as it is the owner's; notes that the receiver may have it.
pub async fn renew_lease(
    connection: &mut AnyConnection,
    id: &str,
    owner: &str,
    until: Timestamp,
    is_handed_over: bool,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE message SET lease_until = $3, outcome = CASE WHEN $4 = 1 THEN 'unknown' ELSE outcome END \
         WHERE id = $1 AND lease_owner = $2 AND state = 'waiting'",
    )
    .bind(id)
    .bind(owner)
    .bind(until.as_microsecond())
    .bind(i64::from(is_handed_over))
    .execute(connection)
    .await?;
    Ok(())
}

/// Moves every due time of what waits by as much as the clock has stepped.
pub async fn shift(connection: &mut AnyConnection, by_us: i64) -> Result<u64, DbError> {
    // What was never tried is due at once, and may have been queued after a step forward.
    let sql = "UPDATE message SET next_attempt_at = CASE WHEN attempts = 0 AND $2 = 1 THEN next_attempt_at \
        ELSE next_attempt_at + $1 END, expires_at = expires_at + $1, \
        lease_until = CASE WHEN lease_until = 0 THEN 0 ELSE lease_until + $1 END WHERE state = 'waiting'";
    let done = sqlx::query(sql)
        .bind(by_us)
        .bind(i64::from(by_us > 0))
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Puts back what was given up because its channel was misconfigured and is not too old.
pub async fn requeue_misconfigured(
    connection: &mut AnyConnection,
    channel: &str,
    now: Timestamp,
) -> Result<u64, DbError> {
    let sql = "UPDATE message SET state = 'waiting', next_attempt_at = $2, outcome = '', attempts = 0 \
        WHERE channel = $1 AND state = 'dead' AND outcome = $3 AND expires_at > $2";
    let done = sqlx::query(sql)
        .bind(channel)
        .bind(now.as_microsecond())
        .bind(MISCONFIGURED)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Gives back what other processes had taken. Only right when there are none: on SQLite, at the start. What a receiver may have
/// comes again no sooner than `unknown_at`.
pub async fn release_leases(
    connection: &mut AnyConnection,
    owner: &str,
    unknown_at: Timestamp,
) -> Result<u64, DbError> {
    let sql = "UPDATE message SET lease_until = 0, \
        next_attempt_at = CASE WHEN outcome = 'unknown' THEN $2 ELSE next_attempt_at END, \
        unknowns = CASE WHEN outcome = 'unknown' THEN unknowns + 1 ELSE unknowns END \
        WHERE state = 'waiting' AND lease_until > 0 AND lease_owner <> $1";
    let done = sqlx::query(sql)
        .bind(owner)
        .bind(unknown_at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Writes how an attempt of `owner` ended. False when the message is no longer theirs.
pub async fn set_outcome(
    connection: &mut AnyConnection,
    message: &Message,
    owner: &str,
) -> Result<bool, DbError> {
    let sql = "UPDATE message SET state = $3, next_attempt_at = $4, sent_at = $5, error = $6, outcome = $7, \
        unknowns = $8, lease_until = 0 \
        WHERE id = $1 AND lease_owner = $2 AND state = 'waiting'";
    let done = sqlx::query(sql)
        .bind(message.id.as_str())
        .bind(owner)
        .bind(message.state.as_str())
        .bind(message.next_attempt_at.as_microsecond())
        .bind(message.sent_at.map(Timestamp::as_microsecond))
        .bind(message.error.clone())
        .bind(message.outcome.clone())
        .bind(message.unknowns)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts a message that was not sent back to the front.
pub async fn requeue(
    connection: &mut AnyConnection,
    id: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool, DbError> {
    let sql = "UPDATE message SET state = 'waiting', next_attempt_at = $2, expires_at = $3, unknowns = 0 \
        WHERE id = $1 AND state <> 'sent' AND lease_until <= $2";
    let done = sqlx::query(sql)
        .bind(id)
        .bind(now.as_microsecond())
        .bind(expires_at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// What waits beyond its time and is not being sent.
pub async fn expired(
    connection: &mut AnyConnection,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Message>, DbError> {
    let sql = "SELECT seq, id, channel, target, page, state, attempts, created_at, next_attempt_at, expires_at, sent_at, \
        error, cause, outcome, unknowns, bundle FROM message WHERE state = 'waiting' AND expires_at <= $1 AND lease_until <= $1 ORDER BY seq LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(now.as_microsecond())
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_message).collect()
}

/// What still waits on a channel.
pub async fn waiting_on(
    connection: &mut AnyConnection,
    channel: &str,
    limit: i64,
) -> Result<Vec<Message>, DbError> {
    list(
        connection,
        channel,
        MessageState::Waiting.as_str(),
        i64::MAX,
        limit,
    )
    .await
}

/// Gives a message up.
pub async fn bury(connection: &mut AnyConnection, id: &str, error: &str) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE message SET state = 'dead', error = $2, lease_until = 0 WHERE id = $1 AND state = 'waiting'",
    )
    .bind(id)
    .bind(error)
    .execute(connection)
    .await?;
    Ok(())
}

/// At most `$2` messages that were made before `$1` and are sent or dead.
pub const DELETE_OLD: &str = "DELETE FROM message WHERE seq IN (SELECT seq FROM message \
    WHERE created_at < $1 AND state <> 'waiting' ORDER BY created_at LIMIT $2)";

/// How many messages wait, for the metrics.
pub async fn count_waiting(connection: &mut AnyConnection) -> Result<i64, DbError> {
    let row = sqlx::query("SELECT CAST(COUNT(*) AS BIGINT) FROM message WHERE state = 'waiting'")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}
