//! Join tokens.

use kernel::clock::from_micros;
use kernel::db::{from_json, to_json};
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::agent::id_error;
use crate::model::{JoinToken, TokenId};

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, note, team, tags, uses, used, created_by, created_at, expires_at, revoked_at FROM join_token ",
            $rest
        )
    };
}

fn row_to_token(row: &AnyRow) -> Result<JoinToken, DbError> {
    Ok(JoinToken {
        id: row.try_get::<String, _>(0)?.parse().map_err(id_error)?,
        note: row.try_get(1)?,
        team: row.try_get(2)?,
        tags: from_json("join_token.tags", &row.try_get::<String, _>(3)?)?,
        uses: row.try_get(4)?,
        used: row.try_get(5)?,
        created_by: row.try_get(6)?,
        created_at: from_micros(row.try_get(7)?),
        expires_at: from_micros(row.try_get(8)?),
        revoked_at: row.try_get::<Option<i64>, _>(9)?.map(from_micros),
    })
}

pub async fn join_token(conn: &mut AnyConnection, id: &TokenId) -> Result<Option<JoinToken>, DbError> {
    let row = sqlx::query(columns!("WHERE id = $1"))
        .bind(id.as_str())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(row_to_token).transpose()
}

/// Tokens before an id, newest first.
pub async fn join_tokens(
    conn: &mut AnyConnection,
    before: &str,
    limit: i64,
) -> Result<Vec<JoinToken>, DbError> {
    let rows = sqlx::query(columns!("WHERE ($1 = '' OR id < $1) ORDER BY id DESC LIMIT $2"))
        .bind(before)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(row_to_token).collect()
}

pub async fn insert_token(conn: &mut AnyConnection, token: &JoinToken, hash: &str) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO join_token (id, secret_hash, note, team, tags, uses, used, created_by, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9)",
    )
    .bind(token.id.as_str())
    .bind(hash)
    .bind(token.note.clone())
    .bind(token.team.clone())
    .bind(to_json("join_token.tags", &token.tags)?)
    .bind(token.uses)
    .bind(token.created_by.clone())
    .bind(token.created_at.as_microsecond())
    .bind(token.expires_at.as_microsecond())
    .execute(conn)
    .await?;
    Ok(())
}

/// The token with this secret, if it is good for one more join.
pub async fn good_token(
    conn: &mut AnyConnection,
    hash: &str,
    now: Timestamp,
) -> Result<Option<JoinToken>, DbError> {
    let row = sqlx::query(columns!(
        "WHERE secret_hash = $1 AND used < uses AND expires_at > $2 AND revoked_at IS NULL"
    ))
    .bind(hash)
    .bind(now.as_microsecond())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(row_to_token).transpose()
}

/// Takes one use of the token with this secret. `None` when it is not good (any more).
pub async fn use_token(
    conn: &mut AnyConnection,
    hash: &str,
    now: Timestamp,
) -> Result<Option<JoinToken>, DbError> {
    let row = sqlx::query(
        "UPDATE join_token SET used = used + 1 WHERE secret_hash = $1 AND used < uses AND expires_at > $2 \
         AND revoked_at IS NULL RETURNING id",
    )
    .bind(hash)
    .bind(now.as_microsecond())
    .fetch_optional(&mut *conn)
    .await?;
    match row {
        Some(row) => join_token(conn, &row.try_get::<String, _>(0)?.parse().map_err(id_error)?).await,
        None => Ok(None),
    }
}

/// True when it was not revoked before.
pub async fn revoke_token(conn: &mut AnyConnection, id: &TokenId, now: Timestamp) -> Result<bool, DbError> {
    let done = sqlx::query("UPDATE join_token SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
        .bind(id.as_str())
        .bind(now.as_microsecond())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}
