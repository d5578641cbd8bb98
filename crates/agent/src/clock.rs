//! Steps of this host's clock: a wall clock that moves otherwise than the steady one was set.

use std::time::{Duration, Instant};

use crate::rt;

/// The wall clock may drift from the steady one so much between two looks: the clock is being slewed.
const STEP_MS: i64 = 1000;

/// Looks at both clocks now and then, and says by how much the wall clock was set since the look before.
#[derive(Debug)]
pub(crate) struct Steps {
    wall_ms: i64,
    steady: Instant,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self {
            wall_ms: rt::now_ms(),
            steady: Instant::now(),
        }
    }

    /// Milliseconds by which the clock was set ahead (or back, if negative).
    pub(crate) fn look(&mut self) -> Option<i64> {
        self.look_at(rt::now_ms(), Instant::now())
    }

    fn look_at(&mut self, wall_ms: i64, steady: Instant) -> Option<i64> {
        let passed = steady.saturating_duration_since(self.steady);
        let step_ms = step(wall_ms.saturating_sub(self.wall_ms), passed);
        (self.wall_ms, self.steady) = (wall_ms, steady);
        step_ms
    }
}

fn step(wall_ms: i64, passed: Duration) -> Option<i64> {
    let steady_ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
    Some(wall_ms.saturating_sub(steady_ms)).filter(|step_ms| step_ms.saturating_abs() > STEP_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_once_and_with_its_direction() {
        const HOUR_MS: i64 = 3_600_000;
        let begin = Instant::now();
        let after = |seconds: u64| begin + Duration::from_secs(seconds);
        let mut steps = Steps {
            wall_ms: 1_000_000_000,
            steady: begin,
        };
        let mut look = |wall_ms: i64, seconds| steps.look_at(1_000_000_000 + wall_ms, after(seconds));
        assert_eq!(look(1_000, 1), None);
        assert_eq!(look(2_900, 2), None, "slewed");
        assert_eq!(look(2 * HOUR_MS + 3_900, 3), Some(2 * HOUR_MS));
        assert_eq!(look(2 * HOUR_MS + 4_900, 4), None);
        assert_eq!(look(5_900, 5), Some(-2 * HOUR_MS));
        assert_eq!(look(6_900, 6), None);
    }
}
