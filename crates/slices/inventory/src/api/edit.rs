//! Making, changing and retiring items by hand.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use kernel::http::{Json, Path};
use kernel::{Actor, FieldError, NewEvent, Problem, Tx};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::view::ItemView;
use super::{refuse_unless_all_writable, refuse_unless_manageable, refuse_unless_writable, visible};
use crate::events::ItemChanged;
use crate::hold::{changed, hand_down, inherit, set_attributes};
use crate::model::{Item, MANUAL, Observation, State as ItemState};
use crate::{Inventory, observe, store};

/// A thing that no agent tells of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewItem {
    /// Lower-case letters, digits and `_`; at most 40.
    pub kind: String,
    #[schema(min_length = 1, max_length = 255)]
    pub name: String,
    /// Natural key within the parent; the name when absent.
    pub key: Option<String>,
    pub parent: Option<String>,
    pub team: Option<String>,
    pub owner: Option<String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub attributes: BTreeMap<String, Value>,
}

/// What is to change; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ItemChange {
    #[schema(min_length = 1, max_length = 255)]
    pub name: Option<String>,
    /// `null` takes it away, so that the parent's holds.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub team: Option<Option<String>>,
    /// `null` takes it away.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Option<String>>,
    /// All of the item's own tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// Manual values, which stand over what is observed; `null` withdraws one.
    pub attributes: BTreeMap<String, Value>,
    pub state: Option<ItemState>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Adds an item by hand
#[utoipa::path(post, path = "/api/v1/items", tag = "inventory", request_body = NewItem,
    responses((status = 201, body = ItemView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_item(
    State(inventory): State<Inventory>,
    actor: Actor,
    Json(new): Json<NewItem>,
) -> Result<(StatusCode, Json<ItemView>), Problem> {
    let mut errors = Errors::default();
    errors.kind(&new.kind);
    errors.text("name", &new.name, 1, 255);
    errors.text("key", new.key.as_deref().unwrap_or("x"), 1, 255);
    errors.optional("team", new.team.as_deref());
    errors.optional("owner", new.owner.as_deref());
    errors.tags(&new.tags);
    errors.attributes(&new.attributes);
    errors.finish()?;
    let mut tx = inventory.kernel.db.write().await?;
    let parent = match &new.parent {
        Some(id) => {
            let parent = visible(&mut tx, &actor, id).await?;
            // Whoever acts on a thing acts on what it is on.
            refuse_unless_writable(&actor, &parent)?;
            Some(parent.id)
        }
        None => None,
    };
    let is_shared = parent.is_some() && (new.team.is_some() || !new.tags.is_empty());
    let key = new.key.unwrap_or_else(|| new.name.clone());
    if store::by_key(&mut tx, &new.kind, parent.as_ref(), &key)
        .await?
        .is_some()
    {
        return Err(Problem::conflict(format_args!(
            "there is a {} \"{key}\" at this place already",
            new.kind
        )));
    }
    if new.kind == "host"
        && store::host_by_name(&mut tx, &new.name)
            .await?
            .is_some_and(|host| host.is_active())
    {
        return Err(Problem::conflict(format_args!(
            "there is a host \"{}\" already",
            new.name
        )));
    }
    let seen = Observation {
        kind: new.kind,
        key,
        parent,
        name: new.name,
        attributes: new.attributes,
        source: MANUAL.into(),
        tags: new.tags,
        ..Observation::default()
    };
    let id = observe::observe(&mut tx, &actor, &seen).await?;
    let mut item = visible_or_gone(&mut tx, &id).await?;
    if new.team.is_some() || new.owner.is_some() {
        item.own_team = new.team;
        item.owner = new.owner;
        let parent = parent_of(&mut tx, &item).await?;
        inherit(&mut item, parent.as_ref());
        let now = tx.now();
        store::save(&mut tx, &mut item, now).await?;
    }
    refuse_unless_writable(&actor, &item)?;
    if is_shared {
        refuse_unless_manageable(&actor, &item)?;
    }
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(item.into())))
}

