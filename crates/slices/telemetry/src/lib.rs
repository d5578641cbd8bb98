//! Metrics, logs and rules: taking observations in, answering questions about them, and telling alerting what is wrong.
//!
//! Flow: fleet hands batches to [`Telemetry`] ([`fleet::Intake`]) → `tsdb` and `logs` make them durable → rules that read the samples are
//! evaluated at once → changes go to `alerting::observe`. Queries: `prom` (the Prometheus API), `logs_api`, `live_api`.

mod answer;
mod dependents;
mod dictionary;
mod host_state;
mod ingest;
mod intake;
mod live_api;
mod log_time;
mod logs_api;
mod own_metrics;
mod prom;
mod query;
mod reach;
mod rules;
mod shares;
mod source;
mod store;
mod up;
mod upkeep;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kernel::{AnyError, Kernel, Migration, Slice, Task, Wake};
use logs::Logs;
use serde::Deserialize;
use tsdb::Tsdb;

pub use ingest::{IngestError, SeriesEntry};
pub use query::QueryError;
use query::{At, Queries, TIMEOUT};
use rules::RuleEngine;
pub use rules::{FileError, check as check_rules, preview as preview_template};

pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "rules",
        sql: include_str!("../migrations/0001_rules.sql"),
    },
    Migration {
        version: 2,
        name: "gap",
        sql: include_str!("../migrations/0002_gap.sql"),
    },
    Migration {
        version: 3,
        name: "rule_tuning",
        sql: include_str!("../migrations/0003_rule_tuning.sql"),
    },
];

/// `[telemetry]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Days that samples are kept.
    pub metric_retention_days: u32,
    /// Days that log lines are kept.
    pub log_retention_days: u32,
    /// Largest size of the log store.
    pub log_max_bytes: u64,
    /// Series that the metric store holds at once.
    pub max_series: usize,
    /// Series that one host may have among them; more of it are refused and told.
    pub max_series_per_host: usize,
    /// Address under which people reach this server; rule templates know it as `externalURL`. Set by the server, not in the file.
    #[serde(skip)]
    pub public_url: String,
    /// What rule templates know as `externalLabels`.
    pub external_labels: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            metric_retention_days: 15,
            log_retention_days: 30,
            log_max_bytes: 10 << 30,
            max_series: 2_000_000,
            max_series_per_host: 100_000,
            public_url: String::new(),
            external_labels: BTreeMap::new(),
        }
    }
}

/// The handle of the slice. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    kernel: Kernel,
    tsdb: Arc<Tsdb>,
    logs: Arc<Logs>,
    queries: Queries,
    answers: answer::Answers,
    rules: RuleEngine,
    dictionaries: dictionary::Dictionaries,
    written_up: up::Written,
    written_dependents: dependents::Written,
    max_series: usize,
    log_retention_ms: i64,
    written_states: host_state::Written,
    shares: shares::Shares,
}

