//! The series `mainstay_service_dependents`: how many services, hosts or endpoints depend on each service, as the inventory
//! found it from their connections. Rules tell a listener that somebody uses from one that nobody would miss.
//!
//! A relation is kept for a week after it was last seen, so the series goes on while the service is down.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use inventory::{ItemId, RelationKind, Selector};
use kernel::{AnyError, DbError, Task, Wake};
use tsdb::{Batch, Labels};

use crate::Telemetry;

const EVERY: Duration = Duration::from_secs(15);
pub(crate) const METRIC: &str = "mainstay_service_dependents";

/// The series that were written last: host and service.
#[derive(Default)]
pub(crate) struct Written(Mutex<BTreeSet<(String, String)>>);

pub(crate) fn task(telemetry: &Telemetry) -> Task {
    let telemetry = telemetry.clone();
    Task::new("telemetry.dependents", EVERY, Wake::default(), move |_| {
        let telemetry = telemetry.clone();
        async move { write(&telemetry).await }
    })
}

/// Dependents of each service that has any, by host and service.
async fn count(telemetry: &Telemetry) -> Result<BTreeMap<(String, String), usize>, DbError> {
    let mut reader = telemetry.kernel().db.read().await?;
    let mut dependents: HashMap<ItemId, BTreeSet<ItemId>> = HashMap::new();
    for relation in inventory::store::talks(&mut reader).await? {
        let is_use = matches!(relation.kind, RelationKind::DependsOn | RelationKind::ConnectsTo);
        if is_use && relation.from != relation.to {
            dependents.entry(relation.to).or_default().insert(relation.from);
        }
    }
    let hosts = inventory::store::select(&mut reader, &Selector::kind("host")).await?;
    let hosts: HashMap<ItemId, String> = hosts.into_iter().map(|host| (host.id, host.name)).collect();
    let services = inventory::store::select(&mut reader, &Selector::kind("service")).await?;
    let mut found = BTreeMap::new();
    for service in services {
        let host = service.parent.as_ref().and_then(|parent| hosts.get(parent));
        if let (Some(host), Some(users)) = (host, dependents.get(&service.id)) {
            found.insert((host.clone(), service.key), users.len());
        }
    }
    Ok(found)
}

pub(crate) async fn write(telemetry: &Telemetry) -> Result<(), AnyError> {
    let counts = count(telemetry).await?;
    let at_ms = telemetry.now_ms();
    let work = telemetry.clone();
    tokio::task::spawn_blocking(move || store(&work, &counts, at_ms)).await??;
    Ok(())
}

fn store(telemetry: &Telemetry, counts: &BTreeMap<(String, String), usize>, at_ms: i64) -> tsdb::Result<()> {
    let mut batch = Batch::with_capacity(counts.len());
    for (service, users) in counts {
        batch.push(&series(service), at_ms, *users as f64);
    }
    let mut written = telemetry
        .written_dependents()
        .0
        .lock()
        .unwrap_or_else(|e| e.into_inner());
    for gone in written.iter().filter(|service| !counts.contains_key(*service)) {
        batch.push(&series(gone), at_ms, tsdb::stale_nan());
    }
    *written = counts.keys().cloned().collect();
    drop(written);
    telemetry.tsdb().append(&batch)?;
    Ok(())
}

fn series((host, service): &(String, String)) -> Labels {
    let labels = [
        ("__name__", METRIC),
        ("instance", host.as_str()),
        ("job", "mainstay"),
        ("name", service.as_str()),
    ];
    Labels::from_pairs(labels)
}
