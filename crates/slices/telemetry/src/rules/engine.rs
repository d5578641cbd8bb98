//! Evaluating rules: on ingest where a rule is local, else on its group's interval; handing the changes to alerting.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alerting::Signal;
use kernel::db::DbError;
use kernel::{AnyError, Kernel};
use promql::Value;
use tsdb::{Batch, Durability, Tsdb};

use super::active::{Active, Extent, Found, Held, Known, Row};
use super::ask::Asker;
use super::audience::Audience;
use super::model::{Group, Rule, RuleSet, Sample};
use super::record;
use super::template::External;
use super::tuning::Coverage;
use crate::source::StoreSource;

/// Signals that wait for the database; more would mean that it has been away for very long.
const OUTBOX: usize = 100_000;
/// A rule sees samples up to this old on ingest: two missed samples do not make a series disappear.
const INGEST_LOOKBACK_MS: i64 = 60_000;
const LOOKBACK_MS: i64 = 300_000;
/// How long one evaluation of a rule may take.
const TIME: std::time::Duration = std::time::Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct RuleEngine {
    kernel: Kernel,
    tsdb: Arc<Tsdb>,
    external: Arc<External>,
    state: Arc<Mutex<State>>,
    /// One flush at a time, so that signals reach alerting in their order.
    flushing: Arc<tokio::sync::Mutex<()>>,
    audience: Arc<Mutex<Arc<Audience>>>,
}

#[derive(Default)]
struct State {
    rules: Arc<RuleSet>,
    active: Active,
    outbox: VecDeque<Signal>,
    health: HashMap<String, Health>,
    /// Series that each recording rule wrote last.
    recorded: HashMap<String, HashSet<promql::Labels>>,
    /// What the tunings covered when the rules were loaded.
    tuned: Vec<Coverage>,
    steps: Option<kernel::StepWatch>,
}

/// How a rule's last evaluation went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    pub error: Option<String>,
    pub at_ms: i64,
    pub seconds: f64,
}

/// Samples of an instance that were stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub newest_ms: i64,
    pub now_ms: i64,
    /// Unless the agent kept them while it was cut off.
    pub is_live: bool,
}

impl Taken {
    /// When what they tell is so: nothing is newer than now, whatever the clock of the host says.
    fn at_ms(self) -> i64 {
        self.newest_ms.min(self.now_ms)
    }
}

impl RuleEngine {
    pub(crate) fn new(kernel: &Kernel, tsdb: Arc<Tsdb>, external: External) -> Self {
        Self {
            kernel: kernel.clone(),
            tsdb,
            external: Arc::new(external),
            state: Arc::default(),
            flushing: Arc::default(),
            audience: Arc::default(),
        }
    }

    /// Reads anew which hosts are seen by whom.
    pub(crate) async fn read_audience(&self) -> Result<(), AnyError> {
        let read = Audience::read(&mut *self.kernel.db.read().await?).await?;
        *self.audience.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(())
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

    pub(crate) fn set_tuned(&self, tuned: Vec<Coverage>) {
        self.lock().tuned = tuned;
    }

    pub(crate) fn is_tuned(&self, tuned: &[Coverage]) -> bool {
        self.lock().tuned == tuned
    }

    pub(crate) fn held_by(&self, key: &str) -> Vec<Held> {
        self.lock().active.held_by(key)
    }

    /// Puts new rules in force. What rules that are gone held is over, and their series end.
    pub(crate) fn install(&self, rules: RuleSet) {
        let now_ms = self.kernel.clock.now_ms();
        let keep: HashSet<String> = rules.rules().map(|rule| rule.key.clone()).collect();
        let mut state = self.lock();
        let gone = state.active.forget_rules(&keep, now_ms);
        state.outbox.extend(gone);
        state.health.retain(|key, _| keep.contains(key));
        let mut ended = Vec::new();
        state.recorded.retain(|key, series| {
            if !keep.contains(key) {
                ended.push(record::batch(&[], series, now_ms));
            }
            keep.contains(key)
        });
        state.rules = Arc::new(rules);
        let rows = state.active.ends();
        drop(state);
        self.write(rows);
        for batch in ended {
            self.append(&batch);
        }
    }

    /// Takes over what alerting holds to be active, before the first evaluation.
    pub(crate) fn restore(&self, known: Vec<Known>) {
        let mut state = self.lock();
        for one in known {
            let Some(key) = one.signal.source.strip_prefix("rule:").map(str::to_owned) else {
                continue;
            };
            state.active.restore(&key, one);
        }
    }

    /// Evaluates the local rules that read one of `metrics`, for one instance. Synchronous and short; runs off the reactor.
    pub(crate) fn on_samples<'a>(
        &self,
        instance: &str,
        taken: Taken,
        metrics: impl Iterator<Item = &'a str>,
    ) {
        self.heed_clock();
        self.lock().active.saw(instance, taken.at_ms(), taken.is_live);
        let mut due = self.reading(metrics);
        // What this program says of a service was not said while it did not run: samples from then wait for the interval.
        let is_joined = |rule: &Arc<Rule>| {
            let mut metrics = rule.locality.iter().flat_map(|locality| &locality.metrics);
            metrics.any(|metric| metric == crate::dependents::METRIC)
        };
        due.retain(|rule| taken.is_live || !is_joined(rule));
        self.evaluate_local(&due, instance, taken);
    }

