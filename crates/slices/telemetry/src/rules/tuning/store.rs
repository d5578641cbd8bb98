//! All SQL of the tunings.

use kernel::clock::from_micros;
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{Tuning, TuningBody};

fn row_to_tuning(row: &AnyRow) -> Result<Tuning, DbError> {
    let broken = |text: String| DbError::Sqlx(sqlx::Error::Decode(text.into()));
    let id: String = row.try_get(0)?;
    let body: String = row.try_get(1)?;
    Ok(Tuning {
        id: id.parse().map_err(|_| broken(format!("\"{id}\" is no id")))?,
        body: serde_json::from_str(&body).map_err(|error| broken(format!("tuning {id}: {error}")))?,
        updated_by: row.try_get(2)?,
        updated_at: from_micros(row.try_get(3)?),
        version: row.try_get(4)?,
    })
}

fn text(body: &TuningBody) -> String {
    // A structure of text and numbers always becomes JSON.
    serde_json::to_string(body).unwrap_or_default()
}

/// All, the newest first.
pub(crate) async fn list(connection: &mut AnyConnection) -> Result<Vec<Tuning>, DbError> {
    let sql =
        "SELECT id, body, updated_by, updated_at, version FROM rule_tuning ORDER BY updated_at DESC, id DESC";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(row_to_tuning).collect()
}

pub(crate) async fn get(connection: &mut AnyConnection, id: &str) -> Result<Option<Tuning>, DbError> {
    let sql = "SELECT id, body, updated_by, updated_at, version FROM rule_tuning WHERE id = $1";
    let row = sqlx::query(sql)
        .bind(id.to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row_to_tuning).transpose()
}

pub(crate) async fn insert(connection: &mut AnyConnection, tuning: &Tuning) -> Result<(), DbError> {
    let sql = "INSERT INTO rule_tuning (id, rule, body, updated_by, updated_at, version) VALUES ($1, $2, $3, $4, $5, $6)";
    sqlx::query(sql)
        .bind(tuning.id.as_str().to_owned())
        .bind(tuning.body.rule.clone())
        .bind(text(&tuning.body))
        .bind(tuning.updated_by.clone())
        .bind(tuning.updated_at.as_microsecond())
        .bind(tuning.version)
        .execute(connection)
        .await?;
    Ok(())
}

/// Saves a tuning that was read at `tuning.version`. False when it has changed since.
pub(crate) async fn update(
    connection: &mut AnyConnection,
    tuning: &Tuning,
    now: Timestamp,
) -> Result<bool, DbError> {
    let sql = "UPDATE rule_tuning SET rule = $1, body = $2, updated_by = $3, updated_at = $4, version = version + 1 \
        WHERE id = $5 AND version = $6";
    let done = sqlx::query(sql)
        .bind(tuning.body.rule.clone())
        .bind(text(&tuning.body))
        .bind(tuning.updated_by.clone())
        .bind(now.as_microsecond())
        .bind(tuning.id.as_str().to_owned())
        .bind(tuning.version)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn delete(connection: &mut AnyConnection, id: &str) -> Result<bool, DbError> {
    let done = sqlx::query("DELETE FROM rule_tuning WHERE id = $1")
        .bind(id.to_owned())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}
