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

/// Two hosts that are there and show one key which should be unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenConflict {
    pub name: String,
    pub other: String,
    /// Kind of the key.
    pub key: String,
}

/// Conflicts between active hosts that both still show the key.
pub async fn open_conflicts(conn: &mut AnyConnection) -> Result<Vec<OpenConflict>, DbError> {
    let rows = sqlx::query(
        "SELECT a.name, b.name, c.kind FROM item_conflict c \
         JOIN item a ON a.id = c.item AND a.kind = 'host' AND a.state = 'active' \
         JOIN item b ON b.id = c.other AND b.kind = 'host' AND b.state = 'active' \
         JOIN item_identity ka ON ka.item = a.id AND ka.kind = c.kind AND ka.value = c.value \
         JOIN item_identity kb ON kb.item = b.id AND kb.kind = c.kind AND kb.value = c.value \
         ORDER BY a.name, b.name, c.kind LIMIT 1000",
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(OpenConflict {
                name: row.try_get(0)?,
                other: row.try_get(1)?,
                key: row.try_get(2)?,
            })
        })
        .collect()
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
