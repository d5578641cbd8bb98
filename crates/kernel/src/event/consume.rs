//! Driving a consumer: read on from its cursor, handle events in transactions that move the cursor too.
//!
//! Many events share one transaction as long as none fails; where one does, all are taken back and handled one by one. An event
//! whose handler fails, panics or hangs is tried again with growing pauses; after [`ATTEMPTS`] tries it is parked (kept, counted,
//! told, and listed until a person has it tried again or dismisses it), so that one bad event does not stop the incidents behind
//! it. A database that is away is not the event's fault and is waited for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::attempt::{Failure, attempt, roll_back};
use super::parked;
use super::store::{self, Entry};
use super::{Consumer, Event};
use crate::db::DbError;
use crate::{AnyError, Kernel};

const ATTEMPTS: u32 = 8;
/// Read at once.
const BATCH: i64 = 256;
/// One transaction holds the writer for no longer than this many events and this time.
const TOGETHER: usize = 64;
const TOGETHER_FOR: Duration = Duration::from_millis(50);
const POLL: Duration = Duration::from_secs(1);

/// Gives consumers that are new their place: the end of the log, or its beginning where nobody has followed it yet. Call it for
/// all of them before anything is appended that they should see.
pub async fn register(kernel: &Kernel, names: &[&str]) -> Result<(), DbError> {
    let mut tx = kernel.db.write().await?;
    let is_first = store::slowest_cursor(&mut tx).await?.is_none();
    let place = if is_first {
        0
    } else {
        store::latest(&mut tx).await?
    };
    for name in names {
        store::create_cursor_at(&mut tx, name, place).await?;
    }
    tx.commit().await
}

/// Runs until the kernel stops.
pub async fn run(kernel: Kernel, consumer: Arc<Consumer>) -> Result<(), AnyError> {
    let mut wake = kernel.db.watch_events();
    register(&kernel, &[consumer.name]).await?;
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
    let entries = store::entries_after(&mut reader, cursor, BATCH).await?;
    drop(reader);
    let Some(last) = entries.last().map(|entry| entry.seq) else {
        return Ok(false);
    };
    let is_full = i64::try_from(entries.len()).is_ok_and(|count| count == BATCH);
    let wanted: Vec<Entry> = entries
        .into_iter()
        .filter(|entry| consumer.wants(&entry.topic) || parked::is_request(consumer, entry))
        .collect();
    let turn = Turn { kernel, consumer };
    let mut rest = wanted.as_slice();
    while !rest.is_empty() {
        let Some(taken) = turn.take_some(&mut cursor, rest).await? else {
            return Ok(true);
        };
        rest = rest.get(taken..).unwrap_or_default();
        if kernel.stop.is_cancelled() {
            return Ok(false);
        }
    }
    if last > cursor {
        let mut tx = kernel.db.write().await?;
        store::advance(&mut tx, consumer.name, cursor, last).await?;
        tx.commit().await?;
    }
    Ok(is_full)
}

/// What came of events in one transaction.
enum Together {
    Taken(usize),
    /// Another process has taken them.
    Gone,
    /// None was taken: this one fails, counted from the first, or must be taken alone.
    Failed {
        place: usize,
        tries: u32,
    },
}

struct Turn<'a> {
    kernel: &'a Kernel,
    consumer: &'a Consumer,
}

