//! What begins and ends, told once, and the series about it.

use super::*;
use crate::rules::model::Kind;

fn rule() -> Rule {
    let kind = Kind::Alert {
        for_ms: 0,
        keep_firing_for_ms: 0,
        annotations: Vec::new(),
    };
    let text = "mainstay_service_up == 0";
    Rule::new(
        "g/Down#0".into(),
        "Down".into(),
        (text.into(), promql::parse(text).unwrap()),
        Vec::new(),
        kind,
    )
}

fn found(instance: &str) -> Vec<Found> {
    let labels = BTreeMap::from([("instance".to_owned(), instance.to_owned())]);
    vec![Found {
        labels,
        annotations: Some(BTreeMap::new()),
        value: 0.0,
    }]
}

fn states(signals: &[Signal]) -> Vec<bool> {
    signals.iter().map(|s| s.active).collect()
}

#[test]
fn changes_become_signals_once() {
    let (mut active, rule) = (Active::default(), rule());
    active.saw("a", 1000, true);
    assert_eq!(
        states(&active.apply(&rule, Extent::Instance("a"), found("a"), 1000).0),
        [true]
    );
    assert_eq!(
        states(&active.apply(&rule, Extent::Instance("a"), found("a"), 2000).0),
        Vec::<bool>::new()
    );
    assert_eq!(
        states(&active.apply(&rule, Extent::Instance("b"), vec![], 2000).0),
        Vec::<bool>::new()
    );
    assert_eq!(
        states(&active.apply(&rule, Extent::Instance("a"), vec![], 3000).0),
        [false]
    );
}

#[test]
fn an_older_result_does_not_undo_a_newer_one() {
    let (mut active, rule) = (Active::default(), rule());
    active.saw("a", 5000, true);
    assert_eq!(
        states(&active.apply(&rule, Extent::Instance("a"), found("a"), 5000).0),
        [true]
    );
    assert!(
        active
            .apply(&rule, Extent::Instance("a"), vec![], 4000)
            .0
            .is_empty()
    );
    assert!(active.apply(&rule, Extent::Everything, vec![], 4500).0.is_empty());
    assert_eq!(
        states(&active.apply(&rule, Extent::Everything, vec![], 6000).0),
        [false]
    );
    assert!(
        active
            .apply(&rule, Extent::Everything, found("a"), 4500)
            .0
            .is_empty()
    );
}

#[test]
fn a_lost_host_keeps_its_alerts() {
    let (mut active, rule) = (Active::default(), rule());
    active.saw("a", 1000, true);
    active.apply(&rule, Extent::Instance("a"), found("a"), 1000);
    assert!(
        active
            .apply(&rule, Extent::Everything, vec![], 1000 + LOST_AFTER_MS + 1)
            .0
            .is_empty()
    );
    active.saw("a", 60_000, true);
    assert_eq!(
        states(&active.apply(&rule, Extent::Everything, vec![], 60_001).0),
        [false]
    );
}

#[test]
fn a_removed_rule_ends_what_it_held() {
    let (mut active, rule) = (Active::default(), rule());
    active.apply(&rule, Extent::Instance("a"), found("a"), 1000);
    assert_eq!(states(&active.forget_rules(&HashSet::new(), 2000)), [false]);
    assert!(active.held_by(&rule.key).is_empty());
}

fn waiting(for_ms: i64, keep_firing_for_ms: i64, limit: usize) -> Rule {
    let kind = Kind::Alert {
        for_ms,
        keep_firing_for_ms,
        annotations: Vec::new(),
    };
    let text = "up == 0";
    let expr = (text.to_owned(), promql::parse(text).unwrap());
    Rule::new("g/Down#0".into(), "Down".into(), expr, Vec::new(), kind).bound(limit, 0)
}

fn all(instances: &[&str]) -> Vec<Found> {
    instances.iter().flat_map(|instance| found(instance)).collect()
}

/// Name, state, time, value.
type Told = (String, String, i64, Option<f64>);

fn told(rows: &[Row]) -> Vec<Told> {
    let mut told: Vec<Told> = rows
        .iter()
        .map(|row| {
            let text = |name: &str| row.labels.value(name).to_owned();
            (text("__name__"), text("alertstate"), row.at_ms, row.value)
        })
        .collect();
    told.sort_by(|a, b| a.partial_cmp(b).unwrap());
    told
}

fn line(name: &str, state: &str, at_ms: i64, value: Option<f64>) -> Told {
    (name.into(), state.into(), at_ms, value)
}

#[test]
fn the_series_of_an_alert_follow_its_life() {
    let (mut active, rule) = (Active::default(), waiting(20_000, 0, 0));
    let mut look = |at_ms: i64, found: Vec<Found>| {
        active.apply(&rule, Extent::Everything, found, at_ms);
        told(&active.rows(&rule, Extent::Everything, at_ms))
    };
    assert_eq!(
        look(10_000, all(&["a"])),
        [
            line("ALERTS", "pending", 10_000, Some(1.0)),
            line("ALERTS_FOR_STATE", "", 10_000, Some(10.0))
        ]
    );
    assert_eq!(
        look(30_000, all(&["a"])),
        [
            line("ALERTS", "firing", 30_000, Some(1.0)),
            line("ALERTS", "pending", 30_000, None),
            line("ALERTS_FOR_STATE", "", 30_000, Some(10.0))
        ]
    );
    assert_eq!(
        look(45_000, Vec::new()),
        [
            line("ALERTS", "firing", 45_000, None),
            line("ALERTS_FOR_STATE", "", 45_000, None)
        ]
    );
    assert_eq!(look(60_000, Vec::new()), []);
}

