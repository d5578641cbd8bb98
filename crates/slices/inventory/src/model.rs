//! What an item is: its kind, place, attributes with their sources, and its relations. No I/O.

use std::collections::BTreeMap;

use kernel::{Id, Prefix, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub type ItemId = Id<Item>;

/// The source whose values win over everything that is observed.
pub const MANUAL: &str = "manual";

/// How sources that are agents begin. A host has one agent at a time: a new one takes over what the one before said.
pub const AGENT: &str = "agent:";

/// One thing of the estate.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub id: ItemId,
    /// `host`, `service`, `disk`, `interface`, `certificate`, `package_set`, `endpoint`, …
    pub kind: String,
    /// Natural key within the parent.
    pub key: String,
    pub parent: Option<ItemId>,
    pub name: String,
    /// Set by a person: observations leave it alone.
    pub name_is_manual: bool,
    pub state: State,
    /// Set on this very item.
    pub own_team: Option<String>,
    pub own_tags: BTreeMap<String, String>,
    /// Own or inherited from the parent.
    pub team: Option<String>,
    /// Own over the parent's.
    pub tags: BTreeMap<String, String>,
    /// Id of the person who answers for it.
    pub owner: Option<String>,
    pub source: String,
    pub attributes: Attributes,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    /// When somebody last saw it; kept exact to ten minutes, for hosts only.
    pub observed_at: Timestamp,
    pub retired_at: Option<Timestamp>,
    pub version: i64,
}

impl Prefix for Item {
    const PREFIX: &'static str = "itm";
}

impl Item {
    /// The value that holds for an attribute.
    pub fn value(&self, attribute: &str) -> Option<&Value> {
        self.attributes.effective(attribute).map(|held| &held.value)
    }

    /// The value as text, where it is one.
    pub fn text(&self, attribute: &str) -> Option<&str> {
        self.value(attribute).and_then(Value::as_str)
    }

    pub fn is_active(&self) -> bool {
        self.state == State::Active
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ItemState)]
pub enum State {
    Active,
    /// No longer observed, or taken out by a person. It comes back when it is seen again.
    Retired,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    pub fn parse(text: &str) -> Option<State> {
        match text {
            "active" => Some(Self::Active),
            "retired" => Some(Self::Retired),
            _ => None,
        }
    }
}

/// What one source says of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    #[serde(rename = "v")]
    pub value: Value,
    #[serde(rename = "s")]
    pub source: String,
    #[serde(rename = "t", with = "micros")]
    pub at: Timestamp,
}

/// Attributes by name; for each what every source says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attributes(pub BTreeMap<String, Vec<Held>>);

/// A change of an attribute, as one source tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub before: Value,
    pub after: Value,
    /// A manual value stands over it, so that what holds has not changed.
    pub is_overridden: bool,
}

impl Attributes {
    /// The manual value, else the newest.
    pub fn effective(&self, name: &str) -> Option<&Held> {
        let held = self.0.get(name)?;
        held.iter()
            .find(|h| h.source == MANUAL)
            .or_else(|| held.iter().max_by_key(|h| h.at))
    }

    /// The newest observed value where a manual one stands over it and differs.
    pub fn observed_difference(&self, name: &str) -> Option<&Held> {
        let effective = self.effective(name).filter(|h| h.source == MANUAL)?;
        let observed = self.0.get(name)?.iter().filter(|h| h.source != MANUAL);
        observed
            .max_by_key(|h| h.at)
            .filter(|h| h.value != effective.value)
    }

    /// Takes what `source` says; `Null` withdraws it. `None` when that is nothing new.
    pub fn set(&mut self, name: &str, value: &Value, source: &str, at: Timestamp) -> Option<Change> {
        let effective = self.effective(name).map(|h| h.value.clone());
        let held = self.0.entry(name.to_owned()).or_default();
        let is_agent = source.starts_with(AGENT);
        let position = held
            .iter()
            .position(|h| h.source == source || (is_agent && h.source.starts_with(AGENT)));
        let before = position.map_or(Value::Null, |index| held[index].value.clone());
        let is_same = before == *value || is_jitter(name, &before, value);
        if !is_same {
            if let Some(index) = position {
                held.remove(index);
            }
            if !value.is_null() {
                held.push(Held {
                    value: value.clone(),
                    source: source.to_owned(),
                    at,
                });
            }
        }
        if held.is_empty() {
            self.0.remove(name);
        }
        if is_same {
            return None;
        }
        let after = self.effective(name).map(|h| h.value.clone());
        let is_overridden = source != MANUAL && effective == after && effective.is_some();
        Some(if is_overridden {
            Change {
                before,
                after: value.clone(),
                is_overridden,
            }
        } else {
            Change {
                before: effective.unwrap_or(Value::Null),
                after: after.unwrap_or(Value::Null),
                is_overridden,
            }
        })
    }
}

