//! Opening the database: what is set on each connection, and the errors that a person can act on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, Connection};
use tokio::sync::{Semaphore, watch};

use super::{Db, DbError, Kind};
use crate::clock::Clock;

pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two attempts to reach a database server that is not up.
const RETRY: Duration = Duration::from_millis(500);
/// How long the first connection may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

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

    fn kind(&self) -> Result<Kind, DbError> {
        match self.url.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Kind::Postgres),
            Some(("sqlite", _)) => Ok(Kind::Sqlite),
            scheme => Err(DbError::Url {
                // The rest may hold a password.
                scheme: scheme.map_or("", |(scheme, _)| scheme).to_owned(),
            }),
        }
    }

    /// Where it is, without secrets.
    fn place(&self) -> String {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let rest = rest.split('?').next().unwrap_or_default();
        rest.rsplit('@').next().unwrap_or_default().to_owned()
    }
}

impl Db {
    /// Like [`Db::open`], and waits up to `patience` for a database server that does not answer yet.
    pub async fn open_when_up(options: &DbOptions, clock: Clock, patience: Duration) -> Result<Db, DbError> {
        let started = std::time::Instant::now();
        loop {
            match Self::open(options, clock.clone()).await {
                Err(DbError::Open {
                    place,
                    reason,
                    may_come: true,
                    ..
                }) if started.elapsed() < patience => {
                    tracing::warn!(place, reason, "the database does not answer yet; waiting for it");
                    tokio::time::sleep(RETRY).await;
                }
                done => return done,
            }
        }
    }

    /// Opens (SQLite: creates) the database. Migrations are a step of their own.
    pub async fn open(options: &DbOptions, clock: Clock) -> Result<Db, DbError> {
        sqlx::any::install_default_drivers();
        let kind = options.kind()?;
        let refused = |error| refusal(options, kind, &error);
        let (latest, _) = watch::channel(0);
        let (writer, reader) = match kind {
            Kind::Sqlite => {
                let url = format!("{}?mode=rwc", options.url);
                // Held until the pools are open: SQLite tidies up after the last connection, which takes a while.
                let _first = probe(&url, SQLITE_WRITER).await.map_err(refused)?;
                let writer = pool(&url, 1, SQLITE_WRITER).await.map_err(refused)?;
                let reader = pool(
                    &format!("{}?mode=ro", options.url),
                    options.readers,
                    SQLITE_READER,
                )
                .await;
                (writer, reader.map_err(refused)?)
            }
            Kind::Postgres => {
                let first = probe(&options.url, POSTGRES).await.map_err(refused)?;
                let _ = first.close().await;
                let pool = pool(&options.url, options.readers.max(4), POSTGRES).await;
                let pool = pool.map_err(refused)?;
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

/// One connection before there is a pool: a pool tries again and again until its time is over, and then says only that.
async fn probe(url: &str, setup: &'static [&'static str]) -> Result<AnyConnection, sqlx::Error> {
    let options: AnyConnectOptions = url.parse()?;
    let attempt = async {
        let mut connection = AnyConnection::connect_with(&options).await?;
        for statement in setup.iter().chain(&["SELECT 1 FROM schema_migration LIMIT 1"]) {
            let done = sqlx::query(*statement).execute(&mut connection).await;
            if let Err(error) = done
                && !is_missing_table(&error)
            {
                return Err(error);
            }
        }
        Ok(connection)
    };
    let outcome = tokio::time::timeout(PROBE_TIMEOUT, attempt).await;
    outcome.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// A new database has no tables yet.
fn is_missing_table(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error)
        if error.code().as_deref() == Some("42P01") || error.message().contains("no such table"))
}

fn refusal(options: &DbOptions, kind: Kind, error: &sqlx::Error) -> DbError {
    let (place, reason) = (options.place(), reason(error));
    if is_damage(error) {
        return DbError::Damaged { place, reason };
    }
    let hint = match kind {
        Kind::Sqlite => "check that the data folder exists, has free space and may be written by this user",
        Kind::Postgres => {
            "check that the server runs, that the user may sign in and that the database exists"
        }
    };
    let may_come = kind == Kind::Postgres && is_coming(error);
    DbError::Open {
        place,
        reason,
        hint,
        may_come,
    }
}

/// Nobody listens, it starts up (57P03) or has no connection left (53300).
fn is_coming(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| ["57P03", "53300"].contains(&code.as_ref())),
        _ => false,
    }
}

/// The error in as few words as a person needs.
fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) => match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
            _ => error.to_string(),
        },
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::PoolTimedOut => format!("no answer within {} s", PROBE_TIMEOUT.as_secs()),
        other => other.to_string(),
    }
}

/// SQLite's codes 11 (malformed) and 26 (no database).
pub(super) fn is_damage(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    ["malformed", "file is not a database"]
        .iter()
        .any(|sign| error.message().contains(sign))
}

impl DbError {
    /// Says it when the error comes from a damaged file at `options`.
    pub fn at(self, options: &DbOptions) -> Self {
        let source = match &self {
            Self::Sqlx(source) | Self::Migrate(super::MigrateError::Step { source, .. }) => source,
            _ => return self,
        };
        if is_damage(source) {
            let (place, reason) = (options.place(), reason(source));
            return Self::Damaged { place, reason };
        }
        self
    }
}
