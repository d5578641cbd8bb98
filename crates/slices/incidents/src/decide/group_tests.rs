//! Grouping, as tables and as properties: no alert is lost, none is in two incidents.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use alerting::Severity::{Critical, Warning};

use super::*;
use crate::model::How;

const S: i64 = 1_000_000;
const LIMITS: Limits = Limits {
    window_us: 600 * S,
    kin_window_us: 120 * S,
    look_back_us: 120 * S,
};

/// web-1 carries api; db-1 carries db and sda; api needs db.
fn shop() -> Terrain {
    let edge = |from: &str, how, to: &str| (from.to_owned(), how, to.to_owned());
    Terrain::new([
        edge("api", How::On, "web-1"),
        edge("db", How::On, "db-1"),
        edge("sda", How::On, "db-1"),
        edge("api", How::DependsOn, "db"),
    ])
}

fn newcomer(terrain: &Terrain, place: &str, is_down: bool, at: i64) -> Newcomer {
    Newcomer {
        place: place.into(),
        host: Some(terrain.host(place).to_owned()),
        is_down,
        severity: if is_down { Critical } else { Warning },
        at: at * S,
    }
}

fn critical(terrain: &Terrain, place: &str, at: i64) -> Newcomer {
    Newcomer {
        severity: Critical,
        ..newcomer(terrain, place, false, at)
    }
}

/// Incidents as grouping leaves them: incident → alerts by number.
#[derive(Default)]
struct House {
    incidents: BTreeMap<String, BTreeSet<usize>>,
    alerts: Vec<(Newcomer, bool)>,
    roots: BTreeMap<String, usize>,
}

impl House {
    fn presences(&self) -> Vec<Presence> {
        let mut found: BTreeMap<(&str, &str), Presence> = BTreeMap::new();
        for (incident, members) in &self.incidents {
            for index in members {
                let (alert, is_active) = &self.alerts[*index];
                let slot = found.entry((incident, &alert.place)).or_insert_with(|| Presence {
                    incident: incident.clone(),
                    place: alert.place.clone(),
                    host: alert.host.clone(),
                    is_active: false,
                    is_down: false,
                    first_at: alert.at,
                    last_at: alert.at,
                    is_kin: false,
                    root: self.roots.get(incident).map(|root| self.root(*root)),
                });
                slot.is_active |= is_active;
                slot.is_down |= *is_active && alert.is_down;
                slot.first_at = slot.first_at.min(alert.at);
                slot.last_at = slot.last_at.max(alert.at);
            }
        }
        found.into_values().collect()
    }

    fn root(&self, index: usize) -> Root {
        let alert = &self.alerts[index].0;
        Root {
            place: alert.place.clone(),
            host: alert.host.clone(),
            severity: alert.severity,
            is_down: alert.is_down,
            at: alert.at,
        }
    }

    /// Of the root as it is and another alert, the one that explains more.
    fn rank(&mut self, incident: &str, index: usize, terrain: &Terrain) {
        let is_root = self.roots.get(incident).is_none_or(|root| {
            let ids = (index.to_string(), root.to_string());
            let (new, old) = (&self.alerts[index].0, &self.alerts[*root].0);
            outranks(&ranked(&ids.0, new), &ranked(&ids.1, old), terrain)
        });
        if is_root {
            self.roots.insert(incident.to_owned(), index);
        }
    }

    fn fire(&mut self, terrain: &Terrain, alert: Newcomer) -> Vec<Effect> {
        let effects = group(&alert, &self.presences(), &[], terrain, LIMITS);
        let index = self.alerts.len();
        self.alerts.push((alert, true));
        for effect in &effects {
            match effect {
                Effect::Open => {
                    let incident = format!("inc_{index:04}");
                    self.rank(&incident, index, terrain);
                    self.incidents.insert(incident, BTreeSet::from([index]));
                }
                Effect::Merge { from, into, .. } => {
                    let moved = self.incidents.remove(from).unwrap();
                    let root = self.roots.remove(from).unwrap();
                    self.incidents.get_mut(into).unwrap().extend(moved);
                    self.rank(into, root, terrain);
                }
                Effect::Join { incident, .. } => {
                    self.incidents.get_mut(incident).unwrap().insert(index);
                    self.rank(incident, index, terrain);
                }
                Effect::Candidate { other, .. } => assert!(self.incidents.contains_key(other)),
            }
        }
        effects
    }
}

