//! Events that a consumer could not take: kept and listed until somebody has them tried again or dismisses them.
//!
//! A request to try again is an event itself, which the consumer meets in its turn: it survives a restart, and the audit trail
//! has it.

use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row};
use utoipa::ToSchema;

use super::store::{self, Entry};
use super::{Consumer, Event, NewEvent};
use crate::clock::from_micros;
use crate::db::DbError;
use crate::{Actor, Timestamp, Tx};

pub const PARKED: &str = "event.parked";
pub const RETRY_REQUESTED: &str = "event.retry_requested";
pub const RELEASED: &str = "event.released";
pub const DISMISSED: &str = "event.dismissed";

/// Data of the events above; their subject is the consumer.
#[derive(Debug, Serialize, Deserialize)]
pub struct About {
    /// Number of the parked event.
    pub seq: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl About {
    fn number(seq: i64) -> Self {
        Self {
            seq,
            topic: None,
            error: None,
        }
    }
}

/// An event that a consumer could not take.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ParkedEvent {
    /// Part of the program that could not take it.
    pub consumer: String,
    /// Number of the event.
    pub seq: i64,
    /// Why; that of the last attempt.
    pub error: String,
    #[schema(value_type = String, format = DateTime)]
    pub parked_at: Timestamp,
    /// Absent when the event itself is no longer kept; then it can only be dismissed.
    pub topic: Option<String>,
    pub subject: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

/// The newest first, from before `(parked_at, seq)` on.
pub async fn list(
    connection: &mut AnyConnection,
    before: (i64, i64),
    limit: i64,
) -> Result<Vec<ParkedEvent>, DbError> {
    let sql = "SELECT p.consumer, p.seq, p.error, p.parked_at, e.topic, e.subject, e.at FROM event_parked p \
        LEFT JOIN event e ON e.seq = p.seq WHERE p.parked_at < $1 OR (p.parked_at = $1 AND p.seq < $2) \
        ORDER BY p.parked_at DESC, p.seq DESC, p.consumer LIMIT $3";
    let rows = sqlx::query(sql)
        .bind(before.0)
        .bind(before.1)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(ParkedEvent {
                consumer: row.try_get(0)?,
                seq: row.try_get(1)?,
                error: row.try_get(2)?,
                parked_at: from_micros(row.try_get(3)?),
                topic: row.try_get(4)?,
                subject: row.try_get(5)?,
                at: row.try_get::<Option<i64>, _>(6)?.map(from_micros),
            })
        })
        .collect()
}

/// How many each consumer has; consumers without any count 0.
pub async fn counts(connection: &mut AnyConnection) -> Result<Vec<(String, i64)>, DbError> {
    let sql = "SELECT c.name, CAST(COUNT(p.seq) AS BIGINT) FROM consumer_cursor c \
        LEFT JOIN event_parked p ON p.consumer = c.name GROUP BY c.name ORDER BY c.name";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// Asks the consumer to try again. False when there is no such event among the parked ones, or it is no longer kept.
pub async fn ask(tx: &mut Tx, actor: &Actor, consumer: &str, seq: i64) -> Result<bool, DbError> {
    if !is_there(tx, consumer, seq).await? || store::get(tx, seq).await?.is_none() {
        return Ok(false);
    }
    let request = NewEvent::new(RETRY_REQUESTED, consumer, &About::number(seq)).caused_by(Some(seq));
    tx.append(actor, request).await?;
    Ok(true)
}

/// Lets it go for good. False when there is none.
pub async fn dismiss(tx: &mut Tx, actor: &Actor, consumer: &str, seq: i64) -> Result<bool, DbError> {
    if !delete(tx, consumer, seq).await? {
        return Ok(false);
    }
    tx.append(actor, NewEvent::new(DISMISSED, consumer, &About::number(seq)))
        .await?;
    Ok(true)
}

/// Is the entry a request to this consumer?
pub(super) fn is_request(consumer: &Consumer, entry: &Entry) -> bool {
    let subject = entry.event.as_ref().map(|event| event.subject.as_str());
    entry.topic == RETRY_REQUESTED && subject.is_ok_and(|subject| subject == consumer.name)
}

/// The event that a request is about, when it is still parked.
pub(super) async fn asked_for(
    tx: &mut Tx,
    consumer: &str,
    request: &Event,
) -> Result<Option<Event>, DbError> {
    let Ok(about) = request.parse::<About>() else {
        return Ok(None);
    };
    if !is_there(tx, consumer, about.seq).await? {
        return Ok(None);
    }
    store::get(tx, about.seq).await
}

/// Sets an entry aside, and tells of it.
pub(super) async fn park(tx: &mut Tx, consumer: &str, entry: &Entry, reason: &str) -> Result<(), DbError> {
    tx.set_cause(Some(entry.seq));
    let sql = "INSERT INTO event_parked (consumer, seq, error, parked_at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (consumer, seq) DO NOTHING";
    let now_us = tx.now().as_microsecond();
    sqlx::query(sql)
        .bind(consumer)
        .bind(entry.seq)
        .bind(reason.replace('\0', ""))
        .bind(now_us)
        .execute(&mut **tx)
        .await?;
    // Who follows everything and fails at everything would otherwise make its own next event.
    if entry.topic == PARKED {
        return Ok(());
    }
    let about = About {
        seq: entry.seq,
        topic: Some(entry.topic.clone()),
        error: Some(reason.to_owned()),
    };
    tx.append(&Actor::system("events"), NewEvent::new(PARKED, consumer, &about))
        .await?;
    Ok(())
}

/// The consumer has taken it after all.
pub(super) async fn release(tx: &mut Tx, consumer: &str, seq: i64) -> Result<(), DbError> {
    delete(tx, consumer, seq).await?;
    tx.append(
        &Actor::system("events"),
        NewEvent::new(RELEASED, consumer, &About::number(seq)),
    )
    .await?;
    Ok(())
}

pub(super) async fn failed_again(tx: &mut Tx, consumer: &str, seq: i64, reason: &str) -> Result<(), DbError> {
    let now_us = tx.now().as_microsecond();
    sqlx::query("UPDATE event_parked SET error = $3, parked_at = $4 WHERE consumer = $1 AND seq = $2")
        .bind(consumer)
        .bind(seq)
        .bind(reason.replace('\0', ""))
        .bind(now_us)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn is_there(connection: &mut AnyConnection, consumer: &str, seq: i64) -> Result<bool, DbError> {
    let row = sqlx::query("SELECT seq FROM event_parked WHERE consumer = $1 AND seq = $2")
        .bind(consumer)
        .bind(seq)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

async fn delete(connection: &mut AnyConnection, consumer: &str, seq: i64) -> Result<bool, DbError> {
    let done = sqlx::query("DELETE FROM event_parked WHERE consumer = $1 AND seq = $2")
        .bind(consumer)
        .bind(seq)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}
