//! The service map and the impact of a failure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use axum::extract::State;
use kernel::http::{Json, Path, Query};
use kernel::{Actor, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::items::parse_selector;
use super::view::Brief;
use super::visible;
use crate::model::{Item, ItemId, RelationKind};
use crate::{Inventory, store, walk};

/// Most edges that the map shows.
const MOST_EDGES: usize = 5000;

/// What suffers when the item fails.
#[derive(Debug, Serialize, ToSchema)]
pub struct Impact {
    pub item: Brief,
    /// Nearest first.
    pub affected: Vec<AffectedView>,
    /// Number of affected items, by kind.
    pub counts: BTreeMap<String, usize>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AffectedItem)]
pub struct AffectedView {
    pub item: Brief,
    pub distance: usize,
    /// How likely it suffers, 0 to 1.
    pub confidence: f64,
    /// It lost a part, or rests on something that did; else it is down.
    pub is_degraded: bool,
    /// The arrows from the failing item outwards.
    pub path: Vec<StepView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImpactStep)]
pub struct StepView {
    pub from: String,
    pub kind: RelationKind,
    pub to: String,
}

/// What an item's failure would hit, with the paths
#[utoipa::path(get, path = "/api/v1/items/{id}/impact", tag = "inventory", params(("id" = String, Path)),
    responses((status = 200, body = Impact), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_item_impact(
    State(inventory): State<Inventory>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<Impact>, Problem> {
    let mut reader = inventory.kernel.db.read().await?;
    let item = visible(&mut reader, &actor, &id).await?;
    let mut counts = BTreeMap::new();
    let mut affected = Vec::new();
    for hit in walk::impact(&mut reader, &item.id).await? {
        if !actor.sees(hit.item.team.as_deref(), &hit.item.tags) {
            continue;
        }
        *counts.entry(hit.item.kind.clone()).or_insert(0) += 1;
        affected.push(AffectedView {
            item: (&hit.item).into(),
            distance: hit.distance,
            confidence: hit.confidence,
            is_degraded: hit.is_degraded,
            path: hit
                .path
                .into_iter()
                .map(|step| StepView {
                    from: step.from.to_string(),
                    kind: step.kind,
                    to: step.to.to_string(),
                })
                .collect(),
        });
    }
    Ok(Json(Impact {
        item: (&item).into(),
        affected,
        counts,
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MapQuery {
    /// Selector: only what matches, and what it talks to.
    q: Option<String>,
}

/// Who talks to whom.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceMap {
    pub nodes: Vec<MapNode>,
    pub edges: Vec<MapEdge>,
    /// There is more than is shown; narrow it with `q`.
    pub is_cut: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MapNode {
    pub id: String,
    pub kind: String,
    pub name: String,
    /// The host that it is on.
    pub host: Option<String>,
    pub host_name: Option<String>,
    pub team: Option<String>,
    pub tags: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MapEdge {
    pub from: String,
    pub to: String,
    pub kind: RelationKind,
    pub sources: Vec<String>,
}

/// The service map: what depends on and connects to what
#[utoipa::path(get, path = "/api/v1/map", tag = "inventory", params(MapQuery),
    responses((status = 200, body = ServiceMap), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_map(
    State(inventory): State<Inventory>,
    actor: Actor,
    Query(query): Query<MapQuery>,
) -> Result<Json<ServiceMap>, Problem> {
    let selector = parse_selector(query.q.as_deref())?;
    let mut reader = inventory.kernel.db.read().await?;
    let mut edges: BTreeMap<(ItemId, ItemId, RelationKind), Vec<String>> = BTreeMap::new();
    for relation in store::talks(&mut reader).await? {
        let key = (relation.from, relation.to, relation.kind);
        edges.entry(key).or_default().push(relation.source);
    }
    let ends: Vec<ItemId> = edges
        .keys()
        .flat_map(|(from, to, _)| [from.clone(), to.clone()])
        .collect();
    let mut items = store::by_ids(&mut reader, &ends).await?;
    let parents: Vec<ItemId> = items.values().filter_map(|item| item.parent.clone()).collect();
    let parents = store::by_ids(&mut reader, &parents).await?;
    items.retain(|_, item| actor.sees(item.team.as_deref(), &item.tags));
    let is_meant = |id: &ItemId| {
        items.get(id).is_some_and(|item| {
            let parent = item.parent.as_ref().and_then(|id| parents.get(id));
            selector.matches(item, parent.map(|p| p.name.as_str()))
        })
    };
    let mut shown: Vec<MapEdge> = Vec::new();
    let mut used: BTreeSet<&ItemId> = BTreeSet::new();
    let mut is_cut = false;
    for ((from, to, kind), sources) in &edges {
        let is_visible = items.contains_key(from) && items.contains_key(to);
        if !is_visible || !(is_meant(from) || is_meant(to)) {
            continue;
        }
        if shown.len() >= MOST_EDGES {
            is_cut = true;
            break;
        }
        used.extend([from, to]);
        shown.push(MapEdge {
            from: from.to_string(),
            to: to.to_string(),
            kind: *kind,
            sources: sources.clone(),
        });
    }
    let nodes = used
        .into_iter()
        .filter_map(|id| Some(node(items.get(id)?, &parents)))
        .collect();
    Ok(Json(ServiceMap {
        nodes,
        edges: shown,
        is_cut,
    }))
}

fn node(item: &Item, parents: &HashMap<ItemId, Item>) -> MapNode {
    let host = if item.kind == "host" {
        Some(item)
    } else {
        item.parent.as_ref().and_then(|id| parents.get(id))
    };
    MapNode {
        id: item.id.to_string(),
        kind: item.kind.clone(),
        name: item.name.clone(),
        host: host.map(|h| h.id.to_string()),
        host_name: host.map(|h| h.name.clone()),
        team: item.team.clone(),
        tags: item.tags.clone(),
    }
}
