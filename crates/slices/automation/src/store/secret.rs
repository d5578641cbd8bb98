//! Sealed secrets: those that runbooks name, and those that were given for one run.

use kernel::clock::from_micros;
use kernel::{DbError, Timestamp};
use sqlx::{AnyConnection, Row};

/// A secret as lists show it: never its value.
#[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = RunbookSecret)]
pub struct SecretInfo {
    pub name: String,
    pub updated_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

pub(crate) async fn list(connection: &mut AnyConnection) -> Result<Vec<SecretInfo>, DbError> {
    let sql = "SELECT name, updated_by_name, updated_at FROM runbook_secret ORDER BY name";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(SecretInfo {
                name: row.try_get(0)?,
                updated_by: row.try_get(1)?,
                updated_at: from_micros(row.try_get(2)?),
            })
        })
        .collect()
}

/// Name and sealed value of each.
pub(crate) async fn sealed(connection: &mut AnyConnection) -> Result<Vec<(String, Vec<u8>)>, DbError> {
    pairs(
        sqlx::query("SELECT name, sealed FROM runbook_secret ORDER BY name")
            .fetch_all(connection)
            .await?,
    )
}

pub(crate) async fn sealed_of_run(
    connection: &mut AnyConnection,
    run: &str,
) -> Result<Vec<(String, Vec<u8>)>, DbError> {
    let query = sqlx::query("SELECT name, sealed FROM run_secret WHERE run_id = $1 ORDER BY name").bind(run);
    pairs(query.fetch_all(connection).await?)
}

fn pairs(rows: Vec<sqlx::any::AnyRow>) -> Result<Vec<(String, Vec<u8>)>, DbError> {
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

pub(crate) async fn put(
    connection: &mut AnyConnection,
    name: &str,
    sealed: Vec<u8>,
    (who, now): (&str, Timestamp),
) -> Result<(), DbError> {
    let sql = "INSERT INTO runbook_secret (name, sealed, updated_by_name, updated_at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, updated_by_name = excluded.updated_by_name, \
        updated_at = excluded.updated_at";
    sqlx::query(sql)
        .bind(name)
        .bind(sealed)
        .bind(who)
        .bind(now.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn remove(connection: &mut AnyConnection, name: &str) -> Result<bool, DbError> {
    let done = sqlx::query("DELETE FROM runbook_secret WHERE name = $1")
        .bind(name)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn put_of_run(
    connection: &mut AnyConnection,
    run: &str,
    name: &str,
    sealed: Vec<u8>,
) -> Result<(), DbError> {
    sqlx::query("INSERT INTO run_secret (run_id, name, sealed) VALUES ($1, $2, $3)")
        .bind(run)
        .bind(name)
        .bind(sealed)
        .execute(connection)
        .await?;
    Ok(())
}