#[test]
fn ingest_tells_what_is_new_and_ends_lie_after_what_was_written() {
    let (mut active, rule) = (Active::default(), rule());
    active.apply(&rule, Extent::Instance("a"), found("a"), 5_000);
    assert_eq!(active.rows(&rule, Extent::Instance("a"), 5_000).len(), 2);
    active.apply(&rule, Extent::Instance("a"), found("a"), 6_000);
    assert_eq!(active.rows(&rule, Extent::Instance("a"), 6_000), []);
    assert_eq!(active.rows(&rule, Extent::Everything, 9_000).len(), 2);
    active.apply(&rule, Extent::Instance("a"), Vec::new(), 8_000);
    let ends = told(&active.rows(&rule, Extent::Instance("a"), 8_000));
    assert_eq!(
        ends,
        [
            line("ALERTS", "firing", 9_001, None),
            line("ALERTS_FOR_STATE", "", 9_001, None)
        ]
    );
}

#[test]
fn what_is_kept_firing_comes_back_as_the_same_alert() {
    let (mut active, rule) = (Active::default(), waiting(0, 30_000, 0));
    let mut look = |at_ms: i64, found: Vec<Found>| {
        let signals = states(&active.apply(&rule, Extent::Everything, found, at_ms).0);
        let rows = told(&active.rows(&rule, Extent::Everything, at_ms));
        (signals, rows.first().map(|row| (row.1.clone(), row.3)))
    };
    let firing = Some(("firing".to_owned(), Some(1.0)));
    let ended = Some(("firing".to_owned(), None));
    assert_eq!(look(0, all(&["a"])), (vec![true], firing.clone()));
    assert_eq!(look(15_000, Vec::new()), (vec![false], firing.clone()));
    assert_eq!(look(30_000, Vec::new()), (vec![], firing.clone()));
    assert_eq!(look(40_000, all(&["a"])), (vec![true], firing.clone()));
    assert_eq!(look(50_000, Vec::new()), (vec![false], firing));
    assert_eq!(look(80_000, Vec::new()), (vec![], ended));
    assert_eq!(look(90_000, Vec::new()), (vec![], None));
}

#[test]
fn more_than_the_limit_end_all_and_tell_none() {
    let (mut active, rule) = (Active::default(), waiting(0, 0, 2));
    assert!(rule.locality.is_none(), "a limit is of everything");
    let (signals, error) = active.apply(&rule, Extent::Everything, all(&["a", "b"]), 1_000);
    assert_eq!((states(&signals), error), (vec![true, true], None));
    active.rows(&rule, Extent::Everything, 1_000);
    for at_ms in [2_000, 3_000] {
        let (signals, error) = active.apply(&rule, Extent::Everything, all(&["a", "b", "c"]), at_ms);
        let expected = if at_ms == 2_000 {
            vec![false, false]
        } else {
            vec![]
        };
        assert_eq!(states(&signals), expected);
        assert_eq!(error.unwrap(), "exceeded limit of 2 with 3 alerts");
        let ends = active.rows(&rule, Extent::Everything, at_ms);
        assert_eq!(ends.len(), if at_ms == 2_000 { 4 } else { 0 });
    }
    let (signals, error) = active.apply(&rule, Extent::Everything, all(&["c"]), 4_000);
    assert_eq!((states(&signals), error), (vec![true], None));
}

#[test]
fn the_words_are_renewed_until_it_fires() {
    let (mut active, rule) = (Active::default(), waiting(20_000, 0, 0));
    let mut look = |at_ms: i64, words: &str| {
        let labels = found("a")[0].labels.clone();
        let is_wanted = active.wants(&rule, &labels, Extent::Everything, at_ms);
        let one = Found {
            labels,
            annotations: is_wanted.then(|| BTreeMap::from([("summary".to_owned(), words.to_owned())])),
            value: at_ms as f64,
        };
        let (signals, _) = active.apply(&rule, Extent::Everything, vec![one], at_ms);
        let words: Vec<String> = signals.iter().map(|s| s.annotations["summary"].clone()).collect();
        (is_wanted, words)
    };
    assert_eq!(look(0, "1 %"), (true, vec!["1 %".to_owned()]));
    assert_eq!(look(10_000, "1 %"), (true, vec![]));
    assert_eq!(look(15_000, "2 %"), (true, vec!["2 %".to_owned()]));
    assert_eq!(look(20_000, "3 %"), (false, vec![]));
}

#[test]
fn what_the_program_writes_itself_is_over_though_the_host_is_silent() {
    let (mut active, rule) = (Active::default(), waiting(0, 0, 0));
    active.saw("a", 0, true);
    active.apply(&rule, Extent::Everything, found("a"), 100_000);
    let (signals, _) = active.apply(&rule, Extent::Everything, Vec::new(), 200_000);
    assert_eq!(states(&signals), [false]);
}
