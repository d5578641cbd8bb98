//! The routes of access, and who may call them.

mod grants;
mod people;
mod service_accounts;
mod session;
mod setup;
mod teams;
mod tokens;

use std::collections::BTreeMap;

use kernel::slice::roles;
use kernel::{Actor, Allow, Endpoint, Problem};
use sqlx::AnyConnection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{Access, store};

const fn entry(method: &'static str, path: &'static str, allow: Allow) -> Endpoint {
    Endpoint { method, path, allow }
}

const PEOPLE_READ: Allow = Allow::Permission("people.read", roles::READ);
const PEOPLE_WRITE: Allow = Allow::Permission("people.write", roles::ADMINISTER);
const GRANTS_READ: Allow = Allow::Permission("grants.read", roles::READ);
const GRANTS_WRITE: Allow = Allow::Permission("grants.write", roles::ADMINISTER);
const TEAMS_READ: Allow = Allow::Permission("teams.read", roles::READ);
const TEAMS_WRITE: Allow = Allow::Permission("teams.write", roles::ADMINISTER);
const SERVICES_READ: Allow = Allow::Permission("service_accounts.read", roles::AUDIT);
const SERVICES_WRITE: Allow = Allow::Permission("service_accounts.write", roles::ADMINISTER);
const TOKENS_READ: Allow = Allow::Permission("tokens.read", roles::READ);
const TOKENS_WRITE: Allow = Allow::Permission("tokens.write", roles::READ);

pub const PERMISSIONS: &[Endpoint] = &[
    entry("GET", "/api/v1/setup", Allow::Public),
    entry("POST", "/api/v1/setup", Allow::Public),
    entry("GET", "/api/v1/session", Allow::SignedIn),
    entry("POST", "/api/v1/session", Allow::Public),
    entry("DELETE", "/api/v1/session", Allow::SignedIn),
    entry("POST", "/api/v1/session/password", Allow::SignedIn),
    entry("GET", "/api/v1/people", PEOPLE_READ),
    entry("POST", "/api/v1/people", PEOPLE_WRITE),
    entry("GET", "/api/v1/people/{id}", PEOPLE_READ),
    entry("PATCH", "/api/v1/people/{id}", PEOPLE_WRITE),
    entry("DELETE", "/api/v1/people/{id}", PEOPLE_WRITE),
    entry("GET", "/api/v1/people/{id}/sessions", Allow::SignedIn),
    entry("DELETE", "/api/v1/people/{id}/sessions", Allow::SignedIn),
    entry("GET", "/api/v1/people/{id}/grants", GRANTS_READ),
    entry("POST", "/api/v1/people/{id}/grants", GRANTS_WRITE),
    entry("GET", "/api/v1/teams", TEAMS_READ),
    entry("POST", "/api/v1/teams", TEAMS_WRITE),
    entry("GET", "/api/v1/teams/{id}", TEAMS_READ),
    entry("PATCH", "/api/v1/teams/{id}", TEAMS_WRITE),
    entry("DELETE", "/api/v1/teams/{id}", TEAMS_WRITE),
    entry("GET", "/api/v1/teams/{id}/members", TEAMS_READ),
    entry("POST", "/api/v1/teams/{id}/members", TEAMS_WRITE),
    entry("DELETE", "/api/v1/teams/{id}/members/{person}", TEAMS_WRITE),
    entry("GET", "/api/v1/teams/{id}/grants", GRANTS_READ),
    entry("POST", "/api/v1/teams/{id}/grants", GRANTS_WRITE),
    entry("GET", "/api/v1/service-accounts", SERVICES_READ),
    entry("POST", "/api/v1/service-accounts", SERVICES_WRITE),
    entry("GET", "/api/v1/service-accounts/{id}", SERVICES_READ),
    entry("PATCH", "/api/v1/service-accounts/{id}", SERVICES_WRITE),
    entry("DELETE", "/api/v1/service-accounts/{id}", SERVICES_WRITE),
    entry("GET", "/api/v1/service-accounts/{id}/grants", GRANTS_READ),
    entry("POST", "/api/v1/service-accounts/{id}/grants", GRANTS_WRITE),
    entry("DELETE", "/api/v1/grants/{id}", GRANTS_WRITE),
    entry("GET", "/api/v1/tokens", TOKENS_READ),
    entry("POST", "/api/v1/tokens", TOKENS_WRITE),
    entry("DELETE", "/api/v1/tokens/{id}", TOKENS_WRITE),
];

