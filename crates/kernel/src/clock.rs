//! The only place that reads the wall clock. Tests hold time still with [`Clock::fake`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// A source of time: the machine's, or one that a test moves.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    Fake(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `start` until it is advanced.
    pub fn fake(start: Timestamp) -> Self {
        Self::Fake(Arc::new(AtomicI64::new(start.as_microsecond())))
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
        }
    }

    /// Unix milliseconds, the unit of samples and log lines.
    pub fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    /// Moves a fake clock; the system clock does not move for anyone.
    pub fn advance(&self, by: SignedDuration) {
        if let Self::Fake(micros) = self {
            let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            micros.fetch_add(by, Ordering::SeqCst);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fake_clock_moves_only_when_told() {
        let clock = Clock::fake(from_micros(1_000));
        assert_eq!(clock.now(), clock.now());
        clock.advance(SignedDuration::from_secs(2));
        assert_eq!(clock.now().as_microsecond(), 2_001_000);
    }
}
