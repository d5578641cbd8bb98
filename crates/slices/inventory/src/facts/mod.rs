//! What an agent finds on its host becomes items and relations.
//!
//! Flow: the host → what is on it ([`children`]) → what is installed ([`packages`]) → who talks to whom ([`sockets`]).

mod children;
mod enrol;
mod packages;
pub(crate) mod sockets;

use std::collections::{BTreeMap, HashMap, HashSet};

use kernel::clock::from_millis;
use kernel::{Actor, DbError, NewEvent, Tx};
use protocol::{Facts, Identity};
use serde_json::{Value, json};

use crate::events::HostDiscovered;
use crate::identity::Keys;
use crate::model::{AGENT, Item, ItemId, Observation};
use crate::{observe, store};

pub use children::{MOST as MOST_OF_A_KIND, over_limit};
pub use enrol::{adopt_host, find_host, observe_host, separate_host};

/// Kinds that agents tell of completely: what is missing in new facts is gone.
const AGENT_KINDS: [&str; 4] = ["service", "disk", "interface", "certificate"];
/// Kinds of which agents tell what runs: what is missing has stopped, and is gone when it does not come back.
const RUNNING_KINDS: [&str; 2] = ["container", "database"];
/// So long what has stopped may come back.
const STOPPED_US: i64 = 7 * 86_400 * 1_000_000;

/// Takes everything that an agent found out about its host. `known_host`: the item that the agent was enrolled as.
pub async fn observe_facts(
    tx: &mut Tx,
    actor: &Actor,
    source: &str,
    facts: &Facts,
    identity: &Identity,
    known_host: Option<ItemId>,
) -> Result<ItemId, DbError> {
    let seen = host_observation(source, &facts.hostname, identity, host_attributes(facts));
    let known = match &known_host {
        Some(id) => store::item(tx, id).await?,
        None => None,
    };
    let id = match known {
        Some(item) => observe::update(tx, actor, item, &seen).await?.id,
        None => observe::observe(tx, actor, &seen).await?,
    };
    let before = store::children(tx, &id).await?;
    // A service may have changed its state, and so be known, before the first facts arrive.
    let is_of_facts = |item: &Item| item.kind != "service" && AGENT_KINDS.contains(&item.kind.as_str());
    let is_first = !before.iter().any(is_of_facts);
    let services = observe_children(tx, actor, &id, source, facts, before, is_first).await?;
    let host_name = store::item(tx, &id)
        .await?
        .map(|item| item.name)
        .unwrap_or_default();
    packages::take(tx, actor, (&id, &host_name), source, &facts.packages).await?;
    if is_first {
        let mut items = BTreeMap::new();
        for item in store::children(tx, &id).await? {
            *items.entry(item.kind).or_insert(0) += 1;
        }
        let data = HostDiscovered {
            name: host_name,
            items,
            packages: facts.packages.len(),
            source: source.into(),
        };
        tx.append(actor, NewEvent::new("host.discovered", &id, &data))
            .await?;
    }
    sockets::take(tx, actor, &id, source, facts, &services).await?;
    Ok(id)
}

/// Updates what is on the host and retires what has gone. Gives the services by name.
async fn observe_children(
    tx: &mut Tx,
    actor: &Actor,
    host: &ItemId,
    source: &str,
    facts: &Facts,
    before: Vec<Item>,
    is_first: bool,
) -> Result<HashMap<String, ItemId>, DbError> {
    let forgotten = forget_excess(tx, &before).await?;
    let mut known: HashMap<(String, String), Item> = before
        .into_iter()
        .filter(|item| !forgotten.contains(&item.id))
        .map(|item| ((item.kind.clone(), item.key.clone()), item))
        .collect();
    let mut services = HashMap::new();
    for seen in children::observations(host, source, facts) {
        let item = match known.remove(&(seen.kind.clone(), seen.key.clone())) {
            Some(item) => observe::update(tx, actor, item, &seen).await?,
            None => observe::create(tx, actor, &seen, !is_first).await?,
        };
        if item.kind == "service" {
            services.insert(seen.key, item.id);
        }
    }
    for ((kind, _), item) in known {
        if !item.is_active() || !item.source.starts_with(AGENT) {
            continue;
        }
        let is_running_kind = RUNNING_KINDS.contains(&kind.as_str());
        let age_us = tx.now().as_microsecond() - item.observed_at.as_microsecond();
        let is_stopped = item.value("running") == Some(&Value::Bool(false));
        if is_running_kind && !(is_stopped && age_us > STOPPED_US) {
            let seen = stopped(&item, source);
            observe::update(tx, actor, item, &seen).await?;
        } else if is_running_kind || AGENT_KINDS.contains(&kind.as_str()) {
            observe::retire(tx, actor, &item.id, source).await?;
        }
    }
    Ok(services)
}

