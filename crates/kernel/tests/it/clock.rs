//! Clocks that stand still, and clocks that are behind.

use jiff::{SignedDuration, Timestamp};
use kernel::Clock;
use kernel::clock::from_micros;

#[test]
fn a_fake_clock_moves_only_when_told() {
    let clock = Clock::fake(from_micros(1_000));
    assert_eq!(clock.now(), clock.now());
    clock.advance(SignedDuration::from_secs(2));
    assert_eq!(clock.now().as_microsecond(), 2_001_000);
}

#[test]
fn a_clock_behind_catches_up_and_no_further() {
    let machine = Clock::System;
    let clock = Clock::behind(SignedDuration::from_hours(10));
    let then = clock.now();
    assert!(
        then < machine
            .now()
            .saturating_sub(SignedDuration::from_hours(9))
            .unwrap()
    );
    let later = then.saturating_add(SignedDuration::from_hours(4)).unwrap();
    clock.catch_up_to(later);
    assert!(clock.now() >= later);
    clock.catch_up_to(then);
    assert!(clock.now() >= later, "it went back");
    clock.catch_up_to(Timestamp::MAX);
    assert!(clock.now() <= machine.now());
}
