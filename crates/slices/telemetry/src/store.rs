//! All SQL of the intake: up to which batch the gaps of an agent are told.

use kernel::DbError;
use kernel::retention::Bound;
use sqlx::AnyConnection;

/// Notes that the gaps of this batch are told; false when they had been.
pub(crate) async fn mark_gap(
    connection: &mut AnyConnection,
    agent: &str,
    seq: u64,
    at_ms: i64,
) -> Result<bool, DbError> {
    let sql = "INSERT INTO gap_mark (agent, seq, at_ms) VALUES ($1, $2, $3) \
        ON CONFLICT (agent) DO UPDATE SET seq = excluded.seq, at_ms = excluded.at_ms \
        WHERE gap_mark.seq < excluded.seq OR gap_mark.at_ms < excluded.at_ms";
    let done = sqlx::query(sql)
        .bind(agent)
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .bind(at_ms)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Marks of agents that have not told of a gap for so long that nothing of then can come again.
pub(crate) fn gap_marks() -> Bound {
    let sql = "DELETE FROM gap_mark WHERE agent IN (SELECT agent FROM gap_mark WHERE at_ms < $1 / 1000 ORDER BY agent LIMIT $2)";
    Bound::delete("gap_mark", 400, sql)
}
