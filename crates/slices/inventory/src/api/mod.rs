//! The slice over HTTP.

mod edit;
mod items;
mod listeners;
mod map;
mod relations;
mod view;

use kernel::slice::roles;
use kernel::{Actor, Allow, Endpoint, Problem};
use sqlx::AnyConnection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::{Item, ItemId};
use crate::{Inventory, store};

const READ: Allow = Allow::Permission("items.read", roles::READ);
const WRITE: Allow = Allow::Permission("items.write", roles::OPERATE);

macro_rules! endpoint {
    ($method:literal, $path:literal, $allow:expr) => {
        Endpoint {
            method: $method,
            path: $path,
            allow: $allow,
        }
    };
}

pub const PERMISSIONS: &[Endpoint] = &[
    endpoint!("GET", "/api/v1/items", READ),
    endpoint!("POST", "/api/v1/items", WRITE),
    endpoint!("GET", "/api/v1/items/{id}", READ),
    endpoint!("PATCH", "/api/v1/items/{id}", WRITE),
    endpoint!("DELETE", "/api/v1/items/{id}", WRITE),
    endpoint!("GET", "/api/v1/items/{id}/history", READ),
    endpoint!("GET", "/api/v1/items/{id}/packages", READ),
    endpoint!("GET", "/api/v1/items/{id}/listeners", READ),
    endpoint!("GET", "/api/v1/items/{id}/impact", READ),
    endpoint!("GET", "/api/v1/items/{id}/relations", READ),
    endpoint!("POST", "/api/v1/items/{id}/relations", WRITE),
    endpoint!("DELETE", "/api/v1/items/{id}/relations/{kind}/{to}", WRITE),
    endpoint!("GET", "/api/v1/map", READ),
];

pub fn routes(inventory: &Inventory) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(items::list_items, edit::create_item))
        .routes(routes!(items::get_item, edit::change_item, edit::retire_item))
        .routes(routes!(items::list_item_history))
        .routes(routes!(items::list_item_packages))
        .routes(routes!(listeners::list_item_listeners))
        .routes(routes!(map::get_item_impact))
        .routes(routes!(
            relations::list_item_relations,
            relations::create_item_relation
        ))
        .routes(routes!(relations::delete_item_relation))
        .routes(routes!(map::get_map))
        .with_state(inventory.clone())
}

/// The item, if this actor may see it.
async fn visible(conn: &mut AnyConnection, actor: &Actor, id: &str) -> Result<Item, Problem> {
    let not_found = || Problem::not_found("item", &id);
    let id: ItemId = id.parse().map_err(|_| not_found())?;
    let item = store::item(conn, &id).await?.ok_or_else(not_found)?;
    if actor.sees(item.team.as_deref(), &item.tags) {
        Ok(item)
    } else {
        Err(not_found())
    }
}

/// Team and tags decide who may act on an item, so that changing them takes a manager.
fn refuse_unless_manageable(actor: &Actor, item: &Item) -> Result<(), Problem> {
    if actor.may("items.write", roles::MANAGE, item.team.as_deref(), &item.tags) {
        return Ok(());
    }
    Err(Problem::forbidden(format_args!(
        "team and tags of \"{}\" decide who may act on it; changing them takes the role manager for what it is and becomes",
        item.name
    )))
}

/// Everything below an item goes with it, and may have a team and tags of its own.
async fn refuse_unless_all_writable(
    conn: &mut AnyConnection,
    actor: &Actor,
    item: &Item,
) -> Result<(), Problem> {
    if !actor.is_scoped() {
        return refuse_unless_writable(actor, item);
    }
    let below = store::descendants(conn, &item.id).await?;
    std::iter::once(item)
        .chain(below.iter().filter(|item| item.is_active()))
        .try_for_each(|item| refuse_unless_writable(actor, item))
}

fn refuse_unless_writable(actor: &Actor, item: &Item) -> Result<(), Problem> {
    if actor.may("items.write", roles::OPERATE, item.team.as_deref(), &item.tags) {
        return Ok(());
    }
    Err(Problem::forbidden(format_args!(
        "your roles do not cover \"{}\" with this team and these tags",
        item.name
    )))
}
