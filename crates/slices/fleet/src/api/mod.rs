//! The slice over HTTP.

mod agents;
mod commands;
mod files;
mod joins;
mod tokens;

use inventory::{Item, ItemId};
use kernel::slice::roles;
use kernel::{Actor, Allow, Endpoint, Problem};
use sqlx::AnyConnection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Fleet;

const READ: Allow = Allow::Permission("agents.read", roles::READ);
const WRITE: Allow = Allow::Permission("agents.write", roles::MANAGE);
const JOIN: Allow = Allow::Permission("join_tokens.write", roles::MANAGE);
const COMMANDS_READ: Allow = Allow::Permission("commands.read", roles::READ);
const COMMANDS_WRITE: Allow = Allow::Permission("commands.write", roles::OPERATE);

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
    endpoint!("GET", "/api/v1/agents", READ),
    endpoint!("GET", "/api/v1/agents/{id}", READ),
    endpoint!("DELETE", "/api/v1/agents/{id}", WRITE),
    endpoint!("GET", "/api/v1/agents/{id}/config", READ),
    endpoint!("PUT", "/api/v1/agents/{id}/config", WRITE),
    endpoint!("GET", "/api/v1/join-tokens", JOIN),
    endpoint!("POST", "/api/v1/join-tokens", JOIN),
    endpoint!("DELETE", "/api/v1/join-tokens/{id}", JOIN),
    endpoint!("GET", "/api/v1/join-requests", READ),
    endpoint!("POST", "/api/v1/join-requests/{id}/approve", WRITE),
    endpoint!("POST", "/api/v1/join-requests/{id}/deny", WRITE),
    endpoint!("GET", "/api/v1/commands/{id}", COMMANDS_READ),
    endpoint!("POST", "/api/v1/commands/{id}/cancel", COMMANDS_WRITE),
    endpoint!("GET", "/api/v1/commands/{id}/output", COMMANDS_READ),
    endpoint!("GET", "/join.sh", Allow::Public),
    endpoint!("GET", "/dist/mainstay", Allow::Public),
    endpoint!("GET", "/dist/mainstay.sha256", Allow::Public),
    endpoint!("GET", "/dist/mainstay-agent.service", Allow::Public),
];

pub fn routes(fleet: &Fleet) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(agents::list_agents))
        .routes(routes!(agents::get_agent, agents::revoke_agent))
        .routes(routes!(agents::get_agent_config, agents::set_agent_config))
        .routes(routes!(tokens::list_join_tokens, tokens::create_join_token))
        .routes(routes!(tokens::revoke_join_token))
        .routes(routes!(joins::list_join_requests))
        .routes(routes!(joins::approve_join_request))
        .routes(routes!(joins::deny_join_request))
        .routes(routes!(commands::get_command))
        .routes(routes!(commands::cancel_command))
        .routes(routes!(commands::stream_command_output))
        .routes(routes!(files::get_join_script))
        .routes(routes!(files::get_program))
        .routes(routes!(files::get_program_checksum))
        .routes(routes!(files::get_agent_unit))
        .with_state(fleet.clone())
}

/// The item of a thing, if this actor may see it.
async fn visible_item(
    conn: &mut AnyConnection,
    actor: &Actor,
    item: &ItemId,
) -> Result<Option<Item>, Problem> {
    let item = inventory::store::item(conn, item).await?;
    Ok(item.filter(|item| actor.sees(item.team.as_deref(), &item.tags)))
}
