//! Services, disks, interfaces and certificates of a host, as observations. Pure.

use std::collections::{BTreeMap, BTreeSet};

use kernel::clock::from_millis;
use protocol::Facts;
use serde_json::{Value, json};

use super::{clean, optional, text};
use crate::model::{ItemId, Observation};

/// Most things of one kind that are taken from one host.
pub const MOST: usize = 2000;

/// How many things of the facts are more than a host may have; the rest of them is taken.
pub fn over_limit(facts: &Facts) -> usize {
    [
        facts.services.len(),
        facts.disks.len(),
        facts.interfaces.len(),
        facts.certificates.len(),
        facts.containers.len(),
        facts.databases.len(),
    ]
    .into_iter()
    .map(|count| count.saturating_sub(MOST))
    .sum()
}

/// Kind, key and attributes of a thing.
type Seen = (&'static str, String, Vec<(&'static str, Value)>);

/// One observation per thing; a key appears once per kind.
pub fn observations(host: &ItemId, source: &str, facts: &Facts) -> Vec<Observation> {
    let list = services(facts)
        .into_iter()
        .chain(disks(facts))
        .chain(interfaces(facts))
        .chain(certificates(facts))
        .chain(containers(facts))
        .chain(databases(facts));
    let mut taken = BTreeSet::new();
    list.filter(|(kind, key, _)| !key.is_empty() && taken.insert((*kind, key.clone())))
        .map(|(kind, key, attributes)| Observation {
            kind: kind.into(),
            name: key.clone(),
            key,
            parent: Some(host.clone()),
            identity: Vec::new(),
            attributes: attributes
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            source: source.into(),
            tags: BTreeMap::new(),
        })
        .collect()
}

fn disks(facts: &Facts) -> impl Iterator<Item = Seen> {
    facts.disks.iter().take(MOST).map(|disk| {
        let attributes = vec![
            ("device", text(&disk.device)),
            ("fs_type", text(&disk.fs_type)),
            ("size_bytes", json!(disk.size_bytes)),
        ];
        ("disk", clean(&disk.mount_point), attributes)
    })
}

fn interfaces(facts: &Facts) -> impl Iterator<Item = Seen> {
    let lasting = facts.interfaces.iter().take(MOST).filter(|i| is_lasting(&i.name));
    lasting.map(|interface| {
        let addresses: BTreeSet<String> = interface.addresses.iter().map(|a| clean(a)).collect();
        let attributes = vec![
            ("mac", optional(&interface.mac)),
            ("addresses", json!(addresses)),
            ("mtu", json!(interface.mtu)),
            ("speed_mbit", json!(interface.speed_mbit)),
            ("up", json!(interface.up)),
        ];
        ("interface", clean(&interface.name), attributes)
    })
}

/// The first certificate of a file has the path as its key, the others the subject too.
fn certificates(facts: &Facts) -> impl Iterator<Item = Seen> {
    let mut paths = BTreeSet::new();
    facts.certificates.iter().take(MOST).map(move |certificate| {
        let path = clean(&certificate.path);
        let key = if paths.insert(path.clone()) {
            path
        } else {
            clean(&format!("{path} ({})", certificate.subject))
        };
        let names: Vec<String> = certificate.names.iter().take(100).map(|n| clean(n)).collect();
        let time = |ms: i64| json!(from_millis(ms).to_string());
        let attributes = vec![
            ("subject", text(&certificate.subject)),
            ("issuer", text(&certificate.issuer)),
            ("names", json!(names)),
            ("not_before", time(certificate.not_before_ms)),
            ("not_after", time(certificate.not_after_ms)),
            ("fingerprint", text(&certificate.fingerprint)),
        ];
        ("certificate", key, attributes)
    })
}

fn containers(facts: &Facts) -> impl Iterator<Item = Seen> {
    facts.containers.iter().take(MOST).map(|container| {
        let attributes = vec![
            ("runtime", text(&container.runtime)),
            ("container_id", text(&container.id)),
            ("image", optional(&container.image)),
            ("running", json!(true)),
            (
                "started_at",
                json!(container.started_at_ms.map(|ms| from_millis(ms).to_string())),
            ),
        ];
        ("container", clean(&container.name), attributes)
    })
}

fn databases(facts: &Facts) -> impl Iterator<Item = Seen> {
    facts.databases.iter().take(MOST).map(|database| {
        let attributes = vec![
            ("engine", text(&database.engine)),
            ("version", optional(&database.version)),
            ("port", json!(database.port)),
            ("data_directory", optional(&database.data_directory)),
            ("service", optional(&database.service)),
            ("running", json!(true)),
        ];
        ("database", clean(&database.name), attributes)
    })
}

fn services(facts: &Facts) -> Vec<Seen> {
    let mut ports: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for listen in facts.listening.iter().take(MOST) {
        // High UDP ports come and go with every name lookup.
        let is_lasting = listen.protocol == "tcp" || listen.port < 32768;
        if let Some(service) = listen.service.as_deref().filter(|_| is_lasting) {
            let port = format!(
                "{} {}:{}",
                clean(&listen.protocol),
                clean(&listen.address),
                listen.port
            );
            ports.entry(service).or_default().insert(port);
        }
    }
    facts
        .services
        .iter()
        .take(MOST)
        .map(|service| {
            let listening = ports.get(service.name.as_str()).cloned().unwrap_or_default();
            let started = service.started_at_ms.map(|ms| from_millis(ms).to_string());
            let attributes = vec![
                ("manager", text(&service.manager)),
                ("state", text(&service.state)),
                ("enabled", json!(service.enabled)),
                ("supervision", text(&service.supervision)),
                ("description", optional(&service.description)),
                (
                    "listening",
                    if listening.is_empty() {
                        Value::Null
                    } else {
                        json!(listening)
                    },
                ),
                ("started_at", json!(started)),
            ];
            ("service", clean(&service.name), attributes)
        })
        .collect()
}

/// Interfaces that container engines make and drop all day tell nothing of the host.
fn is_lasting(name: &str) -> bool {
    name != "lo"
        && !["veth", "cali", "lxc", "tap"]
            .iter()
            .any(|head| name.starts_with(head))
}
