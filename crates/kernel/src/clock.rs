//! The only place that reads the wall clock. Tests hold time still with [`Clock::fake`].
//!
//! The wall clock steps: NTP corrects it, people set it, virtual machines resume. What slices do about it:
//! - Waits inside the process use tokio's timers, which do not step, and are bounded, so that due times are read again.
//! - Due times in the database are compared with [`is_due`], which also fires when a due time is further away than it can ever
//!   have been set: the clock was set back since.
//! - Lengths of time inside the process are measured with `std::time::Instant`.
//! - Order comes from [`crate::Id`] and event numbers, which rise whatever the clock does, and not from times.
//! - [`steps`] detects a step, counts it (`mainstay_clock_steps_total`), appends `clock.stepped` and wakes every task.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{Actor, Kernel, NewEvent, Task, Wake};

/// A source of time: the machine's, one that a test moves, or one that lives through a past.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    Fake(Arc<AtomicI64>),
    /// Goes on with the machine's, so many microseconds behind it.
    Behind(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `start` until it is advanced.
    pub fn fake(start: Timestamp) -> Self {
        Self::Fake(Arc::new(AtomicI64::new(start.as_microsecond())))
    }

    /// A clock that goes `by` behind the machine's until it catches up.
    pub fn behind(by: SignedDuration) -> Self {
        Self::Behind(Arc::new(AtomicI64::new(micros(by).max(0))))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one reader of the wall clock"
    )]
    pub fn now(&self) -> Timestamp {
        match self {
            // The database keeps microseconds: what is answered now and what is read back later are the same.
            Self::System => from_micros(Timestamp::now().as_microsecond()),
            Self::Fake(micros) => from_micros(micros.load(Ordering::SeqCst)),
            Self::Behind(by) => {
                let machine = Timestamp::now().as_microsecond();
                from_micros(machine.saturating_sub(by.load(Ordering::SeqCst)))
            }
        }
    }

    /// Unix milliseconds, the unit of samples and log lines.
    pub fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    /// Moves a fake clock; the system clock does not move for anyone.
    pub fn advance(&self, by: SignedDuration) {
        if let Self::Fake(clock) = self {
            clock.fetch_add(micros(by), Ordering::SeqCst);
        }
    }

    /// Moves a clock that is behind on to `then`, never back and never past the machine's.
    pub fn catch_up_to(&self, then: Timestamp) {
        if let Self::Behind(by) = self {
            let step = micros(then.duration_since(self.now())).max(0);
            let _ = by.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |by| Some((by - step).max(0)));
        }
    }
}

/// Is the time come? `longest` is the longest wait that a due time is ever set to: a due time beyond that was set before the clock
/// stepped back, and waiting for it could take as long as the step.
pub fn is_due(due: Timestamp, now: Timestamp, longest: SignedDuration) -> bool {
    due <= now || due.duration_since(now) > longest
}

/// A difference between the wall clock and the monotonic clock above this, within one round, is a step.
const STEP: Duration = Duration::from_secs(2);

/// Data of `clock.stepped`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Stepped {
    /// By how much the wall clock is ahead of where it should be; negative: it was set back.
    pub by_ms: i64,
}

/// Detects steps of the wall clock from one round to the next.
#[derive(Debug, Default)]
pub struct Steps(Mutex<Option<(Instant, Timestamp)>>);

impl Steps {
    /// The step since the round before, in milliseconds. A clock that is slewed does not step.
    pub fn observe(&self, monotonic: Instant, wall: Timestamp) -> Option<i64> {
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (before, then) = last.replace((monotonic, wall))?;
        let passed =
            i64::try_from(monotonic.saturating_duration_since(before).as_millis()).unwrap_or(i64::MAX);
        let by_ms = wall.as_millisecond() - then.as_millisecond() - passed;
        (by_ms.unsigned_abs() > STEP.as_millis() as u64).then_some(by_ms)
    }
}

/// Watches the wall clock.
pub fn steps() -> Task {
    let steps = Arc::new(Steps::default());
    Task::new(
        "clock.steps",
        Duration::from_secs(1),
        Wake::default(),
        move |kernel: Kernel| {
            let steps = steps.clone();
            async move {
                let Some(by_ms) = steps.observe(Instant::now(), kernel.clock.now()) else {
                    return Ok(());
                };
                tracing::warn!(by_ms, "the wall clock stepped");
                kernel.metrics.counter("mainstay_clock_steps_total", &[]).add(1);
                kernel.tasks.wake_all();
                let mut tx = kernel.db.write().await?;
                let event = NewEvent::new("clock.stepped", "server", &Stepped { by_ms });
                tx.append(&Actor::system("clock"), event).await?;
                tx.commit().await?;
                Ok(())
            }
        },
    )
}

fn micros(by: SignedDuration) -> i64 {
    i64::try_from(by.as_micros()).unwrap_or(i64::MAX)
}

/// A timestamp from the database's BIGINT microseconds; out-of-range values clamp.
pub fn from_micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// A timestamp from Unix milliseconds; out-of-range values clamp.
pub fn from_millis(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}
