//! The process-wide source of UUIDv7 values: strictly increasing, also while the wall clock stands or steps back.
//!
//! Layout (RFC 9562, section 6.2, method 1): 48 bits of milliseconds, then a counter of 42 bits in `rand_a` and the head of
//! `rand_b`, then 32 random bits. The counter starts at random below its half in each new millisecond.

use std::sync::{Mutex, PoisonError};

use crate::{Clock, Timestamp};

const COUNTER_BITS: u32 = 42;
const COUNTER_MAX: u64 = (1 << COUNTER_BITS) - 1;

static STATE: Mutex<Sequence> = Mutex::new(Sequence {
    millis: 0,
    counter: 0,
});

/// Ids made from now on sort after those that were made until `newest`. Call it at the start with the newest time in the
/// database, so that a clock that was set back while the server was down does not order new ids before old ones.
pub fn start_after(newest: Timestamp) {
    let millis = u64::try_from(newest.as_millisecond()).unwrap_or(0);
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    if millis > state.millis {
        state.millis = millis + 1;
        state.counter = 0;
    }
}

pub(super) fn next() -> uuid::Uuid {
    let wall = u64::try_from(Clock::System.now().as_millisecond()).unwrap_or(0);
    let random: u64 = rand::random();
    let (millis, counter) = STATE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .step(wall, random >> 32);
    compose(millis, counter, random as u32)
}

struct Sequence {
    millis: u64,
    counter: u64,
}

impl Sequence {
    fn step(&mut self, wall: u64, random: u64) -> (u64, u64) {
        if wall > self.millis {
            self.millis = wall;
            self.counter = (random << 9) & (COUNTER_MAX >> 1);
        } else if self.counter >= COUNTER_MAX {
            self.millis += 1;
            self.counter = 0;
        } else {
            self.counter += 1;
        }
        (self.millis, self.counter)
    }
}

fn compose(millis: u64, counter: u64, random: u32) -> uuid::Uuid {
    const VERSION: u128 = 0x7 << 76;
    const VARIANT: u128 = 0b10 << 62;
    let head = u128::from(millis & 0xffff_ffff_ffff) << 80;
    let rand_a = u128::from(counter >> 30) << 64;
    let rand_b = (u128::from(counter & 0x3fff_ffff) << 32) | u128::from(random);
    uuid::Uuid::from_u128(head | VERSION | rand_a | VARIANT | rand_b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wall clock stands, steps back two hours, and steps ahead; and one id after another is still greater.
    #[test]
    fn values_rise_whatever_the_clock_does() {
        let mut state = Sequence {
            millis: 0,
            counter: 0,
        };
        let hour = 3_600_000;
        let base = 1_700_000_000_000;
        let walls = [
            base,
            base,
            base + 1,
            base - 2 * hour,
            base - 2 * hour + 5,
            base,
            base + 2 * hour,
            base + 2 * hour,
            0,
        ];
        let mut last = None;
        for (n, wall) in walls.into_iter().cycle().take(500).enumerate() {
            let random = (n as u32).wrapping_mul(2_654_435_761);
            let (millis, counter) = state.step(wall, u64::from(random));
            let id = compose(millis, counter, random);
            assert_eq!(
                (id.get_version_num(), id.get_variant()),
                (7, uuid::Variant::RFC4122)
            );
            assert!(last.is_none_or(|last| last < id), "{n}: {last:?} {id}");
            last = Some(id);
        }
    }

    #[test]
    fn a_counter_that_is_full_borrows_a_millisecond() {
        let mut state = Sequence {
            millis: 7,
            counter: COUNTER_MAX,
        };
        assert_eq!(state.step(7, 1), (8, 0));
    }

    #[test]
    fn ids_after_a_restart_sort_after_those_before() {
        let ahead = Clock::System.now().as_millisecond() + 7_200_000;
        start_after(crate::clock::from_millis(ahead));
        let limit = compose(u64::try_from(ahead).unwrap(), COUNTER_MAX, u32::MAX);
        let (first, second) = (next(), next());
        assert!(limit < first && first < second, "{limit} {first} {second}");
    }
}
