//! One SQL text on two databases: SQLite (WAL, one writer, a pool of readers) and PostgreSQL.
//!
//! Flow: `db.write()` gives a [`Tx`]; a slice changes its tables and appends events in it; `commit` makes both durable
//! and wakes the consumers. One writes at a time, on both. `db.read()` gives a connection for queries. Store functions take `&mut AnyConnection`, so that they serve both.
//!
//! Only TEXT, BIGINT, DOUBLE PRECISION and `{{blob}}` columns; `$1` placeholders; booleans are BIGINT 0/1; integer sums are
//! `CAST(… AS BIGINT)`.

mod check;
mod connect;
mod measure;
mod migrate;
mod tx;

use std::sync::Arc;

pub use check::{Past, checks};
pub use connect::DbOptions;
pub use measure::PoolUse;
pub use migrate::MigrateError;
use sqlx::AnyPool;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection};
use tokio::sync::{Semaphore, watch};
pub use tx::Tx;

use crate::clock::Clock;

/// Which database is behind a [`Db`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// The database of the house. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    kind: Kind,
    writer: AnyPool,
    reader: AnyPool,
    clock: Clock,
    /// Writers of this process wait here and not for each other's locks, so that they hold no connections meanwhile.
    turn: Arc<Semaphore>,
    /// Sequence number of the newest event that this process committed.
    latest: Arc<watch::Sender<i64>>,
}

#[derive(Debug, thiserror::Error)]
pub enum DbError {
    #[error(
        "the database URL begins with \"{scheme}\"; write postgres://user@host/name, or leave it away for SQLite in the data folder"
    )]
    Url { scheme: String },
    #[error("the database at {place} cannot be opened: {reason}; {hint}")]
    Open {
        place: String,
        reason: String,
        hint: &'static str,
        /// It does not answer (yet): a database server that starts up, or is not started.
        may_come: bool,
    },
    #[error(
        "the database {place} is damaged ({reason}); put a snapshot back into another folder with \
         `mainstay restore DATA/snapshots/NAME --data FOLDER` and start the server on that"
    )]
    Damaged { place: String, reason: String },
    #[error("database: {0}")]
    Sqlx(#[from] sqlx::Error),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("stored JSON in {what} does not read: {source}")]
    Json {
        what: &'static str,
        source: serde_json::Error,
    },
}

impl DbError {
    /// True for conditions that may pass (full or read-only disk, lost connection): the caller should try again.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Sqlx(error) => is_unavailable(error),
            Self::Open { .. } => true,
            Self::Url { .. } | Self::Damaged { .. } | Self::Migrate(_) | Self::Json { .. } => false,
        }
    }

    /// True when the database ended this transaction in favour of another one (a deadlock, a failed serialisation): nothing was
    /// changed, and the same again may go well at once.
    pub fn is_conflict(&self) -> bool {
        const SERIALIZATION_FAILURE: &str = "40001";
        const DEADLOCK_DETECTED: &str = "40P01";
        let Self::Sqlx(sqlx::Error::Database(error)) = self else {
            return false;
        };
        error
            .code()
            .is_some_and(|code| [SERIALIZATION_FAILURE, DEADLOCK_DETECTED].contains(&code.as_ref()))
    }

    /// True when a unique constraint refused the write.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Sqlx(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}

fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(db) => {
            let text = db.message();
            [
                "disk is full",
                "readonly database",
                "disk I/O error",
                "database is locked",
                "unable to open",
            ]
            .iter()
            .any(|sign| text.contains(sign))
                || db.code().is_some_and(|code| is_away(&code))
        }
        _ => false,
    }
}

/// PostgreSQL's classes 08 (connection) and 53 (resources), its shutdown and start, and a statement that waited too long.
fn is_away(code: &str) -> bool {
    let is_class = |class| code.len() == 5 && code.starts_with(class);
    is_class("08") || is_class("53") || is_class("57P") || code == "57014"
}

impl Db {
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A connection for queries. Never write through it: on SQLite it is read-only.
    pub async fn read(&self) -> Result<PoolConnection<Any>, DbError> {
        Ok(self.reader.acquire().await?)
    }

    /// A transaction. There is one at a time in the whole house: keep it short, never await the network inside, never open a
    /// second one while holding the first.
    pub async fn write(&self) -> Result<Tx, DbError> {
        Tx::begin(self).await
    }

    /// Told of every event that this process commits. A timer beside it covers other processes.
    pub fn watch_events(&self) -> watch::Receiver<i64> {
        self.latest.subscribe()
    }

    /// Copies the state into a new SQLite file that is consistent while writes go on.
    pub async fn snapshot_sqlite(&self, to: &std::path::Path) -> Result<(), DbError> {
        let mut connection = self.reader.acquire().await?;
        sqlx::query("VACUUM INTO $1")
            .bind(to.display().to_string())
            .execute(&mut *connection)
            .await?;
        Ok(())
    }

    /// Closes the pools after their last user is done; on SQLite this folds the WAL back into the file.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// Reads a stored JSON column.
pub fn from_json<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T, DbError> {
    serde_json::from_str(text).map_err(|source| DbError::Json { what, source })
}

/// Writes a JSON column. Types that slices store serialise without fail; `what` names the column if one does not.
pub fn to_json<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, DbError> {
    serde_json::to_string(value).map_err(|source| DbError::Json { what, source })
}

/// Takes a named lock for the rest of the transaction on PostgreSQL; SQLite has one writer anyway.
pub(crate) async fn xact_lock(kind: Kind, connection: &mut AnyConnection, key: i64) -> Result<(), DbError> {
    if kind == Kind::Postgres {
        sqlx::query("SELECT 1 FROM (SELECT pg_advisory_xact_lock($1)) AS taken")
            .bind(key)
            .execute(connection)
            .await?;
    }
    Ok(())
}
