//! Relations.

use kernel::clock::from_micros;
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::item::parse_id;
use crate::model::{ItemId, Relation, RelationKind};

fn row_to_relation(row: &AnyRow) -> Result<Relation, DbError> {
    Ok(Relation {
        from: parse_id(&row.try_get::<String, _>(0)?)?,
        kind: RelationKind::parse(&row.try_get::<String, _>(1)?).unwrap_or(RelationKind::ConnectsTo),
        to: parse_id(&row.try_get::<String, _>(2)?)?,
        source: row.try_get(3)?,
        created_at: from_micros(row.try_get(4)?),
    })
}

/// Relations from and to an item.
pub async fn relations_of(conn: &mut AnyConnection, item: &ItemId) -> Result<Vec<Relation>, DbError> {
    let rows = sqlx::query(
        "SELECT from_item, kind, to_item, source, created_at FROM item_relation WHERE from_item = $1 OR to_item = $1 \
         ORDER BY kind, from_item, to_item, source",
    )
    .bind(item.as_str())
    .fetch_all(conn)
    .await?;
    rows.iter().map(row_to_relation).collect()
}

/// Every relation between active items.
pub async fn all_relations(conn: &mut AnyConnection) -> Result<Vec<Relation>, DbError> {
    let rows = sqlx::query(
        "SELECT r.from_item, r.kind, r.to_item, r.source, r.created_at FROM item_relation r \
         JOIN item f ON f.id = r.from_item AND f.state = 'active' \
         JOIN item t ON t.id = r.to_item AND t.state = 'active' \
         ORDER BY r.from_item, r.kind, r.to_item, r.source",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(row_to_relation).collect()
}

/// Who depends on and connects to whom, between active items.
pub async fn talks(conn: &mut AnyConnection) -> Result<Vec<Relation>, DbError> {
    let rows = sqlx::query(
        "SELECT r.from_item, r.kind, r.to_item, r.source, r.created_at FROM item_relation r \
         JOIN item f ON f.id = r.from_item AND f.state = 'active' \
         JOIN item t ON t.id = r.to_item AND t.state = 'active' \
         WHERE r.kind IN ('depends_on', 'connects_to') ORDER BY r.from_item, r.to_item, r.source LIMIT 20000",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(row_to_relation).collect()
}

/// True when the relation is new. `expires`: it goes when it has not been seen for long.
pub async fn insert_relation(
    conn: &mut AnyConnection,
    from: &ItemId,
    kind: RelationKind,
    to: &ItemId,
    source: &str,
    at: Timestamp,
    expires: bool,
) -> Result<bool, DbError> {
    let done = sqlx::query(
        "INSERT INTO item_relation (from_item, kind, to_item, source, created_at, seen_at, expires) \
         VALUES ($1, $2, $3, $4, $5, $5, $6) ON CONFLICT (from_item, kind, to_item, source) DO NOTHING",
    )
    .bind(from.as_str())
    .bind(kind.as_str())
    .bind(to.as_str())
    .bind(source)
    .bind(at.as_microsecond())
    .bind(i64::from(expires))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

pub async fn touch_relation(
    conn: &mut AnyConnection,
    from: &ItemId,
    to: &ItemId,
    source: &str,
    at: Timestamp,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE item_relation SET seen_at = $4 WHERE from_item = $1 AND to_item = $2 AND source = $3",
    )
    .bind(from.as_str())
    .bind(to.as_str())
    .bind(source)
    .bind(at.as_microsecond())
    .execute(conn)
    .await?;
    Ok(())
}

/// True when there was one.
pub async fn delete_relation(
    conn: &mut AnyConnection,
    from: &ItemId,
    kind: RelationKind,
    to: &ItemId,
    source: &str,
) -> Result<bool, DbError> {
    let done = sqlx::query(
        "DELETE FROM item_relation WHERE from_item = $1 AND kind = $2 AND to_item = $3 AND source = $4",
    )
    .bind(from.as_str())
    .bind(kind.as_str())
    .bind(to.as_str())
    .bind(source)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Takes out discovered relations that have not been seen since, and says which.
pub async fn expire_relations(
    conn: &mut AnyConnection,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<Relation>, DbError> {
    let rows = sqlx::query(
        "SELECT from_item, kind, to_item, source, created_at FROM item_relation \
         WHERE expires = 1 AND seen_at < $1 ORDER BY seen_at LIMIT $2",
    )
    .bind(before.as_microsecond())
    .bind(limit)
    .fetch_all(&mut *conn)
    .await?;
    let gone: Vec<Relation> = rows.iter().map(row_to_relation).collect::<Result<_, DbError>>()?;
    for relation in &gone {
        delete_relation(
            &mut *conn,
            &relation.from,
            relation.kind,
            &relation.to,
            &relation.source,
        )
        .await?;
    }
    Ok(gone)
}
