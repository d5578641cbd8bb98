//! All SQL of the slice. Everything that writes takes its turn first: two groupings at once could open two incidents for one fault.

pub mod candidate;
pub mod incident;
pub mod link;
pub mod member;
pub mod old;
pub mod step;

use sqlx::{AnyConnection, Row};

use kernel::DbError;

/// Makes this transaction the only one that changes incidents until it ends.
pub async fn take_turn(connection: &mut AnyConnection) -> Result<(), DbError> {
    sqlx::query("UPDATE incident_gate SET turns = turns + 1 WHERE id = 1")
        .execute(connection)
        .await?;
    Ok(())
}

/// The next number. The caller holds the turn.
pub async fn next_number(connection: &mut AnyConnection) -> Result<i64, DbError> {
    let sql = "UPDATE incident_gate SET last_number = last_number + 1 WHERE id = 1 RETURNING last_number";
    Ok(sqlx::query(sql).fetch_one(connection).await?.try_get(0)?)
}

/// `$from, …` for an IN list.
fn places(from: usize, count: usize) -> String {
    let list: Vec<String> = (from..from + count).map(|n| format!("${n}")).collect();
    list.join(", ")
}
