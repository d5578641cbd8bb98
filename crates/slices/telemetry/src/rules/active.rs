//! What each rule holds to be true right now, and the changes that become signals.
//!
//! Pure: results of evaluations go in, signals come out. Two sources of results compete (ingest, one instance at a time, and the
//! timer, everything), so each result carries its time and an older one never undoes a newer one.

use std::collections::{BTreeMap, HashMap, HashSet};

use alerting::Signal;
use kernel::clock::from_millis;

use super::model::{Kind, Rule, severity};

/// An instance without a sample for this long is lost: what was true of it stays true until it speaks again.
pub(crate) const LOST_AFTER_MS: i64 = 30_000;

type Labels = BTreeMap<String, String>;

#[derive(Clone, Debug)]
struct Held {
    signal: Signal,
    at_ms: i64,
}

/// One element of a result.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub labels: Labels,
    pub annotations: Labels,
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
}

impl Active {
    pub(crate) fn saw(&mut self, instance: &str, at_ms: i64) {
        match self.seen.get_mut(instance) {
            Some(seen) => *seen = (*seen).max(at_ms),
            None => {
                self.seen.insert(instance.to_owned(), at_ms);
            }
        }
    }

    /// Remembers what alerting knew before this process started, so that recoveries are noticed and lost hosts keep their alerts.
    pub(crate) fn restore(&mut self, key: &str, signal: Signal) {
        let at_ms = signal.at.as_millisecond();
        self.held
            .entry(key.to_owned())
            .or_default()
            .insert(signal.labels.clone(), Held { signal, at_ms });
    }

    /// Takes a result in; gives out what changed.
    pub(crate) fn apply(
        &mut self,
        rule: &Rule,
        extent: Extent<'_>,
        found: Vec<Found>,
        at_ms: i64,
    ) -> Vec<Signal> {
        if let Extent::Instance(instance) = extent {
            let newest = self
                .evaluated
                .entry((rule.key.clone(), instance.to_owned()))
                .or_insert(i64::MIN);
            if at_ms < *newest {
                return Vec::new();
            }
            *newest = at_ms;
        }
        let mut signals = Vec::new();
        let mut present: HashSet<Labels> = HashSet::with_capacity(found.len());
        for one in found {
            if self.is_outdated(rule, &one.labels, extent, at_ms) {
                continue;
            }
            present.insert(one.labels.clone());
            let held = self.held.entry(rule.key.clone()).or_default();
            if held.get(&one.labels).is_some_and(|h| h.signal.active) {
                continue;
            }
            let signal = to_signal(rule, one, at_ms);
            held.insert(
                signal.labels.clone(),
                Held {
                    signal: signal.clone(),
                    at_ms,
                },
            );
            signals.push(signal);
        }
        signals.extend(self.gone(rule, extent, &present, at_ms));
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
            .filter(|(labels, _)| match extent {
                Extent::Instance(instance) => labels.get("instance").is_some_and(|i| i == instance),
                Extent::Everything => {
                    !self.is_lost(labels, at_ms) && !self.is_outdated(rule, labels, extent, at_ms)
                }
            })
            .map(|(labels, _)| labels.clone())
            .collect();
        let Some(held) = self.held.get_mut(&rule.key) else {
            return Vec::new();
        };
        over.into_iter()
            .filter_map(|labels| held.remove(&labels))
            .map(|h| Signal {
                active: false,
                at: from_millis(at_ms),
                ..h.signal
            })
            .collect()
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
    fn is_lost(&self, labels: &Labels, now_ms: i64) -> bool {
        let Some(instance) = labels.get("instance") else {
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
        let held = gone
            .iter()
            .filter_map(|key| self.held.remove(key))
            .flat_map(HashMap::into_values);
        let signals = held
            .map(|h| Signal {
                active: false,
                at: from_millis(at_ms),
                ..h.signal
            })
            .collect();
        self.evaluated.retain(|(key, _), _| keep.contains(key));
        signals
    }

    pub(crate) fn held_by(&self, key: &str) -> Vec<Signal> {
        self.held
            .get(key)
            .map(|held| held.values().map(|h| h.signal.clone()).collect())
            .unwrap_or_default()
    }
}

fn to_signal(rule: &Rule, found: Found, at_ms: i64) -> Signal {
    let (for_ms, keep_firing_for_ms) = match &rule.kind {
        Kind::Alert {
            for_ms,
            keep_firing_for_ms,
            ..
        } => (*for_ms, *keep_firing_for_ms),
        Kind::Record => (0, 0),
    };
    Signal {
        source: rule.source(),
        name: rule.name.clone(),
        severity: severity(&found.labels),
        labels: found.labels,
        annotations: found.annotations,
        active: true,
        value: Some(found.value),
        at: from_millis(at_ms),
        for_ms,
        keep_firing_for_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            text.into(),
            promql::parse(text).unwrap(),
            Vec::new(),
            kind,
        )
    }

    fn found(instance: &str) -> Vec<Found> {
        let labels = BTreeMap::from([("instance".to_owned(), instance.to_owned())]);
        vec![Found {
            labels,
            annotations: BTreeMap::new(),
            value: 0.0,
        }]
    }

    fn states(signals: &[Signal]) -> Vec<bool> {
        signals.iter().map(|s| s.active).collect()
    }

    #[test]
    fn changes_become_signals_once() {
        let (mut active, rule) = (Active::default(), rule());
        active.saw("a", 1000);
        assert_eq!(
            states(&active.apply(&rule, Extent::Instance("a"), found("a"), 1000)),
            [true]
        );
        assert_eq!(
            states(&active.apply(&rule, Extent::Instance("a"), found("a"), 2000)),
            Vec::<bool>::new()
        );
        assert_eq!(
            states(&active.apply(&rule, Extent::Instance("b"), vec![], 2000)),
            Vec::<bool>::new()
        );
        assert_eq!(
            states(&active.apply(&rule, Extent::Instance("a"), vec![], 3000)),
            [false]
        );
    }

    #[test]
    fn an_older_result_does_not_undo_a_newer_one() {
        let (mut active, rule) = (Active::default(), rule());
        active.saw("a", 5000);
        assert_eq!(
            states(&active.apply(&rule, Extent::Instance("a"), found("a"), 5000)),
            [true]
        );
        assert!(
            active
                .apply(&rule, Extent::Instance("a"), vec![], 4000)
                .is_empty()
        );
        assert!(active.apply(&rule, Extent::Everything, vec![], 4500).is_empty());
        assert_eq!(
            states(&active.apply(&rule, Extent::Everything, vec![], 6000)),
            [false]
        );
        assert!(
            active
                .apply(&rule, Extent::Everything, found("a"), 4500)
                .is_empty()
        );
    }

    #[test]
    fn a_lost_host_keeps_its_alerts() {
        let (mut active, rule) = (Active::default(), rule());
        active.saw("a", 1000);
        active.apply(&rule, Extent::Instance("a"), found("a"), 1000);
        assert!(
            active
                .apply(&rule, Extent::Everything, vec![], 1000 + LOST_AFTER_MS + 1)
                .is_empty()
        );
        active.saw("a", 60_000);
        assert_eq!(
            states(&active.apply(&rule, Extent::Everything, vec![], 60_001)),
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
}
