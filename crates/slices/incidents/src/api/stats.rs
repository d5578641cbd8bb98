//! How fast people and programs respond, over a stretch of time.

use std::collections::BTreeMap;

use axum::extract::State as Handle;
use jiff::SignedDuration;
use kernel::http::{Json, Query};
use kernel::{Actor, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::sight;
use crate::model::Incident;
use crate::{Incidents, store};

const MAX_ROWS: i64 = 50_000;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatsQuery {
    /// Opened at or after; 30 days ago when absent.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Opened before; now when absent.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

/// Seconds, over the incidents that have come so far.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = ResponseTimes)]
pub struct Times {
    pub count: usize,
    pub mean_s: Option<f64>,
    pub p50_s: Option<f64>,
    pub p90_s: Option<f64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentStats {
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Open now, whenever they were opened.
    pub open: i64,
    /// Opened in the time, without those that became parts of others.
    pub opened: usize,
    pub by_severity: BTreeMap<String, usize>,
    /// Opened again at least once.
    pub reopened: usize,
    /// Alerts that came into incidents in the time.
    pub alerts: i64,
    /// Mean time to acknowledge.
    pub mtta_s: Option<f64>,
    /// Mean time to resolve.
    pub mttr_s: Option<f64>,
    pub acknowledge: Times,
    pub resolve: Times,
}

/// Times to acknowledge and to resolve
#[utoipa::path(get, path = "/api/v1/incidents/stats", tag = "incidents", params(StatsQuery),
    responses((status = 200, body = IncidentStats), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get_incident_stats(
    Handle(incidents): Handle<Incidents>,
    actor: Actor,
    Query(query): Query<StatsQuery>,
) -> Result<Json<IncidentStats>, Problem> {
    let to = query.to.unwrap_or(incidents.kernel.clock.now());
    let month_ago = to
        .saturating_sub(SignedDuration::from_hours(30 * 24))
        .unwrap_or(to);
    let from = query.from.unwrap_or(month_ago);
    if from > to {
        return Err(Problem::invalid_field("from", "must not be after `to`"));
    }
    let mut reader = incidents.kernel.db.read().await?;
    let mut seen = Vec::new();
    for incident in store::incident::opened_between(&mut reader, from, to, MAX_ROWS).await? {
        if incident.merged_into.is_none() && sight::sees(&mut reader, &actor, &incident).await? {
            seen.push(incident);
        }
    }
    let open = if actor.is_scoped() {
        seen.iter().filter(|i| i.state.is_open()).count() as i64
    } else {
        let counts = store::incident::counts(&mut reader).await?;
        counts.iter().map(|(_, _, count)| count).sum()
    };
    let alerts =
        store::member::joined_between(&mut reader, from.as_microsecond(), to.as_microsecond()).await?;
    let mut by_severity = BTreeMap::new();
    for incident in &seen {
        *by_severity
            .entry(incident.severity.as_str().to_owned())
            .or_default() += 1;
    }
    let acknowledge = times(&seen, |i| i.acknowledged_at);
    let resolve = times(&seen, |i| i.resolved_at);
    Ok(Json(IncidentStats {
        from,
        to,
        open,
        opened: seen.len(),
        by_severity,
        reopened: seen.iter().filter(|i| i.reopened > 0).count(),
        alerts,
        mtta_s: acknowledge.mean_s,
        mttr_s: resolve.mean_s,
        acknowledge,
        resolve,
    }))
}

fn times(incidents: &[Incident], end: impl Fn(&Incident) -> Option<Timestamp>) -> Times {
    let mut seconds: Vec<f64> = incidents
        .iter()
        .filter_map(|i| Some(end(i)?.duration_since(i.began_at()).as_secs_f64().max(0.0)))
        .collect();
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = seconds.len().checked_sub(1)?;
        seconds.get((share * last as f64).round() as usize).copied()
    };
    let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
    Times {
        count: seconds.len(),
        mean_s: (!seconds.is_empty()).then_some(mean),
        p50_s: at(0.5),
        p90_s: at(0.9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_incidents_have_no_times() {
        let none = times(&[], |i| i.resolved_at);
        assert_eq!((none.count, none.mean_s, none.p90_s), (0, None, None));
    }
}
