//! Channels: making, changing, removing.

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::page::{Cursor, Page as ListPage, PageQuery};
use kernel::http::{Json, Path, Query};
use kernel::slice::roles;
use kernel::{Actor, DbError, NewEvent, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::{refuse_scoped, require_everywhere};
use crate::Notify;
use crate::check::Check;
use crate::events::ChannelData;
use crate::model::{Channel, ChannelConfig, ChannelId, ChannelSecrets, MessageState, Subscription};
use crate::outcome::tell;
use crate::{seal, store};

const MAX_CHANNELS: i64 = 200;

/// A channel. Its secrets are never shown, only which are set.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelView {
    #[schema(value_type = String)]
    pub id: ChannelId,
    pub name: String,
    pub config: ChannelConfig,
    pub secrets_set: Vec<String>,
    pub is_enabled: bool,
    pub subscription: Subscription,
    /// Empty: the default of its type.
    pub title_template: String,
    /// Empty: the default of its type.
    pub text_template: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The last success.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sent_at: Option<Timestamp>,
    /// The last failure.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub failed_at: Option<Timestamp>,
    /// Why it fails; absent when the last attempt succeeded.
    pub error: Option<String>,
}

fn view(notify: &Notify, channel: Channel) -> ChannelView {
    ChannelView {
        // A key that was lost shows as no secrets: sending tells why.
        secrets_set: notify
            .open_secrets(&channel)
            .map(|secrets| secrets.names())
            .unwrap_or_default(),
        id: channel.id,
        name: channel.name,
        config: seal::shown(&channel.config),
        is_enabled: channel.is_enabled,
        subscription: channel.subscription,
        title_template: channel.title_template,
        text_template: channel.text_template,
        created_at: channel.created_at,
        sent_at: channel.sent_at,
        failed_at: channel.failed_at,
        error: channel.error,
    }
}

pub async fn find(connection: &mut AnyConnection, id: &str) -> Result<Channel, Problem> {
    store::channels::get(connection, id)
        .await?
        .ok_or_else(|| Problem::not_found("channel", &id))
}

fn taken(error: DbError) -> Problem {
    if error.is_unique_violation() {
        return Problem::conflict("this name is taken; choose another");
    }
    error.into()
}

