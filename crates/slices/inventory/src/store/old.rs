//! Forgetting items that were retired long ago.

use kernel::DbError;
use sqlx::{AnyConnection, Row};

/// Up to `most` items with all that is theirs, what is on others before these; says how many went.
pub async fn delete_retired(
    connection: &mut AnyConnection,
    before_us: i64,
    most: i64,
) -> Result<u64, DbError> {
    let sql = "SELECT i.id FROM item i WHERE i.state = 'retired' AND i.retired_at < $1 \
        AND NOT EXISTS (SELECT 1 FROM item c WHERE c.parent = i.id) ORDER BY i.retired_at, i.id LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(before_us)
        .bind(most)
        .fetch_all(&mut *connection)
        .await?;
    for row in &rows {
        forget(connection, &row.try_get::<String, _>(0)?).await?;
    }
    Ok(rows.len() as u64)
}

/// Deletes an item with all that is its own. Whose a name was stays known: there may be samples under it.
pub async fn forget(connection: &mut AnyConnection, id: &str) -> Result<(), DbError> {
    for sql in [
        "DELETE FROM item_identity WHERE item = $1",
        "DELETE FROM item_conflict WHERE item = $1 OR other = $1",
        "DELETE FROM item_relation WHERE from_item = $1 OR to_item = $1",
        "DELETE FROM item_package WHERE item = $1",
        "DELETE FROM item_address WHERE host = $1",
        "DELETE FROM item_listener WHERE host = $1",
        "DELETE FROM item_peer WHERE host = $1",
        "DELETE FROM item WHERE id = $1",
    ] {
        sqlx::query(sql)
            .bind(id.to_owned())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
