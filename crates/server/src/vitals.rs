//! The server's own health as metrics: its process, its disk, its database, its queues; and what every metric means.
//!
//! Telemetry stores them beside those of the hosts, so that the rules of the pack `platform` can read them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kernel::metric::Reading;
use kernel::{AnyError, Kernel, Slice, Task, Wake};
use telemetry::Telemetry;

const EVERY: Duration = Duration::from_secs(10);

/// What each metric means; `/metrics` shows it.
const HELP: &[(&str, &str)] = &[
    (
        "mainstay_agent_batches_rejected_total",
        "Batches of agents that could not be stored and were let go.",
    ),
    (
        "mainstay_agent_batches_repeated_total",
        "Batches of agents that had been stored before.",
    ),
    (
        "mainstay_agent_batches_total",
        "Batches of agents that were stored.",
    ),
    (
        "mainstay_agent_connections_renewed_total",
        "Connections of agents that were ended because their definitions of series did not suffice; the agents send again.",
    ),
    (
        "mainstay_agent_refusals_total",
        "Connections of agents that were refused, by reason.",
    ),
    (
        "mainstay_agent_unknown_messages_total",
        "Messages of agents that this server does not know.",
    ),
    ("mainstay_agents_connected", "Agents that are connected now."),
    ("mainstay_alerts", "Alerts by state."),
    (
        "mainstay_clock_steps_total",
        "Steps of the server's wall clock, forward or back.",
    ),
    (
        "mainstay_commands_open",
        "Commands to agents that have not ended.",
    ),
    (
        "mainstay_data_free_bytes",
        "Free bytes of the disk of the data folder.",
    ),
    ("mainstay_data_size_bytes", "Size of the disk of the data folder."),
    (
        "mainstay_data_used_bytes",
        "Used bytes of the disk of the data folder; with the free bytes, what df counts as its whole.",
    ),
    (
        "mainstay_database_damage",
        "Faults that the last check of the SQLite file found; 0 when it is whole.",
    ),
    (
        "mainstay_db_connections",
        "Open connections to the database, by pool.",
    ),
    (
        "mainstay_db_connections_in_use",
        "Connections to the database that are used right now, by pool.",
    ),
    (
        "mainstay_db_connections_max",
        "Most connections to the database, by pool.",
    ),
    (
        "mainstay_event_consumer_lag",
        "Events that a consumer has not seen yet.",
    ),
    (
        "mainstay_event_failures_total",
        "Events that a consumer failed to take, each attempt counted.",
    ),
    ("mainstay_events_consumed_total", "Events that a consumer took."),
    (
        "mainstay_agent_handshakes_pending",
        "Connections of agents that have not said who they are yet.",
    ),
    ("mainstay_events_kept", "Events in the log."),
    (
        "mainstay_events_parked",
        "Events that were set aside because a consumer could not take them, by consumer.",
    ),
    ("mainstay_http_connections", "HTTP connections that are open."),
    (
        "mainstay_http_connections_evicted_total",
        "Idle HTTP connections that were closed to make room for others.",
    ),
    (
        "mainstay_http_connections_max",
        "Most HTTP connections at a time.",
    ),
    (
        "mainstay_http_connections_refused_total",
        "HTTP connections that were refused because there were too many.",
    ),
    (
        "mainstay_http_request_seconds",
        "Time to answer a request, by path.",
    ),
    (
        "mainstay_http_requests_total",
        "Requests, by method, path and status.",
    ),
    ("mainstay_http_streams", "Event streams that are open."),
    (
        "mainstay_http_streams_cut_total",
        "Event streams that were ended because their reader's rights changed.",
    ),
    ("mainstay_incidents", "Open incidents, by severity and state."),
    (
        "mainstay_log_batches_repeated_total",
        "Batches of log lines that had been stored before.",
    ),
    ("mainstay_log_lines_ingested_total", "Log lines that were stored."),
    (
        "mainstay_log_lines_refused_total",
        "Log lines that were refused because of their form.",
    ),
    (
        "mainstay_messages_total",
        "Attempts to send a message, by kind of channel and outcome.",
    ),
    (
        "mainstay_messages_waiting",
        "Messages in the outbox that wait to be sent.",
    ),
    (
        "mainstay_retention_removed_total",
        "Rows that were removed because they were too old.",
    ),
    (
        "mainstay_rule_failures_total",
        "Evaluations of a rule that failed.",
    ),
    (
        "mainstay_rule_signals_waiting",
        "Changes of alerts that wait for the database.",
    ),
    ("mainstay_runs_active", "Runs that have not ended."),
    ("mainstay_samples_ingested_total", "Samples that were stored."),
    (
        "mainstay_samples_rejected_total",
        "Samples that were refused, by reason.",
    ),
    (
        "mainstay_samples_undefined_total",
        "Samples of series that their agent had not defined.",
    ),
    ("mainstay_sign_ins_total", "Attempts to sign in, by outcome."),
    ("mainstay_store_bytes", "Bytes on disk, by store."),
    (
        "mainstay_store_write_failures_total",
        "Writes that a store could not make, by store.",
    ),
    ("mainstay_task_panics_total", "Panics of the server's tasks."),
    (
        "mainstay_task_restarts_total",
        "Restarts of the server's tasks after an error.",
    ),
    ("mainstay_task_seconds", "Time that a turn of a task takes."),
    ("mainstay_tasks", "The server's tasks that run."),
    ("mainstay_tsdb_head_series", "Series that have samples in memory."),
    (
        "mainstay_tsdb_wal_bytes",
        "Bytes of the metric store's write-ahead log.",
    ),
    (
        "mainstay_unlisted_proxy_sign_ins_total",
        "Sign-ins with X-Forwarded-For from an address that is no trusted proxy.",
    ),
    (
        "process_cpu_seconds_total",
        "Processor time of the server, user and system.",
    ),
    ("process_max_fds", "Most files that the server may have open."),
    ("process_open_fds", "Files that the server has open."),
    (
        "process_resident_memory_bytes",
        "Memory of the server that is in RAM.",
    ),
    (
        "process_start_time_seconds",
        "When the server started, in Unix seconds.",
    ),
    ("process_threads", "Threads of the server."),
];

