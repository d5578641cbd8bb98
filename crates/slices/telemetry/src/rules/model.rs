//! Rules as they are kept in memory, ready to evaluate.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alerting::Severity;
use promql::Expr;

use super::locality::{self, Locality};
use super::template::Template;

/// A rule of a group.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Stable over reloads: group, name and the place among equal names. Alerts carry it as their source.
    pub key: String,
    pub name: String,
    /// As it was written.
    pub text: String,
    pub expr: Expr,
    pub labels: Vec<(String, Template)>,
    pub kind: Kind,
    pub locality: Option<Locality>,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Record,
    Alert {
        for_ms: i64,
        keep_firing_for_ms: i64,
        annotations: Vec<(String, Template)>,
    },
}

/// Rules that are evaluated together.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub name: String,
    pub interval_ms: i64,
    pub rules: Vec<Arc<Rule>>,
}

/// Everything that is loaded, with what ingest needs to find its rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleSet {
    pub groups: Vec<Group>,
    by_metric: HashMap<String, Vec<Arc<Rule>>>,
}

impl RuleSet {
    pub(crate) fn new(groups: Vec<Group>) -> Self {
        let mut by_metric: HashMap<String, Vec<Arc<Rule>>> = HashMap::new();
        for rule in groups
            .iter()
            .flat_map(|group| &group.rules)
            .filter(|rule| rule.is_alert())
        {
            for metric in rule.locality.iter().flat_map(|locality| &locality.metrics) {
                by_metric.entry(metric.clone()).or_default().push(rule.clone());
            }
        }
        Self { groups, by_metric }
    }

    /// Local alert rules that read `metric`.
    pub(crate) fn reading(&self, metric: &str) -> &[Arc<Rule>] {
        self.by_metric.get(metric).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.groups.iter().flat_map(|group| &group.rules)
    }
}

impl Rule {
    pub(crate) fn new(
        key: String,
        name: String,
        text: String,
        expr: Expr,
        labels: Vec<(String, Template)>,
        kind: Kind,
    ) -> Self {
        let locality = locality::of(&expr);
        Self {
            key,
            name,
            text,
            expr,
            labels,
            kind,
            locality,
        }
    }

    pub(crate) fn is_alert(&self) -> bool {
        matches!(self.kind, Kind::Alert { .. })
    }

    /// The `source` of this rule's signals.
    pub(crate) fn source(&self) -> String {
        format!("rule:{}", self.key)
    }

    /// The labels of an alert: those of the sample without the metric's name, then the rule's own, then the name.
    pub(crate) fn alert_labels(&self, sample: &promql::Labels, value: f64) -> BTreeMap<String, String> {
        let mut labels = plain(sample);
        let own: Vec<_> = self
            .labels
            .iter()
            .map(|(name, t)| (name.clone(), t.render(&labels, value)))
            .collect();
        for (name, value) in own {
            if value.is_empty() {
                labels.remove(&name);
            } else {
                labels.insert(name, value);
            }
        }
        labels.insert("alertname".into(), self.name.clone());
        labels
    }

    pub(crate) fn annotations(&self, sample: &promql::Labels, value: f64) -> BTreeMap<String, String> {
        let Kind::Alert { annotations, .. } = &self.kind else {
            return BTreeMap::new();
        };
        let labels = plain(sample);
        annotations
            .iter()
            .map(|(name, template)| (name.clone(), template.render(&labels, value)))
            .collect()
    }
}

fn plain(sample: &promql::Labels) -> BTreeMap<String, String> {
    let named = sample
        .iter()
        .filter(|label| label.name.as_ref() != promql::METRIC_NAME);
    named
        .map(|label| (label.name.to_string(), label.value.to_string()))
        .collect()
}

/// The severity that a rule's `severity` label stands for.
pub(crate) fn severity(labels: &BTreeMap<String, String>) -> Severity {
    labels
        .get("severity")
        .map_or(Severity::Warning, |text| Severity::parse_or_warning(text))
}
