//! Installed packages, in a table of their own.

use kernel::DbError;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::model::ItemId;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    pub name: String,
    pub architecture: String,
    pub version: String,
}

/// Rows in one insert: 50 × 4 values stay far under the limits of both databases.
const CHUNK: usize = 50;

fn row_to_package(row: &sqlx::any::AnyRow) -> Result<Package, DbError> {
    Ok(Package {
        name: row.try_get(0)?,
        architecture: row.try_get(1)?,
        version: row.try_get(2)?,
    })
}

/// Everything that is installed, by name.
pub async fn packages(conn: &mut AnyConnection, set: &ItemId) -> Result<Vec<Package>, DbError> {
    let rows = sqlx::query("SELECT name, architecture, version FROM item_package WHERE item = $1")
        .bind(set.as_str())
        .fetch_all(conn)
        .await?;
    let mut list: Vec<Package> = rows.iter().map(row_to_package).collect::<Result<_, DbError>>()?;
    list.sort();
    Ok(list)
}

/// A stretch of what is installed, in the order of (name, architecture, version), with names that contain `text`.
pub async fn package_page(
    conn: &mut AnyConnection,
    set: &ItemId,
    text: &str,
    after: &Package,
    limit: i64,
) -> Result<Vec<Package>, DbError> {
    let rows = sqlx::query(
        "SELECT name, architecture, version FROM item_package WHERE item = $1 AND (name > $2 OR (name = $2 AND \
         (architecture > $3 OR (architecture = $3 AND version > $4)))) AND ($5 = '' OR name LIKE $6 ESCAPE '!') \
         ORDER BY name, architecture, version LIMIT $7",
    )
    .bind(set.as_str())
    .bind(after.name.clone())
    .bind(after.architecture.clone())
    .bind(after.version.clone())
    .bind(text)
    .bind(format!("%{}%", text.replace('!', "!!").replace('%', "!%").replace('_', "!_")))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(row_to_package).collect()
}

pub async fn insert_packages(
    conn: &mut AnyConnection,
    set: &ItemId,
    list: &[&Package],
) -> Result<(), DbError> {
    for chunk in list.chunks(CHUNK) {
        let rows: Vec<String> = (0..chunk.len())
            .map(|row| format!("($1, ${}, ${}, ${})", row * 3 + 2, row * 3 + 3, row * 3 + 4))
            .collect();
        // Only the number of placeholders varies.
        let sql = format!(
            "INSERT INTO item_package (item, name, architecture, version) VALUES {} \
             ON CONFLICT (item, name, architecture, version) DO NOTHING",
            rows.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(set.as_str());
        for package in chunk {
            query = query
                .bind(package.name.clone())
                .bind(package.architecture.clone())
                .bind(package.version.clone());
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

pub async fn delete_packages(
    conn: &mut AnyConnection,
    set: &ItemId,
    list: &[&Package],
) -> Result<(), DbError> {
    for package in list {
        sqlx::query(
            "DELETE FROM item_package WHERE item = $1 AND name = $2 AND architecture = $3 AND version = $4",
        )
        .bind(set.as_str())
        .bind(package.name.clone())
        .bind(package.architecture.clone())
        .bind(package.version.clone())
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}
