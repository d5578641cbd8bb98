//! The rules as cases, and what must hold for any two hosts.

use proptest::prelude::*;

use super::*;

fn keys(machine: &str, dmi: &str, serial: &str, host_key: &str, macs: &[&str]) -> Keys {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Keys {
        machine_id: some(machine),
        dmi_uuid: some(dmi),
        serial: some(serial),
        host_key: some(host_key),
        macs: macs.iter().map(ToString::to_string).collect(),
        other: BTreeSet::new(),
    }
}

fn check(name: &str, seen: Keys, is_live: bool, want: Verdict) {
    let known = keys("m1", "d1", "s1", "k1", &["a1"]);
    assert_eq!(compare(&known, &seen, is_live), want, "{name}");
}

#[test]
fn one_host_is_found_again() {
    let same = Verdict::Same;
    check("itself", keys("m1", "d1", "s1", "k1", &["a1"]), true, same(0));
    check(
        "a new card",
        keys("m1", "d1", "s1", "k1", &["a2"]),
        false,
        same(0),
    );
    check(
        "a new board",
        keys("m1", "d2", "s2", "k1", &["a1"]),
        false,
        same(1),
    );
    check(
        "reinstalled",
        keys("m2", "d1", "s1", "k2", &["a1"]),
        true,
        same(2),
    );
    check("only cards", keys("", "", "", "", &["a1"]), true, same(4));
}

#[test]
fn two_hosts_stay_apart() {
    let (apart, conflict) = (Verdict::Apart, Verdict::Conflict("machine_id"));
    let shared_key = Verdict::Conflict("host_key");
    check(
        "a live clone",
        keys("m1", "d2", "s2", "k1", &["a2"]),
        true,
        conflict,
    );
    check(
        "a clone of a silent template",
        keys("m1", "d2", "s2", "k1", &["a2"]),
        false,
        conflict,
    );
    check(
        "a container of the same image",
        keys("m1", "d1", "", "", &["a2"]),
        true,
        conflict,
    );
    check(
        "a container beside its host",
        keys("m2", "d1", "s1", "", &["a2"]),
        true,
        apart,
    );
    check(
        "a shared host key",
        keys("m2", "d2", "s2", "k1", &["a2"]),
        true,
        shared_key,
    );
    check("a stranger", keys("m2", "d2", "s2", "k2", &["a2"]), false, apart);
    check("nothing known", keys("", "", "", "", &[]), false, apart);
}

#[test]
fn what_makers_leave_blank_identifies_nobody() {
    for (kind, value) in [
        ("serial", "To Be Filled By O.E.M."),
        ("serial", " 0000 "),
        ("dmi_uuid", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
        ("dmi_uuid", "00000000-0000-0000-0000-000000000000"),
        ("mac", "00:00:00:00:00:00"),
        ("mac", "02:42:ac:11:00:02"),
        ("machine_id", ""),
    ] {
        assert_eq!(clean(kind, value), None, "{kind} {value}");
    }
    assert_eq!(clean("mac", "52:54:00:AB:CD:EF").unwrap(), "52:54:00:ab:cd:ef");
}

prop_compose! {
    fn any_keys()(
        machine in prop::option::of("m[1-3]"), dmi in prop::option::of("d[1-3]"), serial in prop::option::of("s[1-3]"),
        host_key in prop::option::of("k[1-3]"), macs in prop::collection::btree_set("a[1-4]", 0..3),
    ) -> Keys {
        Keys { machine_id: machine, dmi_uuid: dmi, serial, host_key, macs, other: BTreeSet::new() }
    }
}

proptest! {
    /// A host that has any key at all is found again by what it said of itself.
    #[test]
    fn a_host_is_itself(keys in any_keys(), is_live: bool) {
        let is_known = keys.machine_id.is_some() || keys.dmi_uuid.is_some() || keys.serial.is_some()
            || keys.host_key.is_some() || !keys.macs.is_empty();
        // Hardware keys alone are shared by the containers of a live host.
        if is_known && !(is_live && keys.macs.is_empty() && keys.machine_id.is_none()) {
            prop_assert!(matches!(compare(&keys, &keys, is_live), Verdict::Same(_)));
        }
    }

    /// Two machines that are alive and show different hardware never become one.
    #[test]
    fn live_hosts_on_different_hardware_stay_apart(a in any_keys(), b in any_keys()) {
        let differ = |x: &Option<String>, y: &Option<String>| x.is_some() && y.is_some() && x != y;
        if differ(&a.dmi_uuid, &b.dmi_uuid) {
            prop_assert!(!matches!(compare(&a, &b, true), Verdict::Same(_)));
        }
    }

    #[test]
    fn a_live_machine_id_on_other_network_cards_stays_apart(a in any_keys(), b in any_keys()) {
        if !a.macs.is_empty() && !b.macs.is_empty() && a.macs.is_disjoint(&b.macs) {
            prop_assert!(!matches!(compare(&a, &b, true), Verdict::Same(_)));
        }
    }

    /// The order of the two, and of the candidates, does not matter.
    #[test]
    fn order_does_not_matter(a in any_keys(), list in prop::collection::vec((any_keys(), any::<bool>()), 0..6)) {
        for (b, is_live) in &list {
            prop_assert_eq!(compare(&a, b, *is_live), compare(b, &a, *is_live));
        }
        let mut candidates: Vec<_> = list.into_iter().enumerate()
            .map(|(id, (keys, is_live))| Candidate { id, keys, is_live }).collect();
        let forward = resolve(&a, &candidates);
        candidates.reverse();
        prop_assert_eq!(forward, resolve(&a, &candidates));
    }

    /// Being alive can only keep apart, never join.
    #[test]
    fn life_never_joins(a in any_keys(), b in any_keys()) {
        if matches!(compare(&a, &b, true), Verdict::Same(_)) {
            prop_assert!(matches!(compare(&a, &b, false), Verdict::Same(_)));
        }
    }
}
