//! The row of `fleet_authority`: the certificate, and its key as it is sealed.

use kernel::{DbError, Tx};
use sqlx::{AnyConnection, Row};

/// Stores the authority, unless there is one.
pub async fn insert_authority(tx: &mut Tx, pem: String, sealed: Vec<u8>) -> Result<(), DbError> {
    let sql = "INSERT INTO fleet_authority (id, certificate_pem, sealed_key, created_at) VALUES (1, $1, $2, $3) \
        ON CONFLICT (id) DO NOTHING";
    let now = tx.now().as_microsecond();
    sqlx::query(sql)
        .bind(pem)
        .bind(sealed)
        .bind(now)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub async fn authority(conn: &mut AnyConnection) -> Result<Option<(String, Vec<u8>)>, DbError> {
    let row = sqlx::query("SELECT certificate_pem, sealed_key FROM fleet_authority WHERE id = 1")
        .fetch_optional(conn)
        .await?;
    Ok(match row {
        Some(row) => Some((row.try_get(0)?, row.try_get(1)?)),
        None => None,
    })
}
