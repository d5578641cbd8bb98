//! Hosts at the moment of enrolment, before there are facts: which known host shows an identity, taking it over, or a host of
//! its own. Whether a known host may be taken over is fleet's decision; nothing here changes team or tags of a known host.

use std::collections::BTreeMap;

use kernel::{Actor, DbError, Tx};
use protocol::Identity;

use super::host_observation;
use crate::identity::Keys;
use crate::model::{IdentityKey, Item, ItemId};
use crate::{observe, store};

/// The known host that shows this identity, if there is one. Changes nothing.
pub async fn find_host(
    tx: &mut Tx,
    source: &str,
    hostname: &str,
    identity: &Identity,
) -> Result<Option<Item>, DbError> {
    let seen = host_observation(source, hostname, identity, BTreeMap::new());
    Ok(observe::find(tx, &seen).await?.0)
}

/// A host that no known one is: with these tags, and in conflict with those that share a key which should be unique.
pub async fn observe_host(
    tx: &mut Tx,
    actor: &Actor,
    source: &str,
    hostname: &str,
    identity: &Identity,
    tags: BTreeMap<String, String>,
) -> Result<ItemId, DbError> {
    let mut seen = host_observation(source, hostname, identity, BTreeMap::new());
    seen.tags = tags;
    observe::observe(tx, actor, &seen).await
}

/// Takes over a known host for a new agent: name and identity are the new one's, team and tags stay.
pub async fn adopt_host(
    tx: &mut Tx,
    actor: &Actor,
    source: &str,
    hostname: &str,
    identity: &Identity,
    host: Item,
) -> Result<ItemId, DbError> {
    let seen = host_observation(source, hostname, identity, BTreeMap::new());
    Ok(observe::update(tx, actor, host, &seen).await?.id)
}

/// A host of its own although `twin` shows the same identity: what they share becomes a conflict that people see.
pub async fn separate_host(
    tx: &mut Tx,
    actor: &Actor,
    source: &str,
    hostname: &str,
    identity: &Identity,
    tags: BTreeMap<String, String>,
    twin: &ItemId,
) -> Result<ItemId, DbError> {
    let mut seen = host_observation(source, hostname, identity, BTreeMap::new());
    seen.tags = tags;
    let item = observe::create(tx, actor, &seen, true).await?;
    let theirs = store::keys_of(tx, twin).await?;
    let ours = Keys::from_protocol(identity);
    if let Some(key) = shared(&ours, &theirs) {
        observe::note_conflict(tx, actor, &item, twin, &key).await?;
    }
    Ok(item.id)
}

/// The strongest key that both show.
fn shared(ours: &[IdentityKey], theirs: &[IdentityKey]) -> Option<IdentityKey> {
    ["machine_id", "serial", "dmi_uuid", "host_key", "mac"]
        .into_iter()
        .find_map(|kind| {
            ours.iter()
                .find(|key| key.kind == kind && theirs.contains(key))
                .cloned()
        })
}
