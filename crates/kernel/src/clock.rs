//! The only place that reads the wall clock. Tests hold time still with [`Clock::fake`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

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
