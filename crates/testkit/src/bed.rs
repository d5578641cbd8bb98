//! A kernel for one test.

use kernel::db::DbOptions;
use kernel::{Clock, Db, Kernel, Migration};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::postgres;

/// A kernel over a database of its own. Dropping it removes the data folder; PostgreSQL databases go with their cluster.
pub struct Bed {
    kernel: Kernel,
    dir: TempDir,
}

type Schema<'a> = &'a [(&'static str, &'static [Migration])];

impl Bed {
    /// One bed per database, so that a test body runs on both.
    pub async fn both(schema: Schema<'_>) -> Vec<Bed> {
        vec![Self::sqlite(schema).await, Self::postgres(schema).await]
    }

    pub async fn sqlite(schema: Schema<'_>) -> Bed {
        Self::sqlite_at(schema, Clock::System).await
    }

    pub async fn sqlite_at(schema: Schema<'_>, clock: Clock) -> Bed {
        let dir = tempfile::tempdir().unwrap();
        let options = DbOptions::sqlite(&dir.path().join("mainstay.db"));
        Self::make(dir, &options, schema, clock).await
    }

    pub async fn postgres(schema: Schema<'_>) -> Bed {
        Self::postgres_at(schema, Clock::System).await
    }

    pub async fn postgres_at(schema: Schema<'_>, clock: Clock) -> Bed {
        let url = postgres::database().await;
        let dir = tempfile::tempdir().unwrap();
        Self::make(dir, &DbOptions::postgres(&url), schema, clock).await
    }

    async fn make(dir: TempDir, options: &DbOptions, schema: Schema<'_>, clock: Clock) -> Bed {
        let db = Db::open(options, clock.clone()).await.unwrap();
        db.migrate(schema).await.unwrap();
        let secrets = kernel::secret::Secrets::open_or_create(&dir.path().join("master.key")).unwrap();
        let kernel = Kernel {
            db,
            clock,
            secrets,
            metrics: kernel::metric::Metrics::default(),
            stop: CancellationToken::new(),
            tasks: Default::default(),
        };
        Bed { kernel, dir }
    }

    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }
}

/// Leaves in a database what a newer program would have left.
pub async fn age_into_the_future(options: &DbOptions) {
    let db = Db::open(options, Clock::System).await.unwrap();
    let mut tx = db.write().await.unwrap();
    sqlx::query(
        "INSERT INTO schema_migration (slice, version, name, checksum, applied_at) \
         VALUES ('access', 9999, 'from_the_future', '', 0)",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    db.close().await;
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.kernel.stop.cancel();
    }
}
