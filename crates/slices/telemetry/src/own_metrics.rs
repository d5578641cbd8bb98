//! What the slice tells of itself as metrics. Every bound that drops or refuses something has a counter here with its meaning, and a
//! rule of the pack `stores` that looks at it.

use std::sync::Arc;

use kernel::metric::Reading;

use crate::Telemetry;

/// Counters of what was dropped, refused or could not be done.
pub(crate) const LOSSES: &[(&str, &str)] = &[
    (
        "mainstay_live_series_left_out_total",
        "Series that live charts left out because a selection had too many.",
    ),
    (
        "mainstay_log_lines_expired_early_total",
        "Log lines that were removed before their time because the log store was too large.",
    ),
    (
        "mainstay_log_lines_refused_total",
        "Log lines that were refused because of their form.",
    ),
    (
        "mainstay_log_lines_retimed_total",
        "Log lines with an impossible time, which were stored under the time of their reading, by host.",
    ),
    (
        "mainstay_log_lines_shortened_total",
        "Log lines that were cut to the longest length.",
    ),
    (
        "mainstay_log_sources_forgotten_total",
        "Agents whose last batch of log lines was forgotten because there were too many.",
    ),
    (
        "mainstay_log_tail_dropped_total",
        "Log lines that live tails were too slow for.",
    ),
    (
        "mainstay_queries_refused_total",
        "Queries that were refused or ended by a limit, by reason.",
    ),
    (
        "mainstay_rule_failures_total",
        "Evaluations of a rule that failed.",
    ),
    (
        "mainstay_rule_signals_dropped_total",
        "Changes of alerts that were dropped because too many waited for the database.",
    ),
    (
        "mainstay_samples_refused_total",
        "Samples that the metric store did not take, by host and reason.",
    ),
    (
        "mainstay_samples_undefined_total",
        "Samples of series that their agent had not defined.",
    ),
    (
        "mainstay_store_damaged_total",
        "Damaged blocks, segments and places of logs, by store.",
    ),
    (
        "mainstay_store_maintenance_failures_total",
        "Rounds of housekeeping in which a duty failed, by store.",
    ),
    (
        "mainstay_store_read_failures_total",
        "Reads that a store could not make; the answers lack what was there, by store.",
    ),
];

const GAUGES: &[(&str, &str)] = &[(
    "mainstay_tsdb_series_max",
    "Series that the metric store holds at most.",
)];

pub(crate) fn register(telemetry: &Telemetry) {
    let metrics = &telemetry.kernel().metrics;
    metrics.describe(LOSSES);
    metrics.describe(GAUGES);
    let weak = Arc::downgrade(&telemetry.0);
    metrics.reader(move |out| {
        if let Some(inner) = weak.upgrade() {
            read(&Telemetry(inner), out);
        }
    });
}

fn read(telemetry: &Telemetry, out: &mut Vec<Reading>) {
    let mut put = |name, label: Option<(&'static str, &str)>, value: u64| {
        let labels = label.map(|(name, value)| (name, value.to_owned()));
        out.push(Reading {
            name,
            labels: labels.into_iter().collect(),
            value: value as f64,
        });
    };
    let (metrics, logs) = (telemetry.tsdb().stats(), telemetry.logs().stats());
    put("mainstay_tsdb_head_series", None, metrics.head_series);
    put("mainstay_tsdb_series_max", None, telemetry.0.max_series as u64);
    put("mainstay_tsdb_wal_bytes", None, metrics.wal_bytes);
    for (reason, count) in metrics.samples_rejected {
        put("mainstay_samples_rejected_total", Some(("reason", reason)), count);
    }
    let damaged = metrics.block_corruptions + metrics.wal_corruptions;
    for (store, damaged, maintenance, reads) in [
        (
            "metrics",
            damaged,
            metrics.maintain_failures,
            metrics.block_read_failures,
        ),
        (
            "logs",
            logs.quarantined_total,
            logs.maintain_failures_total,
            logs.read_failures_total,
        ),
    ] {
        let of = Some(("store", store));
        put("mainstay_store_damaged_total", of, damaged);
        put("mainstay_store_maintenance_failures_total", of, maintenance);
        put("mainstay_store_read_failures_total", of, reads);
    }
    let failures = logs.append_failures_total;
    put(
        "mainstay_store_write_failures_total",
        Some(("store", "logs")),
        failures,
    );
    put(
        "mainstay_log_lines_expired_early_total",
        None,
        logs.expired_by_size_total,
    );
    put("mainstay_log_lines_shortened_total", None, logs.shortened_total);
    put(
        "mainstay_log_sources_forgotten_total",
        None,
        logs.sources_forgotten_total,
    );
    put("mainstay_log_tail_dropped_total", None, logs.tail_dropped_total);
    put(
        "mainstay_rule_signals_waiting",
        None,
        telemetry.rules().waiting() as u64,
    );
}
