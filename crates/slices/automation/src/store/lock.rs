//! Locks: one run at a time works on a target.

use std::collections::HashMap;

use kernel::{DbError, Timestamp};
use sqlx::{AnyConnection, Row};

use crate::model::RunId;

/// Takes the lock of a target for a run. The run that holds it otherwise; empty when that one let go just now.
pub(crate) async fn try_lock(
    connection: &mut AnyConnection,
    item: &str,
    run: &RunId,
    now: Timestamp,
) -> Result<Option<String>, DbError> {
    let sql = "INSERT INTO target_lock (item_id, run_id, since) VALUES ($1, $2, $3) ON CONFLICT (item_id) DO NOTHING";
    let query = sqlx::query(sql)
        .bind(item)
        .bind(run.as_str())
        .bind(now.as_microsecond());
    if query.execute(&mut *connection).await?.rows_affected() == 1 {
        return Ok(None);
    }
    let holder = lock_holder(connection, item).await?.unwrap_or_default();
    Ok(Some(holder).filter(|holder| holder != run.as_str()))
}

/// Every lock: target to run.
pub(crate) async fn locks(connection: &mut AnyConnection) -> Result<HashMap<String, String>, DbError> {
    let rows = sqlx::query("SELECT item_id, run_id FROM target_lock")
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// The run that works on a target right now.
pub async fn lock_holder(connection: &mut AnyConnection, item: &str) -> Result<Option<String>, DbError> {
    let row = sqlx::query("SELECT run_id FROM target_lock WHERE item_id = $1")
        .bind(item)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

pub(crate) async fn release_locks(connection: &mut AnyConnection, run: &RunId) -> Result<(), DbError> {
    sqlx::query("DELETE FROM target_lock WHERE run_id = $1")
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(())
}