    /// The same for samples about an instance that this program wrote itself: they say nothing of whether it speaks.
    pub(crate) fn on_own_samples<'a>(
        &self,
        instance: &str,
        at_ms: i64,
        metrics: impl Iterator<Item = &'a str>,
    ) {
        self.heed_clock();
        let due = self.reading(metrics);
        let mut state = self.lock();
        for rule in &due {
            state.active.set_back_own(&rule.key, instance, at_ms);
        }
        drop(state);
        let taken = Taken {
            newest_ms: at_ms,
            now_ms: at_ms,
            is_live: true,
        };
        self.evaluate_local(&due, instance, taken);
    }

    /// The local rules that read one of the metrics, each once.
    fn reading<'a>(&self, metrics: impl Iterator<Item = &'a str>) -> Vec<Arc<Rule>> {
        let rules = self.rules();
        let mut due: Vec<Arc<Rule>> = metrics
            .flat_map(|metric| rules.reading(metric))
            .cloned()
            .collect();
        // A tuned rule (`key~id`) before the rule itself: it takes over what that one lets go.
        due.sort_by(|a, b| b.key.cmp(&a.key));
        due.dedup_by(|a, b| a.key == b.key);
        due
    }

    fn evaluate_local(&self, due: &[Arc<Rule>], instance: &str, taken: Taken) {
        for rule in due {
            let extent = Extent::Instance(instance);
            self.evaluate(rule, extent, taken.newest_ms, taken.at_ms());
        }
    }

    /// Moves what is held to the new time when the machine's clock was set.
    fn heed_clock(&self) {
        let clock = &self.kernel.clock;
        let mut state = self.lock();
        let watch = state.steps.get_or_insert_with(|| kernel::StepWatch::new(clock));
        if let Some(step) = watch.step(clock) {
            let by_ms = i64::try_from(step.as_millis()).unwrap_or(0);
            state.active.clock_set(by_ms, clock.now_ms());
        }
    }

    /// Evaluates a whole group, in the order of its rules.
    pub(crate) fn on_interval(&self, group: &Group, at_ms: i64) {
        self.heed_clock();
        for rule in &group.rules {
            self.evaluate(rule, Extent::Everything, at_ms, at_ms);
        }
    }

    /// Asks as of `read_ms`; the result is of `at_ms`.
    fn evaluate(&self, rule: &Rule, extent: Extent<'_>, read_ms: i64, at_ms: i64) {
        let started = std::time::Instant::now();
        let (instance, lookback_ms) = match extent {
            Extent::Instance(instance) => (Some(instance), INGEST_LOOKBACK_MS),
            Extent::Everything => (None, LOOKBACK_MS),
        };
        let source = StoreSource::new(&self.tsdb, instance);
        let is_over = || started.elapsed() >= TIME;
        let options = promql::Options {
            lookback_ms,
            max_samples: 5_000_000,
            max_bytes: 64 << 20,
            cancelled: Some(&is_over),
            ..promql::Options::default()
        };
        let result = promql::instant(&source, &rule.expr, read_ms - rule.offset_ms, &options);
        let result = result.map_err(|error| match error {
            promql::EvalError::Cancelled => format!("the evaluation took longer than {TIME:?}"),
            other => other.to_string(),
        });
        // What the store cannot give is not over: an answer with a gap ends no alert.
        let mut result = result.and_then(|outcome| match source.warnings().first() {
            Some(warning) => Err(warning.clone()),
            None => samples_of(outcome.value),
        });
        if let (Ok(samples), Some(limits)) = (&mut result, &rule.limits) {
            samples.retain(|sample| limits.take(&sample.labels));
        }
        let error = match result {
            Ok(samples) if rule.is_alert() => self.take(rule, extent, &samples, at_ms),
            Ok(samples) => self.record(rule, &samples, at_ms - rule.offset_ms),
            Err(error) => Err(error),
        }
        .err();
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

    fn take(
        &self,
        rule: &Rule,
        extent: Extent<'_>,
        samples: &[promql::VectorSample],
        at_ms: i64,
    ) -> Result<(), String> {
        let audience = self
            .audience
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let asker = Asker::new(&self.tsdb, at_ms - rule.offset_ms, LOOKBACK_MS, audience);
        let mut found = Vec::with_capacity(samples.len());
        for sample in samples {
            let value = sample.value;
            let host = Some(sample.labels.get("instance")).filter(|name| !name.is_empty());
            let ask = |text: &str| asker.ask(host, text);
            let labels = rule.alert_labels(&Sample::new(sample, at_ms, &self.external, &ask));
            // A rule may name another host than its samples do: the alert is read by those who see that one.
            let ask = |text: &str| asker.ask(labels.get("instance").map(String::as_str).or(host), text);
            let sample = Sample::new(sample, at_ms, &self.external, &ask);
            // The lock is not held while a template is filled: it may ask the store.
            let is_wanted = self.lock().active.wants(rule, &labels, extent, at_ms);
            found.push(Found {
                annotations: is_wanted.then(|| rule.annotations(&sample)),
                labels,
                value,
            });
        }
        let mut state = self.lock();
        let (signals, error) = state.active.apply(rule, extent, found, at_ms);
        let rows = state.active.rows(rule, extent, at_ms);
        let is_full = state.outbox.len() + signals.len() > OUTBOX;
        if !is_full {
            state.outbox.extend(signals);
        }
        drop(state);
        self.write(rows);
        if is_full {
            self.kernel
                .metrics
                .counter("mainstay_rule_signals_dropped_total", &[])
                .add(1);
            return Err(format!("more than {OUTBOX} alert changes wait for the database"));
        }
        error.map_or(Ok(()), Err)
    }

    /// Stores what is told of alerts. Without it the alerts are as good as before, so a failure is only noted.
    fn write(&self, rows: Vec<Row>) {
        let mut batch = Batch::with_capacity(rows.len());
        for row in &rows {
            let value = row.value.unwrap_or(f64::from_bits(tsdb::STALE_NAN_BITS));
            batch.push(&row.labels, row.at_ms, value);
        }
        if !rows.is_empty() {
            self.append(&batch);
        }
    }

    fn append(&self, batch: &Batch) {
        if let Err(error) = self.tsdb.append_with(batch, Durability::Async) {
            tracing::warn!(%error, "series about rules not stored");
        }
    }

    fn record(&self, rule: &Rule, samples: &[promql::VectorSample], at_ms: i64) -> Result<(), String> {
        let rows = record::recorded(rule, samples)?;
        // Only the timer records, one group after the other: nobody misses the set while it is taken out.
        let before = self.lock().recorded.remove(&rule.key).unwrap_or_default();
        let batch = record::batch(&rows, &before, at_ms);
        let stored = self.tsdb.append(&batch).map_err(|error| error.to_string());
        let last = match stored {
            Ok(_) => rows.into_iter().map(|(labels, _)| labels).collect(),
            Err(_) => before,
        };
        self.lock().recorded.insert(rule.key.clone(), last);
        stored.map(|_| ())
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

fn samples_of(value: Value) -> Result<Vec<promql::VectorSample>, String> {
    match value {
        Value::Vector(samples) => Ok(samples),
        Value::Scalar { t_ms, value } => Ok(vec![promql::VectorSample {
            labels: promql::Labels::default(),
            t_ms,
            value,
        }]),
        Value::String { .. } | Value::Matrix(_) => Err("the rule gives neither a vector nor a number".into()),
    }
}
