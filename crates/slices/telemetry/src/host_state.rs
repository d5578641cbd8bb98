//! Series about hosts that the server itself knows best: clocks, identities in conflict, joins that wait, and what was refused for a
//! limit. Rules of the pack `fleet` read them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use kernel::{AnyError, Consumer, DbError, Task, Wake};
use tsdb::{Batch, Labels};

use crate::Telemetry;

const EVERY: Duration = Duration::from_secs(15);
/// Agents that one query reads.
const PAGE: i64 = 1_000;

/// A join that nobody has tried again for so long is no news.
const DAY_MS: i64 = 86_400_000;

const CLOCK: &str = "mainstay_host_clock_offset_seconds";
const CONFLICT: &str = "mainstay_host_identity_conflict";
const JOINS: &str = "mainstay_host_join_requests_pending";
const SERIES: &str = "mainstay_host_series_refused";
const ITEMS: &str = "mainstay_host_items_refused";

/// The series that were written last, so that those that are over get an end.
#[derive(Default)]
pub(crate) struct Written(Mutex<BTreeMap<Labels, String>>);

/// Labels with the host, and the value.
type Rows = BTreeMap<Labels, (String, f64)>;

/// The duty, and what wakes it at once.
pub(crate) fn duties(telemetry: &Telemetry) -> (Task, Consumer) {
    let telemetry = telemetry.clone();
    let wake = Wake::default();
    let task = Task::new("telemetry.host_state", EVERY, wake.clone(), move |_| {
        let telemetry = telemetry.clone();
        async move { write(&telemetry).await }
    });
    let topics = &[
        "item.conflict",
        "join_request.created",
        "join_request.approved",
        "join_request.denied",
    ];
    let consumer = Consumer::new("telemetry.host_state", topics, move |_, _| {
        wake.signal();
        Box::pin(async { Ok(()) })
    });
    (task, consumer)
}

fn add(rows: &mut Rows, metric: &str, host: &str, also: &[(&str, &str)], value: f64) {
    let own = [("__name__", metric), ("instance", host), ("job", "mainstay")];
    let labels = Labels::from_pairs(own.iter().chain(also).copied());
    rows.insert(labels, (host.to_owned(), value));
}

async fn read(telemetry: &Telemetry) -> Result<Rows, DbError> {
    let mut reader = telemetry.kernel().db.read().await?;
    let mut names: HashMap<String, String> = HashMap::new();
    for host in inventory::store::select(&mut reader, &inventory::Selector::kind("host")).await? {
        names.insert(host.id.to_string(), host.name);
    }
    let mut rows = Rows::new();
    let mut after = String::new();
    loop {
        let agents = fleet::store::agents(&mut reader, "active", &after, PAGE).await?;
        for agent in &agents {
            let Some(name) = names.get(agent.item.as_str()) else {
                continue;
            };
            let is_there = agent.presence == fleet::Presence::Connected;
            if let Some(offset_ms) = agent.clock_offset_ms.filter(|_| is_there) {
                add(&mut rows, CLOCK, name, &[], offset_ms as f64 / 1000.0);
            }
            if agent.refused_items > 0 {
                add(&mut rows, ITEMS, name, &[], agent.refused_items as f64);
            }
        }
        match agents.last() {
            Some(last) if agents.len() as i64 == PAGE => after = last.id.to_string(),
            _ => break,
        }
    }
    for conflict in inventory::store::open_conflicts(&mut reader).await? {
        let also = [("other", conflict.other.as_str()), ("key", conflict.key.as_str())];
        add(&mut rows, CONFLICT, &conflict.name, &also, 1.0);
    }
    let since = kernel::clock::from_millis(telemetry.now_ms() - DAY_MS);
    for (item, count) in fleet::store::pending_by_item(&mut reader, since).await? {
        if let Some(name) = names.get(&item) {
            add(&mut rows, JOINS, name, &[], count as f64);
        }
    }
    for (item, count) in telemetry.shares().refused() {
        if let Some(name) = names.get(&item) {
            add(&mut rows, SERIES, name, &[], count as f64);
        }
    }
    Ok(rows)
}

/// Writes a sample for each, and evaluates the rules that read them.
pub(crate) async fn write(telemetry: &Telemetry) -> Result<(), AnyError> {
    let rows = read(telemetry).await?;
    let at_ms = telemetry.now_ms();
    let work = telemetry.clone();
    tokio::task::spawn_blocking(move || store(&work, &rows, at_ms)).await??;
    telemetry.rules().flush().await
}

fn store(telemetry: &Telemetry, rows: &Rows, at_ms: i64) -> tsdb::Result<()> {
    let mut batch = Batch::with_capacity(rows.len());
    let mut touched: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut touch = |host: &str, labels: &Labels| {
        let metric = labels.name().unwrap_or_default().to_owned();
        touched.entry(host.to_owned()).or_default().push(metric);
    };
    let mut written = telemetry
        .written_states()
        .0
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    for (labels, host) in written.iter().filter(|(labels, _)| !rows.contains_key(*labels)) {
        batch.push(labels, at_ms, tsdb::stale_nan());
        touch(host, labels);
    }
    for (labels, (host, value)) in rows {
        batch.push(labels, at_ms, *value);
        touch(host, labels);
    }
    telemetry.tsdb().append(&batch)?;
    *written = rows
        .iter()
        .map(|(labels, (host, _))| (labels.clone(), host.clone()))
        .collect();
    drop(written);
    for (host, metrics) in &mut touched {
        metrics.sort_unstable();
        metrics.dedup();
        telemetry
            .rules()
            .on_own_samples(host, at_ms, metrics.iter().map(String::as_str));
    }
    Ok(())
}
