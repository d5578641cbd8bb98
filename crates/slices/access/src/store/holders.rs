//! Who can act through a service account: those who made it or a token of it.

use kernel::{Actor, DbError};
use sqlx::{AnyConnection, Row};

/// Notes that `actor` made the account or a token of it.
pub async fn note(connection: &mut AnyConnection, account: &str, actor: &Actor) -> Result<(), DbError> {
    let sql = "INSERT INTO account_holder (account, actor) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    sqlx::query(sql)
        .bind(account)
        .bind(actor.key())
        .execute(connection)
        .await?;
    Ok(())
}

/// Keys (`person:per_…`) of those who can act through the account. Empty: nobody is on record.
pub async fn of(connection: &mut AnyConnection, account: &str) -> Result<Vec<String>, DbError> {
    let sql = "SELECT actor FROM account_holder WHERE account = $1 ORDER BY actor";
    let rows = sqlx::query(sql).bind(account).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
