//! The life cycle, as tables and as properties.

use proptest::prelude::*;

use super::*;

const S: i64 = 1_000_000;

fn seen(active: bool, at: i64, hold: i64, keep: i64) -> Seen<'static> {
    Seen {
        source: "rule:1",
        active,
        at: at * S,
        for_us: hold * S,
        keep_us: keep * S,
    }
}

fn begun(step: Step) -> Life {
    match step {
        Step::Begun(life) => life,
        other => panic!("expected a beginning, got {other:?}"),
    }
}

#[test]
fn without_a_wait_it_fires_with_the_first_look() {
    let life = begun(see(None, &seen(true, 5, 0, 0), 5 * S));
    assert_eq!((life.state, life.fired_at), (State::Firing, Some(5 * S)));
    let Step::Resolved(life) = see(Some(&life), &seen(false, 6, 0, 0), 6 * S) else {
        panic!("not resolved");
    };
    assert_eq!(life.resolved_at, Some(6 * S));
}

#[test]
fn pending_fires_by_itself_when_no_sample_comes() {
    let life = begun(see(None, &seen(true, 0, 30, 0), 0));
    assert_eq!((life.state, due(&life)), (State::Pending, Some(30 * S)));
    assert_eq!(tick(&life, 29 * S), Step::Same);
    assert!(matches!(tick(&life, 30 * S), Step::Fired(_)));
}

#[test]
fn what_goes_before_it_fires_says_nothing_and_starts_afresh() {
    let life = begun(see(None, &seen(true, 0, 30, 0), 0));
    let Step::Moved(life) = see(Some(&life), &seen(false, 10, 30, 0), 10 * S) else {
        panic!("not moved");
    };
    assert_eq!((life.state, due(&life)), (State::Inactive, None));
    let Step::Moved(life) = see(Some(&life), &seen(true, 20, 30, 0), 20 * S) else {
        panic!("not moved");
    };
    assert_eq!(due(&life), Some(50 * S));
}

#[test]
fn a_dip_shorter_than_the_kept_time_does_not_resolve() {
    let life = begun(see(None, &seen(true, 0, 0, 60), 0));
    let Step::Moved(life) = see(Some(&life), &seen(false, 10, 0, 60), 10 * S) else {
        panic!("not moved");
    };
    assert_eq!(due(&life), Some(70 * S));
    let Step::Moved(back) = see(Some(&life), &seen(true, 20, 0, 60), 20 * S) else {
        panic!("not moved");
    };
    assert_eq!((back.state, due(&back)), (State::Firing, None));
    assert!(matches!(tick(&life, 70 * S), Step::Resolved(_)));
}

#[test]
fn two_sources_hold_one_alert_until_both_let_go() {
    let life = begun(see(None, &seen(true, 0, 0, 0), 0));
    let other = |active, at| Seen {
        source: "rule:2",
        ..seen(active, at, 0, 0)
    };
    let Step::Moved(life) = see(Some(&life), &other(true, 1), S) else {
        panic!("the second source is not noted");
    };
    let Step::Moved(life) = see(Some(&life), &seen(false, 2, 0, 0), 2 * S) else {
        panic!("the first may not resolve it alone");
    };
    assert!(matches!(
        see(Some(&life), &other(false, 3), 3 * S),
        Step::Resolved(_)
    ));
}

#[test]
fn late_observations_change_nothing_even_after_the_end() {
    let life = begun(see(None, &seen(true, 10, 0, 0), 10 * S));
    assert_eq!(see(Some(&life), &seen(false, 9, 0, 0), 11 * S), Step::Same);
    let Step::Resolved(life) = see(Some(&life), &seen(false, 20, 0, 0), 20 * S) else {
        panic!("not resolved");
    };
    assert_eq!(see(Some(&life), &seen(true, 15, 0, 0), 21 * S), Step::Same);
    assert!(matches!(
        see(Some(&life), &seen(true, 21, 0, 0), 21 * S),
        Step::Begun(_)
    ));
}

#[test]
fn still_so_is_stored_now_and_then() {
    let life = begun(see(None, &seen(true, 0, 0, 0), 0));
    assert_eq!(see(Some(&life), &seen(true, 9, 0, 0), 9 * S), Step::Same);
    assert!(matches!(
        see(Some(&life), &seen(true, 10, 0, 0), 10 * S),
        Step::Moved(_)
    ));
}

#[test]
fn at_the_same_time_the_later_word_counts() {
    let life = begun(see(None, &seen(true, 5, 0, 0), 5 * S));
    let Step::Resolved(life) = see(Some(&life), &seen(false, 5, 0, 0), 5 * S) else {
        panic!("not resolved");
    };
    assert!(matches!(
        see(Some(&life), &seen(true, 5, 0, 0), 5 * S),
        Step::Begun(_)
    ));
}

#[test]
fn a_clock_that_is_behind_does_not_shorten_a_wait() {
    let life = begun(see(None, &seen(true, 0, 300, 0), 3_600 * S));
    assert_eq!(due(&life), Some(3_890 * S));
    assert_eq!(life.sources["rule:1"].at, 0);
}

