//! Opening the database: what is set on each connection, and the errors that a person can act on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use tokio::sync::{Semaphore, watch};

use super::{Db, DbError, Kind};
use crate::clock::Clock;

pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(20);

/// How to reach the database.
#[derive(Clone, Debug)]
pub struct DbOptions {
    /// `sqlite:///path/file.db` or `postgres://user@host/name`.
    pub url: String,
    pub readers: u32,
}

impl DbOptions {
    /// SQLite in one file under the data folder.
    pub fn sqlite(file: &Path) -> Self {
        Self {
            url: format!("sqlite://{}", file.display()),
            readers: 4,
        }
    }

    pub fn postgres(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            readers: 8,
        }
    }

    fn kind(&self) -> Kind {
        if self.url.starts_with("postgres") {
            Kind::Postgres
        } else {
            Kind::Sqlite
        }
    }
}

impl Db {
    /// Opens (SQLite: creates) the database. Migrations are a step of their own.
    pub async fn open(options: &DbOptions, clock: Clock) -> Result<Db, DbError> {
        sqlx::any::install_default_drivers();
        let kind = options.kind();
        let (latest, _) = watch::channel(0);
        let (writer, reader) = match kind {
            Kind::Sqlite => {
                let writer = pool(&format!("{}?mode=rwc", options.url), 1, SQLITE_WRITER).await;
                let writer = writer.map_err(|source| open_error(options, source))?;
                let reader = pool(
                    &format!("{}?mode=ro", options.url),
                    options.readers,
                    SQLITE_READER,
                )
                .await;
                (writer, reader.map_err(|source| open_error(options, source))?)
            }
            Kind::Postgres => {
                let pool = pool(&options.url, options.readers.max(4), POSTGRES).await;
                let pool = pool.map_err(|source| open_error(options, source))?;
                (pool.clone(), pool)
            }
        };
        Ok(Db {
            kind,
            writer,
            reader,
            clock,
            turn: Arc::new(Semaphore::new(1)),
            latest: Arc::new(latest),
        })
    }
}

const SQLITE_WRITER: &[&str] = &[
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 10000",
    "PRAGMA wal_autocheckpoint = 2000",
];
const SQLITE_READER: &[&str] = &["PRAGMA busy_timeout = 10000", "PRAGMA cache_size = -4000"];
const POSTGRES: &[&str] = &[
    "SET statement_timeout = '60s'",
    "SET idle_in_transaction_session_timeout = '60s'",
];

async fn pool(url: &str, size: u32, setup: &'static [&'static str]) -> Result<sqlx::AnyPool, sqlx::Error> {
    let options: AnyConnectOptions = url.parse()?;
    AnyPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(None)
        .idle_timeout(None)
        // Invariant: a connection that is handed out is in no transaction. SQLite ends a transaction by itself when the disk
        // fails; the driver then counts one that is not there, and what is committed after that would never reach the disk.
        .before_acquire(|connection, _| {
            let is_clean = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_clean) })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for statement in setup {
                    sqlx::query(*statement).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .connect_with(options)
        .await
}

fn open_error(options: &DbOptions, source: sqlx::Error) -> DbError {
    let hint = match options.kind() {
        Kind::Sqlite => "check that the data folder exists, has free space and may be written by this user",
        Kind::Postgres => {
            "check that the server runs, that the user may sign in and that the database exists"
        }
    };
    // The part before `@` may hold a password.
    let place = options.url.rsplit('@').next().unwrap_or_default().to_owned();
    DbError::Open { place, hint, source }
}
