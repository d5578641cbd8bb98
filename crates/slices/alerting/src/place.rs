//! Where an alert is in the inventory, and which items a maintenance window covers.

use std::collections::{HashMap, HashSet};

use inventory::{ItemId, RelationKind, Selector};
use kernel::DbError;
use sqlx::AnyConnection;

use crate::model::Labels;
use crate::window::Window;

/// The labels that can tell the item.
pub fn labels(all: &Labels) -> Labels {
    all.iter()
        .filter(|(name, value)| {
            // PostgreSQL takes no NUL, and no item has one in its name.
            !matches!(name.as_str(), "alertname" | "severity" | "job") && !value.contains('\0')
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The item that an alert with these labels is about.
pub async fn resolve(connection: &mut AnyConnection, labels: &Labels) -> Result<Option<String>, DbError> {
    let item = inventory::resolve_labels(connection, labels).await?;
    Ok(item.map(|id| id.as_str().to_owned()))
}

/// The items that each window mutes: those it names or selects, everything on them, and their dependents when it says so.
pub async fn covered(
    connection: &mut AnyConnection,
    windows: &[Window],
) -> Result<Vec<(String, HashSet<String>)>, DbError> {
    // What is on, and what depends on, each item.
    let mut on: HashMap<String, Vec<String>> = HashMap::new();
    let mut dependent: HashMap<String, Vec<String>> = HashMap::new();
    for relation in inventory::store::all_relations(connection).await? {
        let map = match relation.kind {
            RelationKind::RunsOn | RelationKind::PartOf => &mut on,
            RelationKind::DependsOn => &mut dependent,
            RelationKind::ConnectsTo => continue,
        };
        map.entry(relation.to.as_str().to_owned())
            .or_default()
            .push(relation.from.as_str().to_owned());
    }
    let mut all = Vec::with_capacity(windows.len());
    for window in windows {
        let mut queue = window.items.clone();
        if let Some(selector) = window.selector.as_deref().and_then(|text| text.parse().ok()) {
            let selected = inventory::store::select(connection, &selector).await?;
            queue.extend(selected.into_iter().map(|item| item.id.as_str().to_owned()));
        }
        let mut items = HashSet::new();
        while let Some(item) = queue.pop() {
            if !items.insert(item.clone()) {
                continue;
            }
            queue.extend(on.get(&item).into_iter().flatten().cloned());
            if window.with_dependents {
                queue.extend(dependent.get(&item).into_iter().flatten().cloned());
            }
        }
        all.push((window.id.as_str().to_owned(), items));
    }
    Ok(all)
}

/// Whose an item is.
pub struct Owner {
    pub team: Option<String>,
    pub tags: Labels,
}

pub async fn owner(connection: &mut AnyConnection, item: &str) -> Result<Option<Owner>, DbError> {
    let Ok(id) = item.parse::<ItemId>() else {
        return Ok(None);
    };
    let found = inventory::store::item(connection, &id).await?;
    Ok(found.map(|item| Owner {
        team: item.team,
        tags: item.tags,
    }))
}

/// Reads a selector and throws it away; the error is for the person who wrote it.
pub fn check_selector(text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("a selector contains no NUL".into());
    }
    text.parse::<Selector>()
        .map(|_| ())
        .map_err(|error| error.to_string())
}
