//! Granting roles to people, teams and service accounts, and taking them back.

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::{Json, Path};
use kernel::slice::roles;
use kernel::{Actor, Grant, NewEvent, Problem};
use sqlx::AnyConnection;

use super::{LastAdministrator, require_everywhere};
use crate::check::Check;
use crate::events::GrantData;
use crate::model::HeldGrant;
use crate::setup;
use crate::{Access, store};

/// Whom a grant is for.
#[derive(Clone, Copy)]
enum Holder {
    Person,
    Team,
    Service,
}

impl Holder {
    async fn require(self, connection: &mut AnyConnection, id: &str) -> Result<(), Problem> {
        let (noun, is_there) = match self {
            Self::Person => ("person", store::person(connection, id).await?.is_some()),
            Self::Team => ("team", store::teams::get(connection, id).await?.is_some()),
            Self::Service => {
                let found = store::services::get(connection, id).await?;
                ("service account", found.is_some())
            }
        };
        if is_there {
            Ok(())
        } else {
            Err(Problem::not_found(noun, &id))
        }
    }
}

async fn list(access: &Access, holder: Holder, id: &str) -> Result<Json<Vec<HeldGrant>>, Problem> {
    let mut reader = access.kernel().db.read().await?;
    holder.require(&mut reader, id).await?;
    Ok(Json(store::grants::of_holder(&mut reader, id).await?))
}

async fn add(
    access: &Access,
    actor: &Actor,
    holder: Holder,
    id: &str,
    wanted: Grant,
) -> Result<(StatusCode, Json<HeldGrant>), Problem> {
    require_everywhere(actor, "grants.write", roles::ADMINISTER)?;
    let mut check = Check::default();
    check.tags("scope.tags", &wanted.scope.tags);
    if let Some(team) = &wanted.scope.team {
        check.line("scope.team", team, 1, 80);
    }
    check.done()?;
    let mut tx = access.kernel().db.write().await?;
    holder.require(&mut tx, id).await?;
    if let Some(team) = &wanted.scope.team
        && store::teams::get(&mut tx, team).await?.is_none()
    {
        return Err(Problem::invalid_field(
            "scope.team",
            "there is no team with this id",
        ));
    }
    let held = store::grants::of_holder(&mut tx, id).await?;
    if let Some(same) = held.into_iter().find(|grant| Grant::from(grant) == wanted) {
        return Ok((StatusCode::CREATED, Json(same)));
    }
    let grant = setup::add_grant(&mut tx, actor, id, wanted.role, wanted.scope).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(grant)))
}

/// What a person was granted
#[utoipa::path(get, path = "/api/v1/people/{id}/grants", tag = "access", params(("id" = String, Path)),
    responses((status = 200, body = Vec<HeldGrant>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_person_grants(
    State(access): State<Access>,
    Path(id): Path<String>,
) -> Result<Json<Vec<HeldGrant>>, Problem> {
    list(&access, Holder::Person, &id).await
}

/// Grant a person a role, everywhere or on a team's things or items with certain tags
#[utoipa::path(post, path = "/api/v1/people/{id}/grants", tag = "access", params(("id" = String, Path)), request_body = Grant,
    responses((status = 201, body = HeldGrant), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn add_person_grant(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<Grant>,
) -> Result<(StatusCode, Json<HeldGrant>), Problem> {
    add(&access, &actor, Holder::Person, &id, body).await
}

/// What the members of a team are granted through it
#[utoipa::path(get, path = "/api/v1/teams/{id}/grants", tag = "access", params(("id" = String, Path)),
    responses((status = 200, body = Vec<HeldGrant>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_team_grants(
    State(access): State<Access>,
    Path(id): Path<String>,
) -> Result<Json<Vec<HeldGrant>>, Problem> {
    list(&access, Holder::Team, &id).await
}

/// Grant the members of a team a role
#[utoipa::path(post, path = "/api/v1/teams/{id}/grants", tag = "access", params(("id" = String, Path)), request_body = Grant,
    responses((status = 201, body = HeldGrant), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn add_team_grant(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<Grant>,
) -> Result<(StatusCode, Json<HeldGrant>), Problem> {
    add(&access, &actor, Holder::Team, &id, body).await
}

/// What a service account was granted
#[utoipa::path(get, path = "/api/v1/service-accounts/{id}/grants", tag = "access", params(("id" = String, Path)),
    responses((status = 200, body = Vec<HeldGrant>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_service_grants(
    State(access): State<Access>,
    Path(id): Path<String>,
) -> Result<Json<Vec<HeldGrant>>, Problem> {
    list(&access, Holder::Service, &id).await
}

/// Grant a service account a role
#[utoipa::path(post, path = "/api/v1/service-accounts/{id}/grants", tag = "access", params(("id" = String, Path)), request_body = Grant,
    responses((status = 201, body = HeldGrant), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn add_service_grant(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<Grant>,
) -> Result<(StatusCode, Json<HeldGrant>), Problem> {
    add(&access, &actor, Holder::Service, &id, body).await
}

/// Take a grant back
#[utoipa::path(delete, path = "/api/v1/grants/{id}", tag = "access", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn remove_grant(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    require_everywhere(&actor, "grants.write", roles::ADMINISTER)?;
    let mut tx = access.kernel().db.write().await?;
    let grant = store::grants::get(&mut tx, &id)
        .await?
        .ok_or_else(|| Problem::not_found("grant", &id))?;
    let event = NewEvent::new("grant.removed", &grant.holder, &GrantData::of(&grant));
    tx.append(&actor, event).await?;
    let administrators = LastAdministrator::watch(&mut tx).await?;
    store::grants::delete(&mut tx, &id).await?;
    administrators.check(&mut tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
