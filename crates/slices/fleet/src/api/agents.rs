//! Agents: who they are, revoking them, their settings.

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::page::{Cursor, Page, PageQuery};
use kernel::http::{Json, Path, Query};
use kernel::slice::roles;
use kernel::{Actor, NewEvent, Problem, Timestamp};
use protocol::{AgentConfig, ToAgent};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::{IntoParams, ToSchema};

use super::visible_item;
use crate::events::AgentEvent;
use crate::model::{Agent, AgentState, Presence};
use crate::{Fleet, store};

/// A program that watches one host.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
pub struct AgentView {
    pub id: String,
    /// Its host.
    pub item_id: String,
    /// The host's name.
    pub name: String,
    pub state: AgentState,
    pub presence: Presence,
    /// Since when the presence is what it is.
    #[schema(value_type = String, format = DateTime)]
    pub presence_at: Timestamp,
    /// When it was last heard, exact to half a minute while it is connected.
    #[schema(value_type = String, format = DateTime)]
    pub heard_at: Timestamp,
    pub version: String,
    /// Where it last connected from.
    pub address: String,
    #[schema(value_type = String, format = DateTime)]
    pub joined_at: Timestamp,
    /// Id of the token that it joined with.
    pub join_token: String,
    #[schema(value_type = String, format = DateTime)]
    pub certificate_expires_at: Timestamp,
    /// The host's clock less the server's; `null` when the agent has not said it. Its times are corrected by it.
    pub clock_offset_ms: Option<i64>,
    /// It has settings of its own.
    pub has_own_config: bool,
}

