//! The life of an alert, as pure functions: inactive → pending → firing → (kept firing) → resolved.
//!
//! Silences and maintenance do not appear here: they mute what is said, not what is so.
//!
//! Invariants: a life fires at most once and resolves at most once, after it has fired; a condition that a source has last
//! seen as true for `for` fires with the next look or tick; an observation that is older than the last one of its source changes
//! nothing; of two with the same time the one that was told later counts. Waits run on the server's clock: a sender whose clock is
//! behind does not shorten them by more than [`LAG_US`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An observation that only says "still so" is stored at most this often.
pub const CONFIRM_US: i64 = 10_000_000;
/// How old an observation may be and still date the beginning of a wait: transport takes time.
pub const LAG_US: i64 = 10_000_000;
/// An observation that is older than the last one by more than this comes from a clock that was set back: it is news, not late.
pub const STEP_US: i64 = 300_000_000;
/// Most sources that are kept apart for one alert.
const MAX_SOURCES: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertState)]
pub enum State {
    /// Was seen and went before it fired.
    Inactive,
    Pending,
    Firing,
    Resolved,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }

    pub fn parse(text: &str) -> State {
        match text {
            "inactive" => Self::Inactive,
            "pending" => Self::Pending,
            "firing" => Self::Firing,
            _ => Self::Resolved,
        }
    }
}

/// What one source said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub at: i64,
    pub active: bool,
}

/// One life, all times in microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    pub state: State,
    pub active_since: i64,
    pub fired_at: Option<i64>,
    /// No source sees it any more since then, and it is kept firing.
    pub inactive_since: Option<i64>,
    pub resolved_at: Option<i64>,
    pub for_us: i64,
    pub keep_us: i64,
    pub sources: BTreeMap<String, Held>,
}

/// One observation.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub source: &'a str,
    pub active: bool,
    pub at: i64,
    pub for_us: i64,
    pub keep_us: i64,
}

/// What became of a life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing to store.
    Same,
    /// To be stored, nothing to be said.
    Moved(Life),
    Fired(Life),
    Resolved(Life),
    /// A new life begins beside the resolved one; it may have fired at once.
    Begun(Life),
}

/// Takes an observation. `before` is the newest life of the same fingerprint, if there is one.
pub fn see(before: Option<&Life>, seen: &Seen<'_>, now: i64) -> Step {
    let at = seen.at.min(now);
    let since = at.max(now.saturating_sub(LAG_US));
    if before.is_some_and(|life| life.is_late(seen, at)) {
        return Step::Same;
    }
    let Some(life) = before.filter(|life| life.state != State::Resolved) else {
        return if seen.active {
            Step::Begun(begin(seen, at, since, now))
        } else {
            Step::Same
        };
    };
    let mut next = life.clone();
    if !next.hold(seen, at) {
        return Step::Same;
    }
    if seen.active {
        next.for_us = seen.for_us;
        next.keep_us = seen.keep_us;
        next.inactive_since = None;
        if next.state == State::Inactive {
            next.state = State::Pending;
            next.active_since = since;
        }
    } else if !next.is_held() {
        match next.state {
            State::Pending => next.state = State::Inactive,
            State::Firing => next.inactive_since = next.inactive_since.or(Some(since)),
            State::Inactive | State::Resolved => {}
        }
    }
    next.ripen(since, now);
    life.step_to(next, seen.source)
}

/// Lets time pass.
pub fn tick(life: &Life, now: i64) -> Step {
    let mut next = life.clone();
    next.ripen(now, now);
    life.step_to(next, "")
}

/// Moves the waits of a life and what was last seen by as much as the clock stepped; what has happened keeps its time.
pub fn shift(life: &mut Life, by_us: i64) {
    let moved = |at: i64| at.saturating_add(by_us);
    if life.state == State::Pending {
        life.active_since = moved(life.active_since);
    }
    life.inactive_since = life.inactive_since.map(moved);
    for held in life.sources.values_mut() {
        held.at = moved(held.at);
    }
}

/// When [`tick`] will have something to do.
pub fn due(life: &Life) -> Option<i64> {
    match (life.state, life.inactive_since) {
        (State::Pending, _) => Some(life.active_since.saturating_add(life.for_us)),
        (State::Firing, Some(gone)) => Some(gone.saturating_add(life.keep_us)),
        _ => None,
    }
}

fn begin(seen: &Seen<'_>, at: i64, since: i64, now: i64) -> Life {
    let mut life = Life {
        state: State::Pending,
        active_since: since,
        fired_at: None,
        inactive_since: None,
        resolved_at: None,
        for_us: seen.for_us,
        keep_us: seen.keep_us,
        sources: BTreeMap::from([(seen.source.to_owned(), Held { at, active: true })]),
    };
    life.ripen(since, now);
    life
}

impl Life {
    fn is_late(&self, seen: &Seen<'_>, at: i64) -> bool {
        self.sources
            .get(seen.source)
            .is_some_and(|held| at < held.at && held.at - at <= STEP_US)
    }

    fn is_held(&self) -> bool {
        self.sources.values().any(|held| held.active)
    }

    /// Notes what a source said; false when that cannot matter.
    fn hold(&mut self, seen: &Seen<'_>, at: i64) -> bool {
        let is_known = self.sources.contains_key(seen.source);
        if !is_known && (!seen.active || self.sources.len() >= MAX_SOURCES) {
            return false;
        }
        let held = Held {
            at,
            active: seen.active,
        };
        self.sources.insert(seen.source.to_owned(), held);
        true
    }

    /// What the passing of time alone brings.
    fn ripen(&mut self, at: i64, now: i64) {
        if due(self).is_none_or(|due| at < due) {
            return;
        }
        if self.state == State::Pending {
            self.state = State::Firing;
            self.fired_at = Some(now);
        } else {
            self.state = State::Resolved;
            self.resolved_at = Some(now);
        }
    }

    fn step_to(&self, next: Life, source: &str) -> Step {
        match (self.state, next.state) {
            (State::Firing, State::Resolved) => Step::Resolved(next),
            (before, State::Firing) if before != State::Firing => Step::Fired(next),
            _ if self.differs_only_in_time(&next, source) => Step::Same,
            _ => Step::Moved(next),
        }
    }

    /// Is `next` the same but for a newer "still so" of `source`, too soon to be worth a write?
    fn differs_only_in_time(&self, next: &Life, source: &str) -> bool {
        let (Some(was), Some(is)) = (self.sources.get(source), next.sources.get(source)) else {
            return self == next;
        };
        if was.active != is.active || is.at - was.at >= CONFIRM_US {
            return false;
        }
        let mut same = next.clone();
        same.sources.insert(source.to_owned(), *was);
        same == *self
    }
}

#[cfg(test)]
mod tests;
