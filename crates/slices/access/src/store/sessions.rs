//! Signed-in browsers, found by the hash of their secret.

use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{id, time};
use crate::decide::ROTATE_GRACE_S;
use crate::model::Session;

fn row_to_session(row: &AnyRow) -> Result<Session, DbError> {
    Ok(Session {
        id: id(row, 0)?,
        person: id(row, 1)?,
        hash: row.try_get(2)?,
        csrf: row.try_get(3)?,
        created_at: time(row, 4)?,
        rotated_at: time(row, 5)?,
        seen_at: time(row, 6)?,
        expires_at: time(row, 7)?,
        address: row.try_get(8)?,
        user_agent: row.try_get(9)?,
    })
}

/// The session of a secret. Just after a rotation the secret before it still counts.
pub async fn by_hash(
    connection: &mut AnyConnection,
    hash: &str,
    now: Timestamp,
) -> Result<Option<Session>, DbError> {
    let sql = "SELECT id, person, hash, csrf, created_at, rotated_at, seen_at, expires_at, address, user_agent \
        FROM session WHERE hash = $1 OR (previous_hash = $1 AND previous_until > $2)";
    let row = sqlx::query(sql)
        .bind(hash)
        .bind(now.as_microsecond())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row_to_session).transpose()
}

/// A person's sessions, newest first.
pub async fn of_person(connection: &mut AnyConnection, person: &str) -> Result<Vec<Session>, DbError> {
    let sql = "SELECT id, person, hash, csrf, created_at, rotated_at, seen_at, expires_at, address, user_agent \
        FROM session WHERE person = $1 ORDER BY id DESC";
    let rows = sqlx::query(sql).bind(person).fetch_all(connection).await?;
    rows.iter().map(row_to_session).collect()
}

/// Is somebody signed in under this login from this address?
pub async fn is_address_of(
    connection: &mut AnyConnection,
    login_key: &str,
    address: &str,
) -> Result<bool, DbError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM session s JOIN person p ON p.id = s.person \
        WHERE p.login_key = $1 AND s.address = $2";
    let row = sqlx::query(sql)
        .bind(login_key)
        .bind(address)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get::<i64, _>(0)? > 0)
}

pub async fn insert(connection: &mut AnyConnection, session: &Session) -> Result<(), DbError> {
    let sql = "INSERT INTO session (id, hash, previous_until, csrf, person, created_at, rotated_at, seen_at, expires_at, \
        address, user_agent) VALUES ($1, $2, 0, $3, $4, $5, $6, $7, $8, $9, $10)";
    sqlx::query(sql)
        .bind(session.id.as_str())
        .bind(session.hash.clone())
        .bind(session.csrf.clone())
        .bind(session.person.as_str())
        .bind(session.created_at.as_microsecond())
        .bind(session.rotated_at.as_microsecond())
        .bind(session.seen_at.as_microsecond())
        .bind(session.expires_at.as_microsecond())
        .bind(session.address.clone())
        .bind(session.user_agent.clone())
        .execute(connection)
        .await?;
    Ok(())
}

/// Replaces the secret. False when another request has done so.
pub async fn rotate(
    connection: &mut AnyConnection,
    session: &Session,
    new_hash: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let sql = "UPDATE session SET previous_hash = hash, previous_until = $3, hash = $2, rotated_at = $4 \
        WHERE id = $1 AND hash = $5";
    let done = sqlx::query(sql)
        .bind(session.id.as_str())
        .bind(new_hash)
        .bind(now.as_microsecond() + ROTATE_GRACE_S * 1_000_000)
        .bind(now.as_microsecond())
        .bind(session.hash.clone())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn touch(connection: &mut AnyConnection, id: &str, at: Timestamp) -> Result<(), DbError> {
    sqlx::query("UPDATE session SET seen_at = $2 WHERE id = $1 AND seen_at < $2")
        .bind(id)
        .bind(at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

/// True when there was one.
pub async fn delete(connection: &mut AnyConnection, id: &str, person: &str) -> Result<bool, DbError> {
    let done = sqlx::query("DELETE FROM session WHERE id = $1 AND person = $2")
        .bind(id)
        .bind(person)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Signs a person out everywhere. Returns in how many places.
pub async fn delete_of_person(connection: &mut AnyConnection, person: &str) -> Result<u64, DbError> {
    let done = sqlx::query("DELETE FROM session WHERE person = $1")
        .bind(person)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Forgets sessions that have ended by themselves.
pub async fn delete_ended(
    connection: &mut AnyConnection,
    now: Timestamp,
    idle_s: i64,
) -> Result<u64, DbError> {
    let done = sqlx::query("DELETE FROM session WHERE expires_at <= $1 OR seen_at < $2")
        .bind(now.as_microsecond())
        .bind(now.as_microsecond() - idle_s.saturating_mul(1_000_000))
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
