//! Failed sign-ins by key, as they were last written down.

use kernel::clock::from_micros;
use kernel::{DbError, Timestamp};
use sqlx::{AnyConnection, Row};

/// What is counted under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub failures: i64,
    pub failed_at: Timestamp,
    pub blocked_until: Timestamp,
}

impl Count {
    pub fn none(now: Timestamp) -> Self {
        Self {
            failures: 0,
            failed_at: now,
            blocked_until: Timestamp::UNIX_EPOCH,
        }
    }
}

pub async fn get(connection: &mut AnyConnection, key: &str) -> Result<Option<Count>, DbError> {
    let row = sqlx::query("SELECT failures, failed_at, blocked_until FROM sign_in_throttle WHERE key = $1")
        .bind(key)
        .fetch_optional(connection)
        .await?;
    let count = |row: sqlx::any::AnyRow| -> Result<Count, DbError> {
        Ok(Count {
            failures: row.try_get(0)?,
            failed_at: from_micros(row.try_get(1)?),
            blocked_until: from_micros(row.try_get(2)?),
        })
    };
    row.map(count).transpose()
}

pub async fn put(connection: &mut AnyConnection, key: &str, count: Count) -> Result<(), DbError> {
    let sql = "INSERT INTO sign_in_throttle (key, failures, failed_at, blocked_until) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, failed_at = excluded.failed_at, \
        blocked_until = excluded.blocked_until";
    sqlx::query(sql)
        .bind(key)
        .bind(count.failures)
        .bind(count.failed_at.as_microsecond())
        .bind(count.blocked_until.as_microsecond())
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
