//! Clocks that stand still, and clocks that are behind.

use jiff::{SignedDuration, Timestamp};
use kernel::Clock;
use kernel::clock::{Steps, from_micros, is_due};

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

#[test]
fn a_step_is_told_from_time_that_passes() {
    let steps = Steps::default();
    let (start, wall) = (std::time::Instant::now(), from_micros(1_700_000_000_000_000));
    let after = |seconds| start + std::time::Duration::from_secs(seconds);
    let at = |seconds| wall.saturating_add(SignedDuration::from_secs(seconds)).unwrap();
    assert_eq!(steps.observe(after(0), at(0)), None);
    assert_eq!(steps.observe(after(1), at(1)), None);
    assert_eq!(steps.observe(after(60), at(61)), None, "slewed");
    assert_eq!(steps.observe(after(61), at(7262)), Some(7_200_000));
    assert_eq!(steps.observe(after(62), at(63)), Some(-7_200_000));
    assert_eq!(steps.observe(after(63), at(64)), None);
}

#[test]
fn a_due_time_from_before_a_step_back_is_due() {
    let now = from_micros(1_700_000_000_000_000);
    let longest = SignedDuration::from_mins(15);
    let due = |seconds| {
        is_due(
            now.saturating_add(SignedDuration::from_secs(seconds)).unwrap(),
            now,
            longest,
        )
    };
    assert!(due(-1) && due(0) && !due(1) && !due(900));
    assert!(due(7_230), "set to half a minute, two hours ago by another clock");
}

#[tokio::test]
async fn every_task_runs_when_the_clock_stepped() {
    let bed = testkit::Bed::sqlite(&[]).await;
    let kernel = bed.kernel();
    let (ran, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let task = kernel::Task::new(
        "slow",
        std::time::Duration::from_secs(3600),
        kernel::Wake::default(),
        move |_| {
            let _ = ran.send(());
            async { Ok(()) }
        },
    );
    kernel::task::start(kernel, task);
    heard.recv().await.unwrap();
    kernel.tasks.wake_all();
    let again = tokio::time::timeout(std::time::Duration::from_secs(10), heard.recv());
    again.await.unwrap().unwrap();
}
