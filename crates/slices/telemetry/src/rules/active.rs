//! What each rule holds to be true right now, and the changes that become signals.
//!
//! Pure: results of evaluations go in, signals come out, and `series` tells what is so as samples. Two sources of results compete
//! (ingest, one instance at a time, and the timer, everything), so each result carries its time and an older one never undoes a newer one.

mod series;
mod steps;

use std::collections::{BTreeMap, HashMap, HashSet};

use alerting::Signal;
use kernel::clock::from_millis;

use super::model::{Rule, severity};
use series::Ended;
pub(crate) use series::Row;

/// An instance without a sample for this long is lost: what was true of it stays true until it speaks again.
pub(crate) const LOST_AFTER_MS: i64 = 30_000;

type Labels = BTreeMap<String, String>;

/// A condition that holds, or is kept firing for a while after it has gone.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// With the time since when it holds.
    pub signal: Signal,
    /// Gone since then, and kept firing.
    pub gone_ms: Option<i64>,
    at_ms: i64,
    /// State and time of the sample that was written last.
    written: Option<(bool, i64)>,
}

impl Held {
    fn since_ms(&self) -> i64 {
        self.signal.at.as_millisecond()
    }

    /// Pending until it has held for as long as it must.
    pub(crate) fn is_firing(&self, at_ms: i64) -> bool {
        at_ms - self.since_ms() >= self.signal.for_ms
    }

    fn is_over(&self, at_ms: i64) -> bool {
        self.gone_ms
            .is_some_and(|gone| at_ms - gone >= self.signal.keep_firing_for_ms)
    }

    /// The signal that says that the condition is gone.
    fn end(&self, at_ms: i64) -> Signal {
        Signal {
            active: false,
            at: from_millis(at_ms),
            ..self.signal.clone()
        }
    }
}

/// What was active when this process started.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub signal: Signal,
    pub is_firing: bool,
}

/// One element of a result.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub labels: Labels,
    /// `None` where [`Active::wants`] has said that they are not needed.
    pub annotations: Option<Labels>,
    pub value: f64,
}

/// Which part of a rule a result speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent<'a> {
    Instance(&'a str),
    Everything,
}

#[derive(Default)]
pub(crate) struct Active {
    /// Rule key → alert labels → what holds.
    held: HashMap<String, HashMap<Labels, Held>>,
    /// Newest evaluation of (rule key, instance).
    evaluated: HashMap<(String, String), i64>,
    /// Newest sample of each instance.
    seen: HashMap<String, i64>,
    /// Whose series must be closed.
    ended: Vec<Ended>,
    settling: Option<steps::Settling>,
}

impl Active {
    /// Remembers what alerting knew before this process started, so that recoveries are noticed and lost hosts keep their alerts.
    pub(crate) fn restore(&mut self, key: &str, known: Known) {
        let at_ms = known.signal.at.as_millisecond();
        let held = Held {
            gone_ms: None,
            at_ms,
            written: Some((known.is_firing, at_ms)),
            signal: known.signal,
        };
        self.held
            .entry(key.to_owned())
            .or_default()
            .insert(held.signal.labels.clone(), held);
    }

    /// Does this element need its annotations? Those of what fires stay as they were when it was told.
    pub(crate) fn wants(&self, rule: &Rule, labels: &Labels, extent: Extent<'_>, at_ms: i64) -> bool {
        let held = self.held.get(&rule.key).and_then(|held| held.get(labels));
        held.is_none_or(|held| held.gone_ms.is_some() || is_refreshed(held, extent, at_ms))
    }

