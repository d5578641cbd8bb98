//! Join tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::page::{Cursor, Page, PageQuery};
use kernel::http::{Json, Path, Query};
use kernel::slice::roles;
use kernel::{Actor, FieldError, NewEvent, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::events::TokenEvent;
use crate::model::JoinToken;
use crate::{Fleet, NewToken, dist, store};

/// Who may join, how often and until when. Its text is not kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JoinToken)]
pub struct TokenView {
    pub id: String,
    pub note: String,
    /// Given to the hosts that join with it.
    pub team: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub uses: i64,
    pub used: i64,
    /// `person:per_…`
    pub created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

impl From<JoinToken> for TokenView {
    fn from(token: JoinToken) -> Self {
        Self {
            id: token.id.to_string(),
            note: token.note,
            team: token.team,
            tags: token.tags,
            uses: token.uses,
            used: token.used,
            created_by: token.created_by,
            created_at: token.created_at,
            expires_at: token.expires_at,
            revoked_at: token.revoked_at,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewJoinToken {
    /// Seconds that it is good for, 60 to 31,536,000; a day when absent.
    #[schema(minimum = 60, maximum = 31536000)]
    pub ttl_s: u64,
    /// Hosts that may join with it, 1 to 100,000; 1 when absent.
    #[schema(minimum = 1, maximum = 100000)]
    pub uses: i64,
    pub team: Option<String>,
    pub tags: BTreeMap<String, String>,
    #[schema(max_length = 255)]
    pub note: String,
}

impl Default for NewJoinToken {
    fn default() -> Self {
        Self {
            ttl_s: 24 * 3600,
            uses: 1,
            team: None,
            tags: BTreeMap::new(),
            note: String::new(),
        }
    }
}

/// A fresh token, and the one line that a host needs. The text is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedJoinToken {
    #[serde(flatten)]
    pub info: TokenView,
    pub token: String,
    pub command: String,
}

/// Join tokens, newest first
#[utoipa::path(get, path = "/api/v1/join-tokens", tag = "fleet", params(PageQuery),
    responses((status = 200, body = Page<TokenView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_join_tokens(
    State(fleet): State<Fleet>,
    actor: Actor,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TokenView>>, Problem> {
    let cursor = page.cursor()?;
    let mut before = cursor.as_ref().map_or(Ok(""), |c| c.part(0))?.to_owned();
    let limit = usize::try_from(page.limit()).unwrap_or(100);
    let mut reader = fleet.kernel().db.read().await?;
    let mut views: Vec<TokenView> = Vec::new();
    while views.len() <= limit {
        let chunk = store::join_tokens(&mut reader, &before, 500).await?;
        let Some(last) = chunk.last() else { break };
        before = last.id.to_string();
        let is_end = chunk.len() < 500;
        let seen = chunk
            .into_iter()
            .filter(|token| actor.sees(token.team.as_deref(), &token.tags));
        views.extend(seen.map(TokenView::from));
        if is_end {
            break;
        }
    }
    views.truncate(limit + 1);
    Ok(Json(Page::cut(views, limit, |token: &TokenView| {
        Cursor::of(&[&token.id])
    })))
}

/// Makes a join token
#[utoipa::path(post, path = "/api/v1/join-tokens", tag = "fleet", request_body = NewJoinToken,
    responses((status = 201, body = CreatedJoinToken), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_join_token(
    State(fleet): State<Fleet>,
    actor: Actor,
    Json(new): Json<NewJoinToken>,
) -> Result<(StatusCode, Json<CreatedJoinToken>), Problem> {
    check(&new)?;
    if !actor.may("join_tokens.write", roles::MANAGE, new.team.as_deref(), &new.tags) {
        return Err(Problem::forbidden(
            "your roles do not cover hosts with this team and these tags; give the token a team or tags that they cover",
        ));
    }
    let facts = fleet.0.program.facts().await.map_err(super::files::unreadable)?;
    let new = NewToken {
        note: new.note,
        team: new.team,
        tags: new.tags,
        uses: new.uses,
        life: Duration::from_secs(new.ttl_s),
        addresses: Vec::new(),
        program: Some(facts.sha256.clone()),
    };
    let mut tx = fleet.kernel().db.write().await?;
    let (token, text) = fleet.create_token(&mut tx, &actor, new).await?;
    tx.commit().await?;
    let created = CreatedJoinToken {
        info: token.into(),
        command: dist::join_command(&fleet.0.public_url, &facts, &text),
        token: text,
    };
    Ok((StatusCode::CREATED, Json(created)))
}

fn check(new: &NewJoinToken) -> Result<(), Problem> {
    let mut errors = Vec::new();
    let mut add = |field: &str, message: &str| {
        errors.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
    };
    if !(60..=31_536_000).contains(&new.ttl_s) {
        add("ttl_s", "must be 60 to 31,536,000");
    }
    if !(1..=100_000).contains(&new.uses) {
        add("uses", "must be 1 to 100,000");
    }
    let is_text =
        |text: &str, most: usize| text.chars().count() <= most && !text.chars().any(char::is_control);
    if !is_text(&new.note, 255) {
        add("note", "at most 255 characters, without control characters");
    }
    if new
        .team
        .as_deref()
        .is_some_and(|team| team.is_empty() || !is_text(team, 100))
    {
        add("team", "must be the id of a team");
    }
    let are_tags_good = new.tags.len() <= 50
        && new
            .tags
            .iter()
            .all(|(name, value)| !name.trim().is_empty() && is_text(name, 63) && is_text(value, 255));
    if !are_tags_good {
        add(
            "tags",
            "at most 50, with names of 1 to 63 and values of at most 255 characters, without control characters",
        );
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(errors))
    }
}

/// Revokes a join token; agents that have joined with it stay
#[utoipa::path(delete, path = "/api/v1/join-tokens/{id}", tag = "fleet", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn revoke_join_token(
    State(fleet): State<Fleet>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let not_found = || Problem::not_found("join token", &id);
    let token_id = id.parse().map_err(|_| not_found())?;
    let mut tx = fleet.kernel().db.write().await?;
    let token = store::join_token(&mut tx, &token_id)
        .await?
        .ok_or_else(not_found)?;
    if !actor.may(
        "join_tokens.write",
        roles::MANAGE,
        token.team.as_deref(),
        &token.tags,
    ) {
        return Err(not_found());
    }
    let now = tx.now();
    if !store::revoke_token(&mut tx, &token_id, now).await? {
        return Err(Problem::conflict("this token was revoked already"));
    }
    let data = TokenEvent {
        note: token.note,
        uses: token.uses,
        expires_at: token.expires_at,
    };
    tx.append(&actor, NewEvent::new("join_token.revoked", &token_id, &data))
        .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
