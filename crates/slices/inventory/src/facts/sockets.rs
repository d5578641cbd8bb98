//! Who talks to whom: conversations of a host's services become relations.
//!
//! A far end that is a known address with a known listener is a service that is depended on; a known host without a known
//! listener is depended on as a host; anything else becomes an `endpoint`, up to a bound. When a host's addresses or listeners
//! change, the conversations of others with it are looked at again. Relations that are not seen for a week go.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use kernel::{Actor, DbError, Tx};
use protocol::{Facts, ListenFact};

use super::clean;
use crate::draw::{relate_for, unrelate};
use crate::model::{ItemId, Observation, RelationKind};
use crate::observe;
use crate::store::{self, Listener, Peer};

/// Most conversations that are kept of one host, and endpoints that are made for it.
const MOST_PEERS: usize = 2000;
const MOST_ENDPOINTS: usize = 200;

const TOUCH_US: i64 = 6 * 3600 * 1_000_000;
const KEEP_US: i64 = 7 * 24 * 3600 * 1_000_000;

pub async fn take(
    tx: &mut Tx,
    actor: &Actor,
    host: &ItemId,
    source: &str,
    facts: &Facts,
    services: &HashMap<String, ItemId>,
) -> Result<(), DbError> {
    let is_new = observe_listeners(tx, host, facts, services).await?;
    let known = store::peers(tx, host).await?;
    let mut endpoints = store::count_endpoints(tx, host).await?;
    let now = tx.now();
    for (item, address, port) in conversations(host, facts, services) {
        let before = known
            .iter()
            .find(|p| p.item == item && p.port == port && p.address == address);
        if let Some(peer) = before.filter(|p| !p.target.is_empty()) {
            if now.as_microsecond() - peer.seen_at_us > TOUCH_US
                && let Ok(target) = peer.target.parse()
            {
                store::touch_peer(tx, peer, now).await?;
                store::touch_relation(tx, &item, &target, source, now).await?;
            }
            continue;
        }
        let mut peer = Peer {
            host: host.clone(),
            item,
            address,
            port,
            target: String::new(),
            source: source.into(),
            seen_at_us: now.as_microsecond(),
        };
        link(tx, actor, &mut peer, &mut endpoints).await?;
        store::save_peer(tx, &peer).await?;
    }
    if is_new {
        relink(tx, actor, host).await?;
    }
    Ok(())
}

/// Takes out what has not been seen for a week. One round of at most 500.
pub async fn expire(tx: &mut Tx, actor: &Actor) -> Result<usize, DbError> {
    let before = kernel::clock::from_micros(tx.now().as_microsecond().saturating_sub(KEEP_US));
    store::delete_peers_before(tx, before).await?;
    let gone = store::expire_relations(tx, before, 500).await?;
    for relation in &gone {
        let data = crate::events::RelationNamed {
            from: relation.from.clone(),
            kind: relation.kind,
            to: relation.to.clone(),
            source: relation.source.clone(),
        };
        tx.append(
            actor,
            kernel::NewEvent::new("relation.removed", &relation.from, &data),
        )
        .await?;
        retire_lonely_endpoint(tx, actor, &relation.to).await?;
    }
    Ok(gone.len())
}

/// Addresses that others may reach the host by, in normal form.
pub fn addresses_of(facts: &Facts) -> BTreeSet<String> {
    facts
        .interfaces
        .iter()
        .flat_map(|interface| &interface.addresses)
        .filter_map(|text| parse(text))
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified() && !is_link_local(ip))
        .map(|ip| ip.to_string())
        .take(500)
        .collect()
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// `10.0.0.1/24`, `fe80::1%eth0` and `::ffff:10.0.0.1` as plain addresses.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.split(['/', '%']).next().unwrap_or_default();
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// True when somebody may find this host or a service on it who could not before.
async fn observe_listeners(
    tx: &mut Tx,
    host: &ItemId,
    facts: &Facts,
    services: &HashMap<String, ItemId>,
) -> Result<bool, DbError> {
    let before = store::addresses(tx, host).await?;
    let after = addresses_of(facts);
    store::replace_addresses(tx, host, &before, &after).await?;
    let listeners_before = store::listeners(tx, host).await?;
    let mut listeners = std::collections::BTreeMap::new();
    for listen in facts.listening.iter().filter(|l| is_lasting(l)).take(MOST_PEERS) {
        let service = listen
            .service
            .as_deref()
            .map(clean)
            .and_then(|name| services.get(&name));
        let address = parse(&listen.address).map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string());
        let protocol = clean(&listen.protocol);
        let listener = Listener {
            protocol: protocol.clone(),
            port: listen.port,
            address: address.clone(),
            service: service.map(ToString::to_string).unwrap_or_default(),
            process: listen.process.as_deref().map(clean).unwrap_or_default(),
        };
        listeners.insert((protocol, listen.port, address), listener);
    }
    let listeners: BTreeSet<Listener> = listeners.into_values().collect();
    store::replace_listeners(tx, host, &listeners_before, &listeners).await?;
    Ok(!after.is_subset(&before) || !listeners.is_subset(&listeners_before))
}

