//! Counting sign-ins that fail. The counts are kept in memory and decide there; the database keeps them over a restart.
//!
//! Flow: [`Attempts::reserve`] counts an attempt as failed before the password is looked at, so that attempts at the same time
//! cannot outrun the count; success takes it back ([`Attempts::reset`]). Counts and refusals are written by a task, many in one
//! transaction and at most once a second: a stranger who tries to sign in does not hold the database's writer.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use kernel::clock::is_due;
use kernel::{Actor, AnyError, DbError, NewEvent, Timestamp};

use crate::Access;
use crate::decide::{FORGET_FAILURES_S, ThrottleKind, delay_s};
use crate::events::SessionData;
use crate::sign_in::add_s;
use crate::store::throttle::{self, Count};

/// Keys held in memory; those that have not failed for the longest time leave first.
const MOST_KEYS: usize = 50_000;
/// Refusals that are told one by one per turn; the rest is told as a number.
const MOST_REFUSALS: usize = 100;

#[derive(Default)]
pub struct Attempts(Mutex<State>);

#[derive(Default)]
struct State {
    counts: HashMap<String, Count>,
    /// Keys whose count is not in the database yet.
    changed: HashSet<String>,
    refusals: Vec<(String, SessionData)>,
    more_refusals: u64,
}

/// How an attempt is counted.
pub type Key = (ThrottleKind, String);

impl Attempts {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an attempt under every key as failed. `Err`: one of them is blocked for so many seconds, and nothing was counted.
    pub fn reserve(&self, keys: &[Key], now: Timestamp) -> Result<(), i64> {
        let mut state = self.lock();
        for (kind, key) in keys {
            let longest = SignedDuration::from_secs(kind.longest_s());
            let blocked = state.counts.get(key).map(|count| count.blocked_until);
            if let Some(until) = blocked.filter(|until| !is_due(*until, now, longest)) {
                return Err((until.as_second() - now.as_second()).max(1));
            }
        }
        let forget_before = add_s(now, -FORGET_FAILURES_S);
        for (kind, key) in keys {
            let count = state.counts.entry(key.clone()).or_insert(Count::none(now));
            if count.failed_at < forget_before {
                count.failures = 0;
            }
            count.failures += 1;
            count.failed_at = now;
            let delay = delay_s(*kind, count.failures);
            if delay > 0 {
                count.blocked_until = add_s(now, delay);
            }
            state.changed.insert(key.clone());
        }
        state.make_room();
        Ok(())
    }

    /// The attempt succeeded: its own keys begin again, shared ones lose one failure.
    pub fn reset(&self, keys: &[Key], now: Timestamp) {
        let mut state = self.lock();
        for (kind, key) in keys {
            if let Some(count) = state.counts.get_mut(key) {
                match kind {
                    ThrottleKind::Address | ThrottleKind::SharedAddress => {
                        count.failures = (count.failures - 1).max(0);
                    }
                    ThrottleKind::Login | ThrottleKind::Pair => *count = Count::none(now),
                }
                state.changed.insert(key.clone());
            }
        }
    }

    /// Keeps what is to be told of a refused attempt; `subject` is the person, when the login is known.
    pub fn refuse(&self, subject: String, data: SessionData) {
        let mut state = self.lock();
        if state.refusals.len() < MOST_REFUSALS {
            state.refusals.push((subject, data));
        } else {
            state.more_refusals += 1;
        }
    }

    /// Puts counts from the database beside those in memory, which are newer.
    fn learn(&self, found: Vec<(String, Count)>, looked_for: &[String], now: Timestamp) {
        let mut state = self.lock();
        for (key, count) in found {
            state.counts.entry(key).or_insert(count);
        }
        for key in looked_for {
            state.counts.entry(key.clone()).or_insert(Count::none(now));
        }
    }

    fn unknown(&self, keys: &[Key]) -> Vec<String> {
        let state = self.lock();
        let unknown = keys.iter().filter(|(_, key)| !state.counts.contains_key(key));
        unknown.map(|(_, key)| key.clone()).collect()
    }
}

impl State {
    fn make_room(&mut self) {
        if self.counts.len() <= MOST_KEYS {
            return;
        }
        let mut times: Vec<Timestamp> = self.counts.values().map(|count| count.failed_at).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        let changed = &self.changed;
        self.counts
            .retain(|key, count| count.failed_at >= median || changed.contains(key));
    }
}

impl Access {
    /// Reads what the database knows of keys that memory does not.
    pub(crate) async fn learn_attempts(&self, keys: &[Key]) -> Result<(), DbError> {
        let unknown = self.attempts().unknown(keys);
        if unknown.is_empty() {
            return Ok(());
        }
        let mut reader = self.kernel().db.read().await?;
        let mut found = Vec::new();
        for key in &unknown {
            if let Some(count) = throttle::get(&mut reader, key).await? {
                found.push((key.clone(), count));
            }
        }
        self.attempts().learn(found, &unknown, self.kernel().clock.now());
        Ok(())
    }

    /// Writes counts and refusals down. The task of the slice calls it; it does nothing when there is nothing new.
    pub async fn write_attempts(&self) -> Result<(), AnyError> {
        let (counts, refusals, more) = {
            let mut state = self.attempts().lock();
            let changed = std::mem::take(&mut state.changed);
            let counts: Vec<(String, Count)> = changed
                .into_iter()
                .filter_map(|key| state.counts.get(&key).map(|count| (key, *count)))
                .collect();
            let refusals = std::mem::take(&mut state.refusals);
            (counts, refusals, std::mem::take(&mut state.more_refusals))
        };
        if counts.is_empty() && refusals.is_empty() && more == 0 {
            return Ok(());
        }
        let written = self.put_attempts(&counts, &refusals, more).await;
        if written.is_err() {
            let mut state = self.attempts().lock();
            state.changed.extend(counts.into_iter().map(|(key, _)| key));
            state.more_refusals += more + refusals.len() as u64;
        }
        written
    }

    async fn put_attempts(
        &self,
        counts: &[(String, Count)],
        refusals: &[(String, SessionData)],
        more: u64,
    ) -> Result<(), AnyError> {
        let mut tx = self.kernel().db.write().await?;
        for (key, count) in counts {
            throttle::put(&mut tx, key, *count).await?;
        }
        let mut events: Vec<NewEvent> = refusals
            .iter()
            .map(|(subject, data)| NewEvent::new("session.refused", subject, data))
            .collect();
        if more > 0 {
            let data = SessionData {
                login: None,
                address: String::new(),
                user_agent: String::new(),
                reason: Some(format!("{more} more refusals")),
            };
            events.push(NewEvent::new("session.refused", "sign-in", &data));
        }
        tx.append_all(&Actor::system("access"), events).await?;
        tx.commit().await?;
        Ok(())
    }
}
