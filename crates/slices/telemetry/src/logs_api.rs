//! Log lines over HTTP: search, counts over time, labels, and the live tail.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use kernel::clock::from_millis;
use kernel::http::{Json, Path, Query};
use kernel::slice::roles;
use kernel::{Allow, Endpoint, Problem, Timestamp};
use logs::{Delivery, Direction, Found, Position, Selection, TextQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Telemetry;
use crate::query::QueryError;
use crate::reach::Reach;

const READ: Allow = Allow::Permission("logs.read", roles::READ);

pub(crate) const PERMISSIONS: &[Endpoint] = &[
    Endpoint {
        method: "GET",
        path: "/api/v1/logs/query",
        allow: READ,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/logs/histogram",
        allow: READ,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/logs/tail",
        allow: READ,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/logs/labels",
        allow: READ,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/logs/labels/{name}/values",
        allow: READ,
    },
];

/// A search may take this long; what was found until then is answered, with `is_complete` false.
const SEARCH_TIME: Duration = Duration::from_secs(10);
/// Lines that wait for a slow reader of the tail.
const TAIL_QUEUE: usize = 2_000;
/// Live tails at a time.
const MOST_TAILS: u64 = 200;
/// Lines that one search answers with.
const MOST_LINES: u32 = 5000;

pub(crate) fn routes(telemetry: &Telemetry) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(query_logs))
        .routes(routes!(log_histogram))
        .routes(routes!(tail_logs))
        .routes(routes!(log_labels))
        .routes(routes!(log_label_values))
        .with_state(telemetry.clone())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// Words, "phrases", /regular expressions/, `label:value`, AND OR NOT and parentheses. Everything when absent.
    q: Option<String>,
    /// Not before; an hour ago when absent.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before; now when absent.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// 1 to 5000, 200 when absent.
    #[param(maximum = 5000)]
    limit: Option<usize>,
    /// Oldest first instead of newest first.
    oldest_first: Option<bool>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Width of a bucket of the histogram in seconds; 1/60 of the span when absent.
    step_s: Option<i64>,
}

