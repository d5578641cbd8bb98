//! Notices that the machine's clock was set: the wall clock and the monotonic one have gone different ways.
//!
//! Due times in the database are wall-clock times. A task that keeps such times asks at every round and moves them along, so that
//! a wait is as long as it was meant to be. A machine that slept looks the same: waits go on where they were.

use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

use crate::Clock;

/// Less is what clock discipline and a busy machine do.
const STEP_MIN: SignedDuration = SignedDuration::from_secs(5);

/// Compares the clocks since it last looked.
#[derive(Debug)]
pub struct StepWatch {
    wall: Timestamp,
    monotonic: Instant,
}

impl StepWatch {
    pub fn new(clock: &Clock) -> Self {
        Self {
            wall: clock.now(),
            monotonic: Instant::now(),
        }
    }

    /// By how much the clock was set since the last call. Only the machine's clock steps: a clock that a test or a demonstration
    /// moves lets time pass.
    pub fn step(&mut self, clock: &Clock) -> Option<SignedDuration> {
        let next = Self::new(clock);
        let wall = next.wall.duration_since(self.wall);
        let passed = next.monotonic.saturating_duration_since(self.monotonic);
        *self = next;
        let passed = SignedDuration::try_from(passed).unwrap_or_default();
        step_between(wall, passed).filter(|_| matches!(clock, Clock::System))
    }
}

/// The steps that a task still has to follow. It outlives a round of the task that fails: what could not be followed is owed to
/// the next round, with what was set in between.
#[derive(Clone, Debug, Default)]
pub struct OwedSteps(Arc<Mutex<Option<(StepWatch, SignedDuration)>>>);

impl OwedSteps {
    /// By how much the clock was set that was not followed yet.
    pub fn owed(&self, clock: &Clock) -> Option<SignedDuration> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (watch, owed) = state.get_or_insert_with(|| (StepWatch::new(clock), SignedDuration::ZERO));
        if let Some(by) = watch.step(clock) {
            *owed = owed.saturating_add(by);
        }
        (!owed.is_zero()).then_some(*owed)
    }

    /// What was owed has been followed and committed.
    pub fn followed(&self, by: SignedDuration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, owed)) = state.as_mut() {
            *owed = owed.saturating_sub(by);
        }
    }
}

fn step_between(wall: SignedDuration, passed: SignedDuration) -> Option<SignedDuration> {
    let step = wall.saturating_sub(passed);
    (step.abs() >= STEP_MIN).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_owed_until_it_was_followed() {
        let steps = OwedSteps::default();
        assert_eq!(steps.owed(&Clock::System), None);
        let hours = SignedDuration::from_secs(7_200);
        steps.0.lock().unwrap().as_mut().unwrap().1 = hours;
        assert_eq!(steps.owed(&Clock::System), Some(hours));
        assert_eq!(
            steps.clone().owed(&Clock::System),
            Some(hours),
            "the round before failed"
        );
        steps.followed(hours);
        assert_eq!(steps.owed(&Clock::System), None);
    }

    #[test]
    fn a_step_is_what_the_wall_clock_did_beyond_the_time_that_passed() {
        let s = SignedDuration::from_secs;
        for (wall, passed, step) in [
            (s(1), s(1), None),
            (s(3), s(1), None),
            (s(7_201), s(1), Some(s(7_200))),
            (s(-7_199), s(1), Some(s(-7_200))),
            (s(60), s(60), None),
        ] {
            assert_eq!(step_between(wall, passed), step);
        }
    }
}