/// Changes an item by hand
#[utoipa::path(patch, path = "/api/v1/items/{id}", tag = "inventory", request_body = ItemChange,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "Version that was read")),
    responses((status = 200, body = ItemView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn change_item(
    State(inventory): State<Inventory>,
    actor: Actor,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(change): Json<ItemChange>,
) -> Result<Json<ItemView>, Problem> {
    let mut errors = Errors::default();
    errors.text("name", change.name.as_deref().unwrap_or("x"), 1, 255);
    errors.optional("team", change.team.as_ref().and_then(|t| t.as_deref()));
    errors.optional("owner", change.owner.as_ref().and_then(|t| t.as_deref()));
    errors.tags(change.tags.as_ref().unwrap_or(&BTreeMap::new()));
    errors.attributes(&change.attributes);
    errors.finish()?;
    let mut tx = inventory.kernel.db.write().await?;
    let mut item = visible(&mut tx, &actor, &id).await?;
    refuse_unless_writable(&actor, &item)?;
    refuse_stale(&headers, &item)?;
    let before = item.clone();
    let told = apply(&mut tx, &mut item, &change).await?;
    let is_moved = (&before.own_team, &before.own_tags) != (&item.own_team, &item.own_tags);
    if is_moved {
        refuse_unless_manageable(&actor, &before)?;
        refuse_unless_manageable(&actor, &item)?;
    }
    if is_moved || change.state.is_some() {
        refuse_unless_all_writable(&mut tx, &actor, &before).await?;
    }
    refuse_unless_writable(&actor, &item)?;
    if !told.is_empty() {
        let now = tx.now();
        store::save(&mut tx, &mut item, now).await?;
        hand_down(&mut tx, &item).await?;
    }
    if is_moved {
        refuse_unless_all_writable(&mut tx, &actor, &item).await?;
    }
    for change in told {
        tx.append(&actor, NewEvent::new("item.changed", &item.id, &change))
            .await?;
    }
    match change.state {
        Some(ItemState::Retired) => observe::retire(&mut tx, &actor, &item.id, MANUAL).await?,
        Some(ItemState::Active) if !item.is_active() => {
            let seen = Observation {
                kind: item.kind.clone(),
                name: item.name.clone(),
                source: MANUAL.into(),
                ..Observation::default()
            };
            observe::update(&mut tx, &actor, item.clone(), &seen).await?;
        }
        _ => {}
    }
    let item = visible_or_gone(&mut tx, &item.id).await?;
    tx.commit().await?;
    Ok(Json(item.into()))
}

/// Retires an item and everything on it; it returns when it is observed again
#[utoipa::path(delete, path = "/api/v1/items/{id}", tag = "inventory", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn retire_item(
    State(inventory): State<Inventory>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let mut tx = inventory.kernel.db.write().await?;
    let item = visible(&mut tx, &actor, &id).await?;
    refuse_unless_all_writable(&mut tx, &actor, &item).await?;
    observe::retire(&mut tx, &actor, &item.id, MANUAL).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes the item in memory and says what is to be told.
async fn apply(tx: &mut Tx, item: &mut Item, change: &ItemChange) -> Result<Vec<ItemChanged>, Problem> {
    let mut told = Vec::new();
    if let Some(name) = change.name.as_ref().filter(|name| **name != item.name) {
        if item.kind == "host" && store::rename_free(tx, name, &item.id).await? != *name {
            return Err(Problem::conflict(format_args!(
                "there is a host \"{name}\" already"
            )));
        }
        told.push(changed(item, "name", json!(item.name), json!(name), MANUAL));
        item.name = name.clone();
        item.name_is_manual = true;
    }
    if let Some(team) = change.team.as_ref().filter(|team| **team != item.own_team) {
        told.push(changed(item, "team", json!(item.own_team), json!(team), MANUAL));
        item.own_team = team.clone();
    }
    if let Some(owner) = change.owner.as_ref().filter(|owner| **owner != item.owner) {
        told.push(changed(item, "owner", json!(item.owner), json!(owner), MANUAL));
        item.owner = owner.clone();
    }
    if let Some(tags) = &change.tags {
        let names: std::collections::BTreeSet<&String> = item.own_tags.keys().chain(tags.keys()).collect();
        for name in names {
            let (before, after) = (item.own_tags.get(name), tags.get(name));
            if before != after {
                told.push(changed(
                    item,
                    &format!("tag:{name}"),
                    json!(before),
                    json!(after),
                    MANUAL,
                ));
            }
        }
        item.own_tags = tags.clone();
    }
    let now = tx.now();
    set_attributes(item, &change.attributes, MANUAL, now, &mut told);
    let parent = parent_of(tx, item).await?;
    inherit(item, parent.as_ref());
    Ok(told)
}

async fn parent_of(tx: &mut Tx, item: &Item) -> Result<Option<Item>, Problem> {
    match &item.parent {
        Some(parent) => Ok(store::item(tx, parent).await?),
        None => Ok(None),
    }
}

async fn visible_or_gone(tx: &mut Tx, id: &crate::ItemId) -> Result<Item, Problem> {
    store::item(tx, id)
        .await?
        .ok_or_else(|| Problem::not_found("item", id))
}

fn refuse_stale(headers: &HeaderMap, item: &Item) -> Result<(), Problem> {
    let Some(wanted) = headers.get("if-match").and_then(|v| v.to_str().ok()) else {
        return Ok(());
    };
    if wanted == "*" || wanted.trim_matches('"') == item.version.to_string() {
        return Ok(());
    }
    Err(Problem::stale(format_args!(
        "the item is at version {}, you have read {wanted}; read it again",
        item.version
    )))
}

/// Collects what is not valid.
#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn add(&mut self, field: impl ToString, message: impl ToString) {
        self.0.push(FieldError {
            field: field.to_string(),
            message: message.to_string(),
        });
    }

    fn text(&mut self, field: &str, value: &str, least: usize, most: usize) {
        let length = value.trim().chars().count();
        if length < least || value.chars().count() > most {
            self.add(field, format_args!("must have {least} to {most} characters"));
        }
        if value.chars().any(char::is_control) {
            self.add(field, "must not have control characters");
        }
    }

    fn optional(&mut self, field: &str, value: Option<&str>) {
        self.text(field, value.unwrap_or("x"), 1, 100);
    }

    fn kind(&mut self, kind: &str) {
        let is_good = (1..=40).contains(&kind.len())
            && kind
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !is_good {
            self.add("kind", "must have 1 to 40 lower-case letters, digits and _");
        }
    }

    fn tags(&mut self, tags: &BTreeMap<String, String>) {
        if tags.len() > 50 {
            self.add("tags", "at most 50");
        }
        for (name, value) in tags.iter().take(50) {
            self.text(&format!("tags.{name}"), name, 1, 63);
            self.text(&format!("tags.{name}"), value, 0, 255);
        }
    }

    fn attributes(&mut self, attributes: &BTreeMap<String, Value>) {
        if attributes.len() > 100 {
            self.add("attributes", "at most 100 at once");
        }
        for (name, value) in attributes.iter().take(100) {
            self.text(&format!("attributes.{name}"), name, 1, 63);
            if value.to_string().len() > 8192 {
                self.add(format_args!("attributes.{name}"), "at most 8 KiB");
            }
        }
    }

    fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.0))
        }
    }
}
