//! Due times that follow a clock that was set.

use kernel::DbError;
use sqlx::AnyConnection;

/// Moves every due time by as much as the clock stepped. The caller holds the turn.
pub async fn shift(connection: &mut AnyConnection, by_us: i64) -> Result<u64, DbError> {
    // What is NULL stays NULL.
    let sql = "UPDATE incident SET resolve_at = resolve_at + $1, remind_at = remind_at + $1, announce_at = announce_at + $1 \
        WHERE resolve_at IS NOT NULL OR remind_at IS NOT NULL OR announce_at IS NOT NULL";
    let done = sqlx::query(sql).bind(by_us).execute(connection).await?;
    Ok(done.rows_affected())
}

/// Brings announcements that are later than `latest_us` to it.
pub async fn cap_announcements(connection: &mut AnyConnection, latest_us: i64) -> Result<(), DbError> {
    sqlx::query("UPDATE incident SET announce_at = $1 WHERE announce_at > $1")
        .bind(latest_us)
        .execute(connection)
        .await?;
    Ok(())
}
