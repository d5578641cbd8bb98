//! Relations of an item.

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::{Json, Path};
use kernel::{Actor, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::Brief;
use super::{refuse_unless_writable, visible};
use crate::model::{MANUAL, RelationKind};
use crate::{Inventory, draw, store};

/// A typed arrow, as one source tells it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ItemRelation)]
pub struct RelationView {
    pub from: Brief,
    pub kind: RelationKind,
    pub to: Brief,
    /// `manual` or who found it.
    pub source: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRelation {
    pub kind: RelationKind,
    /// Id of the item at the arrow's head.
    pub to: String,
}

/// Relations from and to an item
#[utoipa::path(get, path = "/api/v1/items/{id}/relations", tag = "inventory", params(("id" = String, Path)),
    responses((status = 200, body = Vec<RelationView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_item_relations(
    State(inventory): State<Inventory>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<Vec<RelationView>>, Problem> {
    let mut reader = inventory.kernel.db.read().await?;
    let item = visible(&mut reader, &actor, &id).await?;
    let relations = store::relations_of(&mut reader, &item.id).await?;
    let ends: Vec<_> = relations
        .iter()
        .flat_map(|r| [r.from.clone(), r.to.clone()])
        .collect();
    let items = store::by_ids(&mut reader, &ends).await?;
    let views = relations.into_iter().filter_map(|relation| {
        let (from, to) = (items.get(&relation.from)?, items.get(&relation.to)?);
        let may_see = [from, to].iter().all(|i| actor.sees(i.team.as_deref(), &i.tags));
        may_see.then(|| RelationView {
            from: from.into(),
            kind: relation.kind,
            to: to.into(),
            source: relation.source,
            created_at: relation.created_at,
        })
    });
    Ok(Json(views.collect()))
}

/// Draws a relation by hand
#[utoipa::path(post, path = "/api/v1/items/{id}/relations", tag = "inventory", params(("id" = String, Path)), request_body = NewRelation,
    responses((status = 201, body = RelationView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_item_relation(
    State(inventory): State<Inventory>,
    actor: Actor,
    Path(id): Path<String>,
    Json(new): Json<NewRelation>,
) -> Result<(StatusCode, Json<RelationView>), Problem> {
    let mut tx = inventory.kernel.db.write().await?;
    let from = visible(&mut tx, &actor, &id).await?;
    refuse_unless_writable(&actor, &from)?;
    let to = visible(&mut tx, &actor, &new.to)
        .await
        .map_err(|_| Problem::invalid_field("to", "there is no such item that you may see"))?;
    // What depends on what decides whose incidents are one and where commands go: that is said of both ends.
    refuse_unless_writable(&actor, &to)?;
    if from.id == to.id {
        return Err(Problem::invalid_field("to", "an item has no relation to itself"));
    }
    if !draw::relate(&mut tx, &actor, &from.id, new.kind, &to.id, MANUAL).await? {
        return Err(Problem::conflict("this relation is there already"));
    }
    let created_at = tx.now();
    tx.commit().await?;
    let view = RelationView {
        from: (&from).into(),
        kind: new.kind,
        to: (&to).into(),
        source: MANUAL.into(),
        created_at,
    };
    Ok((StatusCode::CREATED, Json(view)))
}

/// Removes a relation that was drawn by hand
#[utoipa::path(delete, path = "/api/v1/items/{id}/relations/{kind}/{to}", tag = "inventory",
    params(("id" = String, Path), ("kind" = RelationKind, Path), ("to" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_item_relation(
    State(inventory): State<Inventory>,
    actor: Actor,
    Path((id, kind, to)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let mut tx = inventory.kernel.db.write().await?;
    let from = visible(&mut tx, &actor, &id).await?;
    refuse_unless_writable(&actor, &from)?;
    let not_found = || Problem::not_found("manual relation", &format_args!("{kind} {to}"));
    let kind = RelationKind::parse(&kind).ok_or_else(not_found)?;
    let to = visible(&mut tx, &actor, &to).await.map_err(|_| not_found())?;
    refuse_unless_writable(&actor, &to)?;
    let to = to.id;
    if !draw::unrelate(&mut tx, &actor, &from.id, kind, &to, MANUAL).await? {
        return Err(not_found());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
