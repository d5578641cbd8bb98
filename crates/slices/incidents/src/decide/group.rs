//! Which incident does an alert belong to?
//!
//! Two alerts are linked when they are about the same item, about one host at about the same time, when one host is gone and
//! carries the other, when one lies upstream of the other at about the same time, when they are the same alert on the same
//! service of several hosts within a short time, or when one rule fired them in one evaluation or as a flood.
//!
//! A new alert joins one incident: the one that it has the best strong link to. Two incidents become one only when the new alert
//! explains the roots of both (they need what it is about), is at least as severe as they are, and all began close together:
//! evidence of two kinds, dependency and severity, at one time. Every other link between two incidents is a candidate that a
//! person confirms or dismisses.
//!
//! Invariants: every alert ends in exactly one incident; time alone links nothing; an alert never merges two incidents that it
//! does not explain.

use std::collections::{BTreeMap, HashMap};

use super::terrain::{Path, Terrain};
use crate::model::Role;

/// Alerts of one rule within the window that make a flood.
pub const FLOOD: i64 = 5;
/// Alerts of one evaluation fire in one transaction; the clock may have moved a little between two batches.
const SAME_EVALUATION_US: i64 = 2_000_000;
/// Candidates that one alert may bring up.
const MAX_CANDIDATES: usize = 5;

/// How close in time things must be, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one host, and for what depends on each other.
    pub window_us: i64,
    /// For the same alert on the same service of another host, and for floods of one rule.
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
    pub severity: alerting::Severity,
    pub at: i64,
}

impl Newcomer {
    /// It is about an item or a host; else only its rule says where it belongs.
    fn has_location(&self) -> bool {
        self.host.is_some()
    }
}

/// The alert that an incident is named after.
#[derive(Clone, Debug, PartialEq)]
pub struct Root {
    pub place: String,
    pub host: Option<String>,
    pub severity: alerting::Severity,
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
    /// The root of the incident; `None` when a person declared it.
    pub root: Option<Root>,
}

/// What one open incident has of the new alert's rule within the window.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleGroup {
    pub incident: String,
    pub count: i64,
    pub last_at: i64,
}

/// Why two alerts belong together; the best reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One is on a host that is gone, as the other says.
    HostGone,
    SameItem,
    /// One needs what the other is about.
    Upstream,
    /// The same alert on the same service of another host.
    Kin,
    /// One rule fired both in one evaluation, or as parts of a flood.
    SameRule,
    SameHost,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostGone => "host_gone",
            Self::SameItem => "same_item",
            Self::Upstream => "dependency",
            Self::Kin => "same_service",
            Self::SameRule => "same_rule",
            Self::SameHost => "same_host",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub kind: Kind,
    /// What the newcomer is to the others.
    pub role: Role,
    /// The place that it is linked to; empty for alerts of one rule.
    pub place: String,
    /// From the symptom to the cause.
    pub path: Path,
}

/// What is to be done with a newcomer, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Open,
    Merge {
        from: String,
        into: String,
        link: Link,
    },
    Join {
        incident: String,
        link: Link,
    },
    /// The incident of the newcomer and this one may be one.
    Candidate {
        other: String,
        link: Link,
    },
}

/// The best link to one incident.
#[derive(Clone)]
struct Found {
    link: Link,
    /// Enough to join by; a weak link only makes a candidate.
    is_strong: bool,
    /// The newcomer explains the incident's root, by dependency and severity, close in time.
    is_explained: bool,
}

impl Found {
    fn rank(&self) -> (bool, Kind, &str) {
        (!self.is_strong, self.link.kind, &self.link.place)
    }
}

/// Finds the newcomer its incident among the open ones.
pub fn group(
    new: &Newcomer,
    open: &[Presence],
    rules: &[RuleGroup],
    terrain: &Terrain,
    limits: Limits,
) -> Vec<Effect> {
    let view = View {
        new,
        up: terrain.climb(&new.place),
        down: terrain.descend(&new.place),
        terrain,
        limits,
    };
    let mut best: BTreeMap<&str, Found> = BTreeMap::new();
    let known = open
        .iter()
        .filter_map(|known| Some((known.incident.as_str(), view.found(known)?)));
    for (incident, found) in known.chain(view.flood(rules)) {
        let slot = best.entry(incident).or_insert_with(|| found.clone());
        if found.rank() < slot.rank() {
            let is_explained = slot.is_explained || found.is_explained;
            *slot = Found {
                is_explained,
                ..found
            };
        } else {
            slot.is_explained |= found.is_explained;
        }
    }
    decide(&best)
}

