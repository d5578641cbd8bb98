//! Evaluating rules: on ingest where a rule is local, else on its group's interval; handing the changes to alerting.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alerting::Signal;
use kernel::db::DbError;
use kernel::{AnyError, Kernel};
use promql::Value;
use tsdb::{Batch, Tsdb};

use super::active::{Active, Extent, Found};
use super::model::{Group, Kind, Rule, RuleSet};
use crate::source::{StoreSource, store_labels};

/// Signals that wait for the database; more would mean that it has been away for very long.
const OUTBOX: usize = 100_000;
/// A rule sees samples up to this old on ingest: two missed samples do not make a series disappear.
const INGEST_LOOKBACK_MS: i64 = 60_000;
const LOOKBACK_MS: i64 = 300_000;

#[derive(Clone)]
pub(crate) struct RuleEngine {
    kernel: Kernel,
    tsdb: Arc<Tsdb>,
    state: Arc<Mutex<State>>,
    /// One flush at a time, so that signals reach alerting in their order.
    flushing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    rules: Arc<RuleSet>,
    active: Active,
    outbox: VecDeque<Signal>,
    health: std::collections::HashMap<String, Health>,
}

/// How a rule's last evaluation went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    pub error: Option<String>,
    pub at_ms: i64,
    pub seconds: f64,
}

impl RuleEngine {
    pub(crate) fn new(kernel: &Kernel, tsdb: Arc<Tsdb>) -> Self {
        Self {
            kernel: kernel.clone(),
            tsdb,
            state: Arc::default(),
            flushing: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rules(&self) -> Arc<RuleSet> {
        self.lock().rules.clone()
    }

    pub(crate) fn health(&self, key: &str) -> Option<Health> {
        self.lock().health.get(key).cloned()
    }

    pub(crate) fn held_by(&self, key: &str) -> Vec<Signal> {
        self.lock().active.held_by(key)
    }

    /// Puts new rules in force. What rules that are gone held is over.
    pub(crate) fn install(&self, rules: RuleSet) {
        let now_ms = self.kernel.clock.now_ms();
        let keep: HashSet<String> = rules.rules().map(|rule| rule.key.clone()).collect();
        let mut state = self.lock();
        let gone = state.active.forget_rules(&keep, now_ms);
        state.outbox.extend(gone);
        state.health.retain(|key, _| keep.contains(key));
        state.rules = Arc::new(rules);
    }

    /// Takes over what alerting holds to be active, before the first evaluation.
    pub(crate) fn restore(&self, signals: Vec<Signal>) {
        let mut state = self.lock();
        for signal in signals {
            let Some(key) = signal.source.strip_prefix("rule:").map(str::to_owned) else {
                continue;
            };
            state.active.restore(&key, signal);
        }
    }

    /// Evaluates the local rules that read one of `metrics`, for one instance. Synchronous and short; runs off the reactor.
    pub(crate) fn on_samples<'a>(&self, instance: &str, at_ms: i64, metrics: impl Iterator<Item = &'a str>) {
        let rules = self.rules();
        let mut due: Vec<&Arc<Rule>> = metrics.flat_map(|metric| rules.reading(metric)).collect();
        due.sort_by(|a, b| a.key.cmp(&b.key));
        due.dedup_by(|a, b| a.key == b.key);
        self.lock().active.saw(instance, at_ms);
        for rule in due {
            self.evaluate(rule, Extent::Instance(instance), at_ms);
        }
    }

    /// Evaluates a whole group, in the order of its rules.
    pub(crate) fn on_interval(&self, group: &Group, at_ms: i64) {
        for rule in &group.rules {
            self.evaluate(rule, Extent::Everything, at_ms);
        }
    }

    fn evaluate(&self, rule: &Rule, extent: Extent<'_>, at_ms: i64) {
        let started = std::time::Instant::now();
        let (instance, lookback_ms) = match extent {
            Extent::Instance(instance) => (Some(instance), INGEST_LOOKBACK_MS),
            Extent::Everything => (None, LOOKBACK_MS),
        };
        let source = StoreSource {
            tsdb: &self.tsdb,
            instance,
        };
        let options = promql::Options {
            lookback_ms,
            max_samples: 5_000_000,
            ..promql::Options::default()
        };
        let result = promql::instant(&source, &rule.expr, at_ms, &options);
        let error = match result {
            Ok(outcome) => self.take(rule, extent, outcome.value, at_ms),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = &error {
            self.kernel
                .metrics
                .counter("mainstay_rule_failures_total", &[("rule", &rule.key)])
                .add(1);
            tracing::warn!(rule = rule.key, %error, "rule not evaluated");
        }
        let seconds = started.elapsed().as_secs_f64();
        self.lock().health.insert(
            rule.key.clone(),
            Health {
                error,
                at_ms,
                seconds,
            },
        );
    }

    fn take(&self, rule: &Rule, extent: Extent<'_>, value: Value, at_ms: i64) -> Option<String> {
        let samples = match value {
            Value::Vector(samples) => samples,
            Value::Scalar { t_ms, value } => vec![promql::VectorSample {
                labels: promql::Labels::default(),
                t_ms,
                value,
            }],
            Value::String { .. } | Value::Matrix(_) => {
                return Some("the rule gives neither a vector nor a number".into());
            }
        };
        if let Kind::Record = rule.kind {
            return self.record(rule, &samples, at_ms);
        }
        let found = samples
            .iter()
            .map(|sample| Found {
                labels: rule.alert_labels(&sample.labels, sample.value),
                annotations: rule.annotations(&sample.labels, sample.value),
                value: sample.value,
            })
            .collect();
        let mut state = self.lock();
        let signals = state.active.apply(rule, extent, found, at_ms);
        if state.outbox.len() + signals.len() > OUTBOX {
            return Some(format!("more than {OUTBOX} alert changes wait for the database"));
        }
        state.outbox.extend(signals);
        None
    }

    fn record(&self, rule: &Rule, samples: &[promql::VectorSample], at_ms: i64) -> Option<String> {
        let mut batch = Batch::with_capacity(samples.len());
        for sample in samples {
            let mut labels = sample.labels.with(promql::METRIC_NAME, &rule.name);
            for (name, value) in &rule.labels {
                labels = labels.with(name, &value.render(&Default::default(), sample.value));
            }
            batch.push(&store_labels(&labels), at_ms, sample.value);
        }
        self.tsdb.append(&batch).err().map(|error| error.to_string())
    }

    /// Hands the waiting signals to alerting. What the database does not take stays, in order.
    pub(crate) async fn flush(&self) -> Result<(), AnyError> {
        let _one = self.flushing.lock().await;
        loop {
            let signals: Vec<Signal> = {
                let mut state = self.lock();
                let count = state.outbox.len().min(1000);
                state.outbox.drain(..count).collect()
            };
            if signals.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.observe(&signals).await {
                let mut state = self.lock();
                for signal in signals.into_iter().rev() {
                    state.outbox.push_front(signal);
                }
                return Err(error.into());
            }
        }
    }

    async fn observe(&self, signals: &[Signal]) -> Result<(), DbError> {
        let mut tx = self.kernel.db.write().await?;
        alerting::observe(&mut tx, signals).await?;
        tx.commit().await
    }

    pub(crate) fn waiting(&self) -> usize {
        self.lock().outbox.len()
    }
}
