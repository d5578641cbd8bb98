//! Runbooks, their versions, and when their schedules were last started.

use std::collections::HashMap;

use kernel::clock::from_micros;
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::parse;
use crate::model::{Runbook, RunbookId};

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT id, name, text, is_enabled, updated_by, updated_by_name, updated_at, version FROM runbook ", $rest)
    };
}

fn read(row: &AnyRow) -> Result<Runbook, DbError> {
    Ok(Runbook {
        id: parse("runbook id", &row.try_get::<String, _>(0)?)?,
        name: row.try_get(1)?,
        text: row.try_get(2)?,
        is_enabled: row.try_get::<i64, _>(3)? != 0,
        updated_by: row.try_get(4)?,
        updated_by_name: row.try_get(5)?,
        updated_at: from_micros(row.try_get(6)?),
        version: row.try_get(7)?,
    })
}

pub async fn get(connection: &mut AnyConnection, id: &RunbookId) -> Result<Option<Runbook>, DbError> {
    let row = sqlx::query(select!("WHERE id = $1"))
        .bind(id.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

pub(crate) async fn list(connection: &mut AnyConnection) -> Result<Vec<Runbook>, DbError> {
    sqlx::query(select!("ORDER BY name LIMIT 5000"))
        .fetch_all(connection)
        .await?
        .iter()
        .map(read)
        .collect()
}

pub async fn enabled(connection: &mut AnyConnection) -> Result<Vec<Runbook>, DbError> {
    sqlx::query(select!("WHERE is_enabled = 1 ORDER BY name"))
        .fetch_all(connection)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// `(id, version, updated at)` of the runbooks that are enabled.
pub(crate) async fn heads(
    connection: &mut AnyConnection,
) -> Result<Vec<(RunbookId, i64, Timestamp)>, DbError> {
    let rows = sqlx::query("SELECT id, version, updated_at FROM runbook WHERE is_enabled = 1 ORDER BY id")
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let id = parse("runbook id", &row.try_get::<String, _>(0)?)?;
            Ok((id, row.try_get(1)?, from_micros(row.try_get(2)?)))
        })
        .collect()
}

pub(crate) async fn insert(connection: &mut AnyConnection, runbook: &Runbook) -> Result<(), DbError> {
    let sql = "INSERT INTO runbook (id, name, text, is_enabled, updated_by, updated_by_name, updated_at, version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(sql)
        .bind(runbook.id.as_str())
        .bind(&runbook.name)
        .bind(&runbook.text)
        .bind(i64::from(runbook.is_enabled))
        .bind(&runbook.updated_by)
        .bind(&runbook.updated_by_name)
        .bind(runbook.updated_at.as_microsecond())
        .bind(runbook.version)
        .execute(&mut *connection)
        .await?;
    keep_version(connection, runbook).await
}

/// Saves a runbook that carries its new version. False when somebody else was faster.
pub(crate) async fn update(connection: &mut AnyConnection, runbook: &Runbook) -> Result<bool, DbError> {
    let sql = "UPDATE runbook SET name = $1, text = $2, is_enabled = $3, updated_by = $4, updated_by_name = $5, \
        updated_at = $6, version = $7 WHERE id = $8 AND version = $7 - 1";
    let done = sqlx::query(sql)
        .bind(&runbook.name)
        .bind(&runbook.text)
        .bind(i64::from(runbook.is_enabled))
        .bind(&runbook.updated_by)
        .bind(&runbook.updated_by_name)
        .bind(runbook.updated_at.as_microsecond())
        .bind(runbook.version)
        .bind(runbook.id.as_str())
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    keep_version(connection, runbook).await?;
    Ok(true)
}

async fn keep_version(connection: &mut AnyConnection, runbook: &Runbook) -> Result<(), DbError> {
    let sql = "INSERT INTO runbook_version (runbook_id, version, text, updated_by_name, updated_at) VALUES ($1, $2, $3, $4, $5)";
    sqlx::query(sql)
        .bind(runbook.id.as_str())
        .bind(runbook.version)
        .bind(&runbook.text)
        .bind(&runbook.updated_by_name)
        .bind(runbook.updated_at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn delete(connection: &mut AnyConnection, id: &RunbookId) -> Result<bool, DbError> {
    sqlx::query("DELETE FROM runbook_schedule WHERE runbook_id = $1")
        .bind(id.as_str())
        .execute(&mut *connection)
        .await?;
    let done = sqlx::query("DELETE FROM runbook WHERE id = $1")
        .bind(id.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// `(version, who, when)`, newest first.
pub(crate) async fn versions(
    connection: &mut AnyConnection,
    id: &RunbookId,
) -> Result<Vec<(i64, String, Timestamp)>, DbError> {
    let sql = "SELECT version, updated_by_name, updated_at FROM runbook_version WHERE runbook_id = $1 \
        ORDER BY version DESC LIMIT 200";
    let rows = sqlx::query(sql).bind(id.as_str()).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, from_micros(row.try_get(2)?))))
        .collect()
}

pub(crate) async fn text_of(
    connection: &mut AnyConnection,
    id: &RunbookId,
    version: i64,
) -> Result<Option<String>, DbError> {
    let sql = "SELECT text FROM runbook_version WHERE runbook_id = $1 AND version = $2";
    let row = sqlx::query(sql)
        .bind(id.as_str())
        .bind(version)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// When each schedule was last started, by runbook and place in its document.
pub(crate) async fn schedule_marks(
    connection: &mut AnyConnection,
) -> Result<HashMap<(String, i64), Timestamp>, DbError> {
    let rows = sqlx::query("SELECT runbook_id, place, last_at FROM runbook_schedule")
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let key = (row.try_get(0)?, row.try_get(1)?);
            Ok((key, from_micros(row.try_get(2)?)))
        })
        .collect()
}

/// Notes that a schedule is started for `at`. False when somebody else has done so.
pub(crate) async fn mark_schedule(
    connection: &mut AnyConnection,
    id: &RunbookId,
    place: i64,
    at: Timestamp,
) -> Result<bool, DbError> {
    let sql = "INSERT INTO runbook_schedule (runbook_id, place, last_at) VALUES ($1, $2, $3) \
        ON CONFLICT (runbook_id, place) DO UPDATE SET last_at = excluded.last_at \
        WHERE runbook_schedule.last_at < excluded.last_at";
    let done = sqlx::query(sql)
        .bind(id.as_str())
        .bind(place)
        .bind(at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets the mark of a schedule, wherever it stood.
pub(crate) async fn reset_schedule(
    connection: &mut AnyConnection,
    id: &RunbookId,
    place: i64,
    at: Timestamp,
) -> Result<(), DbError> {
    let sql = "INSERT INTO runbook_schedule (runbook_id, place, last_at) VALUES ($1, $2, $3) \
        ON CONFLICT (runbook_id, place) DO UPDATE SET last_at = excluded.last_at";
    sqlx::query(sql)
        .bind(id.as_str())
        .bind(place)
        .bind(at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}