fn view(agent: Agent, name: String) -> AgentView {
    AgentView {
        id: agent.id.to_string(),
        item_id: agent.item.to_string(),
        name,
        state: agent.state,
        presence: agent.presence,
        presence_at: agent.presence_at,
        heard_at: agent.heard_at,
        version: agent.version,
        address: agent.address,
        joined_at: agent.joined_at,
        join_token: agent.join_token,
        certificate_expires_at: agent.certificate_expires_at,
        clock_offset_ms: agent.clock_offset_ms,
        has_own_config: agent.config.is_some(),
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AgentQuery {
    /// Only those in this state; `active` when absent.
    state: Option<AgentState>,
    /// 1 to 500, 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Agents in the order of their joining
#[utoipa::path(get, path = "/api/v1/agents", tag = "fleet", params(AgentQuery),
    responses((status = 200, body = Page<AgentView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_agents(
    State(fleet): State<Fleet>,
    actor: Actor,
    Query(query): Query<AgentQuery>,
) -> Result<Json<Page<AgentView>>, Problem> {
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let cursor = page.cursor()?;
    let mut after = cursor.as_ref().map_or(Ok(""), |c| c.part(0))?.to_owned();
    let state = query.state.unwrap_or(AgentState::Active).as_str();
    let limit = usize::try_from(page.limit()).unwrap_or(100);
    let mut reader = fleet.kernel().db.read().await?;
    let mut views = Vec::new();
    // Agents of hosts outside one's scope are read over.
    while views.len() <= limit {
        let chunk = store::agents(&mut reader, state, &after, 500).await?;
        let Some(last) = chunk.last() else { break };
        after = last.id.to_string();
        let is_end = chunk.len() < 500;
        for agent in chunk {
            if let Some(item) = visible_item(&mut reader, &actor, &agent.item).await? {
                views.push(view(agent, item.name));
            }
        }
        if is_end {
            break;
        }
    }
    views.truncate(limit + 1);
    Ok(Json(Page::cut(views, limit, |agent: &AgentView| {
        Cursor::of(&[&agent.id])
    })))
}

async fn visible(
    conn: &mut AnyConnection,
    actor: &Actor,
    id: &str,
) -> Result<(Agent, inventory::Item), Problem> {
    let not_found = || Problem::not_found("agent", &id);
    let agent_id = id.parse().map_err(|_| not_found())?;
    let agent = store::agent(conn, &agent_id).await?.ok_or_else(not_found)?;
    let item = visible_item(conn, actor, &agent.item)
        .await?
        .ok_or_else(not_found)?;
    Ok((agent, item))
}

pub(super) fn refuse_unless_writable(actor: &Actor, item: &inventory::Item) -> Result<(), Problem> {
    if actor.may("agents.write", roles::MANAGE, item.team.as_deref(), &item.tags) {
        return Ok(());
    }
    Err(Problem::forbidden(format_args!(
        "your roles do not cover \"{}\"",
        item.name
    )))
}

/// One agent
#[utoipa::path(get, path = "/api/v1/agents/{id}", tag = "fleet", params(("id" = String, Path)),
    responses((status = 200, body = AgentView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_agent(
    State(fleet): State<Fleet>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<AgentView>, Problem> {
    let mut reader = fleet.kernel().db.read().await?;
    let (agent, item) = visible(&mut reader, &actor, &id).await?;
    Ok(Json(view(agent, item.name)))
}

/// Takes an agent out: its connection is cut and its certificate opens nothing any more
#[utoipa::path(delete, path = "/api/v1/agents/{id}", tag = "fleet", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn revoke_agent(
    State(fleet): State<Fleet>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let mut tx = fleet.kernel().db.write().await?;
    let (agent, item) = visible(&mut tx, &actor, &id).await?;
    refuse_unless_writable(&actor, &item)?;
    if agent.state != AgentState::Active {
        return Err(Problem::conflict("this agent was revoked or replaced already"));
    }
    store::save_state(&mut tx, &agent.id, AgentState::Revoked).await?;
    let data = AgentEvent {
        agent_id: agent.id.to_string(),
        item_id: agent.item.to_string(),
        name: item.name,
        ..AgentEvent::default()
    };
    tx.append(&actor, NewEvent::new("agent.revoked", &agent.id, &data))
        .await?;
    let hub = fleet.clone();
    tx.after_commit(move || hub.hub().forget(&agent.id));
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Settings of an agent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = AgentConfig)]
pub struct ConfigView {
    /// Period of the fast collectors, 100 to 3,600,000.
    #[schema(minimum = 100, maximum = 3600000)]
    pub sample_interval_ms: u64,
    /// Services that are watched closely.
    pub watched_services: Vec<String>,
    /// Log files to follow, as globs.
    pub log_files: Vec<String>,
    /// Read the journal where there is one.
    pub journal: bool,
    /// Certificate files and folders to watch.
    pub certificate_paths: Vec<String>,
    /// Largest size of the spool on the host's disk, 1 MiB to 64 GiB.
    #[schema(minimum = 1048576, maximum = 68719476736_u64)]
    pub spool_bytes: u64,
}

impl From<AgentConfig> for ConfigView {
    fn from(config: AgentConfig) -> Self {
        Self {
            sample_interval_ms: config.sample_interval_ms,
            watched_services: config.watched_services,
            log_files: config.log_files,
            journal: config.journal,
            certificate_paths: config.certificate_paths,
            spool_bytes: config.spool_bytes,
        }
    }
}

impl Default for ConfigView {
    fn default() -> Self {
        AgentConfig::default().into()
    }
}

impl ConfigView {
    fn check(self) -> Result<AgentConfig, Problem> {
        if !(100..=3_600_000).contains(&self.sample_interval_ms) {
            return Err(Problem::invalid_field(
                "sample_interval_ms",
                "must be 100 to 3,600,000",
            ));
        }
        if !(1 << 20..=64 << 30).contains(&self.spool_bytes) {
            return Err(Problem::invalid_field("spool_bytes", "must be 1 MiB to 64 GiB"));
        }
        let lists = [
            ("watched_services", &self.watched_services),
            ("log_files", &self.log_files),
            ("certificate_paths", &self.certificate_paths),
        ];
        for (field, list) in lists {
            let is_good =
                |text: &String| (1..=1024).contains(&text.len()) && !text.chars().any(char::is_control);
            if list.len() > 200 || !list.iter().all(is_good) {
                let message = "at most 200 entries of 1 to 1024 characters, without control characters";
                return Err(Problem::invalid_field(field, message));
            }
        }
        Ok(AgentConfig {
            sample_interval_ms: self.sample_interval_ms,
            watched_services: self.watched_services,
            log_files: self.log_files,
            journal: self.journal,
            certificate_paths: self.certificate_paths,
            spool_bytes: self.spool_bytes,
        })
    }
}

/// The settings that hold for an agent
#[utoipa::path(get, path = "/api/v1/agents/{id}/config", tag = "fleet", params(("id" = String, Path)),
    responses((status = 200, body = ConfigView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_agent_config(
    State(fleet): State<Fleet>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<ConfigView>, Problem> {
    let mut reader = fleet.kernel().db.read().await?;
    let (agent, _) = visible(&mut reader, &actor, &id).await?;
    let config = agent.config.unwrap_or_else(|| fleet.settings().agent.clone());
    Ok(Json(config.into()))
}

/// Gives an agent settings of its own; it applies them at once, or when it connects
#[utoipa::path(put, path = "/api/v1/agents/{id}/config", tag = "fleet", params(("id" = String, Path)), request_body = ConfigView,
    responses((status = 200, body = ConfigView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn set_agent_config(
    State(fleet): State<Fleet>,
    actor: Actor,
    Path(id): Path<String>,
    Json(config): Json<ConfigView>,
) -> Result<Json<ConfigView>, Problem> {
    let config = config.check()?;
    let mut tx = fleet.kernel().db.write().await?;
    let (agent, item) = visible(&mut tx, &actor, &id).await?;
    refuse_unless_writable(&actor, &item)?;
    store::save_config(&mut tx, &agent.id, Some(&config)).await?;
    let data = AgentEvent {
        agent_id: agent.id.to_string(),
        item_id: agent.item.to_string(),
        name: item.name,
        ..AgentEvent::default()
    };
    tx.append(&actor, NewEvent::new("agent.configured", &agent.id, &data))
        .await?;
    tx.commit().await?;
    if let Some(session) = fleet.hub().session(&agent.id) {
        let _ = session.outgoing.try_send(ToAgent::Config(config.clone()));
    }
    Ok(Json(config.into()))
}
