//! The series `up`: 1 for each host whose agent is connected, 0 for one whose agent is lost, as Prometheus has it for each target.
//!
//! A host whose agent has just gone gets no sample until it is back or lost; one whose agent is taken out gets an end of its series.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use fleet::Presence;
use inventory::Selector;
use kernel::{AnyError, Consumer, DbError, Task, Wake};
use tsdb::{Batch, Labels};

use crate::Telemetry;

const EVERY: Duration = Duration::from_secs(15);
/// Agents that one query reads.
const PAGE: i64 = 1_000;
const METRIC: &str = "up";

/// What the slice knows of the series that it has written.
#[derive(Default)]
pub(crate) struct Written(Mutex<BTreeSet<String>>);

/// The duty, and what wakes it as soon as a host comes or goes.
pub(crate) fn duties(telemetry: &Telemetry) -> (Task, Consumer) {
    let telemetry = telemetry.clone();
    let wake = Wake::default();
    let task = Task::new("telemetry.up", EVERY, wake.clone(), move |_| {
        let telemetry = telemetry.clone();
        async move { write(&telemetry).await }
    });
    let topics = &[
        "agent.connected",
        "agent.lost",
        "agent.returned",
        "agent.revoked",
        "item.retired",
    ];
    let consumer = Consumer::new("telemetry.up", topics, move |_, _| {
        wake.signal();
        Box::pin(async { Ok(()) })
    });
    (task, consumer)
}

/// Hosts by name, and whether their agent is there (`None`: it has just gone).
async fn hosts(telemetry: &Telemetry) -> Result<BTreeMap<String, Option<bool>>, DbError> {
    let mut reader = telemetry.kernel().db.read().await?;
    let items = inventory::store::select(&mut reader, &Selector::kind("host")).await?;
    let names: BTreeMap<String, String> = items
        .into_iter()
        .map(|item| (item.id.to_string(), item.name))
        .collect();
    let mut found = BTreeMap::new();
    let mut after = String::new();
    loop {
        let agents = fleet::store::agents(&mut reader, "active", &after, PAGE).await?;
        for agent in &agents {
            let is_up = match agent.presence {
                Presence::New => continue,
                Presence::Connected => Some(true),
                Presence::Disconnected => None,
                Presence::Lost => Some(false),
            };
            if let Some(name) = names.get(agent.item.as_str()) {
                found.insert(name.clone(), is_up);
            }
        }
        match agents.last() {
            Some(last) if agents.len() as i64 == PAGE => after = last.id.to_string(),
            _ => return Ok(found),
        }
    }
}

/// Writes a sample for each host, and evaluates the rules that read them.
pub(crate) async fn write(telemetry: &Telemetry) -> Result<(), AnyError> {
    let hosts = hosts(telemetry).await?;
    let at_ms = telemetry.now_ms();
    let work = telemetry.clone();
    tokio::task::spawn_blocking(move || store(&work, &hosts, at_ms)).await??;
    telemetry.rules().flush().await
}

fn store(telemetry: &Telemetry, hosts: &BTreeMap<String, Option<bool>>, at_ms: i64) -> tsdb::Result<()> {
    let mut batch = Batch::with_capacity(hosts.len() + 1);
    batch.push(&series("mainstay", "mainstay-server"), at_ms, 1.0);
    for (host, is_up) in hosts {
        if let Some(is_up) = is_up {
            batch.push(&series(host, "mainstay"), at_ms, f64::from(u8::from(*is_up)));
        }
    }
    let gone: Vec<String> = {
        let mut written = telemetry.written_up().0.lock().unwrap_or_else(|e| e.into_inner());
        let gone = written.iter().filter(|host| !hosts.contains_key(*host));
        let gone = gone.cloned().collect();
        *written = hosts.keys().cloned().collect();
        gone
    };
    for host in &gone {
        batch.push(&series(host, "mainstay"), at_ms, tsdb::stale_nan());
    }
    telemetry.tsdb().append(&batch)?;
    for host in hosts.keys().chain(&gone) {
        telemetry
            .rules()
            .on_own_samples(host, at_ms, [METRIC].into_iter());
    }
    Ok(())
}

fn series(instance: &str, job: &str) -> Labels {
    Labels::from_pairs([("__name__", METRIC), ("instance", instance), ("job", job)])
}
