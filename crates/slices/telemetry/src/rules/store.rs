//! All SQL of the rules: files that people wrote, and which built-in packs are on.

use kernel::clock::from_micros;
use kernel::{DbError, Id, Prefix, Timestamp};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use utoipa::ToSchema;

impl Prefix for RuleFile {
    const PREFIX: &'static str = "rul";
}
pub type RuleFileId = Id<RuleFile>;

/// A rule file, as Prometheus reads it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleFile {
    #[schema(value_type = String)]
    pub id: RuleFileId,
    pub name: String,
    /// YAML with `groups:`.
    pub text: String,
    pub is_enabled: bool,
    pub updated_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    pub version: i64,
}

fn row_to_file(row: &AnyRow) -> Result<RuleFile, DbError> {
    let id: String = row.try_get(0)?;
    Ok(RuleFile {
        id: id
            .parse()
            .map_err(|_| DbError::Sqlx(sqlx::Error::Decode(format!("\"{id}\" is no id").into())))?,
        name: row.try_get(1)?,
        text: row.try_get(2)?,
        is_enabled: row.try_get::<i64, _>(3)? != 0,
        updated_by: row.try_get(4)?,
        updated_at: from_micros(row.try_get(5)?),
        version: row.try_get(6)?,
    })
}

pub(crate) async fn list(connection: &mut AnyConnection) -> Result<Vec<RuleFile>, DbError> {
    let sql =
        "SELECT id, name, text, is_enabled, updated_by, updated_at, version FROM rule_file ORDER BY name";
    sqlx::query(sql)
        .fetch_all(connection)
        .await?
        .iter()
        .map(row_to_file)
        .collect()
}

pub(crate) async fn get(connection: &mut AnyConnection, id: &str) -> Result<Option<RuleFile>, DbError> {
    let sql =
        "SELECT id, name, text, is_enabled, updated_by, updated_at, version FROM rule_file WHERE id = $1";
    let row = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(row_to_file).transpose()
}

pub(crate) async fn insert(connection: &mut AnyConnection, file: &RuleFile) -> Result<(), DbError> {
    let sql = "INSERT INTO rule_file (id, name, text, is_enabled, updated_by, updated_at, version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(sql)
        .bind(file.id.as_str())
        .bind(&file.name)
        .bind(&file.text)
        .bind(i64::from(file.is_enabled))
        .bind(&file.updated_by)
        .bind(file.updated_at.as_microsecond())
        .bind(file.version)
        .execute(connection)
        .await?;
    Ok(())
}

/// Saves a file that was read at `file.version`. False when it has changed since.
pub(crate) async fn update(connection: &mut AnyConnection, file: &RuleFile) -> Result<bool, DbError> {
    let sql = "UPDATE rule_file SET name = $1, text = $2, is_enabled = $3, updated_by = $4, updated_at = $5, \
        version = version + 1 WHERE id = $6 AND version = $7";
    let done = sqlx::query(sql)
        .bind(&file.name)
        .bind(&file.text)
        .bind(i64::from(file.is_enabled))
        .bind(&file.updated_by)
        .bind(file.updated_at.as_microsecond())
        .bind(file.id.as_str())
        .bind(file.version)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn delete(connection: &mut AnyConnection, id: &str) -> Result<bool, DbError> {
    let done = sqlx::query("DELETE FROM rule_file WHERE id = $1")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Names of the built-in packs that were switched off.
pub(crate) async fn packs_off(connection: &mut AnyConnection) -> Result<Vec<String>, DbError> {
    let rows = sqlx::query("SELECT name FROM rule_pack WHERE is_enabled = 0")
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

pub(crate) async fn switch_pack(
    connection: &mut AnyConnection,
    name: &str,
    is_enabled: bool,
) -> Result<(), DbError> {
    let sql = "INSERT INTO rule_pack (name, is_enabled) VALUES ($1, $2) \
        ON CONFLICT (name) DO UPDATE SET is_enabled = excluded.is_enabled";
    sqlx::query(sql)
        .bind(name)
        .bind(i64::from(is_enabled))
        .execute(connection)
        .await?;
    Ok(())
}
