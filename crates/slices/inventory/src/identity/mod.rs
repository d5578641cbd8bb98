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
mod tests;