fn ranked<'a>(id: &'a str, alert: &'a Newcomer) -> Candidate<'a> {
    Candidate {
        alert: id,
        place: &alert.place,
        is_down: alert.is_down,
        severity: alert.severity,
        at: alert.at,
    }
}

fn one_join(effects: &[Effect]) -> &Link {
    match effects {
        [Effect::Join { link, .. }] => link,
        other => panic!("expected one join, got {other:?}"),
    }
}

#[test]
fn a_dead_host_gathers_what_it_carries_before_and_after() {
    let terrain = shop();
    let mut house = House::default();
    house.fire(&terrain, newcomer(&terrain, "sda", false, 0));
    let effects = house.fire(&terrain, newcomer(&terrain, "db-1", true, 8));
    assert_eq!(
        (one_join(&effects).kind, one_join(&effects).role),
        (Kind::HostGone, Role::Root)
    );
    let effects = house.fire(&terrain, newcomer(&terrain, "db", false, 4_000));
    assert_eq!(
        (one_join(&effects).kind, one_join(&effects).role),
        (Kind::HostGone, Role::Symptom)
    );
    assert_eq!(house.incidents.len(), 1);
}

#[test]
fn what_needs_the_dead_host_is_a_symptom_with_its_way() {
    let terrain = shop();
    let mut house = House::default();
    house.fire(&terrain, newcomer(&terrain, "db-1", true, 0));
    let effects = house.fire(&terrain, newcomer(&terrain, "api", false, 5));
    let link = one_join(&effects);
    assert_eq!((link.kind, link.role), (Kind::Upstream, Role::Symptom));
    let way: Vec<_> = link.path.iter().map(|hop| hop.to.as_str()).collect();
    assert_eq!(way, ["db", "db-1"]);
}

/// worker needs db too, from another host.
fn shop_with_worker() -> Terrain {
    let edge = |from: &str, how, to: &str| (from.to_owned(), how, to.to_owned());
    Terrain::new([
        edge("api", How::On, "web-1"),
        edge("worker", How::On, "jobs-1"),
        edge("db", How::On, "db-1"),
        edge("sda", How::On, "db-1"),
        edge("api", How::DependsOn, "db"),
        edge("worker", How::DependsOn, "db"),
    ])
}

#[test]
fn a_cause_that_comes_late_gathers_the_symptoms_that_it_explains() {
    let terrain = shop_with_worker();
    let mut house = House::default();
    house.fire(&terrain, newcomer(&terrain, "api", false, 0));
    house.fire(&terrain, newcomer(&terrain, "worker", false, 1));
    house.fire(&terrain, newcomer(&terrain, "sda", false, 1));
    assert_eq!(house.incidents.len(), 3);
    let effects = house.fire(&terrain, critical(&terrain, "db", 2));
    assert!(
        matches!(&effects[..], [Effect::Merge { from, into, .. }, Effect::Join { incident, link }, Effect::Candidate { other, .. }]
            if from == "inc_0001" && into == "inc_0000" && incident == "inc_0000" && link.kind == Kind::Upstream && other == "inc_0002"),
        "{effects:?}"
    );
}

/// One kind of evidence is a candidate: what is less severe, came much later, or only shares a third thing explains nothing.
#[test]
fn unrelated_incidents_do_not_merge_through_a_third_alert() {
    let terrain = shop_with_worker();
    let merges = |effects: &[Effect]| effects.iter().any(|e| matches!(e, Effect::Merge { .. }));
    let candidates = |effects: &[Effect]| {
        let is_candidate = |e: &&Effect| matches!(e, Effect::Candidate { .. });
        effects.iter().filter(is_candidate).count()
    };
    // A full disk and the errors of a service elsewhere, and an alert that is on the host of one and upstream of the other.
    let mut house = House::default();
    house.fire(&terrain, critical(&terrain, "sda", 0));
    house.fire(&terrain, critical(&terrain, "api", 1));
    let effects = house.fire(&terrain, critical(&terrain, "db", 2));
    assert!(!merges(&effects) && candidates(&effects) == 1, "{effects:?}");
    // A warning does not explain two critical faults, nor does what comes minutes after them.
    for late in [newcomer(&terrain, "db", false, 2), critical(&terrain, "db", 300)] {
        let mut house = House::default();
        house.fire(&terrain, critical(&terrain, "api", 0));
        house.fire(&terrain, critical(&terrain, "worker", 1));
        let effects = house.fire(&terrain, late);
        assert!(!merges(&effects) && candidates(&effects) == 1, "{effects:?}");
    }
    // A service that needs two things that fail: it says nothing of whether they fail together.
    let both = Terrain::new([
        ("api".to_owned(), How::DependsOn, "db".to_owned()),
        ("api".to_owned(), How::DependsOn, "cache".to_owned()),
    ]);
    let mut house = House::default();
    house.fire(&both, critical(&both, "db", 0));
    house.fire(&both, critical(&both, "cache", 1));
    let effects = house.fire(&both, critical(&both, "api", 2));
    assert!(!merges(&effects) && candidates(&effects) == 1, "{effects:?}");
}

