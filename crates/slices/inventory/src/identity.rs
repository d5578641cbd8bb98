//! Which host is this? Pure rules over identity keys, strongest first.
//!
//! Keys: machine id with DMI, then serial, then SSH host key, then the MAC set. A copied disk image carries the machine id and
//! host key of its original, a container the DMI of its host: so agreement on one key is not enough while another, physical
//! key differs and both are alive at the same time. Then they stay apart, and the shared key is a conflict that people see.

use std::collections::BTreeSet;

use crate::model::IdentityKey;

/// The keys of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    pub machine_id: Option<String>,
    pub dmi_uuid: Option<String>,
    pub serial: Option<String>,
    pub host_key: Option<String>,
    pub macs: BTreeSet<String>,
    /// Kinds of an observer's own; any that agrees is enough.
    pub other: BTreeSet<(String, String)>,
}

/// Somebody that might be the one.
#[derive(Clone, Debug)]
pub struct Candidate<I> {
    pub id: I,
    pub keys: Keys,
    /// Another source has seen it lately: if this is a different thing, both exist now.
    pub is_live: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution<I> {
    pub found: Option<I>,
    /// Those that share a key which should be unique, and the key.
    pub conflicts: Vec<(I, IdentityKey)>,
}

/// How a pair compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same; a lower rank is a stronger reason.
    Same(u8),
    Apart,
    /// Apart although they share a key that should be unique.
    Conflict(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Agreement {
    Agree,
    Differ,
    Unknown,
}
use Agreement::{Agree, Differ, Unknown};

/// Finds the item among the candidates.
pub fn resolve<I: Clone + Ord>(keys: &Keys, candidates: &[Candidate<I>]) -> Resolution<I> {
    let mut best: Option<(u8, &I)> = None;
    let mut conflicts = Vec::new();
    for candidate in candidates {
        match compare(&candidate.keys, keys, candidate.is_live) {
            Verdict::Same(rank) => {
                if best.is_none_or(|found| (rank, &candidate.id) < found) {
                    best = Some((rank, &candidate.id));
                }
            }
            Verdict::Apart => {}
            Verdict::Conflict(kind) => {
                let value = keys.value(kind).unwrap_or_default();
                conflicts.push((candidate.id.clone(), IdentityKey::new(kind, &value)));
            }
        }
    }
    conflicts.sort();
    Resolution {
        found: best.map(|(_, id)| id.clone()),
        conflicts,
    }
}

/// Compares what is known with what is seen. `is_live`: the known one was seen lately by somebody else.
pub fn compare(known: &Keys, seen: &Keys, is_live: bool) -> Verdict {
    let machine = agree(&known.machine_id, &seen.machine_id);
    let dmi = agree(&known.dmi_uuid, &seen.dmi_uuid);
    let serial = agree(&known.serial, &seen.serial);
    let host_key = agree(&known.host_key, &seen.host_key);
    let mac = agree_sets(&known.macs, &seen.macs);
    if known.other.intersection(&seen.other).next().is_some() {
        return Verdict::Same(0);
    }
    if machine == Agree {
        let is_same = match (dmi, mac) {
            // The disk moved into another machine, or a copy: only hardware that moved with it tells.
            (Differ, _) => !is_live && (serial == Agree || mac == Agree),
            // A changed network card, or a copy that runs beside its original.
            (_, Differ) => !is_live,
            _ => true,
        };
        return match is_same {
            true => Verdict::Same(if dmi == Agree { 0 } else { 1 }),
            false => Verdict::Conflict("machine_id"),
        };
    }
    if serial == Agree || (dmi == Agree && serial == Unknown) {
        // A new system on the same hardware. Containers show the hardware of their host, but other network cards.
        let is_same = dmi != Differ && !(is_live && mac != Agree);
        return if is_same { Verdict::Same(2) } else { Verdict::Apart };
    }
    if host_key == Agree {
        let is_same = dmi != Differ && serial != Differ && !(is_live && (mac == Differ || machine == Differ));
        return if is_same {
            Verdict::Same(3)
        } else {
            Verdict::Conflict("host_key")
        };
    }
    let is_same = mac == Agree && dmi != Differ && serial != Differ && !(is_live && machine == Differ);
    if is_same { Verdict::Same(4) } else { Verdict::Apart }
}

fn agree(a: &Option<String>, b: &Option<String>) -> Agreement {
    match (a, b) {
        (Some(a), Some(b)) if a == b => Agree,
        (Some(_), Some(_)) => Differ,
        _ => Unknown,
    }
}

fn agree_sets(a: &BTreeSet<String>, b: &BTreeSet<String>) -> Agreement {
    if a.is_empty() || b.is_empty() {
        Unknown
    } else if a.is_disjoint(b) {
        Differ
    } else {
        Agree
    }
}

impl Keys {
    pub fn from_list(list: &[IdentityKey]) -> Self {
        let mut keys = Self::default();
        for key in list {
            let Some(value) = clean(&key.kind, &key.value) else {
                continue;
            };
            match key.kind.as_str() {
                "machine_id" => keys.machine_id = Some(value),
                "dmi_uuid" => keys.dmi_uuid = Some(value),
                "serial" => keys.serial = Some(value),
                "host_key" => keys.host_key = Some(value),
                "mac" => {
                    keys.macs.insert(value);
                }
                _ => {
                    keys.other.insert((key.kind.clone(), value));
                }
            }
        }
        keys
    }

    pub fn from_protocol(identity: &protocol::Identity) -> Vec<IdentityKey> {
        let single = [
            ("machine_id", &identity.machine_id),
            ("dmi_uuid", &identity.dmi_uuid),
            ("serial", &identity.serial),
            ("host_key", &identity.host_key),
        ];
        let mut list: Vec<IdentityKey> = single
            .into_iter()
            .filter_map(|(kind, value)| {
                let value = clean(kind, value.as_deref()?)?;
                Some(IdentityKey::new(kind, &value))
            })
            .collect();
        let macs: BTreeSet<String> = identity
            .macs
            .iter()
            .take(64)
            .filter_map(|mac| clean("mac", mac))
            .collect();
        list.extend(macs.iter().map(|mac| IdentityKey::new("mac", mac)));
        list
    }

    pub fn to_list(&self) -> Vec<IdentityKey> {
        let mut list = Vec::new();
        for kind in ["machine_id", "dmi_uuid", "serial", "host_key"] {
            list.extend(self.value(kind).map(|value| IdentityKey::new(kind, &value)));
        }
        list.extend(self.macs.iter().map(|mac| IdentityKey::new("mac", mac)));
        list.extend(
            self.other
                .iter()
                .map(|(kind, value)| IdentityKey::new(kind, value)),
        );
        list
    }

    fn value(&self, kind: &str) -> Option<String> {
        match kind {
            "machine_id" => self.machine_id.clone(),
            "dmi_uuid" => self.dmi_uuid.clone(),
            "serial" => self.serial.clone(),
            "host_key" => self.host_key.clone(),
            _ => None,
        }
    }
}

/// The normal form of a value; `None` for what makers put in when they have nothing to say.
fn clean(kind: &str, value: &str) -> Option<String> {
    const JUNK: [&str; 13] = [
        "none",
        "unknown",
        "n/a",
        "na",
        "default string",
        "to be filled by o.e.m.",
        "system serial number",
        "not specified",
        "not applicable",
        "not settable",
        "empty",
        "invalid",
        "uninitialized",
    ];
    let value: String = value
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(256)
        .collect();
    let folded = value.to_lowercase();
    let is_blank = folded.chars().all(|c| matches!(c, '0' | '-' | ':' | '.' | ' '))
        || folded.chars().all(|c| matches!(c, 'f' | '-' | ':'));
    // Docker makes addresses from the IP number: the same on every host.
    if is_blank || JUNK.contains(&folded.as_str()) || (kind == "mac" && folded.starts_with("02:42:")) {
        return None;
    }
    Some(if kind == "host_key" { value } else { folded })
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn cases() {
        let known = keys("m1", "d1", "s1", "k1", &["a1"]);
        let check = |name: &str, seen: Keys, is_live: bool, want: Verdict| {
            assert_eq!(compare(&known, &seen, is_live), want, "{name}");
        };
        let conflict = Verdict::Conflict("machine_id");
        check("itself", known.clone(), true, Verdict::Same(0));
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
            "a container from the same image",
            keys("m1", "d1", "", "", &["a2"]),
            true,
            conflict,
        );
        check(
            "a new network card",
            keys("m1", "d1", "s1", "k1", &["a2"]),
            false,
            Verdict::Same(0),
        );
        check(
            "a new mainboard",
            keys("m1", "d2", "s2", "k1", &["a1"]),
            false,
            Verdict::Same(1),
        );
        check(
            "a reinstalled host",
            keys("m2", "d1", "s1", "k2", &["a1"]),
            true,
            Verdict::Same(2),
        );
        check(
            "a container beside its host",
            keys("m2", "d1", "s1", "", &["a2"]),
            true,
            Verdict::Apart,
        );
        check(
            "a shared host key",
            keys("m2", "d2", "s2", "k1", &["a2"]),
            true,
            Verdict::Conflict("host_key"),
        );
        check(
            "only network cards known",
            keys("", "", "", "", &["a1"]),
            true,
            Verdict::Same(4),
        );
        check(
            "a stranger",
            keys("m2", "d2", "s2", "k2", &["a2"]),
            false,
            Verdict::Apart,
        );
        check("nothing known", keys("", "", "", "", &[]), false, Verdict::Apart);
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
}
