//! Taking observations: find the item or make it, note what changed, tell it.
//!
//! Invariant: an observation that says nothing new writes nothing.

use std::collections::BTreeMap;

use kernel::{Actor, DbError, NewEvent, Tx};
use serde_json::Value;

use crate::events::{ItemChanged, ItemConflict, ItemNamed};
use crate::hold::{changed, inherit, set_attributes};
use crate::identity::{self, Candidate, Keys};
use crate::model::{Attributes, IdentityKey, Item, ItemId, MANUAL, Observation, RelationKind, State};
use crate::store;

/// A host whose facts came within this time is alive: facts come at least once an hour.
const LIVE_US: i64 = 2 * 3600 * 1_000_000;

/// `observed_at` is written at most this often.
const TOUCH_US: i64 = 10 * 60 * 1_000_000;

/// Takes an observation. By identity, then by key; else the item is new.
pub async fn observe(tx: &mut Tx, actor: &Actor, seen: &Observation) -> Result<ItemId, DbError> {
    let (found, conflicts) = find(tx, seen).await?;
    let item = match found {
        Some(item) => update(tx, actor, item, seen).await?,
        None => create(tx, actor, seen, true).await?,
    };
    for (other, key) in conflicts {
        note_conflict(tx, actor, &item, &other, &key).await?;
    }
    Ok(item.id)
}

/// Sets an attribute without telling it: for what the caller tells in an event of its own. True when it is new.
pub async fn note(
    tx: &mut Tx,
    id: &ItemId,
    attribute: &str,
    value: &Value,
    source: &str,
) -> Result<bool, DbError> {
    let Some(mut item) = store::item(tx, id).await? else {
        return Ok(false);
    };
    let now = tx.now();
    if item.attributes.set(attribute, value, source, now).is_none() {
        return Ok(false);
    }
    store::save(tx, &mut item, now).await?;
    Ok(true)
}

/// Notes that a host is there, at most every ten minutes.
pub async fn touch(tx: &mut Tx, id: &ItemId) -> Result<(), DbError> {
    if let Some(item) = store::item(tx, id).await?
        && tx.now().as_microsecond() - item.observed_at.as_microsecond() > TOUCH_US
    {
        let now = tx.now();
        store::touch(tx, id, now).await?;
    }
    Ok(())
}

/// Takes an item, and everything on it, out of what is there. It returns when it is observed again.
pub async fn retire(tx: &mut Tx, actor: &Actor, id: &ItemId, source: &str) -> Result<(), DbError> {
    let Some(item) = store::item(tx, id).await? else {
        return Ok(());
    };
    let below = store::descendants(tx, id).await?;
    for mut item in std::iter::once(item).chain(below) {
        if item.is_active() {
            let now = tx.now();
            item.state = State::Retired;
            item.retired_at = Some(now);
            store::save(tx, &mut item, now).await?;
            named(tx, actor, "item.retired", &item, source).await?;
        }
    }
    Ok(())
}

type Conflicts = Vec<(ItemId, IdentityKey)>;

pub(crate) async fn find(tx: &mut Tx, seen: &Observation) -> Result<(Option<Item>, Conflicts), DbError> {
    let mut conflicts = Vec::new();
    if !seen.identity.is_empty() {
        let keys = Keys::from_list(&seen.identity);
        let mut candidates = Vec::new();
        for id in store::candidates(tx, &keys.to_list()).await? {
            let Some(item) = store::item(tx, &id).await?.filter(|item| item.kind == seen.kind) else {
                continue;
            };
            let list = store::keys_of(tx, &id).await?;
            let age_us = tx.now().as_microsecond() - item.observed_at.as_microsecond();
            candidates.push(Candidate {
                id,
                keys: Keys::from_list(&list),
                is_live: item.is_active() && item.source != seen.source && age_us < LIVE_US,
            });
        }
        let resolution = identity::resolve(&keys, &candidates);
        conflicts = resolution.conflicts;
        if let Some(id) = resolution.found {
            return Ok((store::item(tx, &id).await?, conflicts));
        }
    }
    let by_key = store::by_key(tx, &seen.kind, seen.parent.as_ref(), &seen.key).await?;
    match by_key {
        // Whoever has an identity of its own and was not found by it is somebody else of the same name.
        Some(item) if !seen.identity.is_empty() && !store::keys_of(tx, &item.id).await?.is_empty() => {
            Ok((None, conflicts))
        }
        other => Ok((other, conflicts)),
    }
}

/// Makes a new item. `is_told`: with an event of its own.
pub(crate) async fn create(
    tx: &mut Tx,
    actor: &Actor,
    seen: &Observation,
    is_told: bool,
) -> Result<Item, DbError> {
    let now = tx.now();
    let id = ItemId::new();
    let parent = match &seen.parent {
        Some(parent) => store::item(tx, parent).await?,
        None => None,
    };
    let name = if seen.kind == "host" {
        store::rename_free(tx, &seen.name, &id).await?
    } else {
        seen.name.clone()
    };
    let mut attributes = Attributes::default();
    for (attribute, value) in &seen.attributes {
        attributes.set(attribute, value, &seen.source, now);
    }
    let mut item = Item {
        id,
        kind: seen.kind.clone(),
        key: seen.key.clone(),
        parent: seen.parent.clone(),
        name,
        name_is_manual: seen.source == MANUAL,
        state: State::Active,
        own_team: None,
        own_tags: seen.tags.clone(),
        team: None,
        tags: BTreeMap::new(),
        owner: None,
        source: seen.source.clone(),
        attributes,
        created_at: now,
        changed_at: now,
        observed_at: now,
        retired_at: None,
        version: 1,
    };
    inherit(&mut item, parent.as_ref());
    if !store::insert(tx, &item).await? {
        // The key is taken by a thing with another identity.
        item.key = format!("{}#{}", item.key, item.id);
        store::insert(tx, &item).await?;
    }
    if let Some(parent) = &item.parent {
        let kind = RelationKind::to_parent(&item.kind);
        store::insert_relation(tx, &item.id, kind, parent, &seen.source, now, false).await?;
    }
    if !seen.identity.is_empty() {
        store::save_keys(tx, &item.id, &seen.identity).await?;
    }
    if is_told {
        named(tx, actor, "item.created", &item, &seen.source).await?;
    }
    Ok(item)
}

