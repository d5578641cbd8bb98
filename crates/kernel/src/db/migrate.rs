//! Schema steps: each slice numbers its own, each runs once, and a database from a newer program is refused.

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Row};

use super::{Db, DbError, Kind};
use crate::slice::Migration;

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error(
        "the database is newer than this program: {slice} is at schema step {found}, this program knows {known}; \
         start the newer mainstay, or restore a snapshot made before the upgrade"
    )]
    Newer { slice: String, found: i64, known: i64 },
    #[error(
        "schema step {version} of {slice} was changed after it had been applied; restore the original text"
    )]
    Changed { slice: String, version: i64 },
    #[error("schema step {version} ({name}) of {slice} failed: {source}")]
    Step {
        slice: String,
        version: i64,
        name: &'static str,
        source: sqlx::Error,
    },
}

const KERNEL: &[Migration] = &[
    Migration {
        version: 1,
        name: "event",
        sql: include_str!("../../migrations/0001_event.sql"),
    },
    Migration {
        version: 2,
        name: "event_actor",
        sql: include_str!("../../migrations/0002_event_actor.sql"),
    },
];

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migration (slice TEXT NOT NULL, version BIGINT NOT NULL, \
    name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL, PRIMARY KEY (slice, version))";

impl Db {
    /// Brings the schema of the kernel and of `slices` up to date, all in one transaction.
    pub async fn migrate(&self, slices: &[(&'static str, &'static [Migration])]) -> Result<(), DbError> {
        let mut tx = self.write().await?;
        sqlx::query(LEDGER).execute(&mut *tx).await?;
        let rows = sqlx::query("SELECT slice, version, checksum FROM schema_migration")
            .fetch_all(&mut *tx)
            .await?;
        let mut applied = std::collections::HashMap::new();
        for row in rows {
            applied.insert(
                (row.try_get::<String, _>(0)?, row.try_get::<i64, _>(1)?),
                row.try_get::<String, _>(2)?,
            );
        }
        let all = std::iter::once(("kernel", KERNEL)).chain(slices.iter().copied());
        for (slice, migrations) in all {
            let known = migrations.iter().map(|m| m.version).max().unwrap_or(0);
            let found = applied
                .keys()
                .filter(|(s, _)| s == slice)
                .map(|(_, v)| *v)
                .max()
                .unwrap_or(0);
            if found > known {
                return Err(MigrateError::Newer {
                    slice: slice.into(),
                    found,
                    known,
                }
                .into());
            }
            for migration in migrations {
                let checksum = checksum(migration.sql);
                match applied.get(&(slice.to_owned(), migration.version)) {
                    Some(before) if *before == checksum => {}
                    Some(_) => {
                        return Err(MigrateError::Changed {
                            slice: slice.into(),
                            version: migration.version,
                        }
                        .into());
                    }
                    None => self.apply(&mut tx, slice, migration, &checksum).await?,
                }
            }
        }
        tx.commit().await
    }

    async fn apply(
        &self,
        tx: &mut super::Tx,
        slice: &str,
        step: &Migration,
        checksum: &str,
    ) -> Result<(), DbError> {
        let sql = substitute(self.kind, step.sql);
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut **tx)
            .await
            .map_err(|source| MigrateError::Step {
                slice: slice.into(),
                version: step.version,
                name: step.name,
                source,
            })?;
        let insert = "INSERT INTO schema_migration (slice, version, name, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)";
        sqlx::query(insert)
            .bind(slice)
            .bind(step.version)
            .bind(step.name)
            .bind(checksum)
            .bind(self.clock.now().as_microsecond())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }
}

fn substitute(kind: Kind, sql: &str) -> String {
    let (blob, serial) = match kind {
        Kind::Sqlite => ("BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT"),
        Kind::Postgres => ("BYTEA", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    };
    sql.replace("{{blob}}", blob).replace("{{serial}}", serial)
}

fn checksum(sql: &str) -> String {
    Sha256::digest(sql.as_bytes())
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
