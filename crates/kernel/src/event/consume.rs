//! Driving a consumer: read on from its cursor, handle each event in a transaction of its own, move the cursor in the same one.
//!
//! An event whose handler fails is tried again with growing pauses; after [`ATTEMPTS`] tries it is parked (kept, counted and
//! shown) so that one bad event does not stop the incidents behind it. A database that is away is not the event's fault and is waited for.

use std::sync::Arc;
use std::time::Duration;

use super::{Consumer, Event, store};
use crate::db::DbError;
use crate::{AnyError, Kernel};

const ATTEMPTS: u32 = 8;
const BATCH: i64 = 256;
const POLL: Duration = Duration::from_secs(1);

/// Runs until the kernel stops.
pub async fn run(kernel: Kernel, consumer: Arc<Consumer>) -> Result<(), AnyError> {
    let mut wake = kernel.db.watch_events();
    let mut tx = kernel.db.write().await?;
    store::create_cursor(&mut tx, consumer.name).await?;
    tx.commit().await?;
    while !kernel.stop.is_cancelled() {
        if !drain(&kernel, &consumer).await? {
            tokio::select! {
                () = kernel.stop.cancelled() => {}
                _ = tokio::time::timeout(POLL, wake.changed()) => {}
            }
        }
    }
    Ok(())
}

/// Takes one batch. True when there may be more.
pub async fn drain(kernel: &Kernel, consumer: &Consumer) -> Result<bool, DbError> {
    let mut reader = kernel.db.read().await?;
    let mut cursor = store::cursor(&mut reader, consumer.name).await?.unwrap_or(0);
    let events = store::after(&mut reader, cursor, BATCH).await?;
    drop(reader);
    let Some(last) = events.last().map(|event| event.seq) else {
        return Ok(false);
    };
    for event in events.iter().filter(|event| consumer.wants(&event.topic)) {
        if !take(kernel, consumer, cursor, event).await? {
            return Ok(true);
        }
        cursor = event.seq;
        kernel
            .metrics
            .counter("mainstay_events_consumed_total", &[("consumer", consumer.name)])
            .add(1);
        if kernel.stop.is_cancelled() {
            return Ok(false);
        }
    }
    if last > cursor {
        let mut tx = kernel.db.write().await?;
        store::advance(&mut tx, consumer.name, cursor, last).await?;
        tx.commit().await?;
    }
    Ok(i64::try_from(events.len()).is_ok_and(|n| n == BATCH))
}

/// Handles one event. False when another process has taken it.
async fn take(kernel: &Kernel, consumer: &Consumer, cursor: i64, event: &Event) -> Result<bool, DbError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let mut tx = kernel.db.write().await?;
        tx.set_cause(Some(event.seq));
        if !store::advance(&mut tx, consumer.name, cursor, event.seq).await? {
            return Ok(false);
        }
        let error = match (consumer.handler)(&mut tx, event).await {
            Ok(()) => {
                tx.commit().await?;
                return Ok(true);
            }
            Err(error) => error,
        };
        tx.rollback().await?;
        if error
            .downcast_ref::<DbError>()
            .is_some_and(DbError::is_unavailable)
        {
            return Err(DbError::Sqlx(sqlx::Error::WorkerCrashed));
        }
        tracing::warn!(consumer = consumer.name, seq = event.seq, topic = event.topic, attempt, %error, "event not taken");
        kernel
            .metrics
            .counter("mainstay_event_failures_total", &[("consumer", consumer.name)])
            .add(1);
        if attempt >= ATTEMPTS {
            let mut tx = kernel.db.write().await?;
            let is_ours = store::advance(&mut tx, consumer.name, cursor, event.seq).await?;
            let now = tx.now().as_microsecond();
            store::park(&mut tx, consumer.name, event.seq, &error.to_string(), now).await?;
            tx.commit().await?;
            return Ok(is_ours);
        }
        tokio::select! {
            () = kernel.stop.cancelled() => return Ok(false),
            () = tokio::time::sleep(Duration::from_millis(5 << attempt)) => {}
        }
    }
}
