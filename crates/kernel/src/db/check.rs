//! Is the database there, has it been used, and is it whole?

use std::time::Duration;

use sqlx::Row;

use super::{Db, DbError, Kind};
use crate::{Actor, Kernel, NewEvent, Task, Wake};

/// The first check comes soon after the start, then each day has one.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// Findings that are told; the first ones say enough.
const MOST_FINDINGS: usize = 10;

/// What an existing database tells of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// It has no tables of ours.
    None,
    /// It was set up, and nothing has happened in it.
    SetUp,
    Used,
}

impl Db {
    /// Looks without changing anything; to be called before the migrations.
    pub async fn past(&self) -> Result<Past, DbError> {
        let mut reader = self.read().await?;
        let table = match self.kind {
            Kind::Sqlite => {
                "SELECT CAST(COUNT(*) AS BIGINT) FROM sqlite_master WHERE type = 'table' AND name = 'event'"
            }
            Kind::Postgres => {
                "SELECT CAST(COUNT(*) AS BIGINT) FROM pg_tables WHERE tablename = 'event' AND schemaname = CURRENT_SCHEMA()"
            }
        };
        let row = sqlx::query(table).fetch_one(&mut *reader).await?;
        if row.try_get::<i64, _>(0)? == 0 {
            return Ok(Past::None);
        }
        let row = sqlx::query("SELECT seq FROM event LIMIT 1")
            .fetch_optional(&mut *reader)
            .await?;
        Ok(if row.is_some() { Past::Used } else { Past::SetUp })
    }

    /// Reads the whole SQLite file and compares tables with their indexes; what is wrong with it, nothing when it is whole.
    /// PostgreSQL looks after its own files.
    pub async fn check(&self) -> Result<Vec<String>, DbError> {
        if self.kind == Kind::Postgres {
            return Ok(Vec::new());
        }
        let mut reader = self.read().await?;
        let rows = match sqlx::query("PRAGMA integrity_check(10)")
            .fetch_all(&mut *reader)
            .await
        {
            Ok(rows) => rows,
            Err(error) if super::connect::is_damage(&error) => return Ok(vec![error.to_string()]),
            Err(error) => return Err(error.into()),
        };
        let found: Result<Vec<String>, sqlx::Error> = rows.iter().map(|row| row.try_get(0)).collect();
        let mut found = found?;
        found.retain(|line| line != "ok");
        found.truncate(MOST_FINDINGS);
        Ok(found)
    }
}

/// Checks the database after the start and each day; damage is logged, counted (`mainstay_database_damage`) and told
/// (`database.damaged`).
pub fn checks() -> Task {
    Task::new(
        "database.check",
        EVERY,
        Wake::default(),
        |kernel: Kernel| async move {
            let found = kernel.db.check().await?;
            let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
            kernel.metrics.gauge("mainstay_database_damage", &[]).set(count);
            if found.is_empty() {
                return Ok(());
            }
            tracing::error!(?found, "the database is damaged; restore a snapshot");
            let mut tx = kernel.db.write().await?;
            let data = serde_json::json!({ "found": found });
            tx.append(
                &Actor::system("database"),
                NewEvent::new("database.damaged", "server", &data),
            )
            .await?;
            tx.commit().await?;
            Ok(())
        },
    )
}
