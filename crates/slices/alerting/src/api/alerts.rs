//! Reading alerts.

use axum::extract::State;
use kernel::clock::from_micros;
use kernel::http::page::{Cursor, Page};
use kernel::http::{Json, Path, Query};
use kernel::{Actor, Event, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::choice;
use super::sight::Sight;
use crate::Alerting;
use crate::decide::{self, State as Phase};
use crate::matcher::{self, Matchers};
use crate::model::{Alert, AlertId, Labels, Severity};
use crate::silence::Silence;
use crate::store;
use crate::store::list::{Filter, Muted};
use crate::window::Window;

/// Rows that one request looks through when it filters by labels or by what the actor may see.
const MAX_SCANNED: usize = 20_000;
const SCAN: i64 = 1_000;

/// An alert.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
pub struct AlertView {
    #[schema(value_type = String)]
    pub id: AlertId,
    #[serde(skip)]
    seq: i64,
    /// The same for as long as name and labels are.
    pub fingerprint: String,
    pub name: String,
    pub severity: Severity,
    pub state: Phase,
    pub labels: Labels,
    pub annotations: Labels,
    /// The inventory item that it is about.
    pub item_id: Option<String>,
    pub value: Option<f64>,
    #[schema(value_type = String, format = DateTime)]
    pub active_since: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub fired_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resolved_at: Option<Timestamp>,
    /// When it fires by itself (pending) or resolves by itself (kept firing).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    /// Who sees it, for instance `rule:rul_…`.
    pub sources: Vec<String>,
    /// Id of the silence that mutes it.
    pub silenced_by: Option<String>,
    /// Id of the maintenance window that mutes it.
    pub suppressed_by: Option<String>,
    /// It fires so often that its limit is probably set too close.
    pub flapping: bool,
}

impl From<Alert> for AlertView {
    fn from(alert: Alert) -> Self {
        let life = alert.life;
        Self {
            id: alert.id,
            seq: alert.seq,
            fingerprint: alert.fingerprint,
            name: alert.name,
            severity: alert.severity,
            state: life.state,
            labels: alert.labels,
            annotations: alert.annotations,
            item_id: alert.item,
            value: alert.value,
            active_since: from_micros(life.active_since),
            fired_at: life.fired_at.map(from_micros),
            resolved_at: life.resolved_at.map(from_micros),
            due_at: decide::due(&life).map(from_micros),
            sources: life.sources.into_keys().collect(),
            silenced_by: alert.silenced_by,
            suppressed_by: alert.suppressed_by,
            flapping: alert.flapping,
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AlertQuery {
    /// `pending`, `firing`, `resolved` or `any`; pending and firing when absent.
    state: Option<String>,
    /// `info`, `warning` or `critical`.
    severity: Option<String>,
    /// The alert's name.
    name: Option<String>,
    /// Id of the inventory item.
    item: Option<String>,
    fingerprint: Option<String>,
    /// Only those that a silence or maintenance mutes, or only the others.
    muted: Option<bool>,
    /// Label matchers, separated by commas: `instance=~"web-.*",job!=test`.
    filter: Option<String>,
    /// 1 to 500, 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl AlertQuery {
    fn filter(&self) -> Result<Filter, Problem> {
        Ok(Filter {
            state: choice(
                "state",
                self.state.as_deref(),
                &["pending", "firing", "resolved", "any"],
            )?,
            severity: choice(
                "severity",
                self.severity.as_deref(),
                &["info", "warning", "critical"],
            )?,
            name: self.name.clone().unwrap_or_default(),
            item: self.item.clone().unwrap_or_default(),
            fingerprint: self.fingerprint.clone().unwrap_or_default(),
            muted: self.muted,
        })
    }

    fn matchers(&self) -> Result<Option<Matchers>, Problem> {
        let Some(text) = self.filter.as_deref().filter(|text| !text.trim().is_empty()) else {
            return Ok(None);
        };
        let parsed: Result<Vec<_>, String> = matcher::split(text).into_iter().map(matcher::parse).collect();
        let matchers = parsed.map_err(|error| Problem::invalid_field("filter", error))?;
        Matchers::compile("filter", &matchers)
            .map(Some)
            .map_err(Problem::invalid)
    }
}

/// Alerts, newest first
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerting", params(AlertQuery),
    responses((status = 200, body = Page<AlertView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_alerts(
    State(alerting): State<Alerting>,
    actor: Actor,
    Query(query): Query<AlertQuery>,
) -> Result<Json<Page<AlertView>>, Problem> {
    let filter = query.filter()?;
    let matchers = query.matchers()?;
    let cursor = Cursor::decode(query.cursor.as_deref())?;
    let mut before = cursor.map_or(Ok(i64::MAX), |cursor| cursor.first_i64())?;
    let limit = query.limit.unwrap_or(100).clamp(1, 500) as usize;
    let is_plain = matchers.is_none() && !actor.is_scoped();
    let chunk = if is_plain { limit as i64 + 1 } else { SCAN };
    let mut sight = Sight::of(&actor);
    let mut reader = alerting.kernel.db.read().await?;
    let mut found = Vec::new();
    let mut scanned = 0;
    while found.len() <= limit {
        let rows = store::list(&mut reader, &filter, before, chunk).await?;
        let is_end = (rows.len() as i64) < chunk;
        scanned += rows.len();
        for alert in rows {
            before = alert.seq;
            let is_match = matchers.as_ref().is_none_or(|m| m.match_alert(&alert));
            if is_match && sight.sees(&mut reader, &alert).await? {
                found.push(AlertView::from(alert));
            }
        }
        if is_end {
            break;
        }
        if scanned >= MAX_SCANNED && found.len() <= limit {
            let next = Some(Cursor::of(&[&before.to_string()]).encode());
            return Ok(Json(Page { items: found, next }));
        }
    }
    Ok(Json(Page::cut(found, limit, |alert| {
        Cursor::of(&[&alert.seq.to_string()])
    })))
}

/// How many alerts there are.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = AlertSummary)]
pub struct Summary {
    /// Firing and not muted, by severity.
    pub critical: i64,
    pub warning: i64,
    pub info: i64,
    pub pending: i64,
    /// Firing under a silence.
    pub silenced: i64,
    /// Firing under a maintenance window.
    pub suppressed: i64,
}

impl Summary {
    /// Where an alert is counted.
    fn slot(&mut self, state: Phase, severity: Severity, muted: Muted) -> &mut i64 {
        match (state, muted, severity) {
            (Phase::Pending, _, _) => &mut self.pending,
            (_, Muted::BySilence, _) => &mut self.silenced,
            (_, Muted::ByMaintenance, _) => &mut self.suppressed,
            (_, Muted::No, Severity::Critical) => &mut self.critical,
            (_, Muted::No, Severity::Warning) => &mut self.warning,
            (_, Muted::No, Severity::Info) => &mut self.info,
        }
    }
}

/// How many alerts there are, by severity
#[utoipa::path(get, path = "/api/v1/alerts/summary", tag = "alerting",
    responses((status = 200, body = Summary), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn summarize_alerts(
    State(alerting): State<Alerting>,
    actor: Actor,
) -> Result<Json<Summary>, Problem> {
    let mut reader = alerting.kernel.db.read().await?;
    let mut summary = Summary::default();
    if !actor.is_scoped() {
        for ((state, severity, muted), count) in store::list::counts(&mut reader).await? {
            let severity = Severity::parse_or_warning(&severity);
            *summary.slot(Phase::parse(&state), severity, muted) += count;
        }
        return Ok(Json(summary));
    }
    let mut sight = Sight::of(&actor);
    for alert in store::alert::live(&mut reader).await? {
        if sight.sees(&mut reader, &alert).await? {
            let muted = match (&alert.silenced_by, &alert.suppressed_by) {
                (Some(_), _) => Muted::BySilence,
                (None, Some(_)) => Muted::ByMaintenance,
                (None, None) => Muted::No,
            };
            *summary.slot(alert.life.state, alert.severity, muted) += 1;
        }
    }
    Ok(Json(summary))
}

/// An alert with what is around it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertDetail {
    pub alert: AlertView,
    pub silence: Option<Silence>,
    pub maintenance: Option<Window>,
    /// What was said about it, newest first.
    pub history: Vec<Event>,
    /// Earlier and later alerts of the same condition, newest first.
    pub episodes: Vec<AlertView>,
}

/// One alert with its history
#[utoipa::path(get, path = "/api/v1/alerts/{id}", tag = "alerting", params(("id" = String, Path)),
    responses((status = 200, body = AlertDetail), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_alert(
    State(alerting): State<Alerting>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<AlertDetail>, Problem> {
    let mut reader = alerting.kernel.db.read().await?;
    let missing = || Problem::not_found("alert", &id);
    let alert = store::by_id(&mut reader, &id).await?.ok_or_else(missing)?;
    let is_shown = alert.life.state != Phase::Inactive;
    let mut sight = Sight::of(&actor);
    if !is_shown || !sight.sees(&mut reader, &alert).await? {
        return Err(missing());
    }
    let silence = match &alert.silenced_by {
        Some(silence) => store::silence::get(&mut reader, silence).await?,
        None => None,
    };
    let maintenance = match &alert.suppressed_by {
        Some(window) => store::window::get(&mut reader, window).await?,
        None => None,
    };
    let history = store::list::said(&mut reader, &id, 200).await?;
    let mut episodes = Vec::new();
    for other in store::list::episodes(&mut reader, &alert.fingerprint, 21).await? {
        // The same labels may have belonged to an item of somebody else.
        if other.id != alert.id && sight.sees(&mut reader, &other).await? {
            episodes.push(AlertView::from(other));
        }
    }
    Ok(Json(AlertDetail {
        episodes,
        alert: alert.into(),
        silence,
        maintenance,
        history,
    }))
}
