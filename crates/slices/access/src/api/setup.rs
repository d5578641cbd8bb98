//! The first administrator.

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse};
use kernel::http::Json;
use kernel::secret::sha256_hex;
use kernel::{NewEvent, Problem, Role, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::session::{SessionView, view};
use crate::check::Check;
use crate::client::Client;
use crate::events::PersonData;
use crate::model::{Person, PersonId};
use crate::problems::SETUP_TOKEN;
use crate::setup::add_grant;
use crate::sign_in::{open_session, person_actor};
use crate::{Access, store};

/// Whether the house waits for its first administrator.
#[derive(Debug, Serialize, ToSchema)]
pub struct SetupState {
    pub needed: bool,
}

/// Is there an administrator yet?
#[utoipa::path(get, path = "/api/v1/setup", tag = "access",
    responses((status = 200, body = SetupState), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_setup(State(access): State<Access>) -> Result<Json<SetupState>, Problem> {
    Ok(Json(SetupState {
        needed: access.needs_setup().await?,
    }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupBody {
    /// From the link that the server printed at its start.
    pub token: String,
    #[schema(min_length = 1, max_length = 120)]
    pub name: String,
    #[schema(min_length = 2, max_length = 80)]
    pub login: String,
    #[schema(min_length = 10, max_length = 200)]
    pub password: String,
    #[serde(default)]
    pub email: String,
}

/// Make the first administrator, and sign in
#[utoipa::path(post, path = "/api/v1/setup", tag = "access", request_body = SetupBody,
    responses((status = 200, body = SessionView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn complete_setup(
    State(access): State<Access>,
    client: Client,
    Json(body): Json<SetupBody>,
) -> Result<impl IntoResponse, Problem> {
    let refused = || {
        Problem::new(
            &SETUP_TOKEN,
            "the setup token is not good, was used, or there is an administrator already; a restart of the server prints a new link when one is needed",
        )
    };
    let token = sha256_hex(body.token.as_bytes());
    let mut reader = access.kernel().db.read().await?;
    // Before the password is hashed, or strangers could keep the processor busy.
    if !store::setup::is_good(&mut reader, &token).await? {
        return Err(refused());
    }
    drop(reader);
    let mut check = Check::default();
    let name = check.line("name", &body.name, 1, 120);
    let login = check.login("login", &body.login);
    let email = check.email("email", &body.email);
    check.password("password", &body.password, &login);
    check.done()?;
    let hash = access.passwords().hash(&body.password).await?;
    let mut tx = access.kernel().db.write().await?;
    if !store::setup::take(&mut tx, &token).await? {
        return Err(refused());
    }
    // A script may have made an administrator since the link was printed: then the link is worth nothing.
    if store::people::count_administrators(&mut tx).await? > 0 {
        tx.commit().await?;
        return Err(refused());
    }
    let person = Person {
        id: PersonId::new(),
        name,
        login,
        email,
        is_disabled: false,
        created_at: tx.now(),
        signed_in_at: None,
    };
    store::people::insert(&mut tx, &person, &hash)
        .await
        .map_err(|error| super::taken(error, "login"))?;
    let actor = person_actor(&person);
    let event = NewEvent::new("setup.completed", &person.id, &PersonData::of(&person));
    tx.append(&actor, event).await?;
    let id = person.id.as_str();
    add_grant(&mut tx, &actor, id, Role::Administrator, Scope::default()).await?;
    let opened = open_session(&access, &mut tx, &client, &person).await?;
    tx.commit().await?;
    let view = view(&access, id, &opened.session).await?;
    Ok((AppendHeaders(opened.headers()), Json(view)))
}
