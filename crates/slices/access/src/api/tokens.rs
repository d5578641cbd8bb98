//! API tokens.

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::page::{Cursor, Page, PageQuery};
use kernel::http::{Json, Path, Query};
use kernel::{Actor, Allow, NewEvent, Problem};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::{IntoParams, ToSchema};

use super::is_administrator;
use crate::check::Check;
use crate::events::TokenData;
use crate::model::{Token, TokenId};
use crate::setup::add_token;
use crate::sign_in::add_s;
use crate::{Access, decide, store};

const DEFAULT_DAYS: u32 = 90;
const MAX_DAYS: u32 = 3650;
const MAX_TOKENS: i64 = 200;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TokenQuery {
    /// Id of a person or service account, or `all`; one's own when absent. Others' are for administrators.
    owner: Option<String>,
    /// 1 to 500, 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// API tokens, oldest first, without their secrets
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access", params(TokenQuery),
    responses((status = 200, body = Page<Token>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_tokens(
    State(access): State<Access>,
    actor: Actor,
    Query(query): Query<TokenQuery>,
) -> Result<Json<Page<Token>>, Problem> {
    let owner = query.owner.unwrap_or_else(|| actor.id.clone());
    if owner != actor.id && !is_administrator(&actor, "tokens.read") {
        return Err(Problem::forbidden("the tokens of others are for administrators"));
    }
    let owner = if owner == "all" { "" } else { &owner };
    let paging = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let cursor = paging.cursor()?;
    let after = cursor.as_ref().map_or(Ok(""), |cursor| cursor.part(0))?;
    let mut reader = access.kernel().db.read().await?;
    let tokens = store::tokens::list(&mut reader, owner, after, paging.limit() + 1).await?;
    Ok(Json(Page::cut(
        tokens,
        paging.limit() as usize,
        |token: &Token| Cursor::of(&[token.id.as_str()]),
    )))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    #[schema(min_length = 1, max_length = 120)]
    pub name: String,
    /// Id of a service account, for administrators; oneself when absent.
    #[serde(default)]
    pub owner: Option<String>,
    /// Narrows the token to these permissions; `incidents.*` stands for all that begin so. All of its owner's when absent.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub permissions: Option<Vec<String>>,
    /// 90 when absent.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 3650)]
    pub expires_in_days: Option<u32>,
}

/// A token with its secret, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedToken {
    /// For `Authorization: Bearer …`.
    pub token: String,
    #[serde(flatten)]
    pub info: Token,
}

fn check_new(access: &Access, actor: &Actor, body: &NewToken) -> Result<String, Problem> {
    let mut check = Check::default();
    let name = check.line("name", &body.name, 1, 120);
    if let Some(owner) = &body.owner {
        check.line("owner", owner, 1, 80);
    }
    if !(1..=MAX_DAYS).contains(&body.expires_in_days.unwrap_or(DEFAULT_DAYS)) {
        check.fail("expires_in_days", format!("must be from 1 to {MAX_DAYS}"));
    }
    let permissions = body.permissions.as_deref().unwrap_or_default();
    if permissions.len() > 100 || body.permissions.as_ref().is_some_and(Vec::is_empty) {
        check.fail("permissions", "needs 1 to 100 entries, or leave it away");
    }
    for (index, permission) in permissions.iter().enumerate() {
        let field = format!("permissions[{index}]");
        check.line(&field, permission, 1, 80);
        if !is_known(access, permission) {
            check.fail(
                &field,
                "is not a permission of any address; GET /api/v1/session lists yours",
            );
        }
    }
    check.done()?;
    if !decide::covers(actor.only.as_deref(), body.permissions.as_deref()) {
        return Err(Problem::forbidden(
            "a token can only make tokens that are narrowed to permissions of its own",
        ));
    }
    Ok(name)
}

fn is_known(access: &Access, wanted: &str) -> bool {
    let one = [wanted.to_owned()];
    access.endpoints().iter().any(|endpoint| match endpoint.allow {
        Allow::Permission(name, _) => decide::covers(Some(&one), Some(&[name.to_owned()])),
        _ => false,
    })
}

/// The one as whom the new token acts: oneself, or a service account.
async fn owner_of(connection: &mut AnyConnection, actor: &Actor, body: &NewToken) -> Result<String, Problem> {
    let Some(owner) = body.owner.as_ref().filter(|owner| **owner != actor.id) else {
        return Ok(actor.id.clone());
    };
    if !is_administrator(actor, "service_accounts.write") {
        return Err(Problem::forbidden(
            "tokens of service accounts are for administrators",
        ));
    }
    match store::services::get(connection, owner).await? {
        Some(account) if account.is_disabled => Err(Problem::conflict("the service account is disabled")),
        Some(_) => Ok(owner.clone()),
        None => Err(Problem::invalid_field(
            "owner",
            "there is no service account with this id",
        )),
    }
}

/// Make an API token
#[utoipa::path(post, path = "/api/v1/tokens", tag = "access", request_body = NewToken,
    responses((status = 201, body = CreatedToken), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_token(
    State(access): State<Access>,
    actor: Actor,
    Json(body): Json<NewToken>,
) -> Result<(StatusCode, Json<CreatedToken>), Problem> {
    let name = check_new(&access, &actor, &body)?;
    let mut tx = access.kernel().db.write().await?;
    let owner = owner_of(&mut tx, &actor, &body).await?;
    if store::tokens::count_of_owner(&mut tx, &owner).await? >= MAX_TOKENS {
        return Err(Problem::conflict(format_args!(
            "there are {MAX_TOKENS} tokens of this owner; revoke those that are not used"
        )));
    }
    let days = body.expires_in_days.unwrap_or(DEFAULT_DAYS);
    let info = Token {
        id: TokenId::new(),
        owner,
        name,
        permissions: body.permissions,
        created_at: tx.now(),
        expires_at: Some(add_s(tx.now(), i64::from(days) * 86_400)),
        used_at: None,
    };
    let token = add_token(&mut tx, &actor, &info).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(CreatedToken { token, info })))
}

/// Revoke an API token; it stops working at once
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "access", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn revoke_token(
    State(access): State<Access>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let mut tx = access.kernel().db.write().await?;
    let token = store::tokens::get(&mut tx, &id)
        .await?
        .filter(|token| token.owner == actor.id || is_administrator(&actor, "tokens.write"))
        .ok_or_else(|| Problem::not_found("token", &id))?;
    store::tokens::delete(&mut tx, &id).await?;
    tx.append(
        &actor,
        NewEvent::new("token.revoked", &token.id, &TokenData::of(&token)),
    )
    .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
