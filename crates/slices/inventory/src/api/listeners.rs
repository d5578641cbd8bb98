//! The sockets that a host listens on, with their owners as far as they are known.

use axum::extract::State;
use kernel::http::{Json, Path};
use kernel::{Actor, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use super::view::Brief;
use super::visible;
use crate::{Inventory, store};

/// A port that a host listens on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ItemListener)]
pub struct ListenerView {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// `0.0.0.0` and `::` are all addresses of the host.
    pub address: String,
    pub port: u16,
    /// Name of the process, when the agent could read it.
    pub process: Option<String>,
    /// The service that the process belongs to, when it is one that the inventory knows.
    pub service: Option<Brief>,
}

/// All sockets that a host listens on, by port; with the owner where it is known
#[utoipa::path(get, path = "/api/v1/items/{id}/listeners", tag = "inventory", params(("id" = String, Path)),
    responses((status = 200, body = Vec<ListenerView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_item_listeners(
    State(inventory): State<Inventory>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<Vec<ListenerView>>, Problem> {
    let mut reader = inventory.kernel.db.read().await?;
    let host = visible(&mut reader, &actor, &id).await?;
    let mut listeners: Vec<_> = store::listeners(&mut reader, &host.id)
        .await?
        .into_iter()
        .collect();
    listeners.sort_by_key(|listener| listener.port);
    let ids: Vec<_> = listeners
        .iter()
        .filter_map(|listener| listener.service.parse().ok())
        .collect();
    let mut services = store::by_ids(&mut reader, &ids).await?;
    services.retain(|_, item| actor.sees(item.team.as_deref(), &item.tags));
    let view = |listener: store::Listener| ListenerView {
        service: listener
            .service
            .parse()
            .ok()
            .and_then(|id| services.get(&id))
            .map(Brief::from),
        process: Some(listener.process).filter(|name| !name.is_empty()),
        protocol: listener.protocol,
        address: listener.address,
        port: listener.port,
    };
    Ok(Json(listeners.into_iter().map(view).collect()))
}
