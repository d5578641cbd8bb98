//! Which incident does an alert belong to?
//!
//! Two alerts are linked when they are about the same item, about one host at about the same time, when one host is gone and
//! carries the other, when one lies upstream of the other at about the same time, or when they are the same alert on the same
//! service of several hosts within a short time. Incidents are what these links hold together:
//! a newcomer joins every incident that it is linked to, and when that is more than one, they become one.
//!
//! Invariants: a link is symmetric, so that the outcome does not depend on the order of arrival; every alert ends in exactly
//! one incident; time alone links nothing.

use std::collections::{BTreeMap, HashMap};

use super::terrain::{Path, Terrain};
use crate::model::Role;

/// How close in time things must be, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one host, and for what depends on each other.
    pub window_us: i64,
    /// For the same alert on the same service of another host.
    pub kin_window_us: i64,
    /// How long before a host was found to be gone an alert on it may have come.
    pub look_back_us: i64,
}

/// An alert that has just fired.
#[derive(Clone, Debug)]
pub struct Newcomer {
    pub place: String,
    pub host: Option<String>,
    pub is_down: bool,
    pub at: i64,
}

/// All alerts of one open incident at one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence {
    pub incident: String,
    pub place: String,
    pub host: Option<String>,
    /// One of them still fires.
    pub is_active: bool,
    /// One of them says that the host is gone, and still does.
    pub is_down: bool,
    pub first_at: i64,
    pub last_at: i64,
    /// These are of the newcomer's kin: the same alert on the same service of another host.
    pub is_kin: bool,
}

/// Why two alerts belong together; the best reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One is on a host that is gone, as the other says.
    HostGone,
    SameItem,
    /// One needs what the other is about.
    Upstream,
    SameHost,
    /// The same alert on the same service of another host.
    Kin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub kind: Kind,
    /// What the newcomer is to the others.
    pub role: Role,
    /// The place that it is linked to.
    pub place: String,
    /// From the symptom to the cause.
    pub path: Path,
}

/// What is to be done with a newcomer, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Open,
    Merge { from: String, into: String, link: Link },
    Join { incident: String, link: Link },
}

/// Finds the newcomer its incident among the open ones.
pub fn group(new: &Newcomer, open: &[Presence], terrain: &Terrain, limits: Limits) -> Vec<Effect> {
    let view = View {
        new,
        up: terrain.climb(&new.place),
        down: terrain.descend(&new.place),
        terrain,
        limits,
    };
    let mut best: BTreeMap<&str, Link> = BTreeMap::new();
    for known in open {
        let Some(link) = view.link(known) else { continue };
        let slot = best.entry(&known.incident).or_insert_with(|| link.clone());
        if (link.kind, &link.place) < (slot.kind, &slot.place) {
            *slot = link;
        }
    }
    // Ids sort by birth: the oldest stays, for its number is what people were told.
    let mut found = best.into_iter();
    let Some((oldest, oldest_link)) = found.next() else {
        return vec![Effect::Open];
    };
    let mut effects = Vec::new();
    let mut strongest = oldest_link;
    for (incident, link) in found {
        if link.kind < strongest.kind {
            strongest = link.clone();
        }
        effects.push(Effect::Merge {
            from: incident.to_owned(),
            into: oldest.to_owned(),
            link,
        });
    }
    effects.push(Effect::Join {
        incident: oldest.to_owned(),
        link: strongest,
    });
    effects
}

struct View<'a> {
    new: &'a Newcomer,
    up: HashMap<String, Path>,
    down: HashMap<String, Path>,
    terrain: &'a Terrain,
    limits: Limits,
}

impl View<'_> {
    fn link(&self, known: &Presence) -> Option<Link> {
        let new = self.new;
        let is_near = gap(new.at, known) <= self.limits.window_us;
        let link = |kind, role, path: Option<&Path>| {
            Some(Link {
                kind,
                role,
                place: known.place.clone(),
                path: path.cloned().unwrap_or_default(),
            })
        };
        if new.place == known.place {
            return if is_near || known.is_active {
                link(Kind::SameItem, Role::Member, None)
            } else {
                None
            };
        }
        let look_back = self.limits.look_back_us;
        if known.is_down
            && self.terrain.is_on(&new.place, &known.place)
            && new.at >= known.first_at.saturating_sub(look_back)
        {
            return link(Kind::HostGone, Role::Symptom, self.up.get(&known.place));
        }
        if new.is_down
            && self.terrain.is_on(&known.place, &new.place)
            && known.last_at >= new.at.saturating_sub(look_back)
        {
            return link(Kind::HostGone, Role::Root, self.down.get(&known.place));
        }
        if let Some(path) = self.up.get(&known.place)
            && (is_near || (known.is_down && new.at >= known.first_at))
        {
            return link(Kind::Upstream, Role::Symptom, Some(path));
        }
        if is_near && let Some(path) = self.down.get(&known.place) {
            return link(Kind::Upstream, Role::Root, Some(path));
        }
        if is_near && new.host.is_some() && new.host == known.host {
            return link(Kind::SameHost, Role::Member, None);
        }
        if known.is_kin && gap(new.at, known) <= self.limits.kin_window_us {
            return link(Kind::Kin, Role::Member, None);
        }
        None
    }
}

/// How far a time is from a stretch of time.
fn gap(at: i64, known: &Presence) -> i64 {
    if at < known.first_at {
        known.first_at.saturating_sub(at)
    } else {
        at.saturating_sub(known.last_at).max(0)
    }
}

/// What can be the root of an incident, as far as that matters.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    pub alert: &'a str,
    pub place: &'a str,
    pub is_down: bool,
    pub severity: alerting::Severity,
    pub at: i64,
}

/// Explains `a` more than `b` does? A host that is gone explains all on it; what lies upstream explains what needs it;
/// else the worse one, then the earlier one, names the incident.
pub fn outranks(a: &Candidate<'_>, b: &Candidate<'_>, terrain: &Terrain) -> bool {
    let up_of_b = terrain.climb(b.place).contains_key(a.place);
    let up_of_a = terrain.climb(a.place).contains_key(b.place);
    if up_of_b != up_of_a {
        let (upstream, symptom) = if up_of_b { (a, b) } else { (b, a) };
        // A mere warning upstream does not explain a critical symptom.
        if upstream.is_down || (!symptom.is_down && upstream.severity >= symptom.severity) {
            return up_of_b;
        }
    }
    let key = |c: &Candidate<'_>| (c.is_down, c.severity);
    match key(a).cmp(&key(b)) {
        std::cmp::Ordering::Equal => (a.at, a.alert) < (b.at, b.alert),
        order => order == std::cmp::Ordering::Greater,
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