    /// Takes a result in; gives out what changed. An error says that there are more than the rule's limit: then all of them end.
    pub(crate) fn apply(
        &mut self,
        rule: &Rule,
        extent: Extent<'_>,
        found: Vec<Found>,
        at_ms: i64,
    ) -> (Vec<Signal>, Option<String>) {
        if matches!(extent, Extent::Everything) && self.is_settling(at_ms) {
            return (Vec::new(), None);
        }
        if let Extent::Instance(instance) = extent {
            let newest = self
                .evaluated
                .entry((rule.key.clone(), instance.to_owned()))
                .or_insert(i64::MIN);
            if at_ms < *newest {
                return (Vec::new(), None);
            }
            *newest = at_ms;
        }
        let mut signals = Vec::new();
        let mut fresh: HashSet<Labels> = HashSet::new();
        let mut present: HashSet<Labels> = HashSet::with_capacity(found.len());
        for one in found {
            if self.is_outdated(rule, &one.labels, extent, at_ms) {
                continue;
            }
            present.insert(one.labels.clone());
            let held = self.held.entry(rule.key.clone()).or_default();
            match held.get_mut(&one.labels) {
                Some(held) => signals.extend(still(held, one, extent, at_ms)),
                None => {
                    let one = begin(rule, one, at_ms);
                    fresh.insert(one.signal.labels.clone());
                    signals.push(one.signal.clone());
                    held.insert(one.signal.labels.clone(), one);
                }
            }
        }
        signals.extend(self.gone(rule, extent, &present, at_ms));
        match self.held.get(&rule.key).map_or(0, HashMap::len) {
            count if rule.limit > 0 && count > rule.limit => {
                signals.retain(|signal| !signal.active);
                signals.extend(self.give_up(rule, &fresh, at_ms));
                let limit = rule.limit;
                (
                    signals,
                    Some(format!("exceeded limit of {limit} with {count} alerts")),
                )
            }
            _ => (signals, None),
        }
    }

    /// Ends everything that the rule holds; what is `fresh` has never been told.
    fn give_up(&mut self, rule: &Rule, fresh: &HashSet<Labels>, at_ms: i64) -> Vec<Signal> {
        let held = self.held.remove(&rule.key).unwrap_or_default();
        let mut signals = Vec::new();
        for (labels, held) in held {
            self.close(&held, at_ms);
            if held.gone_ms.is_none() && !fresh.contains(&labels) {
                signals.push(held.end(at_ms));
            }
        }
        signals
    }

    fn gone(
        &mut self,
        rule: &Rule,
        extent: Extent<'_>,
        present: &HashSet<Labels>,
        at_ms: i64,
    ) -> Vec<Signal> {
        let Some(held) = self.held.get(&rule.key) else {
            return Vec::new();
        };
        let over: Vec<Labels> = held
            .iter()
            .filter(|(labels, held)| !present.contains(*labels) && held.at_ms <= at_ms)
            .filter(|(_, held)| held.gone_ms.is_none() || held.is_over(at_ms))
            .filter(|(labels, _)| match extent {
                Extent::Instance(instance) => labels.get("instance").is_some_and(|i| i == instance),
                Extent::Everything => {
                    !self.is_lost(rule, labels, at_ms) && !self.is_outdated(rule, labels, extent, at_ms)
                }
            })
            .map(|(labels, _)| labels.clone())
            .collect();
        over.iter()
            .filter_map(|labels| self.let_go(&rule.key, labels, at_ms))
            .collect()
    }

    /// Ends one condition, or keeps it firing as long as its rule says. The signal, unless it was given before.
    fn let_go(&mut self, key: &str, labels: &Labels, at_ms: i64) -> Option<Signal> {
        let all = self.held.get_mut(key)?;
        let held = all.get_mut(labels)?;
        let signal = held.gone_ms.is_none().then(|| held.end(at_ms));
        if held.gone_ms.is_none() && held.signal.keep_firing_for_ms > 0 && held.is_firing(at_ms) {
            held.gone_ms = Some(at_ms);
            return signal;
        }
        let held = all.remove(labels)?;
        self.close(&held, at_ms);
        signal
    }

