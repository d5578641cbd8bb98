//! Bounds for what grows: how long rows are kept, and the duty that removes older ones in small batches.
//!
//! Each slice gives its own [`Bound`]s to a [`task`]; the event log's own are in [`events`]. A round that removed something says
//! so on the timeline (`retention.trimmed`), so that an auditor sees that history ends on purpose. Nothing is removed when the
//! bound is 0 days. Age is counted from the newest event, so a house where nothing happens forgets nothing.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row};

use crate::event::store::{newest_at, slowest_cursor};
use crate::{Actor, BoxFuture, DbError, Kernel, NewEvent, Task, Tx, Wake};

/// Rows that one transaction removes: others wait for it.
const BATCH: i64 = 500;
/// A pause between two batches, for those who wait.
const PAUSE: Duration = Duration::from_millis(20);
/// Batches of one round; what is left goes in the next.
const ROUND: usize = 2_000;
const EVERY: Duration = Duration::from_secs(3600);
const DAY_US: i64 = 86_400_000_000;

/// Removes up to the given number of rows that are older than the given time (microseconds); says how many.
type Trim = Box<dyn for<'a> Fn(&'a mut Tx, i64, i64) -> BoxFuture<'a, Result<u64, DbError>> + Send + Sync>;

/// How long one kind of row is kept.
pub struct Bound {
    /// Names it in metrics and on the timeline: the table, or what of it.
    pub what: &'static str,
    /// 0: for ever.
    pub keep_days: u32,
    trim: Trim,
}

impl Bound {
    pub fn new<F>(what: &'static str, keep_days: u32, trim: F) -> Self
    where
        F: for<'a> Fn(&'a mut Tx, i64, i64) -> BoxFuture<'a, Result<u64, DbError>> + Send + Sync + 'static,
    {
        Self {
            what,
            keep_days,
            trim: Box::new(trim),
        }
    }

    /// A bound that is one statement: `DELETE` of at most `$2` rows that are older than `$1`.
    pub fn delete(what: &'static str, keep_days: u32, sql: &'static str) -> Self {
        Self::new(what, keep_days, move |tx, before_us, most| {
            Box::pin(async move {
                let done = sqlx::query(sql)
                    .bind(before_us)
                    .bind(most)
                    .execute(&mut **tx)
                    .await?;
                Ok(done.rows_affected())
            })
        })
    }
}

/// `retention.trimmed`; the subject is what was trimmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trimmed {
    pub removed: u64,
    pub keep_days: u32,
}

/// The duty that keeps `bounds`.
pub fn task(name: &'static str, bounds: Vec<Bound>) -> Task {
    let bounds = Arc::new(bounds);
    Task::new(name, EVERY, Wake::default(), move |kernel| {
        let bounds = bounds.clone();
        async move { Ok(trim(&kernel, &bounds).await?) }
    })
}

/// One round over all bounds.
pub async fn trim(kernel: &Kernel, bounds: &[Bound]) -> Result<(), DbError> {
    // Counted from the newest event too, not only from the clock: one that starts out years ahead must not end all history.
    let newest_us = newest_at(&mut *kernel.db.read().await?).await?;
    let now_us = kernel.clock.now().as_microsecond().min(newest_us);
    for bound in bounds.iter().filter(|bound| bound.keep_days > 0) {
        let before_us = now_us - i64::from(bound.keep_days) * DAY_US;
        let mut removed = 0;
        for _ in 0..ROUND {
            if kernel.stop.is_cancelled() {
                break;
            }
            let mut tx = kernel.db.write().await?;
            let count = (bound.trim)(&mut tx, before_us, BATCH).await?;
            tx.commit().await?;
            removed += count;
            if count == 0 {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        tell(kernel, bound, removed).await?;
    }
    Ok(())
}

async fn tell(kernel: &Kernel, bound: &Bound, removed: u64) -> Result<(), DbError> {
    kernel
        .metrics
        .counter("mainstay_retention_removed_total", &[("what", bound.what)])
        .add(removed);
    if removed == 0 {
        return Ok(());
    }
    let data = Trimmed {
        removed,
        keep_days: bound.keep_days,
    };
    let mut tx = kernel.db.write().await?;
    let event = NewEvent::new("retention.trimmed", bound.what, &data);
    tx.append(&Actor::system("retention"), event).await?;
    tx.commit().await
}

/// `[events]` of the configuration.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Days that the timeline and the audit trail go back; 0: for ever.
    pub keep_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keep_days: 400 }
    }
}

