//! The list of incidents.

use axum::extract::State as Handle;
use kernel::http::page::{Cursor, Page};
use kernel::http::{Json, Query};
use kernel::{Actor, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use super::sight;
use super::view::{IncidentView, view};
use crate::Incidents;
use crate::model::{Severity, State};
use crate::store::incident::{self, Filter};

/// Rows that one request looks through for an actor who sees only a part.
const MAX_SCANNED: usize = 10_000;
const SCAN: i64 = 500;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct IncidentQuery {
    /// `triggered`, `acknowledged`, `mitigated`, `resolved`, `closed`, or `open` for the first three; all when absent.
    state: Option<String>,
    /// `sev1` to `sev4`.
    severity: Option<String>,
    /// Id of an item that one of the alerts is about.
    item: Option<String>,
    /// Id of the person who leads.
    lead: Option<String>,
    /// The one with this number, also when it is a part of another.
    number: Option<i64>,
    /// 1 to 500, 100 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

fn choice<'a>(
    field: &str,
    given: Option<String>,
    mut allowed: impl Iterator<Item = &'a str>,
) -> Result<String, Problem> {
    let given = given.unwrap_or_default();
    if given.is_empty() || allowed.any(|word| word == given) {
        Ok(given)
    } else {
        Err(Problem::invalid_field(
            field,
            format_args!("\"{given}\" is none of the values that this takes"),
        ))
    }
}

/// Incidents, newest first
#[utoipa::path(get, path = "/api/v1/incidents", tag = "incidents", params(IncidentQuery),
    responses((status = 200, body = Page<IncidentView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list_incidents(
    Handle(incidents): Handle<Incidents>,
    actor: Actor,
    Query(query): Query<IncidentQuery>,
) -> Result<Json<Page<IncidentView>>, Problem> {
    let states = State::ALL.iter().map(|s| s.as_str()).chain(["open"]);
    let severities = Severity::ALL.iter().map(|s| s.as_str());
    let filter = Filter {
        state: choice("state", query.state, states)?,
        severity: choice("severity", query.severity, severities)?,
        item: query.item.unwrap_or_default(),
        lead: query.lead.unwrap_or_default(),
        number: query.number.map(|number| number.max(0)),
    };
    let cursor = Cursor::decode(query.cursor.as_deref())?;
    let mut before = cursor.map_or(Ok(String::new()), |c| c.part(0).map(str::to_owned))?;
    let limit = query.limit.unwrap_or(100).clamp(1, 500) as usize;
    let chunk = if actor.is_scoped() { SCAN } else { limit as i64 + 1 };
    let mut reader = incidents.kernel.db.read().await?;
    let mut found = Vec::new();
    let mut scanned = 0;
    let mut is_cut = false;
    while found.len() <= limit {
        let rows = incident::list(&mut reader, &filter, &before, chunk).await?;
        let is_end = (rows.len() as i64) < chunk;
        scanned += rows.len();
        for row in rows {
            row.id.as_str().clone_into(&mut before);
            if sight::sees(&mut reader, &actor, &row).await? {
                found.push(row);
            }
        }
        is_cut = !is_end && scanned >= MAX_SCANNED && found.len() <= limit;
        if is_end || is_cut {
            break;
        }
    }
    let page = Page::cut(found, limit, |row| Cursor::of(&[row.id.as_str()]));
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(view(&mut reader, row).await?);
    }
    let next = if is_cut {
        Some(Cursor::of(&[&before]).encode())
    } else {
        page.next
    };
    Ok(Json(Page { items, next }))
}
