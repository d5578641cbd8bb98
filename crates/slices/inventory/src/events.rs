//! What inventory says: the public shapes of its events. The subject is always the item's id.
//!
//! `item.created`, `item.changed`, `item.retired`, `item.returned`, `item.conflict`, `host.discovered`, `package.changed`,
//! `relation.created`, `relation.removed`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{ItemId, RelationKind};

/// `item.created`, `item.retired`, `item.returned`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemNamed {
    pub kind: String,
    pub name: String,
    pub parent: Option<ItemId>,
    pub source: String,
}

/// `item.changed`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemChanged {
    pub kind: String,
    pub name: String,
    /// `name`, `team`, `owner`, `tag:…` or an attribute.
    pub attribute: String,
    pub before: Value,
    pub after: Value,
    pub source: String,
    /// A manual value stands over it: what holds has not changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overridden: bool,
}

/// `item.conflict`: two things show a key that should be unique.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemConflict {
    pub name: String,
    pub other: ItemId,
    pub key: String,
    pub value: String,
}

/// `host.discovered`: the first facts of a host, told once instead of once per thing on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostDiscovered {
    pub name: String,
    /// Number of things on it, by kind.
    pub items: BTreeMap<String, usize>,
    pub packages: usize,
    pub source: String,
}

/// `package.changed`. The lists hold at most [`PACKAGE_LIST`] entries; the counts are whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PackageChanged {
    pub host: String,
    pub added: Vec<String>,
    pub removed: Vec<String>,
    /// `name 1.0 → 1.1`
    pub updated: Vec<String>,
    pub added_count: usize,
    pub removed_count: usize,
    pub updated_count: usize,
}

pub const PACKAGE_LIST: usize = 50;

/// `relation.created`, `relation.removed`; the subject is `from`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RelationNamed {
    pub from: ItemId,
    pub kind: RelationKind,
    pub to: ItemId,
    pub source: String,
}
