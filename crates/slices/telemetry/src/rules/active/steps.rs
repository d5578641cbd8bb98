//! Clocks that are set, of the server and of hosts: what holds goes on under the new time, and nothing ends or begins because of it.

use super::{Active, Held};

/// A sample that has just been taken and is older than the last one of its instance by more than this comes from a clock that was
/// set back: it is news, not late.
const SET_BACK_MS: i64 = 60_000;
/// After the server's clock was set, no sample has the new time yet: for so long what is missing is not over.
const SETTLING_MS: i64 = 60_000;
/// And for so long at most while no host has spoken under the new time.
const SILENT_MS: i64 = 600_000;

/// The time after a step of the server's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settling {
    from_ms: i64,
    has_heard: bool,
}

impl Held {
    fn move_by(&mut self, by_ms: i64) {
        let moved = |ms: i64| ms.saturating_add(by_ms);
        self.at_ms = moved(self.at_ms);
        self.gone_ms = self.gone_ms.map(moved);
        self.written = self.written.map(|(state, at)| (state, moved(at)));
        self.signal.at = kernel::clock::from_millis(moved(self.since_ms()));
    }
}

impl Active {
    /// Notes a sample of an instance. `is_live` when it was taken just now, and not kept by the agent for later.
    pub(crate) fn saw(&mut self, instance: &str, at_ms: i64, is_live: bool) {
        if let Some(settling) = &mut self.settling {
            // This program hears itself at once.
            settling.has_heard |= instance != "mainstay" && at_ms >= settling.from_ms;
        }
        match self.seen.get_mut(instance) {
            Some(seen) if is_live && at_ms < *seen - SET_BACK_MS => {
                *seen = at_ms;
                self.set_back(instance, at_ms);
            }
            Some(seen) => *seen = (*seen).max(at_ms),
            None => {
                self.seen.insert(instance.to_owned(), at_ms);
            }
        }
    }

    /// The clock of an instance was set back: later times of it are void.
    fn set_back(&mut self, instance: &str, at_ms: i64) {
        for ((_, of), newest) in &mut self.evaluated {
            if of == instance {
                *newest = (*newest).min(at_ms);
            }
        }
        let held = self.held.values_mut().flat_map(|held| held.values_mut());
        for held in held.filter(|held| {
            held.signal
                .labels
                .get("instance")
                .is_some_and(|of| of == instance)
        }) {
            held.at_ms = held.at_ms.min(at_ms);
            held.gone_ms = held.gone_ms.map(|gone| gone.min(at_ms));
        }
    }

    /// The same for what the program itself said of an instance under a time that is later than `at_ms`.
    pub(crate) fn set_back_own(&mut self, key: &str, instance: &str, at_ms: i64) {
        let newest = self.evaluated.get(&(key.to_owned(), instance.to_owned()));
        if newest.is_some_and(|newest| at_ms < *newest - SET_BACK_MS) {
            self.set_back(instance, at_ms);
        }
    }

    /// The server's clock was set by `by_ms` and is `now_ms` now.
    pub(crate) fn clock_set(&mut self, by_ms: i64, now_ms: i64) {
        let times = self.evaluated.values_mut().chain(self.seen.values_mut());
        times.for_each(|ms| *ms = ms.saturating_add(by_ms));
        let held = self.held.values_mut().flat_map(|held| held.values_mut());
        held.for_each(|held| held.move_by(by_ms));
        self.settling = Some(Settling {
            from_ms: now_ms,
            has_heard: false,
        });
    }

    /// Is it too early after a step of the clock to believe what an evaluation of everything does not find?
    pub(super) fn is_settling(&self, at_ms: i64) -> bool {
        let waits_for_hosts = self.seen.keys().any(|name| name != "mainstay");
        self.settling.is_some_and(|settling| {
            let passed = at_ms - settling.from_ms;
            (0..SETTLING_MS).contains(&passed)
                || (waits_for_hosts && !settling.has_heard && (0..SILENT_MS).contains(&passed))
        })
    }
}
