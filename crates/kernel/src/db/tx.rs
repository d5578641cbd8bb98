//! A write: state and events in one transaction.
//!
//! Invariant: one transaction writes at a time, on PostgreSQL over all servers: its lock is the first thing that a transaction
//! takes and its commit the last. Event numbers therefore become visible in order (a consumer's cursor can pass none that
//! commits late), and two transactions never wait for each other's rows.

use std::fmt::Write;
use std::ops::{Deref, DerefMut};
use std::panic::AssertUnwindSafe;

use sqlx::{Any, AnyConnection, AssertSqlSafe, Row, Transaction};
use tokio::sync::OwnedSemaphorePermit;

use super::connect::ACQUIRE_TIMEOUT;
use super::{Db, DbError};
use crate::Timestamp;
use crate::actor::Actor;
use crate::event::NewEvent;

const WRITE_LOCK: i64 = 0x4d41_494e_0002;

/// Rows of one insert, largest first: few different statements, so that each stays prepared.
const CHUNKS: [usize; 3] = [128, 16, 1];
const COLUMNS: usize = 7;

/// A transaction. Dropping it without `commit` rolls back. It derefs to the connection, for store functions.
pub struct Tx {
    inner: Transaction<'static, Any>,
    db: Db,
    now: Timestamp,
    cause: Option<i64>,
    last_event: Option<i64>,
    after_commit: Vec<Box<dyn FnOnce() + Send>>,
    /// Declared last: the next writer comes once the transaction is over.
    turn: OwnedSemaphorePermit,
}

impl Tx {
    pub(super) async fn begin(db: &Db) -> Result<Tx, DbError> {
        let turn = tokio::time::timeout(ACQUIRE_TIMEOUT, db.turn.clone().acquire_owned()).await;
        let turn = turn
            .map_err(|_| sqlx::Error::PoolTimedOut)?
            .map_err(|_| sqlx::Error::PoolClosed)?;
        let mut inner = db.writer.begin().await?;
        super::xact_lock(db.kind, &mut inner, WRITE_LOCK).await?;
        Ok(Tx {
            inner,
            db: db.clone(),
            now: db.clock.now(),
            cause: None,
            last_event: None,
            after_commit: Vec::new(),
            turn,
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
        let numbers = self.append_all(actor, vec![event]).await?;
        numbers
            .last()
            .copied()
            .ok_or(DbError::Sqlx(sqlx::Error::RowNotFound))
    }

    /// Appends events in the order given, many with one statement, and gives their numbers.
    pub async fn append_all(&mut self, actor: &Actor, events: Vec<NewEvent>) -> Result<Vec<i64>, DbError> {
        let mut numbers = Vec::with_capacity(events.len());
        let mut rest = events.as_slice();
        while !rest.is_empty() {
            let size = CHUNKS.into_iter().find(|size| *size <= rest.len()).unwrap_or(1);
            let (chunk, after) = rest.split_at(size);
            self.insert(actor, chunk, &mut numbers).await?;
            rest = after;
        }
        self.last_event = numbers.last().copied().or(self.last_event);
        Ok(numbers)
    }

    async fn insert(
        &mut self,
        actor: &Actor,
        events: &[NewEvent],
        numbers: &mut Vec<i64>,
    ) -> Result<(), DbError> {
        let mut query = sqlx::query(AssertSqlSafe(insert_sql(events.len())));
        for event in events {
            query = query
                .bind(self.now.as_microsecond())
                .bind(event.topic)
                .bind(event.subject.clone())
                .bind(actor.key())
                .bind(actor.name.clone())
                .bind(event.cause.or(self.cause))
                .bind(super::to_json("event.data", &event.data)?);
        }
        let rows = query.fetch_all(&mut *self.inner).await?;
        let first = numbers.len();
        for row in rows {
            numbers.push(row.try_get(0)?);
        }
        // Numbers are given in the order of the rows; the order in which they come back is the database's affair.
        numbers[first..].sort_unstable();
        Ok(())
    }

    /// Runs `hook` once the transaction is durable.
    pub fn after_commit(&mut self, hook: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(hook));
    }

    /// Makes it durable, then wakes the consumers and runs the hooks. Once begun this goes on by itself: a caller who is gone
    /// (a client that hangs up) takes nothing back that was committed, nor what follows from it.
    pub async fn commit(self) -> Result<(), DbError> {
        let finish = async move {
            self.inner.commit().await?;
            drop(self.turn);
            if let Some(seq) = self.last_event {
                self.db.latest.send_if_modified(|latest| {
                    let is_newer = seq > *latest;
                    *latest = (*latest).max(seq);
                    is_newer
                });
            }
            for hook in self.after_commit {
                if std::panic::catch_unwind(AssertUnwindSafe(hook)).is_err() {
                    tracing::error!("what was to follow a commit panicked");
                }
            }
            Ok(())
        };
        crate::task::carry_through(finish)
            .await
            .unwrap_or(Err(DbError::Sqlx(sqlx::Error::WorkerCrashed)))
    }

    /// Leaves everything as it was; the same as dropping it, but waits for it.
    pub async fn rollback(self) -> Result<(), DbError> {
        Ok(self.inner.rollback().await?)
    }
}

fn insert_sql(rows: usize) -> String {
    let mut sql =
        String::from("INSERT INTO event (at, topic, subject, actor, actor_name, cause, data) VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=COLUMNS {
            let comma = if column == 1 { "" } else { ", " };
            let _ = write!(sql, "{comma}${}", row * COLUMNS + column);
        }
        sql.push(')');
    }
    sql.push_str(" RETURNING seq");
    sql
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