/// Takes what is new over a known item.
pub(crate) async fn update(
    tx: &mut Tx,
    actor: &Actor,
    mut item: Item,
    seen: &Observation,
) -> Result<Item, DbError> {
    let now = tx.now();
    let mut changes: Vec<ItemChanged> = Vec::new();
    let is_return = !item.is_active();
    if is_return {
        item.state = State::Active;
        item.retired_at = None;
    }
    if !item.name_is_manual || seen.source == MANUAL {
        rename(tx, &mut item, seen, is_return, &mut changes).await?;
    } else if is_return && item.kind == "host" {
        item.name = store::rename_free(tx, &item.name, &item.id).await?;
    }
    let is_attribute_new = set_attributes(&mut item, &seen.attributes, &seen.source, now, &mut changes);
    let (identity, claimed) = own_keys(tx, &item, &seen.identity).await?;
    let keys_changed = !identity.is_empty() && store::save_keys(tx, &item.id, &identity).await?;
    if is_return || is_attribute_new || !changes.is_empty() {
        item.observed_at = now;
        store::save(tx, &mut item, now).await?;
    } else if keys_changed
        || (item.kind == "host" && now.as_microsecond() - item.observed_at.as_microsecond() > TOUCH_US)
    {
        store::touch(tx, &item.id, now).await?;
    }
    if is_return {
        named(tx, actor, "item.returned", &item, &seen.source).await?;
    }
    for change in changes {
        tx.append(actor, NewEvent::new("item.changed", &item.id, &change))
            .await?;
    }
    for (other, key) in claimed {
        note_conflict(tx, actor, &item, &other, &key).await?;
    }
    Ok(item)
}

/// The keys that may be the item's from now on, and those that it claims although they are another host's. Whoever says that it
/// has the machine id of somebody else is not found by it. Cards move between machines; their addresses are not judged.
async fn own_keys(
    tx: &mut Tx,
    item: &Item,
    identity: &[IdentityKey],
) -> Result<(Vec<IdentityKey>, Conflicts), DbError> {
    let mut claimed = Conflicts::new();
    if item.kind != "host" || identity.is_empty() {
        return Ok((identity.to_vec(), claimed));
    }
    let known = store::keys_of(tx, &item.id).await?;
    let mut own = Vec::new();
    for key in Keys::from_list(identity).to_list() {
        let is_judged = matches!(
            key.kind.as_str(),
            "machine_id" | "serial" | "dmi_uuid" | "host_key"
        );
        let holder = if !is_judged || known.contains(&key) {
            None
        } else {
            other_holder(tx, item, &key).await?
        };
        match holder {
            Some(other) => claimed.push((other, key)),
            None => own.push(key),
        }
    }
    Ok((own, claimed))
}

/// Another active host that shows the key.
async fn other_holder(tx: &mut Tx, item: &Item, key: &IdentityKey) -> Result<Option<ItemId>, DbError> {
    for id in store::candidates(tx, std::slice::from_ref(key)).await? {
        if id != item.id
            && let Some(other) = store::item(tx, &id).await?
            && other.is_active()
            && other.kind == item.kind
        {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

async fn rename(
    tx: &mut Tx,
    item: &mut Item,
    seen: &Observation,
    is_return: bool,
    changes: &mut Vec<ItemChanged>,
) -> Result<(), DbError> {
    let is_host = item.kind == "host";
    // `web-2` that was told `web` again is still `web-2`, as long as the other `web` is there.
    let is_wanted = item.name == seen.name;
    if is_wanted && !(is_return && is_host) {
        return Ok(());
    }
    let name = if is_host {
        store::rename_free(tx, &seen.name, &item.id).await?
    } else {
        seen.name.clone()
    };
    let is_numbered_already = is_host && name != seen.name && is_numbered(&item.name, &seen.name);
    if name == item.name || (is_numbered_already && !is_return) {
        return Ok(());
    }
    changes.push(changed(
        item,
        "name",
        item.name.clone().into(),
        name.clone().into(),
        &seen.source,
    ));
    item.name = name;
    Ok(())
}

fn is_numbered(name: &str, base: &str) -> bool {
    name.strip_prefix(base)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

pub(crate) async fn named(
    tx: &mut Tx,
    actor: &Actor,
    topic: &'static str,
    item: &Item,
    source: &str,
) -> Result<(), DbError> {
    let data = ItemNamed {
        kind: item.kind.clone(),
        name: item.name.clone(),
        parent: item.parent.clone(),
        source: source.into(),
    };
    tx.append(actor, NewEvent::new(topic, &item.id, &data)).await?;
    Ok(())
}

pub(crate) async fn note_conflict(
    tx: &mut Tx,
    actor: &Actor,
    item: &Item,
    other: &ItemId,
    key: &IdentityKey,
) -> Result<(), DbError> {
    let now = tx.now();
    if store::record_conflict(tx, &item.id, other, key, now).await? {
        let data = ItemConflict {
            name: item.name.clone(),
            other: other.clone(),
            key: key.kind.clone(),
            value: key.value.clone(),
        };
        tx.append(actor, NewEvent::new("item.conflict", &item.id, &data))
            .await?;
    }
    Ok(())
}
