//! Reading items, their history and packages.

use axum::extract::State;
use kernel::event::Event;
use kernel::event::store::{Filter, before};
use kernel::http::page::{Cursor, Page, PageQuery};
use kernel::http::{Json, Path, Query};
use kernel::{Actor, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::{Brief, ItemView};
use super::visible;
use crate::selector::Selector;
use crate::store::Package;
use crate::{Inventory, store};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ItemQuery {
    /// Selector, for instance `kind=host name=web-* tag:env=prod attr:os_name=Debian*`. Without a state only active items.
    q: Option<String>,
    /// 1 to 500, 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

pub(super) fn parse_selector(text: Option<&str>) -> Result<Selector, Problem> {
    text.unwrap_or_default()
        .parse()
        .map_err(|error| Problem::invalid_field("q", error))
}

/// Items by selector, by name
#[utoipa::path(get, path = "/api/v1/items", tag = "inventory", params(ItemQuery),
    responses((status = 200, body = Page<ItemView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_items(
    State(inventory): State<Inventory>,
    actor: Actor,
    Query(query): Query<ItemQuery>,
) -> Result<Json<Page<ItemView>>, Problem> {
    let selector = parse_selector(query.q.as_deref())?;
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let cursor = page.cursor()?;
    let after = match &cursor {
        Some(cursor) => (cursor.part(0)?, cursor.part(1)?),
        None => ("", ""),
    };
    let limit = usize::try_from(page.limit()).unwrap_or(100);
    let mut reader = inventory.kernel.db.read().await?;
    let may_see = |item: &crate::Item| actor.sees(item.team.as_deref(), &item.tags);
    let items = store::tree(&mut reader, &selector, &may_see, after, limit + 1).await?;
    let items = items.into_iter().map(ItemView::from).collect();
    Ok(Json(Page::cut(items, limit, |item: &ItemView| {
        Cursor::of(&[&item.name, &item.id])
    })))
}

/// An item with what is directly on it, and with whom it disputes an identity.
#[derive(Debug, Serialize, ToSchema)]
pub struct ItemDetail {
    #[serde(flatten)]
    pub item: ItemView,
    pub children: Vec<Brief>,
    pub conflicts: Vec<ConflictView>,
    pub identity: Vec<KeyView>,
}

/// Another item that shows a key which should be unique.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ItemConflict)]
pub struct ConflictView {
    pub other: String,
    pub key: String,
    pub value: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ItemIdentityKey)]
pub struct KeyView {
    pub kind: String,
    pub value: String,
}

/// One item
#[utoipa::path(get, path = "/api/v1/items/{id}", tag = "inventory", params(("id" = String, Path)),
    responses((status = 200, body = ItemDetail), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_item(
    State(inventory): State<Inventory>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<ItemDetail>, Problem> {
    let mut reader = inventory.kernel.db.read().await?;
    let item = visible(&mut reader, &actor, &id).await?;
    let children = store::children(&mut reader, &item.id).await?;
    let may_see = |item: &crate::Item| actor.sees(item.team.as_deref(), &item.tags);
    let mut conflicts = store::conflicts(&mut reader, &item.id).await?;
    if actor.is_scoped() {
        let others: Vec<_> = conflicts.iter().map(|(other, _)| other.clone()).collect();
        let others = store::by_ids(&mut reader, &others).await?;
        conflicts.retain(|(other, _)| others.get(other).is_some_and(may_see));
    }
    let identity = store::keys_of(&mut reader, &item.id).await?;
    Ok(Json(ItemDetail {
        children: children
            .iter()
            .filter(|child| may_see(child))
            .map(Brief::from)
            .collect(),
        conflicts: conflicts
            .into_iter()
            .map(|(other, key)| ConflictView {
                other: other.to_string(),
                key: key.kind,
                value: key.value,
            })
            .collect(),
        identity: identity
            .into_iter()
            .map(|key| KeyView {
                kind: key.kind,
                value: key.value,
            })
            .collect(),
        item: item.into(),
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Not before.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// 1 to 500, 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Everything that happened to an item, newest first
#[utoipa::path(get, path = "/api/v1/items/{id}/history", tag = "inventory", params(("id" = String, Path), HistoryQuery),
    responses((status = 200, body = Page<Event>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_item_history(
    State(inventory): State<Inventory>,
    actor: Actor,
    Path(id): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<Page<Event>>, Problem> {
    let mut reader = inventory.kernel.db.read().await?;
    let item = visible(&mut reader, &actor, &id).await?;
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let seq = page.cursor()?.map_or(Ok(i64::MAX), |cursor| cursor.first_i64())?;
    let filter = Filter {
        subject: Some(item.id.to_string()),
        from_us: query.from.map(Timestamp::as_microsecond),
        to_us: query.to.map(Timestamp::as_microsecond),
        ..Filter::default()
    };
    let events = before(&mut reader, &filter, seq, page.limit() + 1).await?;
    let limit = usize::try_from(page.limit()).unwrap_or(100);
    Ok(Json(Page::cut(events, limit, |event| {
        Cursor::of(&[&event.seq.to_string()])
    })))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PackageQuery {
    /// Part of the name.
    q: Option<String>,
    /// 1 to 500, 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Package)]
pub struct PackageView {
    pub name: String,
    pub version: String,
    pub architecture: String,
}

/// What is installed on a host, or in a package set
#[utoipa::path(get, path = "/api/v1/items/{id}/packages", tag = "inventory", params(("id" = String, Path), PackageQuery),
    responses((status = 200, body = Page<PackageView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_item_packages(
    State(inventory): State<Inventory>,
    actor: Actor,
    Path(id): Path<String>,
    Query(query): Query<PackageQuery>,
) -> Result<Json<Page<PackageView>>, Problem> {
    let mut reader = inventory.kernel.db.read().await?;
    let item = visible(&mut reader, &actor, &id).await?;
    let set = if item.kind == "host" {
        store::by_key(&mut reader, "package_set", Some(&item.id), "packages").await?
    } else {
        Some(item)
    };
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let mut after = Package {
        name: String::new(),
        architecture: String::new(),
        version: String::new(),
    };
    if let Some(cursor) = page.cursor()? {
        after.name = cursor.part(0)?.to_owned();
        after.architecture = cursor.part(1)?.to_owned();
        after.version = cursor.part(2)?.to_owned();
    }
    let Some(set) = set else {
        return Ok(Json(Page {
            items: Vec::new(),
            next: None,
        }));
    };
    let text = query.q.unwrap_or_default();
    if text.len() > 255 {
        return Err(Problem::invalid_field("q", "at most 255 characters"));
    }
    let list = store::package_page(&mut reader, &set.id, &text, &after, page.limit() + 1).await?;
    let views = list
        .into_iter()
        .map(|package| PackageView {
            name: package.name,
            version: package.version,
            architecture: package.architecture,
        })
        .collect();
    let limit = usize::try_from(page.limit()).unwrap_or(100);
    Ok(Json(Page::cut(views, limit, |package: &PackageView| {
        Cursor::of(&[&package.name, &package.architecture, &package.version])
    })))
}
