//! Failed sign-ins, counted per login and address.

use kernel::clock::from_micros;
use kernel::{DbError, Timestamp};
use sqlx::{AnyConnection, Row};

/// What is stored under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub failures: i64,
    pub blocked_until: Timestamp,
}

/// Counts one more failure (from 1 again when the last was before `forget_before`) and tells what stands now. The row stays
/// locked until the transaction ends, so that attempts at the same time are counted one by one.
pub async fn bump(
    connection: &mut AnyConnection,
    key: &str,
    now: Timestamp,
    forget_before: Timestamp,
) -> Result<Count, DbError> {
    let sql = "INSERT INTO sign_in_throttle (key, failures, failed_at, blocked_until) VALUES ($1, 1, $2, 0) \
        ON CONFLICT (key) DO UPDATE SET failed_at = excluded.failed_at, failures = CASE \
        WHEN sign_in_throttle.failed_at < $3 THEN 1 ELSE sign_in_throttle.failures + 1 END \
        RETURNING failures, blocked_until";
    let row = sqlx::query(sql)
        .bind(key)
        .bind(now.as_microsecond())
        .bind(forget_before.as_microsecond())
        .fetch_one(connection)
        .await?;
    Ok(Count {
        failures: row.try_get(0)?,
        blocked_until: from_micros(row.try_get(1)?),
    })
}

pub async fn block(connection: &mut AnyConnection, key: &str, until: Timestamp) -> Result<(), DbError> {
    sqlx::query("UPDATE sign_in_throttle SET blocked_until = $2 WHERE key = $1")
        .bind(key)
        .bind(until.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes one failure back: the attempt succeeded.
pub async fn forgive(connection: &mut AnyConnection, key: &str) -> Result<(), DbError> {
    sqlx::query("UPDATE sign_in_throttle SET failures = failures - 1 WHERE key = $1 AND failures > 0")
        .bind(key)
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn delete(connection: &mut AnyConnection, key: &str) -> Result<(), DbError> {
    sqlx::query("DELETE FROM sign_in_throttle WHERE key = $1")
        .bind(key)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets what was not added to since `before`.
pub async fn delete_old(connection: &mut AnyConnection, before: Timestamp) -> Result<(), DbError> {
    sqlx::query("DELETE FROM sign_in_throttle WHERE failed_at < $1")
        .bind(before.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}
