//! The inventory as incidents need it: the graph for grouping, kept between events, and names and owners of items.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use inventory::{Item, ItemId, RelationKind};
use kernel::DbError;
use sqlx::AnyConnection;

use crate::decide::terrain::Terrain;
use crate::model::{Hop, How};
use crate::store;

/// The number of the event that it is as new as, and the graph.
type Kept = (i64, Arc<Terrain>);

/// The graph as it was at an event; read again when a later event may have changed it.
#[derive(Clone, Default)]
pub struct Map {
    kept: Arc<Mutex<Option<Kept>>>,
}

impl Map {
    pub async fn terrain(&self, connection: &mut AnyConnection) -> Result<Arc<Terrain>, DbError> {
        let stamp = store::link::graph_stamp(connection).await?;
        if let Some((at, terrain)) = &*self.kept.lock().unwrap_or_else(PoisonError::into_inner)
            && *at == stamp
        {
            return Ok(terrain.clone());
        }
        let relations = inventory::store::all_relations(connection).await?;
        let edges = relations.into_iter().filter_map(|relation| {
            let how = match relation.kind {
                RelationKind::RunsOn | RelationKind::PartOf => How::On,
                RelationKind::DependsOn => How::DependsOn,
                RelationKind::ConnectsTo => return None,
            };
            Some((
                relation.from.as_str().to_owned(),
                how,
                relation.to.as_str().to_owned(),
            ))
        });
        let terrain = Arc::new(Terrain::new(edges));
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((stamp, terrain.clone()));
        Ok(terrain)
    }
}

pub async fn item(connection: &mut AnyConnection, id: &str) -> Result<Option<Item>, DbError> {
    match id.parse::<ItemId>() {
        Ok(id) => inventory::store::item(connection, &id).await,
        Err(_) => Ok(None),
    }
}

/// Names of items, for sentences; an item that is not there keeps its id.
pub async fn names(
    connection: &mut AnyConnection,
    ids: Vec<String>,
) -> Result<HashMap<String, String>, DbError> {
    let mut names = HashMap::new();
    for id in ids {
        if let Entry::Vacant(slot) = names.entry(id) {
            let id = slot.key();
            let name = item(connection, id)
                .await?
                .map_or_else(|| plain(id), |item| item.name);
            slot.insert(name);
        }
    }
    Ok(names)
}

/// A place that is no item, in words.
fn plain(place: &str) -> String {
    place.strip_prefix("instance:").unwrap_or(place).to_owned()
}

/// `shop-api needs postgresql, which is on db-1`
pub async fn way(connection: &mut AnyConnection, path: &[Hop]) -> Result<String, DbError> {
    let mut ids = Vec::with_capacity(2 * path.len());
    for hop in path {
        ids.push(hop.from.clone());
        ids.push(hop.to.clone());
    }
    let names = names(connection, ids).await?;
    let name = |id: &str| names.get(id).cloned().unwrap_or_else(|| id.to_owned());
    let mut text = String::new();
    for (index, hop) in path.iter().enumerate() {
        let verb = match hop.how {
            How::On => "is on",
            How::DependsOn => "needs",
        };
        if index == 0 {
            text = format!("{} {verb} {}", name(&hop.from), name(&hop.to));
        } else {
            text = format!("{text}, which {verb} {}", name(&hop.to));
        }
    }
    Ok(text)
}
