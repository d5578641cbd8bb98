//! What an item holds: attributes, team and tags, and how the latter two come down from its parent.

use std::collections::BTreeMap;

use kernel::{Actor, DbError, NewEvent, Timestamp, Tx};
use serde_json::Value;

use crate::events::ItemChanged;
use crate::model::{Item, ItemId, is_quiet};
use crate::store;

/// Gives an item a team and tags where it has none of its own: for what joins the estate with a token that names them.
pub async fn place(
    tx: &mut Tx,
    actor: &Actor,
    id: &ItemId,
    team: Option<&str>,
    tags: &BTreeMap<String, String>,
) -> Result<(), DbError> {
    let Some(mut item) = store::item(tx, id).await? else {
        return Ok(());
    };
    let mut changes = Vec::new();
    if let Some(team) = team.filter(|_| item.own_team.is_none()) {
        changes.push(changed(&item, "team", Value::Null, team.into(), "join"));
        item.own_team = Some(team.to_owned());
    }
    for (name, value) in tags {
        if !item.own_tags.contains_key(name) {
            changes.push(changed(
                &item,
                &format!("tag:{name}"),
                Value::Null,
                value.clone().into(),
                "join",
            ));
            item.own_tags.insert(name.clone(), value.clone());
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    let parent = match &item.parent {
        Some(parent) => store::item(tx, parent).await?,
        None => None,
    };
    inherit(&mut item, parent.as_ref());
    let now = tx.now();
    store::save(tx, &mut item, now).await?;
    hand_down(tx, &item).await?;
    for change in changes {
        tx.append(actor, NewEvent::new("item.changed", id, &change))
            .await?;
    }
    Ok(())
}

/// Applies attributes; what is to be told goes into `changes`. True when anything is new.
pub(crate) fn set_attributes(
    item: &mut Item,
    attributes: &BTreeMap<String, Value>,
    source: &str,
    now: Timestamp,
    changes: &mut Vec<ItemChanged>,
) -> bool {
    let mut is_new = false;
    for (attribute, value) in attributes {
        if let Some(change) = item.attributes.set(attribute, value, source, now) {
            is_new = true;
            if !is_quiet(attribute) {
                let mut told = changed(item, attribute, change.before, change.after, source);
                told.overridden = change.is_overridden;
                changes.push(told);
            }
        }
    }
    is_new
}

pub(crate) fn changed(
    item: &Item,
    attribute: &str,
    before: Value,
    after: Value,
    source: &str,
) -> ItemChanged {
    ItemChanged {
        kind: item.kind.clone(),
        name: item.name.clone(),
        attribute: attribute.into(),
        before,
        after,
        source: source.into(),
        overridden: false,
    }
}

/// Team and tags come from the parent where the item has none of its own.
pub(crate) fn inherit(item: &mut Item, parent: Option<&Item>) {
    item.team = item
        .own_team
        .clone()
        .or_else(|| parent.and_then(|p| p.team.clone()));
    item.tags = parent.map(|p| p.tags.clone()).unwrap_or_default();
    item.tags.extend(item.own_tags.clone());
}

/// Gives team and tags to everything below.
pub(crate) async fn hand_down(tx: &mut Tx, item: &Item) -> Result<(), DbError> {
    let mut parents = BTreeMap::from([(item.id.clone(), item.clone())]);
    for mut child in store::descendants(tx, &item.id).await? {
        let before = (child.team.clone(), child.tags.clone());
        let parent = child.parent.as_ref().and_then(|id| parents.get(id)).cloned();
        inherit(&mut child, parent.as_ref());
        if before != (child.team.clone(), child.tags.clone()) {
            let at = child.changed_at;
            store::save(tx, &mut child, at).await?;
        }
        parents.insert(child.id.clone(), child);
    }
    Ok(())
}