/// Why the stores do not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("metric store: {0}")]
    Metrics(#[from] tsdb::Error),
    #[error("log store: {0}")]
    Logs(#[from] logs::Error),
}

const DAY_MS: i64 = 86_400_000;
/// How late samples may come.
const LATEST_MS: i64 = 7 * DAY_MS;

impl Telemetry {
    /// Opens the stores under `data`.
    pub fn open(kernel: &Kernel, settings: &Settings, data: &Path) -> Result<Self, OpenError> {
        let metric_options = tsdb::Options {
            retention_ms: i64::from(settings.metric_retention_days.max(1)) * DAY_MS,
            max_series: settings.max_series,
            // A host that was cut off for days sends what it has spooled.
            out_of_order_ms: (i64::from(settings.metric_retention_days.max(1)) * DAY_MS).min(LATEST_MS),
            ..tsdb::Options::default()
        };
        let tsdb = Arc::new(Tsdb::open(data.join("metrics"), metric_options)?);
        let log_options = logs::Options {
            retention_ms: i64::from(settings.log_retention_days.max(1)) * DAY_MS,
            max_bytes: settings.log_max_bytes,
            ..logs::Options::default()
        };
        let logs = Arc::new(Logs::open(data.join("logs"), log_options)?);
        // Before the first sample: one from the far future would make every honest one too old.
        tsdb.set_clock(kernel.clock.now_ms());
        for notice in tsdb.notices() {
            tracing::warn!(?notice, "metric store");
        }
        for notice in logs.take_notices() {
            tracing::warn!(?notice, "log store");
        }
        let external = rules::template::External {
            url: settings.public_url.clone(),
            labels: settings.external_labels.clone(),
        };
        let inner = Inner {
            kernel: kernel.clone(),
            queries: Queries::new(kernel, tsdb.clone()),
            answers: answer::Answers::new(kernel),
            rules: RuleEngine::new(kernel, tsdb.clone(), external),
            dictionaries: dictionary::Dictionaries::default(),
            written_up: up::Written::default(),
            written_dependents: dependents::Written::default(),
            max_series: settings.max_series,
            log_retention_ms: i64::from(settings.log_retention_days.max(1)) * DAY_MS,
            written_states: host_state::Written::default(),
            shares: shares::Shares::new(settings.max_series_per_host),
            tsdb,
            logs,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Loads the rules and takes over what alerting holds to be active. Before the first sample comes in.
    pub async fn start(&self) -> Result<(), AnyError> {
        let known = rules::known(&mut *self.kernel().db.read().await?).await?;
        // Before the rules: what a rule held that is there no longer ends with their loading.
        self.rules().restore(known);
        self.rules().read_audience().await?;
        rules::pack::load(self.kernel(), self.rules()).await?;
        // Before the first sample: a rule that joins with it must not take a restart for an end.
        if let Err(error) = dependents::write(self).await {
            tracing::warn!(%error, "dependents of services not written");
        }
        Ok(())
    }

    /// Evaluates PromQL at one instant, for callers above and for conditions of runbooks.
    pub async fn instant(&self, text: &str, at_ms: i64) -> Result<promql::Value, QueryError> {
        Ok(self
            .queries()
            .run(
                text,
                At::Instant(at_ms),
                TIMEOUT,
                300_000,
                &reach::Reach::everywhere(),
            )
            .await?
            .value)
    }

    pub fn tsdb(&self) -> &Arc<Tsdb> {
        &self.0.tsdb
    }

    pub fn logs(&self) -> &Arc<Logs> {
        &self.0.logs
    }

    pub(crate) fn kernel(&self) -> &Kernel {
        &self.0.kernel
    }

    pub(crate) fn queries(&self) -> &Queries {
        &self.0.queries
    }

    pub(crate) fn answers(&self) -> &answer::Answers {
        &self.0.answers
    }

    pub(crate) fn rules(&self) -> &RuleEngine {
        &self.0.rules
    }

    pub(crate) fn written_dependents(&self) -> &dependents::Written {
        &self.0.written_dependents
    }

    pub(crate) fn written_states(&self) -> &host_state::Written {
        &self.0.written_states
    }

    pub(crate) fn shares(&self) -> &shares::Shares {
        &self.0.shares
    }

    pub(crate) fn written_up(&self) -> &up::Written {
        &self.0.written_up
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.0.kernel.clock.now_ms()
    }
}

/// The capability.
pub fn slice(telemetry: &Telemetry) -> Slice {
    let permissions: &'static [kernel::Endpoint] = {
        static ALL: std::sync::OnceLock<Vec<kernel::Endpoint>> = std::sync::OnceLock::new();
        ALL.get_or_init(|| {
            [
                prom::PERMISSIONS,
                logs_api::PERMISSIONS,
                live_api::PERMISSIONS,
                rules::api::PERMISSIONS,
                rules::tuning::api::PERMISSIONS,
            ]
            .concat()
        })
    };
    let mut tasks = rules::tasks::tasks(telemetry.rules());
    tasks.extend(upkeep::tasks(telemetry));
    tasks.push(own_metrics(telemetry));
    let (up, presence) = up::duties(telemetry);
    tasks.push(up);
    tasks.push(dependents::task(telemetry));
    let (host_state, host_events) = host_state::duties(telemetry);
    tasks.push(host_state);
    tasks.push(kernel::retention::task(
        "telemetry.retention",
        vec![store::gap_marks()],
    ));
    own_metrics::register(telemetry);
    Slice {
        migrations: MIGRATIONS,
        routes: prom::routes(telemetry)
            .merge(logs_api::routes(telemetry))
            .merge(live_api::routes(telemetry))
            .merge(rules::api::routes(telemetry))
            .merge(rules::tuning::api::routes(telemetry)),
        permissions,
        consumers: vec![presence, host_events],
        tasks,
        ..Slice::named("telemetry")
    }
}

fn own_metrics(telemetry: &Telemetry) -> Task {
    let telemetry = telemetry.clone();
    Task::new(
        "telemetry.own",
        Duration::from_secs(10),
        Wake::default(),
        move |_| {
            let telemetry = telemetry.clone();
            async move { telemetry.ingest_own().await }
        },
    )
}
