//! The one-time token with which the first administrator is made.

use kernel::{DbError, Timestamp};
use sqlx::{AnyConnection, Row};

/// Replaces the token: the last one that was given out is the one that works.
pub async fn put(connection: &mut AnyConnection, hash: &str, at: Timestamp) -> Result<(), DbError> {
    let sql = "INSERT INTO setup_token (id, hash, created_at) VALUES (1, $1, $2) \
        ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, created_at = excluded.created_at";
    sqlx::query(sql)
        .bind(hash)
        .bind(at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn is_good(connection: &mut AnyConnection, hash: &str) -> Result<bool, DbError> {
    let row = sqlx::query("SELECT CAST(COUNT(*) AS BIGINT) FROM setup_token WHERE hash = $1")
        .bind(hash)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get::<i64, _>(0)? == 1)
}

/// Uses the token up. False when somebody else did.
pub async fn take(connection: &mut AnyConnection, hash: &str) -> Result<bool, DbError> {
    let done = sqlx::query("DELETE FROM setup_token WHERE hash = $1")
        .bind(hash)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}