/// What explains only a symptom of an incident is a fault of its own.
#[test]
fn a_new_root_beside_the_known_one_opens_its_own_incident() {
    let terrain = shop();
    let mut house = House::default();
    house.fire(&terrain, critical(&terrain, "db", 0));
    house.fire(&terrain, critical(&terrain, "api", 5));
    let effects = house.fire(&terrain, newcomer(&terrain, "web-1", true, 9));
    assert!(
        matches!(&effects[..], [Effect::Open, Effect::Candidate { other, .. }] if other == "inc_0000"),
        "{effects:?}"
    );
}

#[test]
fn alerts_of_one_rule_are_one_incident_when_they_fire_together_or_as_a_flood() {
    let terrain = shop();
    let of_rule = |count, last_at| {
        [RuleGroup {
            incident: "inc_1".into(),
            count,
            last_at,
        }]
    };
    let joins = |new: &Newcomer, rules: &[RuleGroup]| {
        let effects = group(new, &[], rules, &terrain, LIMITS);
        matches!(&effects[..], [Effect::Join { link, .. }] if link.kind == Kind::SameRule)
    };
    let here = newcomer(&terrain, "instance:a", false, 100);
    assert!(joins(&here, &of_rule(1, 100 * S)), "one evaluation");
    assert!(!joins(&here, &of_rule(1, 90 * S)), "two faults ten seconds apart");
    assert!(joins(&here, &of_rule(FLOOD, 20 * S)), "a flood");
    let nowhere = Newcomer {
        host: None,
        ..newcomer(&terrain, "fingerprint:1", false, 100)
    };
    assert!(
        joins(&nowhere, &of_rule(1, 20 * S)),
        "only its rule says where it belongs"
    );
}

#[test]
fn things_far_apart_in_time_or_place_stay_apart() {
    let terrain = shop();
    let mut house = House::default();
    house.fire(&terrain, newcomer(&terrain, "sda", false, 0));
    house.fire(&terrain, newcomer(&terrain, "web-1", false, 1));
    house.fire(&terrain, newcomer(&terrain, "db-1", false, 601));
    house.fire(&terrain, newcomer(&terrain, "instance:elsewhere", false, 601));
    assert_eq!(house.incidents.len(), 4);
    let effects = house.fire(&terrain, newcomer(&terrain, "sda", false, 90_000));
    assert_eq!(one_join(&effects).kind, Kind::SameItem);
}

#[test]
fn an_old_disk_warning_is_not_swallowed_when_its_host_dies() {
    let terrain = shop();
    let mut house = House::default();
    house.fire(&terrain, newcomer(&terrain, "sda", false, 0));
    let effects = house.fire(&terrain, newcomer(&terrain, "db-1", true, 3_600));
    assert_eq!(effects, [Effect::Open]);
}

#[test]
fn the_same_alert_on_the_same_service_elsewhere_is_one_incident() {
    let terrain = shop();
    let here = newcomer(&terrain, "api", false, 0);
    let there = |at, is_kin| Presence {
        incident: "inc_1".into(),
        place: "api-of-web-2".into(),
        host: Some("web-2".into()),
        is_active: true,
        is_down: false,
        first_at: at,
        last_at: at,
        is_kin,
        root: None,
    };
    let effects = group(&here, &[there(-90 * S, true)], &[], &terrain, LIMITS);
    assert_eq!(
        (one_join(&effects).kind, one_join(&effects).role),
        (Kind::Kin, Role::Member)
    );
    for other in [there(-90 * S, false), there(-121 * S, true)] {
        assert_eq!(group(&here, &[other], &[], &terrain, LIMITS), [Effect::Open]);
    }
}

