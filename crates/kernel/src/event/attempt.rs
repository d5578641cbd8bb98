//! One attempt of a consumer at one event: whatever the handler does, it ends, and in an answer.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;

use super::{Consumer, Event};
use crate::db::DbError;
use crate::{AnyError, Tx};

/// How long a handler may hold the one writer. Shorter than others wait for their turn: nobody's write fails for it.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// A handler that hangs is not asked as often as one that fails at once: everybody waits for it.
const HANG_COSTS: u32 = 4;
const ROLLBACK: Duration = Duration::from_secs(10);
const LONGEST_REASON: usize = 2000;

/// Why an event was not taken.
pub(super) enum Failure {
    /// The database is away, which is not the event's fault.
    Away,
    Bad {
        reason: String,
        /// As how many attempts it counts.
        cost: u32,
    },
}

/// Lets the consumer handle the event in `tx`, and neither commits nor rolls back.
pub(super) async fn attempt(consumer: &Consumer, tx: &mut Tx, event: &Event) -> Result<(), Failure> {
    tx.set_cause(Some(event.seq));
    // The handler may panic before it has given its future.
    let work = AssertUnwindSafe(async { (consumer.handler)(tx, event).await }).catch_unwind();
    let (reason, cost) = match tokio::time::timeout(consumer.deadline, work).await {
        Ok(Ok(Ok(()))) => return Ok(()),
        Ok(Ok(Err(error))) if is_away(&error) => return Err(Failure::Away),
        Ok(Ok(Err(error))) => (error.to_string(), 1),
        Ok(Err(panic)) => (format!("the handler panicked: {}", words(&*panic)), 1),
        Err(_) => {
            let reason = format!("the handler was not done within {:?}", consumer.deadline);
            (reason, HANG_COSTS)
        }
    };
    let reason = reason.chars().take(LONGEST_REASON).collect();
    Err(Failure::Bad { reason, cost })
}

/// Rolls back, and waits for it only so long; dropping does the rest.
pub(super) async fn roll_back(tx: Tx) -> Result<(), DbError> {
    tokio::time::timeout(ROLLBACK, tx.rollback())
        .await
        .unwrap_or(Ok(()))
}

/// Looks through what slices wrap around an error of the database.
fn is_away(error: &AnyError) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<DbError>() {
            return error.is_unavailable();
        }
        source = error.source();
    }
    false
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}
