//! Notices that the server's clock was set: wall time and monotonic time disagree about how long it has been.

use std::time::Instant;

/// Less is drift, or a thread that waited between the two readings.
const SMALLEST_MS: i64 = 5_000;

#[derive(Debug, Default)]
pub(crate) struct StepWatch(Option<(i64, Instant)>);

impl StepWatch {
    /// By how much the clock has been set since the last look; 0 when it was not.
    pub(crate) fn step_ms(&mut self, wall_ms: i64, at: Instant) -> i64 {
        let Some((before_ms, before)) = self.0.replace((wall_ms, at)) else {
            return 0;
        };
        let passed = at.saturating_duration_since(before).as_millis();
        let step = wall_ms
            .saturating_sub(before_ms)
            .saturating_sub(i64::try_from(passed).unwrap_or(i64::MAX));
        if step.abs() >= SMALLEST_MS { step } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn steps_are_told_once_and_in_both_directions() {
        let (mut watch, start) = (StepWatch::default(), Instant::now());
        let mut look = |wall_ms: i64, s: u64| watch.step_ms(wall_ms, start + Duration::from_secs(s));
        assert_eq!(look(0, 0), 0);
        assert_eq!(look(1_200, 1), 0, "drift");
        assert_eq!(look(601_000, 601), 0, "a long pause is no step");
        assert_eq!(look(602_000 + 7_200_000, 602), 7_200_000);
        assert_eq!(look(603_000 + 7_200_000, 603), 0);
        assert_eq!(look(604_000, 604), -7_200_000);
    }
}
