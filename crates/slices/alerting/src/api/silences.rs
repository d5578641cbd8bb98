//! Silences: make, preview, prolong, end.

use axum::extract::State;
use axum::http::StatusCode;
use kernel::http::page::{Cursor, Page};
use kernel::http::{Json, Path, Query};
use kernel::slice::roles;
use kernel::{Actor, Problem, Timestamp, Tx};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::alerts::AlertView;
use super::sight::{MuteOrigin, MuteSight, Sight, may_everywhere};
use super::version::IfMatch;
use super::{check_text, check_times, choice, refuse};
use crate::events;
use crate::matcher::{Matcher, Matchers};
use crate::model::Phase;
use crate::silence::Silence;
use crate::{Alerting, mute, reach, store, tasks};

pub const WRITE: &str = "silences.write";

/// Matched alerts that a preview lists; the counts are whole.
const PREVIEW: usize = 200;
const WEEK_US: i64 = 7 * 86_400 * 1_000_000;
const WEEK_ROWS: i64 = 20_000;
/// Rows that a list reads at once.
pub const SCAN: i64 = 500;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PhaseQuery {
    /// `pending`, `active` or `expired`; all when absent.
    pub phase: Option<String>,
    /// 1 to 500, 100 when absent.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

impl PhaseQuery {
    /// (phase, before which id, how many)
    pub fn read(&self) -> Result<(String, String, usize), Problem> {
        let phase = choice("phase", self.phase.as_deref(), &["pending", "active", "expired"])?;
        let cursor = Cursor::decode(self.cursor.as_deref())?;
        let before = cursor.map_or(Ok(String::new()), |c| c.part(0).map(str::to_owned))?;
        Ok((phase, before, self.limit.unwrap_or(100).clamp(1, 500) as usize))
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSilence {
    /// All of them must hold.
    pub matchers: Vec<Matcher>,
    /// Why.
    pub comment: String,
    /// Now, when absent or past.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SilenceChange {
    pub comment: Option<String>,
    /// Only for one that has not begun.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SilencePreviewRequest)]
pub struct PreviewRequest {
    pub matchers: Vec<Matcher>,
}

/// What a silence would hide.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SilencePreview)]
pub struct Preview {
    /// Pending and firing alerts that it would hide now; at most 200 of them.
    pub alerts: Vec<AlertView>,
    /// How many there are.
    pub now: usize,
    /// How many alerts of the last seven days it would have hidden.
    pub last_week: usize,
}

/// Silences, newest first
#[utoipa::path(get, path = "/api/v1/silences", tag = "alerting", params(PhaseQuery),
    responses((status = 200, body = Page<Silence>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_silences(
    State(alerting): State<Alerting>,
    actor: Actor,
    Query(query): Query<PhaseQuery>,
) -> Result<Json<Page<Silence>>, Problem> {
    let (phase, mut before, limit) = query.read()?;
    let mut reader = alerting.kernel.db.read().await?;
    let sight = MuteSight::of(&actor, &mut reader).await?;
    let mut shown = Vec::new();
    while shown.len() <= limit {
        let rows = store::silence::list(&mut reader, &phase, &before, SCAN).await?;
        let Some(last) = rows.last() else { break };
        last.id.as_str().clone_into(&mut before);
        shown.extend(rows.into_iter().filter(|silence| sight.sees(&origin(silence))));
    }
    Ok(Json(Page::cut(shown, limit, |silence| {
        Cursor::of(&[silence.id.as_str()])
    })))
}

fn origin(silence: &Silence) -> MuteOrigin<'_> {
    MuteOrigin {
        id: silence.id.as_str(),
        created_by: &silence.created_by,
        scopes: &silence.scopes,
    }
}

/// One silence
#[utoipa::path(get, path = "/api/v1/silences/{id}", tag = "alerting", params(("id" = String, Path)),
    responses((status = 200, body = Silence), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_silence(
    State(alerting): State<Alerting>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<Silence>, Problem> {
    let mut reader = alerting.kernel.db.read().await?;
    let sight = MuteSight::of(&actor, &mut reader).await?;
    let silence = store::silence::get(&mut reader, &id).await?;
    silence
        .filter(|silence| sight.sees(&origin(silence)))
        .map(Json)
        .ok_or_else(|| Problem::not_found("silence", &id))
}

/// What a silence would hide now and would have hidden in the last week
#[utoipa::path(post, path = "/api/v1/silences/preview", tag = "alerting", request_body = PreviewRequest,
    responses((status = 200, body = Preview), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn preview_silence(
    State(alerting): State<Alerting>,
    actor: Actor,
    Json(request): Json<PreviewRequest>,
) -> Result<Json<Preview>, Problem> {
    let matchers = Matchers::compile_silence("matchers", &request.matchers).map_err(Problem::invalid)?;
    let mut sight = Sight::of(&actor);
    let mut reader = alerting.kernel.db.read().await?;
    let mut preview = Preview {
        alerts: Vec::new(),
        now: 0,
        last_week: 0,
    };
    for alert in store::alert::live(&mut reader).await? {
        if matchers.match_alert(&alert) && sight.sees(&mut reader, &alert).await? {
            preview.now += 1;
            if preview.alerts.len() < PREVIEW {
                preview.alerts.push(alert.into());
            }
        }
    }
    let since = alerting.kernel.clock.now().as_microsecond() - WEEK_US;
    for alert in store::list::fired_since(&mut reader, since, WEEK_ROWS).await? {
        if matchers.match_alert(&alert) && sight.sees(&mut reader, &alert).await? {
            preview.last_week += 1;
        }
    }
    Ok(Json(preview))
}

/// Make a silence. It holds as far as the role of who makes it does: with a role for some teams or tags it mutes alerts about their
/// items alone
#[utoipa::path(post, path = "/api/v1/silences", tag = "alerting", request_body = NewSilence,
    responses((status = 201, body = Silence), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create_silence(
    State(alerting): State<Alerting>,
    actor: Actor,
    Json(new): Json<NewSilence>,
) -> Result<(StatusCode, Json<Silence>), Problem> {
    let mut errors = Vec::new();
    check_text(&mut errors, "comment", &new.comment, true);
    if let Err(more) = Matchers::compile_silence("matchers", &new.matchers) {
        errors.extend(more);
    }
    let now = alerting.kernel.clock.now();
    let times = check_times(&mut errors, new.starts_at, new.ends_at, now);
    refuse(errors)?;
    let silence = Silence::new(&actor, new.matchers, new.comment, times, now);
    let mut tx = alerting.kernel.db.write().await?;
    store_silence(&mut tx, &actor, &silence, events::SILENCE_CREATED).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(silence)))
}

/// Change the comment or the times of a silence
#[utoipa::path(patch, path = "/api/v1/silences/{id}", tag = "alerting",
    params(("id" = String, Path), ("if-match" = Option<String>, Header, description = "the version that you have seen")),
    request_body = SilenceChange,
    responses((status = 200, body = Silence), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn change_silence(
    State(alerting): State<Alerting>,
    actor: Actor,
    Path(id): Path<String>,
    seen: IfMatch,
    Json(change): Json<SilenceChange>,
) -> Result<Json<Silence>, Problem> {
    let mut tx = alerting.kernel.db.write().await?;
    store::alert::take_turn(&mut tx).await?;
    let mut silence = find(&mut tx, &actor, &id).await?;
    seen.check(silence.version)?;
    if silence.phase == Phase::Expired {
        return Err(Problem::conflict("the silence has ended; make a new one"));
    }
    let now = tx.now();
    let mut errors = Vec::new();
    if let Some(comment) = change.comment {
        check_text(&mut errors, "comment", &comment, true);
        silence.comment = comment;
    }
    if silence.phase == Phase::Pending {
        let starts_at = change.starts_at.unwrap_or(silence.starts_at);
        let ends_at = change.ends_at.unwrap_or(silence.ends_at);
        (silence.starts_at, silence.ends_at) = check_times(&mut errors, Some(starts_at), ends_at, now);
    } else {
        if change.starts_at.is_some() {
            errors.push(super::field_error("starts_at", "the silence has begun"));
        }
        if let Some(ends_at) = change.ends_at {
            (_, silence.ends_at) = check_times(&mut errors, None, ends_at, now);
        }
    }
    refuse(errors)?;
    silence.version += 1;
    silence.phase = Phase::at(silence.starts_at, silence.ends_at, now);
    store_silence(&mut tx, &actor, &silence, events::SILENCE_CHANGED).await?;
    tx.commit().await?;
    Ok(Json(silence))
}

/// End a silence now. Ending it again changes nothing
#[utoipa::path(delete, path = "/api/v1/silences/{id}", tag = "alerting", params(("id" = String, Path)),
    responses((status = 200, body = Silence), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn end_silence(
    State(alerting): State<Alerting>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<Silence>, Problem> {
    let mut tx = alerting.kernel.db.write().await?;
    store::alert::take_turn(&mut tx).await?;
    let mut silence = find(&mut tx, &actor, &id).await?;
    if silence.phase != Phase::Expired {
        silence.starts_at = silence.starts_at.min(tx.now());
        silence.ends_at = tx.now();
        silence.phase = Phase::Expired;
        silence.version += 1;
        store_silence(&mut tx, &actor, &silence, events::SILENCE_EXPIRED).await?;
        tx.commit().await?;
    }
    Ok(Json(silence))
}

async fn store_silence(
    tx: &mut Tx,
    actor: &Actor,
    silence: &Silence,
    topic: &'static str,
) -> Result<(), Problem> {
    store::alert::take_turn(tx).await?;
    store::silence::save(tx, silence).await?;
    let seq = events::say_silence(tx, actor, topic, silence).await?;
    tx.set_cause(Some(seq));
    mute::mark_again(tx).await?;
    tx.after_commit(tasks::wake);
    Ok(())
}

/// A silence is changed and ended by who made it, as far as their role still reaches, or by whose role holds everywhere.
async fn find(tx: &mut Tx, actor: &Actor, id: &str) -> Result<Silence, Problem> {
    let missing = || Problem::not_found("silence", &id);
    let silence = store::silence::get(tx, id).await?.ok_or_else(missing)?;
    if may_everywhere(actor, WRITE, roles::OPERATE) {
        return Ok(silence);
    }
    if !MuteSight::of(actor, tx).await?.sees(&origin(&silence)) {
        return Err(missing());
    }
    let reach = reach::scopes_of(actor, roles::OPERATE);
    if silence.created_by != actor.key() || !reach::contains(&reach, &silence.scopes) {
        return Err(Problem::forbidden(
            "the silence is not yours, or reaches further than your role does",
        ));
    }
    Ok(silence)
}
