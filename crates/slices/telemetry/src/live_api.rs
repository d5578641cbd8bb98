//! Newest samples, once and as they come: what live charts are drawn from.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use kernel::http::{Json, Query};
use kernel::slice::roles;
use kernel::{Allow, Endpoint, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Telemetry;
use crate::reach::Reach;
use crate::source::store_matchers;

const READ: Allow = Allow::Permission("metrics.read", roles::READ);

pub(crate) const PERMISSIONS: &[Endpoint] = &[
    Endpoint {
        method: "GET",
        path: "/api/v1/metrics/last",
        allow: READ,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/metrics/live",
        allow: READ,
    },
];

/// Series that one stream follows at most.
const MAX_SERIES: usize = 2_000;
const EVERY: Duration = Duration::from_millis(1000);
/// How long the newest samples may be waited for.
const LAST_TIME: Duration = Duration::from_secs(10);

pub(crate) fn routes(telemetry: &Telemetry) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(last_samples))
        .routes(routes!(stream_samples))
        .with_state(telemetry.clone())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Selection {
    /// Series selectors, one a line: `node_load1{instance="web-1"}`.
    selector: String,
}

/// The newest sample of a series.
#[derive(Debug, Serialize, ToSchema)]
struct LastSample {
    #[schema(value_type = Object)]
    labels: std::collections::BTreeMap<String, String>,
    /// Milliseconds since 1970.
    t: i64,
    /// `null` stands for not-a-number.
    v: Option<f64>,
}

fn selectors(text: &str, reach: &Reach) -> Result<Vec<Vec<tsdb::Matcher>>, Problem> {
    let only = reach.stored();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let wanted: Vec<_> = lines
        .map(|line| {
            let matchers = promql::parse_selector(line).map_err(|e| Problem::invalid_field("selector", e))?;
            let mut matchers =
                store_matchers(&matchers).map_err(|e| Problem::invalid_field("selector", e))?;
            matchers.extend(only.clone());
            Ok(matchers)
        })
        .collect::<Result<_, Problem>>()?;
    if wanted.is_empty() || wanted.len() > 50 {
        return Err(Problem::invalid_field(
            "selector",
            "1 to 50 series selectors, one a line",
        ));
    }
    Ok(wanted)
}

/// Samples that are newer than the last one of their series.
fn read(
    telemetry: &Telemetry,
    reach: &Reach,
    wanted: &[Vec<tsdb::Matcher>],
    told: &mut HashMap<u64, i64>,
) -> Vec<LastSample> {
    let found: Vec<_> = wanted
        .iter()
        .flat_map(|matchers| telemetry.tsdb().last(matchers))
        .filter(|(labels, sample)| reach.sees_at(labels.get("instance"), sample.t_ms))
        .collect();
    if found.len() > MAX_SERIES {
        telemetry
            .kernel()
            .metrics
            .counter("mainstay_live_series_left_out_total", &[])
            .add((found.len() - MAX_SERIES) as u64);
    }
    found
        .into_iter()
        .take(MAX_SERIES)
        .filter(|(labels, sample)| {
            let before = told.insert(key(labels), sample.t_ms);
            // Earlier ones are new too when a clock was set back.
            before != Some(sample.t_ms)
        })
        .map(|(labels, sample)| LastSample {
            labels: labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            t: sample.t_ms,
            v: Some(sample.v).filter(|v| v.is_finite()),
        })
        .collect()
}

fn key(labels: &tsdb::Labels) -> u64 {
    let mut hasher = DefaultHasher::new();
    for pair in labels.iter() {
        pair.hash(&mut hasher);
    }
    hasher.finish()
}

/// Newest samples of the selected series
#[utoipa::path(get, path = "/api/v1/metrics/last", tag = "metrics", params(Selection),
    responses((status = 200, body = Vec<LastSample>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn last_samples(
    State(telemetry): State<Telemetry>,
    reach: Reach,
    Query(selection): Query<Selection>,
) -> Result<Json<Vec<LastSample>>, Problem> {
    let wanted = selectors(&selection.selector, &reach)?;
    let queries = telemetry.queries().clone();
    let work = move |_| read(&telemetry, &reach, &wanted, &mut HashMap::new());
    let samples = queries.blocking(LAST_TIME, work).await;
    samples.map(Json).map_err(|error| Problem::unavailable(error, 2))
}

/// New samples of the selected series, each second, as server-sent events with a list of samples
#[utoipa::path(get, path = "/api/v1/metrics/live", tag = "metrics", params(Selection),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn stream_samples(
    State(telemetry): State<Telemetry>,
    reach: Reach,
    Query(selection): Query<Selection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let wanted = selectors(&selection.selector, &reach)?;
    let feed = Feed {
        telemetry,
        reach,
        wanted,
        told: HashMap::new(),
        is_first: true,
    };
    let stream = stream::unfold(feed, |mut feed| async move {
        let samples = feed.next().await?;
        let event = Event::default()
            .event("samples")
            .json_data(&samples)
            .unwrap_or_default();
        Some((Ok(event), feed))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

struct Feed {
    telemetry: Telemetry,
    reach: Reach,
    wanted: Vec<Vec<tsdb::Matcher>>,
    told: HashMap<u64, i64>,
    is_first: bool,
}

impl Feed {
    /// Off the reactor: thousands of series take their time.
    async fn sample(&mut self) -> Option<Vec<LastSample>> {
        let mut told = std::mem::take(&mut self.told);
        let (telemetry, reach, wanted) = (self.telemetry.clone(), self.reach.clone(), self.wanted.clone());
        let work = move || (read(&telemetry, &reach, &wanted, &mut told), told);
        let (samples, told) = tokio::task::spawn_blocking(work).await.ok()?;
        self.told = told;
        Some(samples)
    }

    async fn next(&mut self) -> Option<Vec<LastSample>> {
        let stop = self.telemetry.kernel().stop.clone();
        loop {
            if !std::mem::take(&mut self.is_first) {
                tokio::select! {
                    () = stop.cancelled() => return None,
                    () = tokio::time::sleep(EVERY) => {}
                }
            }
            let samples = self.sample().await?;
            if !samples.is_empty() {
                return Some(samples);
            }
        }
    }
}
