//! Forgetting incidents that ended long ago.

use kernel::DbError;
use sqlx::{AnyConnection, Row};

/// The stories of up to `most` incidents; says how many links went.
pub async fn delete_stories(
    connection: &mut AnyConnection,
    before_us: i64,
    most: i64,
) -> Result<u64, DbError> {
    let sql = "DELETE FROM incident_event WHERE incident IN (SELECT i.id FROM incident i \
        WHERE i.state IN ('resolved', 'closed') AND COALESCE(i.closed_at, i.resolved_at) < $1 \
        AND EXISTS (SELECT 1 FROM incident_event l WHERE l.incident = i.id) ORDER BY i.id LIMIT $2)";
    let done = sqlx::query(sql)
        .bind(before_us)
        .bind(most)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Up to `most` incidents with all that is theirs; says how many incidents went. One that others were merged into outlives them.
pub async fn delete_incidents(
    connection: &mut AnyConnection,
    before_us: i64,
    most: i64,
) -> Result<u64, DbError> {
    let sql = "SELECT i.id FROM incident i WHERE i.state IN ('resolved', 'closed') \
        AND COALESCE(i.closed_at, i.resolved_at) < $1 \
        AND NOT EXISTS (SELECT 1 FROM incident m WHERE m.merged_into = i.id) ORDER BY i.id LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(before_us)
        .bind(most)
        .fetch_all(&mut *connection)
        .await?;
    for row in &rows {
        let id: String = row.try_get(0)?;
        for sql in [
            "DELETE FROM incident_event WHERE incident = $1",
            "DELETE FROM incident_alert WHERE incident = $1",
            "DELETE FROM incident_candidate WHERE incident = $1 OR other = $1",
            "DELETE FROM incident WHERE id = $1",
        ] {
            sqlx::query(sql)
                .bind(id.clone())
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(rows.len() as u64)
}
