//! Steps of the clocks of hosts and of the server: nothing ends, begins or goes blind because of them.

use super::*;
use crate::rules::model::Kind;

const HOUR: i64 = 3_600_000;
/// Noon of some day.
const NOW: i64 = 1_700_000_000_000;

fn rule(for_ms: i64) -> Rule {
    let kind = Kind::Alert {
        for_ms,
        keep_firing_for_ms: 0,
        annotations: Vec::new(),
    };
    let text = "mainstay_service_up == 0";
    let expr = (text.to_owned(), promql::parse(text).unwrap());
    Rule::new("g/Down#0".into(), "Down".into(), expr, Vec::new(), kind)
}

fn found(instance: Option<&str>) -> Vec<Found> {
    let labels = instance.map(|one| ("instance".to_owned(), one.to_owned()));
    vec![Found {
        labels: labels.into_iter().collect(),
        annotations: Some(BTreeMap::new()),
        value: 0.0,
    }]
}

/// What a sample of the host brings: one that shows the fault, or one that does not.
fn sample(active: &mut Active, rule: &Rule, at_ms: i64, is_live: bool, is_bad: bool) -> Vec<bool> {
    active.saw("a", at_ms, is_live);
    let found = if is_bad { found(Some("a")) } else { Vec::new() };
    told(active.apply(rule, Extent::Instance("a"), found, at_ms).0)
}

fn told(signals: Vec<Signal>) -> Vec<bool> {
    signals.iter().map(|signal| signal.active).collect()
}

fn look(active: &mut Active, rule: &Rule, found: Vec<Found>, at_ms: i64) -> Vec<bool> {
    told(active.apply(rule, Extent::Everything, found, at_ms).0)
}

#[test]
fn a_host_whose_clock_was_set_back_is_seen_at_once() {
    let (mut active, rule) = (Active::default(), rule(0));
    assert_eq!(sample(&mut active, &rule, NOW, true, true), [true]);
    let then = NOW - 2 * HOUR;
    assert_eq!(
        sample(&mut active, &rule, then, true, false),
        [false],
        "it recovers"
    );
    assert_eq!(
        sample(&mut active, &rule, then + 1000, true, true),
        [true],
        "and fails again"
    );
}

#[test]
fn what_an_agent_kept_for_later_is_no_news() {
    let (mut active, rule) = (Active::default(), rule(0));
    assert_eq!(sample(&mut active, &rule, NOW, true, true), [true]);
    assert!(sample(&mut active, &rule, NOW - 2 * HOUR, false, false).is_empty());
    assert!(look(&mut active, &rule, found(Some("a")), NOW + 1000).is_empty());
}

#[test]
fn a_step_of_the_server_ends_nothing_and_fires_nothing() {
    for by_ms in [2 * HOUR, -2 * HOUR] {
        let (mut active, rule) = (Active::default(), rule(0));
        let service = Rule {
            key: "g/Other#0".into(),
            ..rule.clone()
        };
        sample(&mut active, &rule, NOW, true, true);
        assert_eq!(look(&mut active, &service, found(None), NOW), [true]);
        let now = NOW + by_ms;
        active.clock_set(by_ms, now);
        // Nothing has the new time yet.
        for later in [0, 15_000, 45_000] {
            assert!(
                look(&mut active, &rule, Vec::new(), now + later).is_empty(),
                "{by_ms}"
            );
            assert!(
                look(&mut active, &service, Vec::new(), now + later).is_empty(),
                "{by_ms}"
            );
            assert!(
                look(&mut active, &service, found(Some("b")), now + later).is_empty(),
                "{by_ms}"
            );
        }
        // A host speaks under the new time: what is over is over.
        assert_eq!(
            sample(&mut active, &rule, now + 50_000, true, false),
            [false],
            "{by_ms}"
        );
        assert_eq!(
            look(&mut active, &service, Vec::new(), now + 61_000),
            [false],
            "{by_ms}"
        );
    }
}

#[test]
fn while_no_host_speaks_under_the_new_time_it_is_waited_for_in_bounds() {
    let (mut active, rule) = (Active::default(), rule(0));
    active.saw("a", NOW, true);
    look(&mut active, &rule, found(None), NOW);
    active.clock_set(2 * HOUR, NOW + 2 * HOUR);
    active.saw("a", NOW + 1000, true);
    assert!(look(&mut active, &rule, Vec::new(), NOW + 2 * HOUR + 300_000).is_empty());
    assert_eq!(
        look(&mut active, &rule, Vec::new(), NOW + 2 * HOUR + 600_000),
        [false]
    );
}

#[test]
fn a_host_is_seen_while_only_the_server_is_ahead() {
    let (mut active, rule) = (Active::default(), rule(0));
    sample(&mut active, &rule, NOW, true, false);
    active.clock_set(2 * HOUR, NOW + 2 * HOUR);
    assert_eq!(sample(&mut active, &rule, NOW + 1000, true, true), [true]);
    assert!(
        look(&mut active, &rule, Vec::new(), NOW + 3 * HOUR).is_empty(),
        "not seen at that time is not over"
    );
    active.clock_set(-2 * HOUR, NOW + 2000);
    assert_eq!(sample(&mut active, &rule, NOW + 3000, true, false), [false]);
}

#[test]
fn a_wait_goes_on_where_it_was() {
    let (mut active, rule) = (Active::default(), rule(60_000));
    sample(&mut active, &rule, NOW, true, true);
    let now = NOW + 30_000 + 2 * HOUR;
    active.clock_set(2 * HOUR, now);
    let is_firing = |active: &Active, at_ms| active.held_by(&rule.key)[0].is_firing(at_ms);
    assert!(!is_firing(&active, now));
    assert!(!is_firing(&active, now + 29_000));
    assert!(is_firing(&active, now + 30_000));
}