    /// Has ingest evaluated this instance later than the timer's result at hand?
    fn is_outdated(&self, rule: &Rule, labels: &Labels, extent: Extent<'_>, at_ms: i64) -> bool {
        let Extent::Everything = extent else { return false };
        let Some(instance) = labels.get("instance") else {
            return false;
        };
        self.evaluated
            .get(&(rule.key.clone(), instance.clone()))
            .is_some_and(|newest| *newest > at_ms)
    }

    /// Has the instance that the labels name been silent for too long to say that something is over?
    fn is_lost(&self, rule: &Rule, labels: &Labels, now_ms: i64) -> bool {
        let Some(instance) = labels.get("instance").filter(|_| !rule.is_own) else {
            return false;
        };
        self.seen
            .get(instance)
            .is_none_or(|seen| now_ms - seen > LOST_AFTER_MS)
    }

    /// Rules that are gone: everything that they held is over.
    pub(crate) fn forget_rules(&mut self, keep: &HashSet<String>, at_ms: i64) -> Vec<Signal> {
        let gone: Vec<String> = self
            .held
            .keys()
            .filter(|key| !keep.contains(*key))
            .cloned()
            .collect();
        let mut signals = Vec::new();
        for key in gone {
            // What a tuning held goes back to its rule, which ends it if it is over.
            let heir = key.split_once('~').map(|(rule, _)| rule.to_owned());
            let heir = heir.filter(|rule| keep.contains(rule));
            for (labels, mut held) in self.held.remove(&key).unwrap_or_default() {
                let end = held.gone_ms.is_none().then(|| held.end(at_ms));
                let of_heir = heir
                    .as_ref()
                    .map(|rule| self.held.entry(rule.clone()).or_default());
                match (&heir, of_heir) {
                    (Some(rule), Some(all)) if end.is_some() && !all.contains_key(&labels) => {
                        held.signal.source = format!("rule:{rule}");
                        let at = kernel::clock::from_millis(at_ms);
                        signals.push(Signal {
                            at,
                            ..held.signal.clone()
                        });
                        all.insert(labels, held);
                    }
                    _ => self.close(&held, at_ms),
                }
                signals.extend(end);
            }
        }
        self.evaluated.retain(|(key, _), _| keep.contains(key));
        signals
    }

    pub(crate) fn held_by(&self, key: &str) -> Vec<Held> {
        self.held
            .get(key)
            .map(|held| held.values().cloned().collect())
            .unwrap_or_default()
    }
}

/// While it waits to fire, each look at everything tells it anew, so that it fires with words and value of today.
fn is_refreshed(held: &Held, extent: Extent<'_>, at_ms: i64) -> bool {
    matches!(extent, Extent::Everything) && !held.is_firing(at_ms)
}

/// It holds as before; a signal when there is something new to say.
fn still(held: &mut Held, found: Found, extent: Extent<'_>, at_ms: i64) -> Option<Signal> {
    let is_back = held.gone_ms.take().is_some();
    let is_waiting = is_refreshed(held, extent, at_ms);
    let is_other = found
        .annotations
        .as_ref()
        .is_some_and(|new| *new != held.signal.annotations);
    held.signal.value = Some(found.value);
    if let Some(annotations) = found.annotations {
        held.signal.annotations = annotations;
    }
    (is_back || (is_waiting && is_other)).then(|| Signal {
        at: from_millis(at_ms),
        ..held.signal.clone()
    })
}

fn begin(rule: &Rule, found: Found, at_ms: i64) -> Held {
    let (for_ms, keep_firing_for_ms) = rule.waits();
    let signal = Signal {
        source: rule.source(),
        name: rule.name.clone(),
        severity: severity(&found.labels),
        labels: found.labels,
        annotations: found.annotations.unwrap_or_default(),
        active: true,
        value: Some(found.value),
        at: from_millis(at_ms),
        for_ms,
        keep_firing_for_ms,
    };
    Held {
        signal,
        gone_ms: None,
        at_ms,
        written: None,
    }
}

#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod tests;