#[test]
fn a_clock_that_was_set_back_is_still_heard() {
    let life = begun(see(None, &seen(true, 10_000, 0, 0), 10_000 * S));
    assert!(matches!(
        see(Some(&life), &seen(false, 6_400, 0, 0), 10_001 * S),
        Step::Resolved(_)
    ));
}

/// What a run of observations and ticks led to.
#[derive(Default)]
struct Told {
    life: Option<Life>,
    fired: u32,
    resolved: u32,
}

impl Told {
    fn take(&mut self, step: Step) {
        let life = match step {
            Step::Same => return,
            Step::Begun(life) => {
                assert!(
                    self.life.as_ref().is_none_or(|old| old.state == State::Resolved),
                    "a life began beside a live one"
                );
                self.fired += u32::from(life.state == State::Firing);
                life
            }
            Step::Fired(life) => {
                self.fired += 1;
                life
            }
            Step::Resolved(life) => {
                self.resolved += 1;
                life
            }
            Step::Moved(life) => life,
        };
        assert!(
            self.resolved <= self.fired && self.fired <= self.resolved + 1,
            "fired {} times, resolved {} times",
            self.fired,
            self.resolved
        );
        self.life = Some(life);
    }

    fn state(&self) -> State {
        self.life.as_ref().map_or(State::Inactive, |life| life.state)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes in whatever order: fire and resolve alternate, and in the end the newest observation holds.
    #[test]
    fn never_lost_and_never_twice(
        looks in prop::collection::vec((any::<bool>(), 0..300_i64, any::<bool>()), 1..60),
        hold in 0..40_i64,
        keep in 0..40_i64,
    ) {
        let mut told = Told::default();
        let mut now = 0;
        let mut newest: Option<(i64, bool)> = None;
        for (active, at, is_tick) in looks {
            now = now.max(at);
            if is_tick && let Some(life) = told.life.clone() {
                told.take(tick(&life, now * S));
            }
            // "Not so" about what is not there leaves no trace: a source says it when something ends.
            let is_there = told.life.as_ref().is_some_and(|life| life.state != State::Resolved);
            if active || is_there {
                newest = Some(match newest {
                    Some((t, a)) if t > at => (t, a),
                    _ => (at, active),
                });
            }
            let step = see(told.life.as_ref(), &seen(active, at, hold, keep), now * S);
            told.take(step);
        }
        now += 100;
        if let Some(life) = told.life.clone() {
            told.take(tick(&life, now * S));
        }
        let is_active = newest.is_some_and(|(_, active)| active);
        let is_firing = told.state() == State::Firing;
        // A look that came late, closer than the stored time, may have won against a newer "still so".
        let is_near = told.life.as_ref().is_some_and(|life| {
            life.sources.values().any(|held| {
                newest.is_some_and(|(t, active)| {
                    (t * S - held.at).abs() < CONFIRM_US && (t * S != held.at || active != held.active)
                })
            })
        });
        prop_assert!(is_near || is_active == is_firing, "{:?} {:?}", newest, told.life);
    }

    /// In order, as rules look: exact.
    #[test]
    fn in_order_the_last_look_decides(
        looks in prop::collection::vec((any::<bool>(), 0..30_i64), 1..60),
        hold in 0..40_i64,
        keep in 0..40_i64,
    ) {
        let mut told = Told::default();
        let mut now = 0;
        for (active, gap) in &looks {
            now += gap + 1;
            let step = see(told.life.as_ref(), &seen(*active, now, hold, keep), now * S);
            told.take(step);
        }
        if let Some(life) = told.life.clone() {
            told.take(tick(&life, (now + 100) * S));
        }
        prop_assert_eq!(told.state() == State::Firing, looks.last().is_some_and(|(active, _)| *active));
    }

    /// It fires neither before its time nor later than the first look or tick at it.
    #[test]
    fn it_fires_at_its_time(hold in 1..100_i64, gaps in prop::collection::vec(1..20_i64, 1..40)) {
        let mut life = begun(see(None, &seen(true, 0, hold, 0), 0));
        let mut now = 0;
        for gap in gaps {
            now += gap;
            match see(Some(&life), &seen(true, now, hold, 0), now * S) {
                Step::Fired(_) => {
                    prop_assert!(now >= hold && now - gap < hold);
                    return Ok(());
                }
                Step::Moved(next) => life = next,
                Step::Same => {}
                other => prop_assert!(false, "{:?}", other),
            }
            prop_assert!(now < hold);
        }
    }

    /// The due time is exact: a tick before it does nothing, a tick at it does something.
    #[test]
    fn due_is_when_a_tick_does_something(
        looks in prop::collection::vec((any::<bool>(), 1..30_i64), 1..30),
        hold in 0..40_i64,
        keep in 0..40_i64,
    ) {
        let mut told = Told::default();
        let mut now = 0;
        for (active, gap) in looks {
            now += gap;
            let step = see(told.life.as_ref(), &seen(active, now, hold, keep), now * S);
            told.take(step);
            let Some(life) = &told.life else { continue };
            match due(life) {
                Some(at) => {
                    prop_assert_eq!(tick(life, at - 1), Step::Same);
                    prop_assert!(matches!(tick(life, at), Step::Fired(_) | Step::Resolved(_)));
                }
                None => prop_assert_eq!(tick(life, i64::MAX), Step::Same),
            }
        }
    }
}
