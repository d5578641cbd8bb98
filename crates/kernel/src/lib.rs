//! What every slice stands on: ids, time, actors, the database, the event log, supervised tasks, HTTP, configuration,
//! secrets, own metrics and the [`Slice`] value.
//!
//! The kernel knows no slice, no engine and no protocol. It owns three tables (`schema_migration`, `event`,
//! `consumer_cursor`, with `event_parked` for events that no consumer could take) and nothing of any domain.

pub mod actor;
pub mod admission;
pub mod clock;
pub mod config;
pub mod db;
pub mod event;
pub mod http;
pub mod id;
pub mod metric;
pub mod retention;
pub mod secret;
pub mod slice;
mod step;
pub mod task;

pub use actor::{Actor, ActorKind, Grant, Role, Scope};
pub use clock::Clock;
pub use db::{Db, DbError, Tx};
pub use event::{Consumer, Event, NewEvent};
pub use http::problem::{FieldError, Problem};
pub use id::{Id, Prefix};
pub use jiff::Timestamp;
pub use slice::{Allow, Endpoint, Migration, Slice};
pub use step::{OwedSteps, StepWatch};
pub use task::{Task, Wake};

/// The handles that slices share. Cheap to clone.
#[derive(Clone)]
pub struct Kernel {
    pub db: Db,
    pub clock: Clock,
    pub secrets: secret::Secrets,
    pub metrics: metric::Metrics,
    /// Ends every supervised task.
    pub stop: tokio_util::sync::CancellationToken,
    /// What runs now.
    pub tasks: task::Running,
}

impl Kernel {
    /// The graceful stop: tells every task to end, waits for them as long as `grace`, and only then closes the database, so that
    /// what a task has to write down at its end finds it open.
    pub async fn close(&self, grace: std::time::Duration) {
        self.stop.cancel();
        if tokio::time::timeout(grace, self.tasks.idle()).await.is_err() {
            tracing::warn!(tasks = ?self.tasks.names(), "tasks did not end in time");
        }
        self.db.close().await;
    }
}

/// A boxed future, as consumers and tasks return them.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a consumer or task may fail with: logged, counted and retried, never shown to a client.
pub type AnyError = Box<dyn std::error::Error + Send + Sync>;