impl Turn<'_> {
    /// Takes at least one of the entries; says how many. `None` when another process has taken them, or at the stop.
    async fn take_some(&self, cursor: &mut i64, entries: &[Entry]) -> Result<Option<usize>, DbError> {
        let plain = entries
            .iter()
            .take(TOGETHER)
            .map_while(|entry| match &entry.event {
                Ok(event) if !parked::is_request(self.consumer, entry) => Some(event),
                _ => None,
            });
        let plain: Vec<&Event> = plain.collect();
        let (bad, tries) = match self.take_together(cursor, &plain).await? {
            Together::Taken(count) => return Ok(Some(count)),
            Together::Gone => return Ok(None),
            Together::Failed { place, tries } => (place, tries),
        };
        for (place, entry) in entries.iter().enumerate().take(bad + 1) {
            let before = if place == bad { tries } else { 0 };
            if !self.take(*cursor, entry, before).await? {
                return Ok(None);
            }
            *cursor = entry.seq;
        }
        Ok(Some(bad + 1))
    }

    /// Takes events in one transaction, as many as are handled in a short time.
    async fn take_together(&self, cursor: &mut i64, events: &[&Event]) -> Result<Together, DbError> {
        let [first, _, ..] = events else {
            return Ok(Together::Failed { place: 0, tries: 0 });
        };
        let started = Instant::now();
        let mut tx = self.kernel.db.write().await?;
        if !store::advance(&mut tx, self.consumer.name, *cursor, first.seq).await? {
            return Ok(Together::Gone);
        }
        let mut taken = 0;
        for event in events {
            match attempt(self.consumer, &mut tx, event).await {
                Ok(()) => taken += 1,
                Err(Failure::Away) => return Err(away()),
                Err(Failure::Bad { reason, cost }) => {
                    roll_back(tx).await?;
                    self.count_failed(event, cost, &reason);
                    return Ok(Together::Failed {
                        place: taken,
                        tries: cost,
                    });
                }
            }
            if started.elapsed() > TOGETHER_FOR {
                break;
            }
        }
        let last = events.get(taken - 1).map_or(first.seq, |event| event.seq);
        store::advance(&mut tx, self.consumer.name, first.seq, last).await?;
        tx.commit().await?;
        *cursor = last;
        self.count_taken(taken);
        Ok(Together::Taken(taken))
    }

    /// Takes one event that was tried so often before, or parks it. False when another process has taken it, or at the stop.
    async fn take(&self, cursor: i64, entry: &Entry, tries: u32) -> Result<bool, DbError> {
        let event = match &entry.event {
            Ok(event) => event,
            Err(reason) => return self.park(cursor, entry, reason).await,
        };
        if parked::is_request(self.consumer, entry) {
            return self.try_again(cursor, event).await;
        }
        let (mut tries, most) = (tries, self.patience());
        loop {
            let mut tx = self.kernel.db.write().await?;
            if !store::advance(&mut tx, self.consumer.name, cursor, event.seq).await? {
                return Ok(false);
            }
            let reason = match attempt(self.consumer, &mut tx, event).await {
                Ok(()) => {
                    tx.commit().await?;
                    self.count_taken(1);
                    return Ok(true);
                }
                Err(Failure::Away) => return Err(away()),
                Err(Failure::Bad { reason, cost }) => {
                    tries += cost;
                    reason
                }
            };
            roll_back(tx).await?;
            self.count_failed(event, tries, &reason);
            if tries >= most {
                return self.park(cursor, entry, &reason).await;
            }
            tokio::select! {
                () = self.kernel.stop.cancelled() => return Ok(false),
                () = tokio::time::sleep(Duration::from_millis(5 << tries)) => {}
            }
        }
    }

    /// Fewer tries with every event that was parked since one was taken: a handler that fails at everything must not hold up
    /// what others do.
    fn patience(&self) -> u32 {
        (ATTEMPTS >> self.consumer.parked_in_a_row.load(Ordering::Relaxed).min(2)).max(2)
    }

    async fn park(&self, cursor: i64, entry: &Entry, reason: &str) -> Result<bool, DbError> {
        let mut tx = self.kernel.db.write().await?;
        if !store::advance(&mut tx, self.consumer.name, cursor, entry.seq).await? {
            return Ok(false);
        }
        parked::park(&mut tx, self.consumer.name, entry, reason).await?;
        tx.commit().await?;
        self.consumer.parked_in_a_row.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    /// A person asked for a parked event to be tried again.
    async fn try_again(&self, cursor: i64, request: &Event) -> Result<bool, DbError> {
        let mut tx = self.kernel.db.write().await?;
        let name = self.consumer.name;
        if !store::advance(&mut tx, name, cursor, request.seq).await? {
            return Ok(false);
        }
        let Some(event) = parked::asked_for(&mut tx, name, request).await? else {
            tx.commit().await?;
            return Ok(true);
        };
        let seq = event.seq;
        match attempt(self.consumer, &mut tx, &event).await {
            Ok(()) => {
                tx.set_cause(Some(request.seq));
                parked::release(&mut tx, name, seq).await?;
                tx.commit().await?;
                self.count_taken(1);
            }
            Err(Failure::Away) => return Err(away()),
            Err(Failure::Bad { reason, .. }) => {
                roll_back(tx).await?;
                self.count_failed(&event, 1, &reason);
                let mut tx = self.kernel.db.write().await?;
                store::advance(&mut tx, name, cursor, request.seq).await?;
                parked::failed_again(&mut tx, name, seq, &reason).await?;
                tx.commit().await?;
            }
        }
        Ok(true)
    }

    fn count_taken(&self, events: usize) {
        self.consumer.parked_in_a_row.store(0, Ordering::Relaxed);
        let labels = [("consumer", self.consumer.name)];
        let counter = self
            .kernel
            .metrics
            .counter("mainstay_events_consumed_total", &labels);
        counter.add(u64::try_from(events).unwrap_or(0));
    }

    fn count_failed(&self, event: &Event, tries: u32, reason: &str) {
        let name = self.consumer.name;
        tracing::warn!(
            consumer = name,
            seq = event.seq,
            topic = event.topic,
            tries,
            error = reason,
            "event not taken"
        );
        let labels = [("consumer", name)];
        self.kernel
            .metrics
            .counter("mainstay_event_failures_total", &labels)
            .add(1);
    }
}

fn away() -> DbError {
    DbError::Sqlx(sqlx::Error::WorkerCrashed)
}