/// Channels, by name
#[utoipa::path(get, path = "/api/v1/channels", tag = "notify", params(PageQuery),
    responses((status = 200, body = ListPage<ChannelView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_channels(
    State(notify): State<Notify>,
    actor: Actor,
    Query(query): Query<PageQuery>,
) -> Result<Json<ListPage<ChannelView>>, Problem> {
    refuse_scoped(&actor)?;
    let cursor = query.cursor()?;
    let after = cursor.as_ref().map_or(Ok(""), |cursor| cursor.part(0))?;
    let limit = query.limit();
    let mut reader = notify.kernel().db.read().await?;
    let channels = store::channels::list(&mut reader, after, limit + 1).await?;
    let views = channels
        .into_iter()
        .map(|channel| view(&notify, channel))
        .collect();
    Ok(Json(ListPage::cut(
        views,
        limit as usize,
        |view: &ChannelView| Cursor::of(&[&view.name.to_lowercase()]),
    )))
}

/// A channel
#[utoipa::path(get, path = "/api/v1/channels/{id}", tag = "notify", params(("id" = String, Path)),
    responses((status = 200, body = ChannelView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_channel(
    State(notify): State<Notify>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<ChannelView>, Problem> {
    refuse_scoped(&actor)?;
    let mut reader = notify.kernel().db.read().await?;
    let channel = find(&mut reader, &id).await?;
    Ok(Json(view(&notify, channel)))
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChannel {
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    pub config: ChannelConfig,
    #[serde(default)]
    pub secrets: ChannelSecrets,
    #[serde(default = "yes")]
    pub is_enabled: bool,
    #[serde(default)]
    pub subscription: Subscription,
    /// A Jinja template over `title`, `text`, `kind`, `severity`, `team`, `url`, `fields` (each `name` and `value`), `alerts` and
    /// `alerts_left_out`; what the first alert says (`description`, `runbook_url`, `labels`, `annotations`, `service`, `host`, `since`,
    /// `value`) stands at the top too.
    #[serde(default)]
    #[schema(max_length = 10000)]
    pub title_template: String,
    #[serde(default)]
    #[schema(max_length = 10000)]
    pub text_template: String,
}

/// Add a channel
#[utoipa::path(post, path = "/api/v1/channels", tag = "notify", request_body = NewChannel,
    responses((status = 201, body = ChannelView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_channel(
    State(notify): State<Notify>,
    actor: Actor,
    Json(body): Json<NewChannel>,
) -> Result<(StatusCode, Json<ChannelView>), Problem> {
    require_everywhere(&actor, "channels.write", roles::ADMINISTER)?;
    let mut check = Check::default();
    check.line("name", &body.name, 1, 80);
    check.config(&body.config, &body.secrets);
    check.subscription(&body.subscription);
    check.template("title_template", &body.title_template);
    check.template("text_template", &body.text_template);
    check.done()?;
    let id = ChannelId::new();
    let mut secrets = body.secrets;
    let config = seal::seal(&body.config, &mut secrets);
    let secrets = notify.seal_secrets(&id, &secrets).map_err(Problem::internal)?;
    let mut tx = notify.kernel().db.write().await?;
    if store::channels::count(&mut tx).await? >= MAX_CHANNELS {
        return Err(Problem::conflict(format_args!(
            "there are {MAX_CHANNELS} channels; remove one that is not used"
        )));
    }
    let channel = Channel {
        id,
        name: body.name.trim().to_owned(),
        config,
        secrets,
        is_enabled: body.is_enabled,
        subscription: body.subscription,
        title_template: body.title_template,
        text_template: body.text_template,
        created_at: tx.now(),
        sent_at: None,
        failed_at: None,
        error: None,
    };
    store::channels::insert(&mut tx, &channel).await.map_err(taken)?;
    let event = NewEvent::new("channel.created", &channel.id, &ChannelData::of(&channel));
    tx.append(&actor, event).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(view(&notify, channel))))
}

/// What may change of a channel; absent fields stay.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelChange {
    #[schema(min_length = 1, max_length = 80)]
    pub name: Option<String>,
    /// Replaces all of it; the type must stay.
    pub config: Option<ChannelConfig>,
    /// Those that are given replace what was there; an empty text takes one away.
    pub secrets: ChannelSecrets,
    /// What waits on a channel that is off is kept for 24 hours.
    pub is_enabled: Option<bool>,
    pub subscription: Option<Subscription>,
    /// Empty goes back to the default.
    #[schema(max_length = 10000)]
    pub title_template: Option<String>,
    /// Empty goes back to the default.
    #[schema(max_length = 10000)]
    pub text_template: Option<String>,
}

fn set<T: PartialEq>(changed: &mut Vec<String>, field: &str, before: &mut T, after: Option<T>) {
    if let Some(after) = after
        && after != *before
    {
        changed.push(field.to_owned());
        *before = after;
    }
}

/// Lays the given secrets over those that are set.
fn merge(before: &ChannelSecrets, mut given: ChannelSecrets) -> ChannelSecrets {
    for ((_, given), (_, before)) in given.each_mut().into_iter().zip(before.each()) {
        match given.as_deref() {
            None => given.clone_from(before),
            Some("") => *given = None,
            Some(_) => {}
        }
    }
    given
}

/// Lays a change over a channel, checks what comes out, and returns the names of the fields that changed.
fn apply(notify: &Notify, channel: &mut Channel, change: ChannelChange) -> Result<Vec<String>, Problem> {
    let kind = channel.config.kind();
    let mut changed = Vec::new();
    let name = change.name.map(|name| name.trim().to_owned());
    set(&mut changed, "name", &mut channel.name, name);
    set(
        &mut changed,
        "is_enabled",
        &mut channel.is_enabled,
        change.is_enabled,
    );
    let subscription = change.subscription;
    set(
        &mut changed,
        "subscription",
        &mut channel.subscription,
        subscription,
    );
    let (title, text) = (change.title_template, change.text_template);
    set(&mut changed, "title_template", &mut channel.title_template, title);
    set(&mut changed, "text_template", &mut channel.text_template, text);
    // A key that was lost is no reason to refuse new secrets.
    let before = notify.open_secrets(channel).unwrap_or_default();
    let given = change.config.as_ref().unwrap_or(&channel.config);
    let config = seal::full(given, &before);
    let mut secrets = merge(&before, change.secrets);
    if matches!(config, ChannelConfig::Webhook { .. }) {
        (secrets.url, secrets.headers) = Default::default();
    }
    check_channel(channel, kind, &config, &secrets)?;
    let config = seal::seal(&config, &mut secrets);
    set(&mut changed, "config", &mut channel.config, Some(config));
    if secrets != before {
        changed.push("secrets".to_owned());
        let sealed = notify.seal_secrets(&channel.id, &secrets);
        channel.secrets = sealed.map_err(Problem::internal)?;
    }
    Ok(changed)
}

/// Checks what a change makes of a channel, with its configuration in full.
fn check_channel(
    channel: &Channel,
    kind: &str,
    config: &ChannelConfig,
    secrets: &ChannelSecrets,
) -> Result<(), Problem> {
    let mut check = Check::default();
    if config.kind() != kind {
        check.fail(
            "config.type",
            format!("must stay {kind}; make another channel instead"),
        );
    }
    check.line("name", &channel.name, 1, 80);
    check.config(config, secrets);
    check.subscription(&channel.subscription);
    check.template("title_template", &channel.title_template);
    check.template("text_template", &channel.text_template);
    check.done()
}

/// Change a channel, or turn it on or off
#[utoipa::path(patch, path = "/api/v1/channels/{id}", tag = "notify", params(("id" = String, Path)), request_body = ChannelChange,
    responses((status = 200, body = ChannelView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn update_channel(
    State(notify): State<Notify>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<ChannelChange>,
) -> Result<Json<ChannelView>, Problem> {
    require_everywhere(&actor, "channels.write", roles::ADMINISTER)?;
    let mut tx = notify.kernel().db.write().await?;
    let mut channel = find(&mut tx, &id).await?;
    let changed = apply(&notify, &mut channel, body)?;
    if !changed.is_empty() {
        store::channels::update(&mut tx, &channel).await.map_err(taken)?;
        if changed
            .iter()
            .any(|field| field == "config" || field == "secrets")
        {
            let now = tx.now();
            store::messages::requeue_misconfigured(&mut tx, &id, now).await?;
        }
        let data = ChannelData {
            changed,
            ..ChannelData::of(&channel)
        };
        tx.append(&actor, NewEvent::new("channel.changed", &channel.id, &data))
            .await?;
        tx.commit().await?;
    }
    Ok(Json(view(&notify, channel)))
}

/// Remove a channel; what waits on it is given up
#[utoipa::path(delete, path = "/api/v1/channels/{id}", tag = "notify", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_channel(
    State(notify): State<Notify>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    require_everywhere(&actor, "channels.write", roles::ADMINISTER)?;
    let mut tx = notify.kernel().db.write().await?;
    let channel = find(&mut tx, &id).await?;
    let data = ChannelData::of(&channel);
    let event = NewEvent::new("channel.removed", &channel.id, &data);
    tx.append(&actor, event).await?;
    for mut message in store::messages::waiting_on(&mut tx, &id, 10_000).await? {
        let reason = "its channel was removed";
        store::messages::bury(&mut tx, message.id.as_str(), reason).await?;
        message.state = MessageState::Dead;
        message.error = Some(reason.into());
        tell(&mut tx, &message, &channel.name).await?;
    }
    store::channels::delete(&mut tx, &id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
