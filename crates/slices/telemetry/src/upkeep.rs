//! Keeping the stores in order: each store has a task of its own, so that a failing disk under one stops neither the other nor the
//! clock, and each tries again at its next turn.
//!
//! Retention counts from an [`AgeClock`]: a clock that jumps ahead would otherwise delete everything that is kept.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kernel::{AnyError, Kernel, Task, Wake};

use crate::Telemetry;

const EVERY: Duration = Duration::from_secs(10);
/// A jump ahead by more than this is not believed at once.
const JUMP_MS: i64 = 3_600_000;
/// A clock that has been ahead for so long is right, and what was measured before was not.
const BELIEVED_AFTER: Duration = Duration::from_secs(86_400);

/// The time that the age of what is stored counts from.
#[derive(Debug, Default)]
struct AgeClock {
    /// The last time that was believed, and when that was.
    last: Option<(i64, Instant)>,
    ahead_since: Option<Instant>,
}

impl AgeClock {
    /// `newest_ms` is of what is stored: a clock that is far ahead of it is doubted at the start as well.
    fn read(&mut self, wall_ms: i64, at: Instant, newest_ms: Option<i64>) -> i64 {
        if self.last.is_none() {
            self.last = newest_ms
                .filter(|newest| *newest < wall_ms)
                .map(|newest| (newest, at));
        }
        let Some((last_ms, when)) = self.last else {
            self.last = Some((wall_ms, at));
            return wall_ms;
        };
        let passed = at.saturating_duration_since(when).as_millis();
        let expected = last_ms.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX));
        if wall_ms > expected.saturating_add(JUMP_MS) {
            let since = *self.ahead_since.get_or_insert(at);
            if at.saturating_duration_since(since) < BELIEVED_AFTER {
                return expected;
            }
        }
        self.ahead_since = None;
        self.last = Some((wall_ms, at));
        wall_ms
    }
}

/// Cuts, merges and drops what the stores keep on disk.
pub(crate) fn tasks(telemetry: &Telemetry) -> Vec<Task> {
    vec![
        task(
            telemetry,
            "telemetry.upkeep.metrics",
            |telemetry| telemetry.tsdb().stats().newest_ms,
            |telemetry, now_ms, age_ms| {
                telemetry.tsdb().maintain_aged(now_ms, age_ms)?;
                Ok(())
            },
        ),
        task(
            telemetry,
            "telemetry.upkeep.logs",
            |telemetry| telemetry.logs().stats().newest_ms,
            |telemetry, now_ms, age_ms| {
                telemetry.logs().maintain_aged(now_ms, age_ms)?;
                for notice in telemetry.logs().take_notices() {
                    tracing::warn!(path = %notice.path.display(), notice.message, "log store");
                }
                Ok(())
            },
        ),
    ]
}

fn task(
    telemetry: &Telemetry,
    name: &'static str,
    newest: fn(&Telemetry) -> Option<i64>,
    work: fn(&Telemetry, i64, i64) -> Result<(), AnyError>,
) -> Task {
    let telemetry = telemetry.clone();
    let ages = std::sync::Arc::new(Mutex::new(AgeClock::default()));
    Task::new(name, EVERY, Wake::default(), move |kernel: Kernel| {
        let (telemetry, ages) = (telemetry.clone(), ages.clone());
        async move {
            let run = move || {
                let now_ms = kernel.clock.now_ms();
                let age_ms = ages.lock().unwrap_or_else(PoisonError::into_inner).read(
                    now_ms,
                    Instant::now(),
                    newest(&telemetry),
                );
                work(&telemetry, now_ms, age_ms)
            };
            tokio::task::spawn_blocking(run).await?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_ahead_ages_nothing_until_it_has_lasted_a_day() {
        let (mut clock, start) = (AgeClock::default(), Instant::now());
        let at = |s: u64| start + Duration::from_secs(s);
        let month = 30 * 86_400_000;
        assert_eq!(clock.read(1_000_000, at(0), None), 1_000_000);
        assert_eq!(clock.read(1_010_000, at(10), None), 1_010_000);
        assert_eq!(clock.read(1_020_000 + month, at(20), None), 1_020_000);
        assert_eq!(clock.read(1_030_000, at(30), None), 1_030_000, "and back");
        assert_eq!(
            clock.read(1_040_000 - 7_200_000, at(40), None),
            1_040_000 - 7_200_000,
            "back is harmless"
        );
        let first = clock.read(month, at(50), None);
        assert!(first < 0, "{first}");
        assert!(clock.read(month + 1, at(3_600), None) < 4_000_000);
        let believed = month + 90_000_000;
        assert_eq!(clock.read(believed, at(90_000), None), believed);
    }
}