#[test]
fn the_root_is_what_explains_most() {
    let terrain = shop();
    let candidate = |alert, place, is_down, severity| Candidate {
        alert,
        place,
        is_down,
        severity,
        at: 0,
    };
    let host = candidate("1", "db-1", true, Critical);
    let database = candidate("2", "db", false, Critical);
    let api = candidate("3", "api", false, Critical);
    let disk = candidate("4", "sda", false, Warning);
    for (a, b) in [
        (&host, &database),
        (&host, &api),
        (&database, &api),
        (&database, &disk),
        (&host, &disk),
    ] {
        assert!(
            outranks(a, b, &terrain) && !outranks(b, a, &terrain),
            "{a:?} {b:?}"
        );
    }
}

/// Who needs whom, where alerts are (and whether a host says that it is gone), and in which order they come.
type Estate = (Vec<(usize, usize)>, Vec<(usize, bool)>, Vec<usize>);

/// A random house: hosts, things on them, needs between the things; and alerts at places in it.
fn estate() -> impl Strategy<Value = Estate> {
    let needs = prop::collection::vec((0..12_usize, 0..12_usize), 0..6);
    let alerts = prop::collection::vec((0..16_usize, any::<bool>()), 1..14);
    (needs, alerts).prop_flat_map(|(needs, alerts)| {
        let order: Vec<usize> = (0..alerts.len()).collect();
        (Just(needs), Just(alerts), Just(order).prop_shuffle())
    })
}

/// Places 0..12 are things, three on each of four hosts; 12..16 are the hosts.
fn place(index: usize) -> String {
    if index < 12 {
        format!("thing-{index}")
    } else {
        format!("host-{}", index - 12)
    }
}

fn terrain_of(needs: &[(usize, usize)]) -> Terrain {
    let on = (0..12).map(|n| (place(n), How::On, place(12 + n % 4)));
    let needs = needs.iter().map(|(a, b)| (place(*a), How::DependsOn, place(*b)));
    Terrain::new(on.chain(needs))
}

fn arrive(terrain: &Terrain, alerts: &[(usize, bool)], order: &[usize]) -> BTreeSet<BTreeSet<usize>> {
    let mut house = House::default();
    for index in order {
        let (at, down) = alerts[*index];
        house.fire(
            terrain,
            newcomer(terrain, &place(at), down && at >= 12, *index as i64),
        );
    }
    house
        .incidents
        .values()
        .map(|members| members.iter().map(|n| order[*n]).collect())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// No alert is lost, and none is in two incidents.
    #[test]
    fn each_alert_has_one_incident_whatever_the_order((needs, alerts, order) in estate()) {
        let groups = arrive(&terrain_of(&needs), &alerts, &order);
        let mut all: Vec<usize> = groups.iter().flatten().copied().collect();
        all.sort_unstable();
        let in_order: Vec<usize> = (0..alerts.len()).collect();
        prop_assert_eq!(&all, &in_order);
    }

    /// Where nothing needs anything, everything on one host is one incident and no two hosts share one, whatever the order.
    #[test]
    fn one_host_is_one_incident((_, alerts, order) in estate()) {
        let terrain = terrain_of(&[]);
        let groups = arrive(&terrain, &alerts, &order);
        let host_of = |index: &usize| terrain.host(&place(alerts[*index].0)).to_owned();
        for a in 0..alerts.len() {
            for b in 0..alerts.len() {
                let is_together = groups.iter().any(|g| g.contains(&a) && g.contains(&b));
                prop_assert_eq!(host_of(&a) == host_of(&b), is_together);
            }
        }
    }

    #[test]
    fn of_two_alerts_exactly_one_outranks((needs, alerts, _) in estate(), critical in any::<bool>()) {
        let terrain = terrain_of(&needs);
        let names: Vec<(String, String)> = alerts
            .iter()
            .enumerate()
            .map(|(n, (at, _))| (n.to_string(), place(*at)))
            .collect();
        let candidates: Vec<Candidate<'_>> = names
            .iter()
            .zip(&alerts)
            .enumerate()
            .map(|(n, ((alert, place), (at, down)))| Candidate {
                alert,
                place,
                is_down: *down && *at >= 12,
                severity: if critical && n % 2 == 0 { alerting::Severity::Critical } else { alerting::Severity::Warning },
                at: n as i64,
            })
            .collect();
        for a in &candidates {
            for b in &candidates {
                if a.alert != b.alert {
                    prop_assert_ne!(outranks(a, b, &terrain), outranks(b, a, &terrain), "{:?} {:?}", a, b);
                }
            }
        }
    }
}