/// Says which of the events between two numbers (both included) must stay, whatever their age.
pub type Hold = for<'a> fn(&'a mut AnyConnection, (i64, i64)) -> BoxFuture<'a, Result<Vec<i64>, DbError>>;

/// Bounds of the event log and of the events that were parked. Events that a consumer has not taken yet stay, and those that
/// one of `holds` names.
pub fn events(settings: Settings, holds: Vec<Hold>) -> Vec<Bound> {
    // Where the round is: what is held lies behind, and is not looked at again in every batch.
    let place = Arc::new(std::sync::Mutex::new(0_i64));
    let holds = Arc::new(holds);
    vec![
        Bound::delete("event_parked", settings.keep_days, PARKED),
        Bound::new("event", settings.keep_days, move |tx, before_us, most| {
            let (place, holds) = (place.clone(), holds.clone());
            Box::pin(async move {
                let from = *place.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let (removed, reached) = trim_events(tx, &holds, from, before_us, most).await?;
                *place.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = reached;
                Ok(removed)
            })
        }),
    ]
}

const PARKED: &str = "DELETE FROM event_parked WHERE (consumer, seq) IN \
    (SELECT consumer, seq FROM event_parked WHERE parked_at < $1 ORDER BY seq LIMIT $2)";
const OLD: &str = "SELECT seq, at FROM event WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3";

/// Removes old events after number `from`; says how many, and up to which number everything has been looked at (0: the round
/// is over).
async fn trim_events(
    tx: &mut Tx,
    holds: &[Hold],
    from: i64,
    before_us: i64,
    most: i64,
) -> Result<(u64, i64), DbError> {
    let mut from = from;
    loop {
        let taken = slowest_cursor(tx).await?.unwrap_or(i64::MAX);
        let rows = sqlx::query(OLD)
            .bind(from)
            .bind(taken)
            .bind(most)
            .fetch_all(&mut **tx)
            .await?;
        let mut old = Vec::with_capacity(rows.len());
        for row in rows {
            let (seq, at): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            // Times rise with the numbers but for steps of the clock; the first young one ends the round.
            if at >= before_us {
                break;
            }
            old.push(seq);
        }
        let (Some(first), Some(last)) = (old.first().copied(), old.last().copied()) else {
            return Ok((0, 0));
        };
        let mut held = Vec::new();
        for hold in holds {
            held.extend(hold(tx, (first, last)).await?);
        }
        held.sort_unstable();
        let mut removed = 0;
        for (low, high) in gaps(first, last, &held) {
            let done = sqlx::query("DELETE FROM event WHERE seq >= $1 AND seq <= $2")
                .bind(low)
                .bind(high)
                .execute(&mut **tx)
                .await?;
            removed += done.rows_affected();
        }
        from = last;
        if removed > 0 {
            return Ok((removed, last));
        }
    }
}

/// The stretches of `first..=last` between the sorted numbers `held`.
fn gaps(first: i64, last: i64, held: &[i64]) -> Vec<(i64, i64)> {
    let mut gaps = Vec::new();
    let mut low = first;
    for number in held {
        if *number > low {
            gaps.push((low, number - 1));
        }
        low = low.max(number + 1);
    }
    if low <= last {
        gaps.push((low, last));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_leave_out_what_is_held_and_nothing_else() {
        assert_eq!(gaps(1, 9, &[]), [(1, 9)]);
        assert_eq!(gaps(1, 9, &[1, 4, 4, 5, 9]), [(2, 3), (6, 8)]);
        assert_eq!(gaps(5, 5, &[5]), []);
    }
}