/// High UDP ports come and go with every name lookup.
fn is_lasting(listen: &ListenFact) -> bool {
    listen.protocol == "tcp" || listen.port < 32768
}

/// Outgoing conversations, each once: who, where to. Incoming ones are told by the other end.
fn conversations(
    host: &ItemId,
    facts: &Facts,
    services: &HashMap<String, ItemId>,
) -> BTreeSet<(ItemId, String, u16)> {
    facts
        .peers
        .iter()
        .filter(|peer| !peer.inbound)
        .filter_map(|peer| {
            let service = peer
                .service
                .as_deref()
                .map(clean)
                .and_then(|name| services.get(&name));
            let address = parse(&peer.remote_address)?.to_string();
            Some((service.unwrap_or(host).clone(), address, peer.remote_port))
        })
        .take(MOST_PEERS)
        .collect()
}

/// The known thing behind an address and port, as seen from a host.
async fn behind(tx: &mut Tx, from: &ItemId, address: &str, port: u16) -> Result<Option<ItemId>, DbError> {
    let is_loopback = parse(address).is_some_and(|ip| ip.is_loopback());
    let hosts = if is_loopback {
        vec![from.clone()]
    } else {
        store::hosts_of_address(tx, address).await?
    };
    // Bridges and virtual networks repeat the same address on many hosts: the own one is meant, or nobody can tell.
    let host = match hosts.as_slice() {
        [] => return Ok(None),
        [only] => only,
        many if many.contains(from) => from,
        _ => return Ok(None),
    };
    let service = store::listener_service(tx, host, port, address).await?;
    Ok(Some(service.unwrap_or_else(|| host.clone())))
}

async fn link(tx: &mut Tx, actor: &Actor, peer: &mut Peer, endpoints: &mut usize) -> Result<(), DbError> {
    let source = peer.source.clone();
    if let Some(target) = behind(tx, &peer.host, &peer.address, peer.port).await? {
        let is_within = target == peer.host || target == peer.item;
        if !is_within {
            relate_for(
                tx,
                actor,
                (&peer.item, RelationKind::DependsOn, &target),
                &source,
                true,
            )
            .await?;
        }
        peer.target = target.to_string();
        return Ok(());
    }
    let is_foreign = parse(&peer.address).is_some_and(|ip| !ip.is_loopback());
    if !is_foreign || *endpoints >= MOST_ENDPOINTS {
        return Ok(());
    }
    *endpoints += 1;
    let name = if peer.address.contains(':') {
        format!("[{}]:{}", peer.address, peer.port)
    } else {
        format!("{}:{}", peer.address, peer.port)
    };
    let seen = Observation {
        kind: "endpoint".into(),
        key: name.clone(),
        name,
        attributes: [
            ("address".to_owned(), peer.address.clone().into()),
            ("port".to_owned(), peer.port.into()),
        ]
        .into(),
        source: "sockets".into(),
        ..Observation::default()
    };
    let endpoint = observe::observe(tx, actor, &seen).await?;
    relate_for(
        tx,
        actor,
        (&peer.item, RelationKind::ConnectsTo, &endpoint),
        &source,
        true,
    )
    .await?;
    peer.target = endpoint.to_string();
    Ok(())
}

/// Looks again at what others said to talk to at this host's addresses.
async fn relink(tx: &mut Tx, actor: &Actor, host: &ItemId) -> Result<(), DbError> {
    for address in store::addresses(tx, host).await? {
        for mut peer in store::peers_at(tx, &address).await? {
            let Some(target) = behind(tx, &peer.host, &peer.address, peer.port).await? else {
                continue;
            };
            if target.as_str() == peer.target {
                continue;
            }
            if let Ok(old) = peer.target.parse::<ItemId>() {
                for kind in [RelationKind::ConnectsTo, RelationKind::DependsOn] {
                    unrelate(tx, actor, &peer.item, kind, &old, &peer.source).await?;
                }
                retire_lonely_endpoint(tx, actor, &old).await?;
            }
            let mut endpoints = MOST_ENDPOINTS;
            link(tx, actor, &mut peer, &mut endpoints).await?;
            store::save_peer(tx, &peer).await?;
        }
    }
    Ok(())
}

async fn retire_lonely_endpoint(tx: &mut Tx, actor: &Actor, id: &ItemId) -> Result<(), DbError> {
    let is_endpoint = store::item(tx, id)
        .await?
        .is_some_and(|item| item.kind == "endpoint" && item.is_active());
    if is_endpoint && store::relations_of(tx, id).await?.is_empty() {
        observe::retire(tx, actor, id, "sockets").await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_take_their_normal_form() {
        let show = |text: &str| parse(text).map(|ip| ip.to_string());
        assert_eq!(show("10.0.0.1/24").as_deref(), Some("10.0.0.1"));
        assert_eq!(show("::ffff:10.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(show("fe80::1%eth0").as_deref(), Some("fe80::1"));
        assert_eq!(show("nonsense"), None);
    }
}