pub fn routes(access: &Access) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(setup::get_setup, setup::complete_setup))
        .routes(routes!(
            session::get_session,
            session::open_session,
            session::close_session
        ))
        .routes(routes!(session::change_password))
        .routes(routes!(people::list_people, people::create_person))
        .routes(routes!(
            people::get_person,
            people::update_person,
            people::delete_person
        ))
        .routes(routes!(
            people::list_person_sessions,
            people::close_person_sessions
        ))
        .routes(routes!(grants::list_person_grants, grants::add_person_grant))
        .routes(routes!(teams::list_teams, teams::create_team))
        .routes(routes!(teams::get_team, teams::update_team, teams::delete_team))
        .routes(routes!(teams::list_team_members, teams::add_team_member))
        .routes(routes!(teams::remove_team_member))
        .routes(routes!(grants::list_team_grants, grants::add_team_grant))
        .routes(routes!(
            service_accounts::list_service_accounts,
            service_accounts::create_service_account
        ))
        .routes(routes!(
            service_accounts::get_service_account,
            service_accounts::update_service_account,
            service_accounts::delete_service_account
        ))
        .routes(routes!(grants::list_service_grants, grants::add_service_grant))
        .routes(routes!(grants::remove_grant))
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::revoke_token))
        .with_state(access.clone())
}

/// People, teams and grants belong to nobody's team: who changes them must hold the permission everywhere.
fn require_everywhere(actor: &Actor, permission: &str, roles: &[kernel::Role]) -> Result<(), Problem> {
    if actor.may(permission, roles, None, &BTreeMap::new()) {
        return Ok(());
    }
    Err(Problem::forbidden(format_args!(
        "\"{permission}\" must hold everywhere; your roles hold only for some teams or tags"
    )))
}

fn is_administrator(actor: &Actor, permission: &str) -> bool {
    actor.may(permission, roles::ADMINISTER, None, &BTreeMap::new())
}

/// Guards against locking everybody out.
///
/// Invariant: once there is an administrator who can sign in, there always is one. Make it after the transaction's first append:
/// that takes the lock on which such changes wait for each other.
struct LastAdministrator {
    before: i64,
}

impl LastAdministrator {
    async fn watch(connection: &mut AnyConnection) -> Result<Self, Problem> {
        let before = store::people::count_administrators(connection).await?;
        Ok(Self { before })
    }

    async fn check(self, connection: &mut AnyConnection) -> Result<(), Problem> {
        if self.before > 0 && store::people::count_administrators(connection).await? == 0 {
            return Err(Problem::conflict(
                "this would leave nobody who can sign in and administer; grant the role administrator to somebody else first",
            ));
        }
        Ok(())
    }
}

/// A unique constraint that refused is the caller's doing.
fn taken(error: kernel::DbError, field: &str) -> Problem {
    if error.is_unique_violation() {
        return Problem::conflict(format_args!("this {field} is taken; choose another"));
    }
    error.into()
}

/// Notes a field that changes.
fn change<T: ToString + PartialEq>(
    changes: &mut BTreeMap<String, [String; 2]>,
    field: &str,
    before: &mut T,
    after: Option<T>,
) {
    if let Some(after) = after
        && after != *before
    {
        changes.insert(field.to_owned(), [before.to_string(), after.to_string()]);
        *before = after;
    }
}
