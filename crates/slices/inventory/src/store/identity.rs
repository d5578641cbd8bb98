//! Identity keys and the conflicts between them.

use kernel::{DbError, Timestamp};
use sqlx::{AnyConnection, Row};

use super::item::parse_id;
use crate::identity::Keys;
use crate::model::{IdentityKey, ItemId};

pub async fn keys_of(conn: &mut AnyConnection, item: &ItemId) -> Result<Vec<IdentityKey>, DbError> {
    let rows = sqlx::query("SELECT kind, value FROM item_identity WHERE item = $1 ORDER BY kind, value")
        .bind(item.as_str())
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(IdentityKey {
                kind: row.try_get(0)?,
                value: row.try_get(1)?,
            })
        })
        .collect()
}

/// Items that share at least one key.
pub async fn candidates(conn: &mut AnyConnection, keys: &[IdentityKey]) -> Result<Vec<ItemId>, DbError> {
    let mut found: Vec<ItemId> = Vec::new();
    for key in keys {
        let rows = sqlx::query(
            "SELECT item FROM item_identity WHERE kind = $1 AND value = $2 ORDER BY item LIMIT 50",
        )
        .bind(key.kind.clone())
        .bind(key.value.clone())
        .fetch_all(&mut *conn)
        .await?;
        for row in rows {
            let id = parse_id(&row.try_get::<String, _>(0)?)?;
            if !found.contains(&id) {
                found.push(id);
            }
        }
    }
    Ok(found)
}

/// Replaces the keys of the kinds that `keys` names; the others stay. True when anything changed.
pub async fn save_keys(
    conn: &mut AnyConnection,
    item: &ItemId,
    keys: &[IdentityKey],
) -> Result<bool, DbError> {
    let before = keys_of(&mut *conn, item).await?;
    let wanted = Keys::from_list(keys).to_list();
    let mut is_changed = false;
    for gone in before
        .iter()
        .filter(|key| !wanted.contains(key) && wanted.iter().any(|w| w.kind == key.kind))
    {
        is_changed = true;
        sqlx::query("DELETE FROM item_identity WHERE item = $1 AND kind = $2 AND value = $3")
            .bind(item.as_str())
            .bind(gone.kind.clone())
            .bind(gone.value.clone())
            .execute(&mut *conn)
            .await?;
    }
    for key in wanted.iter().filter(|key| !before.contains(key)) {
        is_changed = true;
        sqlx::query("INSERT INTO item_identity (kind, value, item) VALUES ($1, $2, $3) ON CONFLICT (kind, value, item) DO NOTHING")
            .bind(key.kind.clone())
            .bind(key.value.clone())
            .bind(item.as_str())
            .execute(&mut *conn)
            .await?;
    }
    Ok(is_changed)
}

/// True when this conflict was not known.
pub async fn record_conflict(
    conn: &mut AnyConnection,
    item: &ItemId,
    other: &ItemId,
    key: &IdentityKey,
    at: Timestamp,
) -> Result<bool, DbError> {
    let done = sqlx::query(
        "INSERT INTO item_conflict (item, other, kind, value, at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (item, other, kind) DO NOTHING",
    )
    .bind(item.as_str())
    .bind(other.as_str())
    .bind(key.kind.clone())
    .bind(key.value.clone())
    .bind(at.as_microsecond())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Items that share a key with `item` which should be unique.
pub async fn conflicts(
    conn: &mut AnyConnection,
    item: &ItemId,
) -> Result<Vec<(ItemId, IdentityKey)>, DbError> {
    let rows = sqlx::query(
        "SELECT other, kind, value FROM item_conflict WHERE item = $1 \
         UNION SELECT item, kind, value FROM item_conflict WHERE other = $1 ORDER BY 1, 2",
    )
    .bind(item.as_str())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let key = IdentityKey {
                kind: row.try_get(1)?,
                value: row.try_get(2)?,
            };
            Ok((parse_id(&row.try_get::<String, _>(0)?)?, key))
        })
        .collect()
}
