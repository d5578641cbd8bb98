//! Service accounts.

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

use super::{change, require_everywhere, taken};
use crate::check::Check;
use crate::events::NameData;
use crate::model::{ServiceAccount, ServiceId};
use crate::{Access, store};

/// Service accounts, by name
#[utoipa::path(get, path = "/api/v1/service-accounts", tag = "access", params(PageQuery),
    responses((status = 200, body = Page<ServiceAccount>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_service_accounts(
    State(access): State<Access>,
    actor: Actor,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ServiceAccount>>, Problem> {
    require_everywhere(&actor, "service_accounts.read", roles::AUDIT)?;
    let cursor = query.cursor()?;
    let after = cursor.as_ref().map_or(Ok(""), |cursor| cursor.part(0))?;
    let limit = query.limit();
    let mut reader = access.kernel().db.read().await?;
    let accounts = store::services::list(&mut reader, after, limit + 1).await?;
    Ok(Json(Page::cut(
        accounts,
        limit as usize,
        |account: &ServiceAccount| Cursor::of(&[&account.name.to_lowercase()]),
    )))
}

async fn find(connection: &mut AnyConnection, id: &str) -> Result<ServiceAccount, Problem> {
    store::services::get(connection, id)
        .await?
        .ok_or_else(|| Problem::not_found("service account", &id))
}

/// A service account
#[utoipa::path(get, path = "/api/v1/service-accounts/{id}", tag = "access", params(("id" = String, Path)),
    responses((status = 200, body = ServiceAccount), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_service_account(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<ServiceAccount>, Problem> {
    require_everywhere(&actor, "service_accounts.read", roles::AUDIT)?;
    let mut reader = access.kernel().db.read().await?;
    Ok(Json(find(&mut reader, &id).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewServiceAccount {
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    #[serde(default)]
    #[schema(max_length = 500)]
    pub description: String,
}

/// Add a service account
#[utoipa::path(post, path = "/api/v1/service-accounts", tag = "access", request_body = NewServiceAccount,
    responses((status = 201, body = ServiceAccount), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_service_account(
    State(access): State<Access>,
    actor: Actor,
    Json(body): Json<NewServiceAccount>,
) -> Result<(StatusCode, Json<ServiceAccount>), Problem> {
    require_everywhere(&actor, "service_accounts.write", roles::ADMINISTER)?;
    let mut check = Check::default();
    let name = check.line("name", &body.name, 1, 80);
    let description = check.line("description", &body.description, 0, 500);
    check.done()?;
    let mut tx = access.kernel().db.write().await?;
    let account = ServiceAccount {
        id: ServiceId::new(),
        name,
        description,
        is_disabled: false,
        created_at: tx.now(),
    };
    let inserted = store::services::insert(&mut tx, &account).await;
    inserted.map_err(|error| taken(error, "name"))?;
    store::holders::note(&mut tx, account.id.as_str(), &actor).await?;
    let data = NameData {
        name: account.name.clone(),
        changes: BTreeMap::new(),
    };
    tx.append(
        &actor,
        NewEvent::new("service_account.created", &account.id, &data),
    )
    .await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(account)))
}

/// What may change of a service account; absent fields stay.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceAccountChange {
    #[schema(min_length = 1, max_length = 80)]
    pub name: Option<String>,
    #[schema(max_length = 500)]
    pub description: Option<String>,
    /// A disabled account loses its API tokens at once.
    pub is_disabled: Option<bool>,
}

/// Change or disable a service account
#[utoipa::path(patch, path = "/api/v1/service-accounts/{id}", tag = "access", params(("id" = String, Path)),
    request_body = ServiceAccountChange,
    responses((status = 200, body = ServiceAccount), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn update_service_account(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<ServiceAccountChange>,
) -> Result<Json<ServiceAccount>, Problem> {
    require_everywhere(&actor, "service_accounts.write", roles::ADMINISTER)?;
    let mut check = Check::default();
    let name = body.name.map(|name| check.line("name", &name, 1, 80));
    let description = body
        .description
        .map(|text| check.line("description", &text, 0, 500));
    check.done()?;
    let mut tx = access.kernel().db.write().await?;
    let mut account = find(&mut tx, &id).await?;
    let mut changes = BTreeMap::new();
    change(&mut changes, "name", &mut account.name, name);
    change(&mut changes, "description", &mut account.description, description);
    change(
        &mut changes,
        "is_disabled",
        &mut account.is_disabled,
        body.is_disabled,
    );
    if changes.is_empty() {
        return Ok(Json(account));
    }
    let updated = store::services::update(&mut tx, &account).await;
    updated.map_err(|error| taken(error, "name"))?;
    if account.is_disabled {
        store::tokens::delete_of_owner(&mut tx, &id).await?;
    }
    let data = NameData {
        name: account.name.clone(),
        changes,
    };
    tx.append(
        &actor,
        NewEvent::new("service_account.changed", &account.id, &data),
    )
    .await?;
    tx.commit().await?;
    Ok(Json(account))
}

/// Remove a service account with its tokens and roles
#[utoipa::path(delete, path = "/api/v1/service-accounts/{id}", tag = "access", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_service_account(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    require_everywhere(&actor, "service_accounts.write", roles::ADMINISTER)?;
    let mut tx = access.kernel().db.write().await?;
    let account = find(&mut tx, &id).await?;
    store::services::delete(&mut tx, &id).await?;
    let data = NameData {
        name: account.name,
        changes: BTreeMap::new(),
    };
    tx.append(
        &actor,
        NewEvent::new("service_account.removed", &account.id, &data),
    )
    .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
