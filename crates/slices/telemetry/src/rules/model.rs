//! Rules as they are kept in memory, ready to evaluate.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alerting::Severity;
use promql::Expr;

use super::locality::{self, Locality};
use super::template::{Ask, Data, External, Template, label_map};
use super::tuning::Limits;

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
    /// `None` also for rules whose group asks for what only an evaluation of everything can give.
    pub locality: Option<Locality>,
    /// Most alerts or series that it may give; 0 for any number.
    pub limit: usize,
    /// How far back it looks: samples that come late are there by then.
    pub offset_ms: i64,
    /// It reads nothing but what this program itself writes, so that a host's silence hides nothing from it.
    pub is_own: bool,
    /// What of its result counts; `None`: all of it.
    pub limits: Option<Limits>,
}

/// Series that this program writes, whether their host speaks or not.
pub(crate) const OWN_METRICS: [&str; 3] = ["up", ALERTS, ALERTS_FOR_STATE];
pub(crate) const ALERTS: &str = "ALERTS";
pub(crate) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";

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
    /// `file/title`.
    pub name: String,
    pub file: String,
    pub title: String,
    pub interval_ms: i64,
    pub limit: usize,
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
        (text, expr): (String, Expr),
        labels: Vec<(String, Template)>,
        kind: Kind,
    ) -> Self {
        let locality = locality::of(&expr);
        let is_own = reads_own(&expr);
        Self {
            key,
            name,
            text,
            expr,
            labels,
            kind,
            locality,
            limit: 0,
            offset_ms: 0,
            is_own,
            limits: None,
        }
    }

    /// Takes over what its group says of its evaluation.
    #[must_use]
    pub(crate) fn bound(mut self, limit: usize, offset_ms: i64) -> Self {
        (self.limit, self.offset_ms) = (limit, offset_ms);
        if limit > 0 || offset_ms > 0 {
            self.locality = None;
        }
        self
    }

    pub(crate) fn is_alert(&self) -> bool {
        matches!(self.kind, Kind::Alert { .. })
    }

    /// The `source` of this rule's signals.
    pub(crate) fn source(&self) -> String {
        format!("rule:{}", self.key)
    }

    /// `for` and `keep_firing_for`.
    pub(crate) fn waits(&self) -> (i64, i64) {
        match &self.kind {
            Kind::Alert {
                for_ms,
                keep_firing_for_ms,
                ..
            } => (*for_ms, *keep_firing_for_ms),
            Kind::Record => (0, 0),
        }
    }

    /// The labels of an alert: those of the sample without the metric's name, then the rule's own, then the name.
    pub(crate) fn alert_labels(&self, sample: &Sample<'_>) -> BTreeMap<String, String> {
        let mut labels = sample.labels.clone();
        labels.remove(promql::METRIC_NAME);
        for (name, template) in &self.labels {
            match template.render(&sample.data()) {
                value if value.is_empty() => labels.remove(name),
                value => labels.insert(name.clone(), value),
            };
        }
        labels.insert("alertname".into(), self.name.clone());
        labels
    }

    pub(crate) fn annotations(&self, sample: &Sample<'_>) -> BTreeMap<String, String> {
        let Kind::Alert { annotations, .. } = &self.kind else {
            return BTreeMap::new();
        };
        annotations
            .iter()
            .map(|(name, template)| (name.clone(), template.render(&sample.data())))
            .collect()
    }
}

/// One sample of a rule's result, with what its templates may ask.
pub(crate) struct Sample<'a> {
    labels: BTreeMap<String, String>,
    value: f64,
    at_ms: i64,
    external: &'a External,
    query: &'a Ask<'a>,
}

impl<'a> Sample<'a> {
    pub(crate) fn new(
        sample: &promql::VectorSample,
        at_ms: i64,
        external: &'a External,
        query: &'a Ask<'a>,
    ) -> Self {
        Self {
            labels: label_map(&sample.labels),
            value: sample.value,
            at_ms,
            external,
            query,
        }
    }

    fn data(&self) -> Data<'_> {
        Data {
            labels: &self.labels,
            value: self.value,
            at_ms: self.at_ms,
            external: self.external,
            query: self.query,
        }
    }
}

fn reads_own(expr: &Expr) -> bool {
    let sets = promql::metric_names(expr);
    let is_own = |m: &promql::Matcher| {
        m.name == promql::METRIC_NAME
            && m.op == promql::MatchOp::Equal
            && OWN_METRICS.contains(&m.value.as_str())
    };
    !sets.is_empty() && sets.iter().all(|set| set.iter().any(is_own))
}

/// The severity that a rule's `severity` label stands for.
pub(crate) fn severity(labels: &BTreeMap<String, String>) -> Severity {
    labels
        .get("severity")
        .map_or(Severity::Warning, |text| Severity::parse_or_warning(text))
}
