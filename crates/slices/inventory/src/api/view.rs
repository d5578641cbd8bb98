//! How items look on the wire.

use std::collections::BTreeMap;

use kernel::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::model::{Attributes, Held, Item, State};

/// One thing of the estate.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Item)]
pub struct ItemView {
    #[schema(example = "itm_01890a5dac9678ad8b2b8d0e2c2f6c3a")]
    pub id: String,
    /// `host`, `service`, `disk`, `interface`, `certificate`, `package_set`, `endpoint`, …
    pub kind: String,
    /// Natural key within the parent.
    pub key: String,
    pub name: String,
    /// A person named it: observations leave the name alone.
    pub name_is_manual: bool,
    pub parent: Option<String>,
    pub state: State,
    /// Own or inherited.
    pub team: Option<String>,
    /// Id of the person who answers for it.
    pub owner: Option<String>,
    /// Own and inherited.
    pub tags: BTreeMap<String, String>,
    /// Set on this very item.
    pub own_tags: BTreeMap<String, String>,
    pub source: String,
    pub attributes: BTreeMap<String, AttributeView>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub observed_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub retired_at: Option<Timestamp>,
    /// Send it back as `If-Match` to change only what you have read.
    pub version: i64,
}

/// The value that holds, and an observed one that differs from it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ItemAttribute)]
pub struct AttributeView {
    pub value: Value,
    /// `manual`, `agent:agt_…`, …
    pub source: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<ObservedView>,
}

/// What was observed while a manual value stands.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ItemObserved)]
pub struct ObservedView {
    pub value: Value,
    pub source: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl From<Item> for ItemView {
    fn from(item: Item) -> Self {
        Self {
            attributes: attributes(&item.attributes),
            id: item.id.to_string(),
            kind: item.kind,
            key: item.key,
            name: item.name,
            name_is_manual: item.name_is_manual,
            parent: item.parent.map(|id| id.to_string()),
            state: item.state,
            team: item.team,
            owner: item.owner,
            tags: item.tags,
            own_tags: item.own_tags,
            source: item.source,
            created_at: item.created_at,
            changed_at: item.changed_at,
            observed_at: item.observed_at,
            retired_at: item.retired_at,
            version: item.version,
        }
    }
}

fn attributes(all: &Attributes) -> BTreeMap<String, AttributeView> {
    let observed = |held: &Held| ObservedView {
        value: held.value.clone(),
        source: held.source.clone(),
        at: held.at,
    };
    all.0
        .keys()
        .filter_map(|name| {
            let held = all.effective(name)?;
            let view = AttributeView {
                value: held.value.clone(),
                source: held.source.clone(),
                at: held.at,
                observed: all.observed_difference(name).map(observed),
            };
            Some((name.clone(), view))
        })
        .collect()
}

/// An item in a few words, for lists of other things.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ItemBrief)]
pub struct Brief {
    pub id: String,
    pub kind: String,
    pub name: String,
    pub state: State,
    pub parent: Option<String>,
}

impl From<&Item> for Brief {
    fn from(item: &Item) -> Self {
        Self {
            id: item.id.to_string(),
            kind: item.kind.clone(),
            name: item.name.clone(),
            state: item.state,
            parent: item.parent.as_ref().map(ToString::to_string),
        }
    }
}
