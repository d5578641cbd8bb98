//! Joins that wait for an approval.

use kernel::clock::from_micros;
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use inventory::ItemId;

use super::agent::id_error;
use crate::model::{JoinRequest, RequestId, RequestState, TokenId};

/// Deletes requests that nobody has repeated since.
pub const DELETE_OLD: &str = "DELETE FROM join_request WHERE id IN \
    (SELECT id FROM join_request WHERE seen_at < $1 ORDER BY seen_at LIMIT $2)";

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, token, item, claim, reason, state, hostname, address, version, attempts, created_at, seen_at, \
             decided_at, decided_by FROM join_request ",
            $rest
        )
    };
}

fn row_to_request(row: &AnyRow) -> Result<JoinRequest, DbError> {
    let text = |index: usize| row.try_get::<String, _>(index);
    let time = |index: usize| row.try_get::<i64, _>(index).map(from_micros);
    Ok(JoinRequest {
        id: text(0)?.parse().map_err(id_error)?,
        token: text(1)?.parse().map_err(id_error)?,
        item: text(2)?.parse().map_err(id_error)?,
        claim: text(3)?,
        reason: text(4)?,
        state: RequestState::parse(&text(5)?).unwrap_or(RequestState::Denied),
        hostname: text(6)?,
        address: text(7)?,
        version: text(8)?,
        attempts: row.try_get(9)?,
        created_at: time(10)?,
        seen_at: time(11)?,
        decided_at: row.try_get::<Option<i64>, _>(12)?.map(from_micros),
        decided_by: row.try_get(13)?,
    })
}

pub async fn join_request(conn: &mut AnyConnection, id: &RequestId) -> Result<Option<JoinRequest>, DbError> {
    let row = sqlx::query(columns!("WHERE id = $1"))
        .bind(id.as_str())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(row_to_request).transpose()
}

/// The request of a host with this claim that came with this token for this item.
pub async fn request_of_claim(
    conn: &mut AnyConnection,
    token: &TokenId,
    item: &ItemId,
    claim: &str,
) -> Result<Option<JoinRequest>, DbError> {
    let row = sqlx::query(columns!("WHERE token = $1 AND item = $2 AND claim = $3"))
        .bind(token.as_str())
        .bind(item.as_str())
        .bind(claim)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(row_to_request).transpose()
}

/// Requests before an id, newest first; `state` empty for all.
pub async fn join_requests(
    conn: &mut AnyConnection,
    state: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<JoinRequest>, DbError> {
    let rows = sqlx::query(columns!(
        "WHERE ($1 = '' OR state = $1) AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3"
    ))
    .bind(state)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(row_to_request).collect()
}

/// How many joins wait for each host (item and number), of those that were tried since.
pub async fn pending_by_item(
    conn: &mut AnyConnection,
    since: Timestamp,
) -> Result<Vec<(String, i64)>, DbError> {
    let rows = sqlx::query(
        "SELECT item, COUNT(*) FROM join_request WHERE state = 'pending' AND seen_at > $1 GROUP BY item",
    )
    .bind(since.as_microsecond())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

pub async fn count_pending_requests(conn: &mut AnyConnection, token: &TokenId) -> Result<i64, DbError> {
    let row = sqlx::query("SELECT COUNT(*) FROM join_request WHERE token = $1 AND state = 'pending'")
        .bind(token.as_str())
        .fetch_one(conn)
        .await?;
    Ok(row.try_get(0)?)
}

pub async fn insert_request(conn: &mut AnyConnection, request: &JoinRequest) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO join_request (id, token, item, claim, reason, state, hostname, address, version, attempts, \
         created_at, seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(request.id.as_str())
    .bind(request.token.as_str())
    .bind(request.item.as_str())
    .bind(request.claim.clone())
    .bind(request.reason.clone())
    .bind(request.state.as_str())
    .bind(request.hostname.clone())
    .bind(request.address.clone())
    .bind(request.version.clone())
    .bind(request.attempts)
    .bind(request.created_at.as_microsecond())
    .bind(request.seen_at.as_microsecond())
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what may change of a request.
pub async fn save_request(conn: &mut AnyConnection, request: &JoinRequest) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE join_request SET state = $2, attempts = $3, seen_at = $4, decided_at = $5, decided_by = $6, address = $7, \
         reason = $8 WHERE id = $1",
    )
    .bind(request.id.as_str())
    .bind(request.state.as_str())
    .bind(request.attempts)
    .bind(request.seen_at.as_microsecond())
    .bind(request.decided_at.map(Timestamp::as_microsecond))
    .bind(request.decided_by.clone())
    .bind(request.address.clone())
    .bind(request.reason.clone())
    .execute(conn)
    .await?;
    Ok(())
}