/// The boot time is computed from the uptime and wanders by seconds; a reboot moves it further.
fn is_jitter(name: &str, before: &Value, after: &Value) -> bool {
    let parse = |v: &Value| v.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    name == "boot_at"
        && parse(before)
            .zip(parse(after))
            .is_some_and(|(a, b)| (a.as_second() - b.as_second()).abs() < 60)
}

/// Attributes that change without telling anything: kept, without an event.
pub fn is_quiet(attribute: &str) -> bool {
    matches!(attribute, "main_pid" | "started_at")
}

/// One key of an identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentityKey {
    /// `machine_id`, `dmi_uuid`, `serial`, `host_key`, `mac`; or a kind of the observer's own, which must be unique by itself.
    pub kind: String,
    pub value: String,
}

impl IdentityKey {
    pub fn new(kind: &str, value: &str) -> Self {
        Self {
            kind: kind.into(),
            value: value.into(),
        }
    }
}

/// What an observer says of a thing.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    pub kind: String,
    /// Natural key within the parent.
    pub key: String,
    pub parent: Option<ItemId>,
    pub name: String,
    pub identity: Vec<IdentityKey>,
    /// `Null` withdraws a value; what is not named stays.
    pub attributes: BTreeMap<String, Value>,
    pub source: String,
    /// Given to the item when it is new; later a person's business.
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// A service on a host.
    RunsOn,
    /// Does not work without the other.
    DependsOn,
    /// Talks to something that has no agent.
    ConnectsTo,
    /// A disk, interface or certificate of a host.
    PartOf,
}

impl RelationKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunsOn => "runs_on",
            Self::DependsOn => "depends_on",
            Self::ConnectsTo => "connects_to",
            Self::PartOf => "part_of",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::RunsOn, Self::DependsOn, Self::ConnectsTo, Self::PartOf]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }

    /// How a child of `kind` hangs on its parent.
    pub fn to_parent(kind: &str) -> Self {
        match kind {
            "service" | "container" | "database" => Self::RunsOn,
            _ => Self::PartOf,
        }
    }
}

/// A typed arrow between two items, as one source tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    pub from: ItemId,
    pub kind: RelationKind,
    pub to: ItemId,
    pub source: String,
    pub created_at: Timestamp,
}

mod micros {
    use kernel::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.as_microsecond())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Ok(kernel::clock::from_micros(i64::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_manual_value_wins_and_the_difference_shows() {
        let mut attributes = Attributes::default();
        assert!(attributes.set("role", &json!("web"), "agent:1", at(1)).is_some());
        assert!(
            attributes.set("role", &json!("web"), "agent:1", at(2)).is_none(),
            "nothing new"
        );
        let change = attributes.set("role", &json!("db"), MANUAL, at(3)).unwrap();
        assert_eq!((change.before, change.after), (json!("web"), json!("db")));
        let change = attributes.set("role", &json!("cache"), "agent:1", at(4)).unwrap();
        assert!(change.is_overridden);
        assert_eq!(attributes.effective("role").unwrap().value, json!("db"));
        assert_eq!(
            attributes.observed_difference("role").unwrap().value,
            json!("cache")
        );
        let change = attributes.set("role", &Value::Null, MANUAL, at(5)).unwrap();
        assert_eq!((change.before, change.after), (json!("db"), json!("cache")));
        assert!(attributes.observed_difference("role").is_none());
    }

    #[test]
    fn a_wandering_boot_time_is_no_reboot() {
        let mut attributes = Attributes::default();
        attributes.set("boot_at", &json!("2026-01-01T00:00:00Z"), "a", at(1));
        assert!(
            attributes
                .set("boot_at", &json!("2026-01-01T00:00:09Z"), "a", at(2))
                .is_none()
        );
        assert!(
            attributes
                .set("boot_at", &json!("2026-01-01T00:05:00Z"), "a", at(3))
                .is_some()
        );
    }
}
