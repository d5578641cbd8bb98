//! How long the log is, and how far behind its consumers are.

use sqlx::{AnyConnection, Row};

use crate::DbError;

/// Sizes of the log, in events.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// From the oldest that is kept to the newest.
    pub kept: i64,
    /// Set aside because a consumer could not take them, by consumer.
    pub parked: Vec<(String, i64)>,
    /// How many each consumer has not seen yet.
    pub lag: Vec<(String, i64)>,
}

pub async fn sizes(connection: &mut AnyConnection) -> Result<Sizes, DbError> {
    let ends =
        "SELECT CAST(COALESCE(MIN(seq), 1) AS BIGINT), CAST(COALESCE(MAX(seq), 0) AS BIGINT) FROM event";
    let row = sqlx::query(ends).fetch_one(&mut *connection).await?;
    let (oldest, newest): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let cursors = sqlx::query("SELECT name, seq FROM consumer_cursor ORDER BY name")
        .fetch_all(&mut *connection)
        .await?;
    let lag = cursors
        .iter()
        .map(|row| Ok((row.try_get(0)?, (newest - row.try_get::<i64, _>(1)?).max(0))))
        .collect::<Result<_, sqlx::Error>>()?;
    Ok(Sizes {
        kept: newest - oldest + 1,
        parked: super::parked::counts(connection).await?,
        lag,
    })
}