/// A log line.
#[derive(Debug, Serialize, ToSchema)]
struct LogLine {
    /// Its place, usable as a cursor.
    position: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    labels: BTreeMap<String, String>,
    /// syslog severity 0 to 7.
    severity: Option<u8>,
    text: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct LogPage {
    items: Vec<LogLine>,
    /// Give it as `cursor` to go on; absent at the end.
    next: Option<String>,
    /// False when time ran out; `next` goes on from there.
    is_complete: bool,
    scanned_lines: u64,
    /// What could not be read, and why: the answer lacks it.
    warnings: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct LogBucket {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    total: u64,
    /// Lines of severity error and worse.
    errors: u64,
    warnings: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct LogHistogram {
    step_ms: i64,
    buckets: Vec<LogBucket>,
    is_complete: bool,
    /// What could not be read, and why: the counts lack it.
    warnings: Vec<String>,
}

fn to_line(found: Found) -> LogLine {
    LogLine {
        position: found.position.to_string(),
        at: from_millis(found.record.at_ms),
        labels: found
            .record
            .labels
            .iter()
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect(),
        severity: found.record.severity,
        text: found.record.text,
    }
}

impl LogQuery {
    fn selection(&self, reach: &Reach) -> Result<Selection, Problem> {
        let text = self.q.as_deref().unwrap_or_default();
        if text.len() > 4096 {
            return Err(Problem::invalid_field("q", "at most 4096 bytes"));
        }
        let parsed = TextQuery::parse(text).map_err(|error| Problem::invalid_field("q", error))?;
        Ok(Selection {
            within: reach.lines(),
            ..Selection::text(parsed)
        })
    }

    fn to_query(&self, now_ms: i64, reach: &Reach) -> Result<logs::Query, Problem> {
        let to_ms = self.to.map_or(now_ms + 1000, Timestamp::as_millisecond);
        let from_ms = self.from.map_or(to_ms - 3_600_000, Timestamp::as_millisecond);
        if from_ms > to_ms {
            return Err(Problem::invalid_field("from", "must not be after `to`"));
        }
        let cursor = self.cursor.as_deref().map(str::parse::<Position>).transpose();
        Ok(logs::Query {
            selection: self.selection(reach)?,
            limit: self.limit.unwrap_or(200),
            direction: if self.oldest_first == Some(true) {
                Direction::OldestFirst
            } else {
                Direction::NewestFirst
            },
            after: cursor.map_err(Problem::bad_request)?,
            deadline: Some(Instant::now() + SEARCH_TIME),
            ..logs::Query::new(from_ms, to_ms)
        })
    }
}

fn busy(error: QueryError) -> Problem {
    match error {
        QueryError::Busy(_) | QueryError::Timeout(_) | QueryError::Crowded => Problem::unavailable(error, 2),
        other => Problem::internal(other),
    }
}

/// Search log lines
#[utoipa::path(get, path = "/api/v1/logs/query", tag = "logs", params(LogQuery),
    responses((status = 200, body = LogPage), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn query_logs(
    State(telemetry): State<Telemetry>,
    reach: Reach,
    Query(query): Query<LogQuery, MOST_LINES>,
) -> Result<Response, Problem> {
    let query = query.to_query(telemetry.now_ms(), &reach)?;
    let store = telemetry.logs().clone();
    let work = move |_| {
        let page = store.query(&query).map_err(log_problem)?;
        let page = LogPage {
            items: page.records.into_iter().map(to_line).collect(),
            next: page.next.map(|position| position.to_string()),
            is_complete: page.complete,
            scanned_lines: page.scanned_records,
            warnings: page.warnings,
        };
        serde_json::to_string(&page).map_err(Problem::internal)
    };
    let asked = telemetry.queries().in_slot(SEARCH_TIME, work).await;
    let (body, slot) = asked.map_err(busy)?;
    telemetry.answers().json(body?, slot).await.map_err(busy)
}

fn log_problem(error: logs::Error) -> Problem {
    match error {
        logs::Error::BadQuery(message) => Problem::invalid_field("q", message),
        other => Problem::internal(other),
    }
}

/// How many lines match, over time
#[utoipa::path(get, path = "/api/v1/logs/histogram", tag = "logs", params(LogQuery),
    responses((status = 200, body = LogHistogram), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn log_histogram(
    State(telemetry): State<Telemetry>,
    reach: Reach,
    Query(asked): Query<LogQuery, MOST_LINES>,
) -> Result<Json<LogHistogram>, Problem> {
    let query = asked.to_query(telemetry.now_ms(), &reach)?;
    let span = query.to_ms - query.from_ms;
    let step_ms = asked
        .step_s
        .map_or(span / 60, |s| s.saturating_mul(1000))
        .max(1000);
    if span / step_ms > 2_000 {
        return Err(Problem::invalid_field(
            "step_s",
            "more than 2000 buckets; take a wider step or a shorter span",
        ));
    }
    let store = telemetry.logs().clone();
    let work = move |_| store.histogram(&query, step_ms);
    let counted = telemetry
        .queries()
        .blocking(SEARCH_TIME, work)
        .await
        .map_err(busy)?
        .map_err(log_problem)?;
    let buckets = counted.buckets.iter().map(|bucket| LogBucket {
        at: from_millis(bucket.start_ms),
        total: bucket.total(),
        errors: bucket.by_severity[..4].iter().sum(),
        warnings: bucket.by_severity[4],
    });
    Ok(Json(LogHistogram {
        step_ms,
        buckets: buckets.collect(),
        is_complete: counted.complete,
        warnings: counted.warnings,
    }))
}

/// Label names of log lines
#[utoipa::path(get, path = "/api/v1/logs/labels", tag = "logs",
    responses((status = 200, body = Vec<String>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn log_labels(State(telemetry): State<Telemetry>, reach: Reach) -> Result<Json<Vec<String>>, Problem> {
    let (store, selection) = (telemetry.logs().clone(), visible(&reach));
    let work = move |_| store.labels(&selection, i64::MIN, i64::MAX);
    let found = telemetry.queries().blocking(SEARCH_TIME, work).await;
    Ok(Json(found.map_err(busy)?.into_iter().collect()))
}

/// Values of one label of log lines
#[utoipa::path(get, path = "/api/v1/logs/labels/{name}/values", tag = "logs", params(("name" = String, Path)),
    responses((status = 200, body = Vec<String>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn log_label_values(
    State(telemetry): State<Telemetry>,
    reach: Reach,
    Path(name): Path<String>,
) -> Result<Json<Vec<String>>, Problem> {
    let (store, selection) = (telemetry.logs().clone(), visible(&reach));
    let work = move |_| store.label_values(&name, &selection, i64::MIN, i64::MAX);
    let found = telemetry.queries().blocking(SEARCH_TIME, work).await;
    Ok(Json(found.map_err(busy)?.into_iter().take(5000).collect()))
}

fn visible(reach: &Reach) -> Selection {
    Selection {
        within: reach.lines(),
        ..Selection::default()
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TailQuery {
    /// As in the search.
    q: Option<String>,
}

/// Matching lines as they come, as server-sent events; an event `dropped` tells how many a slow reader has missed
#[utoipa::path(get, path = "/api/v1/logs/tail", tag = "logs", params(TailQuery),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn tail_logs(
    State(telemetry): State<Telemetry>,
    reach: Reach,
    Query(query): Query<TailQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let text = query.q.as_deref().unwrap_or_default();
    if text.len() > 4096 {
        return Err(Problem::invalid_field("q", "at most 4096 bytes"));
    }
    if telemetry.logs().subscribers() >= MOST_TAILS {
        let full = format!("{MOST_TAILS} live tails are open already; close some");
        return Err(Problem::unavailable(full, 10));
    }
    let parsed = TextQuery::parse(text);
    let selection = Selection {
        within: reach.lines(),
        ..Selection::text(parsed.map_err(|error| Problem::invalid_field("q", error))?)
    };
    let (sender, receiver) = tokio::sync::mpsc::channel::<Found>(TAIL_QUEUE);
    let (_, dropped) =
        telemetry
            .logs()
            .subscribe_with(selection, move |found| match sender.try_send(found) {
                Ok(()) => Delivery::Taken,
                Err(tokio::sync::mpsc::error::TrySendError::Full(_)) => Delivery::Dropped,
                Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) => Delivery::Gone,
            });
    let stop = telemetry.kernel().stop.clone();
    let start = (receiver, dropped, 0u64, stop);
    let stream = stream::unfold(start, |(mut receiver, dropped, told, stop)| async move {
        let missed = dropped.load(std::sync::atomic::Ordering::Relaxed);
        if missed > told {
            let event = Event::default().event("dropped").data(missed.to_string());
            return Some((Ok(event), (receiver, dropped, missed, stop)));
        }
        let found = tokio::select! {
            () = stop.cancelled() => return None,
            found = receiver.recv() => found?,
        };
        let event = Event::default()
            .event("line")
            .json_data(to_line(found))
            .unwrap_or_default();
        Some((Ok(event), (receiver, dropped, told, stop)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}
