//! People, and where they are signed in.

use std::collections::{BTreeMap, HashMap};

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::page::{Cursor, Page, PageQuery};
use kernel::http::{Json, Path, Query};
use kernel::slice::roles;
use kernel::{Actor, NewEvent, Problem, Timestamp, Tx};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{LastAdministrator, change, is_administrator, require_everywhere, taken};
use crate::check::Check;
use crate::client::Client;
use crate::events::PersonData;
use crate::model::{HeldGrant, Person, PersonId, Team};
use crate::sign_in::session_data;
use crate::{Access, store};

/// A person with their teams and what was granted to them. What their teams were granted is with the teams.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonDetail {
    #[serde(flatten)]
    pub person: Person,
    pub teams: Vec<Team>,
    pub grants: Vec<HeldGrant>,
}

/// People, by login
#[utoipa::path(get, path = "/api/v1/people", tag = "access", params(PageQuery),
    responses((status = 200, body = Page<PersonDetail>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_people(
    State(access): State<Access>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<PersonDetail>>, Problem> {
    let cursor = query.cursor()?;
    let after = cursor.as_ref().map_or(Ok(""), |cursor| cursor.part(0))?;
    let limit = query.limit();
    let mut reader = access.kernel().db.read().await?;
    let people = store::people::list(&mut reader, after, limit + 1).await?;
    let mut teams: HashMap<String, Vec<Team>> = HashMap::new();
    for (person, team) in store::teams::of_people(&mut reader, after, limit + 1).await? {
        teams.entry(person).or_default().push(team);
    }
    let mut grants: HashMap<String, Vec<HeldGrant>> = HashMap::new();
    for grant in store::grants::of_people(&mut reader, after, limit + 1).await? {
        grants.entry(grant.holder.clone()).or_default().push(grant);
    }
    let details = people
        .into_iter()
        .map(|person| PersonDetail {
            teams: teams.remove(person.id.as_str()).unwrap_or_default(),
            grants: grants.remove(person.id.as_str()).unwrap_or_default(),
            person,
        })
        .collect();
    Ok(Json(Page::cut(
        details,
        limit as usize,
        |detail: &PersonDetail| Cursor::of(&[&store::people::login_key(&detail.person.login)]),
    )))
}

async fn find(access: &Access, id: &str) -> Result<PersonDetail, Problem> {
    let mut reader = access.kernel().db.read().await?;
    let person = store::person(&mut reader, id)
        .await?
        .ok_or_else(|| Problem::not_found("person", &id))?;
    Ok(PersonDetail {
        teams: store::teams::of_person(&mut reader, id).await?,
        grants: store::grants::of_holder(&mut reader, id).await?,
        person,
    })
}

/// A person
#[utoipa::path(get, path = "/api/v1/people/{id}", tag = "access", params(("id" = String, Path)),
    responses((status = 200, body = PersonDetail), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_person(
    State(access): State<Access>,
    Path(id): Path<String>,
) -> Result<Json<PersonDetail>, Problem> {
    Ok(Json(find(&access, &id).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    #[schema(min_length = 1, max_length = 120)]
    pub name: String,
    #[schema(min_length = 2, max_length = 80)]
    pub login: String,
    #[serde(default)]
    pub email: String,
    #[schema(min_length = 10, max_length = 200)]
    pub password: String,
}

/// Add a person
#[utoipa::path(post, path = "/api/v1/people", tag = "access", request_body = NewPerson,
    responses((status = 201, body = PersonDetail), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_person(
    State(access): State<Access>,
    actor: Actor,
    Json(body): Json<NewPerson>,
) -> Result<(StatusCode, Json<PersonDetail>), Problem> {
    require_everywhere(&actor, "people.write", roles::ADMINISTER)?;
    let mut check = Check::default();
    let name = check.line("name", &body.name, 1, 120);
    let login = check.login("login", &body.login);
    let email = check.email("email", &body.email);
    check.password("password", &body.password, &login);
    check.done()?;
    let hash = access.passwords().hash(&body.password).await?;
    let mut tx = access.kernel().db.write().await?;
    let person = Person {
        id: PersonId::new(),
        name,
        login,
        email,
        is_disabled: false,
        created_at: tx.now(),
        signed_in_at: None,
    };
    let inserted = store::people::insert(&mut tx, &person, &hash).await;
    inserted.map_err(|error| taken(error, "login"))?;
    let event = NewEvent::new("person.created", &person.id, &PersonData::of(&person));
    tx.append(&actor, event).await?;
    tx.commit().await?;
    let detail = find(&access, person.id.as_str()).await?;
    Ok((StatusCode::CREATED, Json(detail)))
}

/// What may change of a person; absent fields stay.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PersonChange {
    #[schema(min_length = 1, max_length = 120)]
    pub name: Option<String>,
    #[schema(min_length = 2, max_length = 80)]
    pub login: Option<String>,
    /// Empty takes it away.
    pub email: Option<String>,
    /// A disabled person loses all sessions and API tokens at once.
    pub is_disabled: Option<bool>,
    /// Sets a new password and signs the person out everywhere.
    #[schema(min_length = 10, max_length = 200)]
    pub password: Option<String>,
}

/// Change or disable a person
#[utoipa::path(patch, path = "/api/v1/people/{id}", tag = "access", params(("id" = String, Path)), request_body = PersonChange,
    responses((status = 200, body = PersonDetail), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn update_person(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<PersonChange>,
) -> Result<Json<PersonDetail>, Problem> {
    require_everywhere(&actor, "people.write", roles::ADMINISTER)?;
    let before = find(&access, &id).await?.person;
    let mut check = Check::default();
    let name = body.name.map(|name| check.line("name", &name, 1, 120));
    let login = body.login.map(|login| check.login("login", &login));
    let email = body.email.map(|email| check.email("email", &email));
    if let Some(password) = &body.password {
        check.password("password", password, login.as_deref().unwrap_or(&before.login));
    }
    check.done()?;
    let hash = match &body.password {
        Some(password) => Some(access.passwords().hash(password).await?),
        None => None,
    };
    let mut tx = access.kernel().db.write().await?;
    let mut person = store::person(&mut tx, &id)
        .await?
        .ok_or_else(|| Problem::not_found("person", &id))?;
    let was_disabled = person.is_disabled;
    let mut changes = BTreeMap::new();
    change(&mut changes, "name", &mut person.name, name);
    change(&mut changes, "login", &mut person.login, login);
    change(&mut changes, "email", &mut person.email, email);
    change(
        &mut changes,
        "is_disabled",
        &mut person.is_disabled,
        body.is_disabled,
    );
    if !changes.is_empty() {
        let topic = match (was_disabled, person.is_disabled) {
            (false, true) => "person.disabled",
            (true, false) => "person.enabled",
            _ => "person.changed",
        };
        let data = PersonData {
            changes,
            ..PersonData::of(&person)
        };
        save(&mut tx, &actor, &person, NewEvent::new(topic, &person.id, &data)).await?;
    }
    if let Some(hash) = hash {
        store::people::set_password(&mut tx, &id, &hash).await?;
        store::sessions::delete_of_person(&mut tx, &id).await?;
        let event = NewEvent::new("password.changed", &person.id, &PersonData::of(&person));
        tx.append(&actor, event).await?;
    }
    tx.commit().await?;
    Ok(Json(find(&access, &id).await?))
}

async fn save(tx: &mut Tx, actor: &Actor, person: &Person, event: NewEvent) -> Result<(), Problem> {
    tx.append(actor, event).await?;
    let administrators = LastAdministrator::watch(tx).await?;
    let updated = store::people::update(tx, person).await;
    updated.map_err(|error| taken(error, "login"))?;
    if person.is_disabled {
        store::sessions::delete_of_person(tx, person.id.as_str()).await?;
        store::tokens::delete_of_owner(tx, person.id.as_str()).await?;
    }
    administrators.check(tx).await
}

/// Remove a person
///
/// What they did stays on the timeline under their name. Disable them instead to keep their memberships and roles.
#[utoipa::path(delete, path = "/api/v1/people/{id}", tag = "access", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_person(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    require_everywhere(&actor, "people.write", roles::ADMINISTER)?;
    let mut tx = access.kernel().db.write().await?;
    let person = store::person(&mut tx, &id)
        .await?
        .ok_or_else(|| Problem::not_found("person", &id))?;
    let event = NewEvent::new("person.removed", &person.id, &PersonData::of(&person));
    tx.append(&actor, event).await?;
    let administrators = LastAdministrator::watch(&mut tx).await?;
    store::people::delete(&mut tx, &id).await?;
    administrators.check(&mut tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A browser in which a person is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenSession {
    pub id: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Exact to a minute.
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    pub address: String,
    pub user_agent: String,
}

/// One's own sessions, or as an administrator anybody's.
fn require_own(actor: &Actor, person: &str) -> Result<(), Problem> {
    let is_own = actor.id == person && actor.only.is_none();
    if is_own || is_administrator(actor, "people.write") {
        return Ok(());
    }
    Err(Problem::forbidden(
        "the sessions of others are for administrators",
    ))
}

/// Where a person is signed in
#[utoipa::path(get, path = "/api/v1/people/{id}/sessions", tag = "access", params(("id" = String, Path)),
    responses((status = 200, body = Vec<OpenSession>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_person_sessions(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<Vec<OpenSession>>, Problem> {
    require_own(&actor, &id)?;
    find(&access, &id).await?;
    let now = access.kernel().clock.now();
    let mut reader = access.kernel().db.read().await?;
    let sessions = store::sessions::of_person(&mut reader, &id).await?;
    let live = sessions
        .into_iter()
        .filter(|session| crate::decide::is_live(session, access.settings(), now));
    let views = live.map(|session| OpenSession {
        id: session.id.to_string(),
        created_at: session.created_at,
        seen_at: session.seen_at,
        expires_at: session.expires_at,
        address: session.address,
        user_agent: session.user_agent,
    });
    Ok(Json(views.collect()))
}

/// Sign a person out everywhere
#[utoipa::path(delete, path = "/api/v1/people/{id}/sessions", tag = "access", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn close_person_sessions(
    State(access): State<Access>,
    client: Client,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    require_own(&actor, &id)?;
    let person = find(&access, &id).await?.person;
    let mut tx = access.kernel().db.write().await?;
    if store::sessions::delete_of_person(&mut tx, &id).await? > 0 {
        let data = session_data(&client, Some(person.login), Some("revoked"));
        tx.append(&actor, NewEvent::new("session.closed", &id, &data))
            .await?;
        tx.commit().await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
