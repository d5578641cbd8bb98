//! Service accounts.

use kernel::DbError;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{flag, id, time};
use crate::model::ServiceAccount;

fn row_to_service(row: &AnyRow) -> Result<ServiceAccount, DbError> {
    Ok(ServiceAccount {
        id: id(row, 0)?,
        name: row.try_get(1)?,
        description: row.try_get(2)?,
        is_disabled: flag(row, 3)?,
        created_at: time(row, 4)?,
    })
}

pub async fn get(connection: &mut AnyConnection, id: &str) -> Result<Option<ServiceAccount>, DbError> {
    let sql = "SELECT id, name, description, is_disabled, created_at FROM service_account WHERE id = $1";
    let row = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(row_to_service).transpose()
}

pub async fn by_name(connection: &mut AnyConnection, name: &str) -> Result<Option<ServiceAccount>, DbError> {
    let sql =
        "SELECT id, name, description, is_disabled, created_at FROM service_account WHERE name_key = $1";
    let row = sqlx::query(sql)
        .bind(name.to_lowercase())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row_to_service).transpose()
}

pub async fn list(
    connection: &mut AnyConnection,
    after: &str,
    limit: i64,
) -> Result<Vec<ServiceAccount>, DbError> {
    let sql = "SELECT id, name, description, is_disabled, created_at FROM service_account \
        WHERE name_key > $1 ORDER BY name_key LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_service).collect()
}

pub async fn insert(connection: &mut AnyConnection, account: &ServiceAccount) -> Result<(), DbError> {
    let sql = "INSERT INTO service_account (id, name, name_key, description, is_disabled, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6)";
    sqlx::query(sql)
        .bind(account.id.as_str())
        .bind(account.name.clone())
        .bind(account.name.to_lowercase())
        .bind(account.description.clone())
        .bind(i64::from(account.is_disabled))
        .bind(account.created_at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn update(connection: &mut AnyConnection, account: &ServiceAccount) -> Result<(), DbError> {
    let sql = "UPDATE service_account SET name = $2, name_key = $3, description = $4, is_disabled = $5 WHERE id = $1";
    sqlx::query(sql)
        .bind(account.id.as_str())
        .bind(account.name.clone())
        .bind(account.name.to_lowercase())
        .bind(account.description.clone())
        .bind(i64::from(account.is_disabled))
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes an account with its grants and tokens.
pub async fn delete(connection: &mut AnyConnection, id: &str) -> Result<(), DbError> {
    for sql in [
        "DELETE FROM api_token WHERE owner = $1",
        "DELETE FROM access_grant WHERE holder = $1",
        "DELETE FROM service_account WHERE id = $1",
    ] {
        sqlx::query(sql).bind(id).execute(&mut *connection).await?;
    }
    Ok(())
}
