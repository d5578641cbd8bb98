//! Teams and their members.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::page::{Cursor, Page, PageQuery};
use kernel::http::{Json, Path, Query};
use kernel::slice::roles;
use kernel::{Actor, NewEvent, Problem};
use serde::Deserialize;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::{LastAdministrator, change, require_everywhere, taken};
use crate::check::Check;
use crate::events::{GrantData, MemberData, NameData};
use crate::model::{Person, Team, TeamId};
use crate::{Access, store};

/// Teams, by name
#[utoipa::path(get, path = "/api/v1/teams", tag = "access", params(PageQuery),
    responses((status = 200, body = Page<Team>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_teams(
    State(access): State<Access>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Team>>, Problem> {
    let cursor = query.cursor()?;
    let after = cursor.as_ref().map_or(Ok(""), |cursor| cursor.part(0))?;
    let limit = query.limit();
    let mut reader = access.kernel().db.read().await?;
    let teams = store::teams::list(&mut reader, after, limit + 1).await?;
    Ok(Json(Page::cut(teams, limit as usize, |team: &Team| {
        Cursor::of(&[&team.name.to_lowercase()])
    })))
}

async fn find(connection: &mut AnyConnection, id: &str) -> Result<Team, Problem> {
    store::teams::get(connection, id)
        .await?
        .ok_or_else(|| Problem::not_found("team", &id))
}

/// A team
#[utoipa::path(get, path = "/api/v1/teams/{id}", tag = "access", params(("id" = String, Path)),
    responses((status = 200, body = Team), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_team(State(access): State<Access>, Path(id): Path<String>) -> Result<Json<Team>, Problem> {
    let mut reader = access.kernel().db.read().await?;
    Ok(Json(find(&mut reader, &id).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTeam {
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    #[serde(default)]
    #[schema(max_length = 500)]
    pub description: String,
}

/// Add a team
#[utoipa::path(post, path = "/api/v1/teams", tag = "access", request_body = NewTeam,
    responses((status = 201, body = Team), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_team(
    State(access): State<Access>,
    actor: Actor,
    Json(body): Json<NewTeam>,
) -> Result<(StatusCode, Json<Team>), Problem> {
    require_everywhere(&actor, "teams.write", roles::ADMINISTER)?;
    let mut check = Check::default();
    let name = check.line("name", &body.name, 1, 80);
    let description = check.line("description", &body.description, 0, 500);
    check.done()?;
    let mut tx = access.kernel().db.write().await?;
    let team = Team {
        id: TeamId::new(),
        name,
        description,
        created_at: tx.now(),
    };
    let inserted = store::teams::insert(&mut tx, &team).await;
    inserted.map_err(|error| taken(error, "name"))?;
    let data = NameData {
        name: team.name.clone(),
        changes: BTreeMap::new(),
    };
    tx.append(&actor, NewEvent::new("team.created", &team.id, &data))
        .await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(team)))
}

/// What may change of a team; absent fields stay.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TeamChange {
    #[schema(min_length = 1, max_length = 80)]
    pub name: Option<String>,
    #[schema(max_length = 500)]
    pub description: Option<String>,
}

/// Change a team
#[utoipa::path(patch, path = "/api/v1/teams/{id}", tag = "access", params(("id" = String, Path)), request_body = TeamChange,
    responses((status = 200, body = Team), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn update_team(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<TeamChange>,
) -> Result<Json<Team>, Problem> {
    require_everywhere(&actor, "teams.write", roles::ADMINISTER)?;
    let mut check = Check::default();
    let name = body.name.map(|name| check.line("name", &name, 1, 80));
    let description = body
        .description
        .map(|text| check.line("description", &text, 0, 500));
    check.done()?;
    let mut tx = access.kernel().db.write().await?;
    let mut team = find(&mut tx, &id).await?;
    let mut changes = BTreeMap::new();
    change(&mut changes, "name", &mut team.name, name);
    change(&mut changes, "description", &mut team.description, description);
    if changes.is_empty() {
        return Ok(Json(team));
    }
    let updated = store::teams::update(&mut tx, &team).await;
    updated.map_err(|error| taken(error, "name"))?;
    let data = NameData {
        name: team.name.clone(),
        changes,
    };
    tx.append(&actor, NewEvent::new("team.changed", &team.id, &data))
        .await?;
    tx.commit().await?;
    Ok(Json(team))
}

/// Remove a team, with what it was granted and what was granted on its things
#[utoipa::path(delete, path = "/api/v1/teams/{id}", tag = "access", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_team(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    require_everywhere(&actor, "teams.write", roles::ADMINISTER)?;
    let mut tx = access.kernel().db.write().await?;
    let team = find(&mut tx, &id).await?;
    let data = NameData {
        name: team.name,
        changes: BTreeMap::new(),
    };
    tx.append(&actor, NewEvent::new("team.removed", &team.id, &data))
        .await?;
    let administrators = LastAdministrator::watch(&mut tx).await?;
    for grant in store::grants::scoped_to_team(&mut tx, &id).await? {
        let event = NewEvent::new("grant.removed", &grant.holder, &GrantData::of(&grant));
        tx.append(&actor, event).await?;
    }
    store::teams::delete(&mut tx, &id).await?;
    administrators.check(&mut tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The members of a team
#[utoipa::path(get, path = "/api/v1/teams/{id}/members", tag = "access", params(("id" = String, Path)),
    responses((status = 200, body = Vec<Person>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_team_members(
    State(access): State<Access>,
    Path(id): Path<String>,
) -> Result<Json<Vec<Person>>, Problem> {
    let mut reader = access.kernel().db.read().await?;
    find(&mut reader, &id).await?;
    Ok(Json(store::people::members(&mut reader, &id).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// Id of the person.
    pub person: String,
}

/// Add a person to a team; nothing happens when they are in it
#[utoipa::path(post, path = "/api/v1/teams/{id}/members", tag = "access", params(("id" = String, Path)), request_body = NewMember,
    responses((status = 200, body = Vec<Person>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn add_team_member(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<NewMember>,
) -> Result<Json<Vec<Person>>, Problem> {
    require_everywhere(&actor, "teams.write", roles::ADMINISTER)?;
    let mut check = Check::default();
    let wanted = check.line("person", &body.person, 1, 80);
    check.done()?;
    let mut tx = access.kernel().db.write().await?;
    find(&mut tx, &id).await?;
    let person = store::person(&mut tx, &wanted)
        .await?
        .ok_or_else(|| Problem::invalid_field("person", "there is nobody with this id"))?;
    if store::teams::add_member(&mut tx, &id, &wanted).await? {
        let data = MemberData {
            person: wanted,
            name: person.name,
        };
        tx.append(&actor, NewEvent::new("member.added", &id, &data))
            .await?;
    }
    let members = store::people::members(&mut tx, &id).await?;
    tx.commit().await?;
    Ok(Json(members))
}

/// Take a person out of a team
#[utoipa::path(delete, path = "/api/v1/teams/{id}/members/{person}", tag = "access",
    params(("id" = String, Path), ("person" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn remove_team_member(
    State(access): State<Access>,
    actor: Actor,
    Path((id, person)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    require_everywhere(&actor, "teams.write", roles::ADMINISTER)?;
    let mut tx = access.kernel().db.write().await?;
    find(&mut tx, &id).await?;
    let found = store::person(&mut tx, &person)
        .await?
        .ok_or_else(|| Problem::not_found("member", &person))?;
    let data = MemberData {
        person: person.clone(),
        name: found.name,
    };
    tx.append(&actor, NewEvent::new("member.removed", &id, &data))
        .await?;
    let administrators = LastAdministrator::watch(&mut tx).await?;
    if !store::teams::remove_member(&mut tx, &id, &person).await? {
        return Err(Problem::not_found("member", &person));
    }
    administrators.check(&mut tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
