//! A write: state and events in one transaction.

use std::ops::{Deref, DerefMut};

use sqlx::{Any, AnyConnection, Row, Transaction};

use super::{Db, DbError};
use crate::Timestamp;
use crate::actor::Actor;
use crate::event::NewEvent;

const APPEND_LOCK: i64 = 0x4d41_494e_0002;

/// A transaction. Dropping it without `commit` rolls back. It derefs to the connection, for store functions.
pub struct Tx {
    inner: Transaction<'static, Any>,
    db: Db,
    now: Timestamp,
    cause: Option<i64>,
    last_event: Option<i64>,
    locked: bool,
    after_commit: Vec<Box<dyn FnOnce() + Send>>,
}

impl Tx {
    pub(super) async fn begin(db: &Db) -> Result<Tx, DbError> {
        let inner = db.writer.begin().await?;
        Ok(Tx {
            inner,
            db: db.clone(),
            now: db.clock.now(),
            cause: None,
            last_event: None,
            locked: false,
            after_commit: Vec::new(),
        })
    }

    /// The time of this transaction, the same for everything in it.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The event that led to this transaction; events appended from here on name it as their cause.
    pub fn set_cause(&mut self, event: Option<i64>) {
        self.cause = event;
    }

    pub fn cause(&self) -> Option<i64> {
        self.cause
    }

    /// Appends an event. It becomes visible with the commit, in the order of its number.
    pub async fn append(&mut self, actor: &Actor, event: NewEvent) -> Result<i64, DbError> {
        if !self.locked {
            // Invariant: on PostgreSQL numbers become visible in order, or a consumer's cursor could pass one that commits late.
            super::xact_lock(self.db.kind, &mut self.inner, APPEND_LOCK).await?;
            self.locked = true;
        }
        let data = super::to_json("event.data", &event.data)?;
        let cause = event.cause.or(self.cause);
        let sql = "INSERT INTO event (at, topic, subject, actor, actor_name, cause, data) \
            VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING seq";
        let row = sqlx::query(sql)
            .bind(self.now.as_microsecond())
            .bind(event.topic)
            .bind(event.subject)
            .bind(actor.key())
            .bind(actor.name.clone())
            .bind(cause)
            .bind(data)
            .fetch_one(&mut *self.inner)
            .await?;
        let seq: i64 = row.try_get(0)?;
        self.last_event = Some(seq);
        Ok(seq)
    }

    /// Runs `hook` once the transaction is durable.
    pub fn after_commit(&mut self, hook: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(hook));
    }

    pub async fn commit(self) -> Result<(), DbError> {
        self.inner.commit().await?;
        if let Some(seq) = self.last_event {
            self.db.latest.send_if_modified(|latest| {
                let is_newer = seq > *latest;
                *latest = (*latest).max(seq);
                is_newer
            });
        }
        for hook in self.after_commit {
            hook();
        }
        Ok(())
    }

    /// Leaves everything as it was; the same as dropping it, but waits for it.
    pub async fn rollback(self) -> Result<(), DbError> {
        Ok(self.inner.rollback().await?)
    }
}

impl Deref for Tx {
    type Target = AnyConnection;
    fn deref(&self) -> &AnyConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}