/// Ids sort by birth: of several incidents the oldest stays, for its number is what people were told.
fn decide(best: &BTreeMap<&str, Found>) -> Vec<Effect> {
    let strong = best.iter().filter(|(_, found)| found.is_strong);
    let target = strong.min_by_key(|(incident, found)| (found.link.kind, **incident));
    let Some((mut target, chosen)) = target.map(|(incident, found)| (*incident, found)) else {
        let candidates = candidates(best.iter().map(|(incident, found)| (*incident, found)));
        return std::iter::once(Effect::Open).chain(candidates).collect();
    };
    let mut link = &chosen.link;
    let mut merged = Vec::new();
    if chosen.is_explained {
        let mut explained = best
            .iter()
            .filter(|(_, found)| found.is_strong && found.is_explained);
        if let Some((oldest, found)) = explained.next() {
            (target, link) = (*oldest, &found.link);
            merged.extend(explained.map(|(incident, found)| (*incident, found)));
        }
    }
    let mut effects: Vec<Effect> = merged
        .iter()
        .map(|(from, found)| Effect::Merge {
            from: (*from).to_owned(),
            into: target.to_owned(),
            link: found.link.clone(),
        })
        .collect();
    effects.push(Effect::Join {
        incident: target.to_owned(),
        link: link.clone(),
    });
    let is_left = |incident: &str| incident != target && !merged.iter().any(|(from, _)| *from == incident);
    let left = best.iter().filter(|(incident, _)| is_left(incident));
    effects.extend(candidates(left.map(|(incident, found)| (*incident, found))));
    effects
}

/// One rule alone says nothing of what else is in an incident.
fn candidates<'a>(left: impl Iterator<Item = (&'a str, &'a Found)>) -> Vec<Effect> {
    let mut left: Vec<(&str, &Found)> = left
        .filter(|(_, found)| found.link.kind != Kind::SameRule)
        .collect();
    left.sort_by(|a, b| (a.1.rank(), a.0).cmp(&(b.1.rank(), b.0)));
    left.truncate(MAX_CANDIDATES);
    left.into_iter()
        .map(|(other, found)| Effect::Candidate {
            other: other.to_owned(),
            link: found.link.clone(),
        })
        .collect()
}

struct View<'a> {
    new: &'a Newcomer,
    up: HashMap<String, Path>,
    down: HashMap<String, Path>,
    terrain: &'a Terrain,
    limits: Limits,
}

impl View<'_> {
    fn found(&self, known: &Presence) -> Option<Found> {
        let link = self.link(known)?;
        let is_root = known.root.as_ref().is_none_or(|root| root.place == known.place);
        let is_strong = match (link.kind, link.role) {
            // What explains a part of an incident, not its root, is another fault.
            (Kind::HostGone | Kind::Upstream, Role::Root) => is_root,
            (Kind::SameHost, _) => is_root || known.root.as_ref().is_some_and(|root| root.host == known.host),
            _ => true,
        };
        let is_explained = is_strong
            && link.role == Role::Root
            && matches!(link.kind, Kind::HostGone | Kind::Upstream)
            && known.root.as_ref().is_some_and(|root| self.explains(root));
        Some(Found {
            link,
            is_strong,
            is_explained,
        })
    }

    /// Is the newcomer at least as severe as the root that needs it, and did both begin close together?
    fn explains(&self, root: &Root) -> bool {
        let is_as_severe = self.new.is_down || (!root.is_down && self.new.severity >= root.severity);
        is_as_severe && self.new.at.abs_diff(root.at) <= self.limits.look_back_us.unsigned_abs()
    }

    /// The incident that the newcomer belongs to because of its rule.
    fn flood<'r>(&self, rules: &'r [RuleGroup]) -> Option<(&'r str, Found)> {
        let largest = rules
            .iter()
            .max_by(|a, b| a.count.cmp(&b.count).then_with(|| b.incident.cmp(&a.incident)))?;
        let all: i64 = rules.iter().map(|group| group.count).sum();
        let is_same_evaluation = self.new.at.abs_diff(largest.last_at) <= SAME_EVALUATION_US.unsigned_abs();
        let is_one = is_same_evaluation || !self.new.has_location() || all >= FLOOD;
        is_one.then(|| {
            let link = Link {
                kind: Kind::SameRule,
                role: Role::Member,
                place: String::new(),
                path: Path::new(),
            };
            let found = Found {
                link,
                is_strong: true,
                is_explained: false,
            };
            (largest.incident.as_str(), found)
        })
    }

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
        if known.is_kin && gap(new.at, known) <= self.limits.kin_window_us {
            return link(Kind::Kin, Role::Member, None);
        }
        if is_near && new.host.is_some() && new.host == known.host {
            return link(Kind::SameHost, Role::Member, None);
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
