//! Signing in and out, and who one is.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse};
use kernel::http::Json;
use kernel::{Actor, ActorKind, Allow, Grant, NewEvent, Problem, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authenticate::actor_of_person;
use crate::check::Check;
use crate::client::{Client, set_cookie};
use crate::events::PersonData;
use crate::model::Session;
use crate::{Access, sign_in, store};

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionActor {
    pub id: String,
    pub name: String,
    pub kind: ActorKind,
    /// Absent for service accounts.
    pub login: Option<String>,
}

/// Who is signed in, and what they may do.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    pub actor: SessionActor,
    /// The roles held anywhere.
    pub roles: Vec<Role>,
    /// Where they hold.
    pub grants: Vec<Grant>,
    /// The permissions held somewhere at least.
    pub permissions: Vec<String>,
    /// For the header `x-csrf-token` of state-changing requests; absent for API tokens, which need none.
    pub csrf_token: Option<String>,
}

fn describe(access: &Access, actor: Actor, login: Option<String>, csrf: Option<String>) -> SessionView {
    let roles: BTreeSet<Role> = actor.grants.iter().map(|grant| grant.role).collect();
    let permissions: BTreeSet<&str> = access
        .endpoints()
        .iter()
        .filter_map(|endpoint| match endpoint.allow {
            Allow::Permission(name, roles) if actor.may_somewhere(name, roles) => Some(name),
            _ => None,
        })
        .collect();
    SessionView {
        roles: roles.into_iter().collect(),
        permissions: permissions.into_iter().map(str::to_owned).collect(),
        csrf_token: csrf,
        actor: SessionActor {
            id: actor.id,
            name: actor.name,
            kind: actor.kind,
            login,
        },
        grants: actor.grants,
    }
}

/// The view of somebody who has just signed in.
pub async fn view(access: &Access, person: &str, session: &Session) -> Result<SessionView, Problem> {
    let mut reader = access.kernel().db.read().await?;
    let actor = actor_of_person(&mut reader, person)
        .await?
        .ok_or_else(Problem::unauthenticated)?;
    let login = store::person(&mut reader, person).await?.map(|p| p.login);
    Ok(describe(access, actor, login, Some(session.csrf.clone())))
}

/// The session that a request presents, when it is one of the actor.
async fn presented(access: &Access, client: &Client, actor: &Actor) -> Result<Option<Session>, Problem> {
    let (None, Some(secret)) = (&client.bearer, &client.session_secret) else {
        return Ok(None);
    };
    let found = access.session_actor(secret, true).await?;
    Ok(found
        .map(|(session, _)| session)
        .filter(|session| session.person.as_str() == actor.id))
}

/// Who am I?
///
/// A session whose secret is a day old gets a new one with the answer.
#[utoipa::path(get, path = "/api/v1/session", tag = "access",
    responses((status = 200, body = SessionView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_session(
    State(access): State<Access>,
    client: Client,
    actor: Actor,
) -> Result<impl IntoResponse, Problem> {
    let session = presented(&access, &client, &actor).await?;
    let cookie = match &session {
        Some(session) => sign_in::rotate(&access, &client, session).await?,
        None => None,
    };
    let mut reader = access.kernel().db.read().await?;
    let login = store::person(&mut reader, &actor.id).await?.map(|p| p.login);
    let view = describe(&access, actor, login, session.map(|session| session.csrf));
    let headers: Vec<_> = cookie.into_iter().map(|cookie| (SET_COOKIE, cookie)).collect();
    Ok((AppendHeaders(headers), Json(view)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInBody {
    #[schema(max_length = 200)]
    pub login: String,
    #[schema(max_length = 200)]
    pub password: String,
}

/// Sign in
#[utoipa::path(post, path = "/api/v1/session", tag = "access", request_body = SignInBody,
    responses((status = 200, body = SessionView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn open_session(
    State(access): State<Access>,
    client: Client,
    Json(body): Json<SignInBody>,
) -> Result<impl IntoResponse, Problem> {
    let mut check = Check::default();
    check.line("login", &body.login, 1, 200);
    if body.password.is_empty() || body.password.chars().count() > 200 {
        check.fail("password", "needs 1 to 200 characters");
    }
    check.done()?;
    let (person, opened) = sign_in::sign_in(&access, &client, &body.login, &body.password).await?;
    let view = view(&access, person.id.as_str(), &opened.session).await?;
    Ok((AppendHeaders(opened.headers()), Json(view)))
}

/// Sign out
#[utoipa::path(delete, path = "/api/v1/session", tag = "access",
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn close_session(
    State(access): State<Access>,
    client: Client,
    actor: Actor,
) -> Result<impl IntoResponse, Problem> {
    let session = presented(&access, &client, &actor).await?.ok_or_else(|| {
        Problem::conflict("this request came with an API token; revoke it under /api/v1/tokens instead")
    })?;
    sign_in::close(&access, &client, &actor, &session).await?;
    let cookie = set_cookie("", 0, client.is_secure);
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(SET_COOKIE, cookie)])))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordBody {
    #[schema(max_length = 200)]
    pub current: String,
    #[schema(min_length = 10, max_length = 200)]
    pub new: String,
}

/// Change one's own password
///
/// All sessions of the person end, and a new one begins with the answer.
#[utoipa::path(post, path = "/api/v1/session/password", tag = "access", request_body = PasswordBody,
    responses((status = 200, body = SessionView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn change_password(
    State(access): State<Access>,
    client: Client,
    actor: Actor,
    Json(body): Json<PasswordBody>,
) -> Result<impl IntoResponse, Problem> {
    if presented(&access, &client, &actor).await?.is_none() {
        return Err(Problem::forbidden(
            "a password is changed in a browser session only",
        ));
    }
    let mut reader = access.kernel().db.read().await?;
    let person = store::person(&mut reader, &actor.id)
        .await?
        .ok_or_else(Problem::unauthenticated)?;
    drop(reader);
    let mut check = Check::default();
    if body.current.chars().count() > 200 {
        check.fail("current", "may have at most 200 characters");
    }
    check.password("new", &body.new, &person.login);
    if body.new == body.current {
        check.fail("new", "is the password that you have");
    }
    check.done()?;
    let checked = sign_in::check_password(&access, &client, &person.login, &body.current).await;
    let (person, _) = checked.map_err(|problem| match problem.status {
        401 => Problem::invalid_field("current", "is not your password"),
        _ => problem,
    })?;
    let hash = access.passwords().hash(&body.new).await?;
    let mut tx = access.kernel().db.write().await?;
    store::people::set_password(&mut tx, person.id.as_str(), &hash).await?;
    store::sessions::delete_of_person(&mut tx, person.id.as_str()).await?;
    let event = NewEvent::new("password.changed", &person.id, &PersonData::of(&person));
    tx.append(&actor, event).await?;
    let opened = sign_in::open_session(&access, &mut tx, &client, &person).await?;
    tx.commit().await?;
    sign_in::reset_attempts(&access, &client, &person.login);
    let view = view(&access, person.id.as_str(), &opened.session).await?;
    Ok((AppendHeaders(opened.headers()), Json(view)))
}
