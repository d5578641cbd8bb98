//! API tokens, found by the hash of their secret.

use kernel::db::{from_json, to_json};
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{id, optional_time, time};
use crate::model::Token;

fn row_to_token(row: &AnyRow) -> Result<Token, DbError> {
    let permissions: Option<String> = row.try_get(3)?;
    Ok(Token {
        id: id(row, 0)?,
        owner: row.try_get(1)?,
        name: row.try_get(2)?,
        permissions: permissions
            .map(|text| from_json("api_token.permissions", &text))
            .transpose()?,
        created_at: time(row, 4)?,
        expires_at: optional_time(row, 5)?,
        used_at: optional_time(row, 6)?,
    })
}

pub async fn by_hash(connection: &mut AnyConnection, hash: &str) -> Result<Option<Token>, DbError> {
    let sql =
        "SELECT id, owner, name, permissions, created_at, expires_at, used_at FROM api_token WHERE hash = $1";
    let row = sqlx::query(sql).bind(hash).fetch_optional(connection).await?;
    row.as_ref().map(row_to_token).transpose()
}

pub async fn get(connection: &mut AnyConnection, id: &str) -> Result<Option<Token>, DbError> {
    let sql =
        "SELECT id, owner, name, permissions, created_at, expires_at, used_at FROM api_token WHERE id = $1";
    let row = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(row_to_token).transpose()
}

/// Tokens after `id`, of one owner or (with `owner` empty) of all.
pub async fn list(
    connection: &mut AnyConnection,
    owner: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Token>, DbError> {
    let sql = "SELECT id, owner, name, permissions, created_at, expires_at, used_at FROM api_token \
        WHERE id > $1 AND ($2 = '' OR owner = $2) ORDER BY id LIMIT $3";
    let rows = sqlx::query(sql)
        .bind(after)
        .bind(owner)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_token).collect()
}

pub async fn count_of_owner(connection: &mut AnyConnection, owner: &str) -> Result<i64, DbError> {
    let row = sqlx::query("SELECT CAST(COUNT(*) AS BIGINT) FROM api_token WHERE owner = $1")
        .bind(owner)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

pub async fn insert(connection: &mut AnyConnection, token: &Token, hash: &str) -> Result<(), DbError> {
    let permissions = match &token.permissions {
        Some(list) => Some(to_json("api_token.permissions", list)?),
        None => None,
    };
    let sql = "INSERT INTO api_token (id, hash, owner, name, permissions, created_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(sql)
        .bind(token.id.as_str())
        .bind(hash)
        .bind(token.owner.clone())
        .bind(token.name.clone())
        .bind(permissions)
        .bind(token.created_at.as_microsecond())
        .bind(token.expires_at.map(Timestamp::as_microsecond))
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn touch(connection: &mut AnyConnection, id: &str, at: Timestamp) -> Result<(), DbError> {
    sqlx::query("UPDATE api_token SET used_at = $2 WHERE id = $1")
        .bind(id)
        .bind(at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn delete(connection: &mut AnyConnection, id: &str) -> Result<(), DbError> {
    sqlx::query("DELETE FROM api_token WHERE id = $1")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn delete_of_owner(connection: &mut AnyConnection, owner: &str) -> Result<u64, DbError> {
    let done = sqlx::query("DELETE FROM api_token WHERE owner = $1")
        .bind(owner)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Forgets tokens that expired before `before`.
pub async fn delete_expired(connection: &mut AnyConnection, before: Timestamp) -> Result<u64, DbError> {
    let done = sqlx::query("DELETE FROM api_token WHERE expires_at < $1")
        .bind(before.as_microsecond())
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