pub fn slice(kernel: &Kernel, telemetry: &Telemetry, data: PathBuf) -> Slice {
    kernel.metrics.describe(HELP);
    let (db, telemetry) = (kernel.db.clone(), telemetry.clone());
    kernel.metrics.reader(move |out| {
        process(out);
        disk(&data, out);
        stores(&telemetry, &data, out);
        for pool in db.pools() {
            for (name, value) in [
                ("mainstay_db_connections", pool.open),
                ("mainstay_db_connections_in_use", pool.in_use),
                ("mainstay_db_connections_max", pool.most),
            ] {
                out.push(labelled(name, "pool", pool.name, f64::from(value)));
            }
        }
    });
    Slice {
        tasks: vec![Task::new(
            "server.vitals",
            EVERY,
            Wake::default(),
            |kernel| async move { events(&kernel).await },
        )],
        ..Slice::named("vitals")
    }
}

fn plain(name: &'static str, value: f64) -> Reading {
    Reading {
        name,
        labels: Vec::new(),
        value,
    }
}

fn labelled(name: &'static str, label: &'static str, of: &str, value: f64) -> Reading {
    Reading {
        name,
        labels: vec![(label, of.to_owned())],
        value,
    }
}

async fn events(kernel: &Kernel) -> Result<(), AnyError> {
    let mut reader = kernel.db.read().await?;
    let sizes = kernel::event::measure::sizes(&mut reader).await?;
    drop(reader);
    kernel.metrics.gauge("mainstay_events_kept", &[]).set(sizes.kept);
    for (consumer, parked) in sizes.parked {
        let labels = [("consumer", consumer.as_str())];
        kernel
            .metrics
            .gauge("mainstay_events_parked", &labels)
            .set(parked);
    }
    for (consumer, lag) in sizes.lag {
        let labels = [("consumer", consumer.as_str())];
        kernel
            .metrics
            .gauge("mainstay_event_consumer_lag", &labels)
            .set(lag);
    }
    Ok(())
}

fn disk(data: &Path, out: &mut Vec<Reading>) {
    let Ok(found) = rustix::fs::statvfs(data) else {
        return;
    };
    // What is kept for root is of no use to the server.
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize) as f64;
    out.push(plain("mainstay_data_free_bytes", bytes(found.f_bavail)));
    out.push(plain("mainstay_data_size_bytes", bytes(found.f_blocks)));
    let used = found.f_blocks.saturating_sub(found.f_bfree);
    out.push(plain("mainstay_data_used_bytes", bytes(used)));
}

fn stores(telemetry: &Telemetry, data: &Path, out: &mut Vec<Reading>) {
    let (metrics, logs) = (telemetry.tsdb().stats(), telemetry.logs().stats());
    let length = |name: &str| std::fs::metadata(data.join(name)).map_or(0, |file| file.len());
    for (store, bytes) in [
        ("metrics", metrics.block_bytes + metrics.wal_bytes),
        ("logs", logs.segment_bytes + logs.wal_bytes),
        ("state", length("mainstay.db") + length("mainstay.db-wal")),
    ] {
        out.push(labelled("mainstay_store_bytes", "store", store, bytes as f64));
    }
    let failures = metrics.append_failures as f64;
    let name = "mainstay_store_write_failures_total";
    out.push(labelled(name, "store", "metrics", failures));
}

/// Under the names that every Prometheus client library uses.
fn process(out: &mut Vec<Reading>) {
    if let Some(stat) = std::fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|text| Stat::parse(&text))
    {
        let ticks = rustix::param::clock_ticks_per_second().max(1) as f64;
        let page = rustix::param::page_size() as f64;
        out.push(plain("process_cpu_seconds_total", stat.cpu_ticks as f64 / ticks));
        out.push(plain("process_threads", stat.threads as f64));
        out.push(plain(
            "process_resident_memory_bytes",
            stat.resident_pages as f64 * page,
        ));
        if let Some(boot_s) = boot_time_s() {
            let start = boot_s + stat.start_ticks as f64 / ticks;
            out.push(plain("process_start_time_seconds", start));
        }
    }
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        // The listing itself has one open.
        out.push(plain(
            "process_open_fds",
            entries.count().saturating_sub(1) as f64,
        ));
    }
    if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        out.push(plain("process_max_fds", most as f64));
    }
}

fn boot_time_s() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

/// What is read of `/proc/<pid>/stat` (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name in parentheses may hold anything; field 3 follows the last one.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            resident_pages: field(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_read_in_spite_of_its_name() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 4242 1000000 321 18446744073709551615 1 1";
        let expected = Stat {
            cpu_ticks: 300,
            threads: 9,
            start_ticks: 4242,
            resident_pages: 321,
        };
        assert_eq!(Stat::parse(text), Some(expected));
        let mut out = Vec::new();
        process(&mut out);
        let value = |name: &str| out.iter().find(|reading| reading.name == name).unwrap().value;
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_start_time_seconds") > 1.6e9);
    }
}