/// Retired things of a host are kept for long, and a host that makes up names has no end of them: of each kind the oldest go.
async fn forget_excess(tx: &mut Tx, before: &[Item]) -> Result<HashSet<ItemId>, DbError> {
    let mut forgotten = HashSet::new();
    let mut retired: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for item in before.iter().filter(|item| !item.is_active()) {
        retired.entry(&item.kind).or_default().push(item);
    }
    for mut items in retired.into_values().filter(|items| items.len() > MOST_OF_A_KIND) {
        items.sort_by_key(|item| item.retired_at);
        for item in &items[..items.len() - MOST_OF_A_KIND] {
            store::forget(tx, item.id.as_str()).await?;
            forgotten.insert(item.id.clone());
        }
    }
    Ok(forgotten)
}

/// What is said of a container or a database server that does not run any more.
fn stopped(item: &Item, source: &str) -> Observation {
    Observation {
        kind: item.kind.clone(),
        key: item.key.clone(),
        parent: item.parent.clone(),
        name: item.key.clone(),
        identity: Vec::new(),
        attributes: BTreeMap::from([("running".to_owned(), json!(false))]),
        source: source.into(),
        tags: BTreeMap::new(),
    }
}

fn host_observation(
    source: &str,
    hostname: &str,
    identity: &Identity,
    attributes: BTreeMap<String, Value>,
) -> Observation {
    let name = clean(hostname);
    let name = if name.is_empty() {
        "unnamed".to_owned()
    } else {
        name
    };
    Observation {
        kind: "host".into(),
        key: name.to_lowercase(),
        parent: None,
        name,
        identity: Keys::from_protocol(identity),
        attributes,
        source: source.into(),
        tags: BTreeMap::new(),
    }
}

fn host_attributes(facts: &Facts) -> BTreeMap<String, Value> {
    let addresses: Vec<Value> = sockets::addresses_of(facts)
        .into_iter()
        .map(Value::from)
        .collect();
    let boot_at = (facts.boot_at_ms > 0).then(|| from_millis(facts.boot_at_ms).to_string());
    [
        ("hostname", json!(clean(&facts.hostname))),
        ("os_name", text(&facts.os_name)),
        ("os_version", text(&facts.os_version)),
        ("kernel", text(&facts.kernel)),
        ("architecture", text(&facts.architecture)),
        ("cpu_model", text(&facts.cpu_model)),
        ("cpu_count", json!(facts.cpu_count)),
        ("memory_bytes", json!(facts.memory_bytes)),
        ("vendor", optional(&facts.vendor)),
        ("model", optional(&facts.model)),
        ("virtualization", optional(&facts.virtualization)),
        ("init", text(&facts.init)),
        ("boot_at", json!(boot_at)),
        ("time_zone", optional(&facts.time_zone)),
        ("addresses", Value::Array(addresses)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Text from outside: without control characters (PostgreSQL refuses NUL) and of bounded length.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(255)
        .collect::<String>()
        .trim()
        .to_owned()
}

fn text(value: &str) -> Value {
    let value = clean(value);
    if value.is_empty() {
        Value::Null
    } else {
        json!(value)
    }
}

fn optional(value: &Option<String>) -> Value {
    value.as_deref().map_or(Value::Null, text)
}
