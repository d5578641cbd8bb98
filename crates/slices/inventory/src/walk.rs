//! What is affected when an item fails, with the path to each.
//!
//! Flow: outwards, nearest first. Things that run on, depend on, connect to or are part of an affected thing are affected; a
//! failing disk or interface affects its host.

use std::collections::{HashMap, VecDeque};

use kernel::DbError;
use sqlx::AnyConnection;

use crate::model::{Item, ItemId, RelationKind};
use crate::store;

/// Most affected items that one walk finds.
const MOST: usize = 2000;

/// One arrow on the way from the failing thing to an affected one.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub from: ItemId,
    pub kind: RelationKind,
    pub to: ItemId,
}

#[derive(Clone, Debug)]
pub struct Affected {
    pub item: Item,
    /// Number of arrows.
    pub distance: usize,
    /// From the failing thing outwards.
    pub path: Vec<Step>,
}

/// Active items that fail or suffer with `start`, nearest first; not `start` itself.
pub async fn impact(conn: &mut AnyConnection, start: &ItemId) -> Result<Vec<Affected>, DbError> {
    let mut reached: HashMap<ItemId, Vec<Step>> = HashMap::from([(start.clone(), Vec::new())]);
    let mut queue = VecDeque::from([start.clone()]);
    let mut found = Vec::new();
    while let Some(here) = queue.pop_front() {
        let path = reached.get(&here).cloned().unwrap_or_default();
        for (next, step) in arrows(conn, &here, path.is_empty()).await? {
            if reached.contains_key(&next) || found.len() >= MOST {
                continue;
            }
            let Some(item) = store::item(conn, &next).await?.filter(Item::is_active) else {
                continue;
            };
            let mut path = path.clone();
            path.push(step);
            reached.insert(next.clone(), path.clone());
            queue.push_back(next);
            found.push(Affected {
                item,
                distance: path.len(),
                path,
            });
        }
    }
    Ok(found)
}

async fn arrows(
    conn: &mut AnyConnection,
    here: &ItemId,
    is_start: bool,
) -> Result<Vec<(ItemId, Step)>, DbError> {
    let mut list = Vec::new();
    let kind = store::item(conn, here)
        .await?
        .map(|item| item.kind)
        .unwrap_or_default();
    for relation in store::relations_of(conn, here).await? {
        let is_part = relation.kind == RelationKind::PartOf && (kind == "disk" || kind == "interface");
        let next = if relation.to == *here {
            relation.from.clone()
        } else if is_start && is_part {
            relation.to.clone()
        } else {
            continue;
        };
        let step = Step {
            from: relation.from,
            kind: relation.kind,
            to: relation.to,
        };
        list.push((next, step));
    }
    Ok(list)
}
