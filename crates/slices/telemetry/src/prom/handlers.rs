//! The handlers of the Prometheus API.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;

use super::params::Params;
use super::render::{self, Refusal};
use crate::Telemetry;
use crate::query::{At, TIMEOUT};
use crate::reach::Reach;

const DEFAULT_LOOKBACK_MS: i64 = 300_000;

macro_rules! both {
    ($doc:literal, $get:ident, $post:ident, $path:literal, $inner:ident, [$($param:tt)*]) => {
        #[doc = $doc]
        #[utoipa::path(get, path = $path, tag = "prometheus", params($($param)*),
            responses((status = 200, body = Object), (status = "4XX", body = Object), (status = 503, body = Object)))]
        pub(super) async fn $get(state: State<Telemetry>, reach: Reach, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
            $inner(&state, &reach, &Params::read(query.as_deref(), None)).await
        }
        #[doc = $doc]
        #[utoipa::path(post, path = $path, tag = "prometheus", params($($param)*),
            request_body(content = std::collections::BTreeMap<String, String>, content_type = "application/x-www-form-urlencoded"),
            responses((status = 200, body = Object), (status = "4XX", body = Object), (status = 503, body = Object)))]
        pub(super) async fn $post(
            state: State<Telemetry>,
            reach: Reach,
            RawQuery(query): RawQuery,
            body: Bytes,
        ) -> Result<Response, Refusal> {
            $inner(&state, &reach, &Params::read(query.as_deref(), Some(&body))).await
        }
    };
}

both!("Evaluate at one instant", query, query_post, "/api/v1/query", instant,
    [("query" = Option<String>, Query), ("time" = Option<String>, Query), ("timeout" = Option<String>, Query), ("limit" = Option<String>, Query)]);
both!("Evaluate over a range", query_range, query_range_post, "/api/v1/query_range", range,
    [("query" = Option<String>, Query), ("start" = Option<String>, Query), ("end" = Option<String>, Query), ("step" = Option<String>, Query), ("timeout" = Option<String>, Query), ("limit" = Option<String>, Query)]);
both!("Find series", series, series_post, "/api/v1/series", find_series,
    [("match[]" = Option<Vec<String>>, Query), ("start" = Option<String>, Query), ("end" = Option<String>, Query), ("limit" = Option<String>, Query)]);
both!("Label names", labels, labels_post, "/api/v1/labels", label_names,
    [("match[]" = Option<Vec<String>>, Query), ("start" = Option<String>, Query), ("end" = Option<String>, Query), ("limit" = Option<String>, Query)]);
both!("Exemplars of a query", query_exemplars, query_exemplars_post, "/api/v1/query_exemplars", exemplars,
    [("query" = Option<String>, Query), ("start" = Option<String>, Query), ("end" = Option<String>, Query)]);
both!("A query, laid out", format_query, format_query_post, "/api/v1/format_query", formatted,
    [("query" = Option<String>, Query)]);

both!("A query as a tree", parse_query, parse_query_post, "/api/v1/parse_query", parsed,
    [("query" = Option<String>, Query)]);

fn timeout(params: &Params) -> Result<Duration, Refusal> {
    let asked = params
        .duration_ms("timeout")?
        .and_then(|ms| u64::try_from(ms).ok());
    Ok(asked.map_or(TIMEOUT, |ms| Duration::from_millis(ms).min(TIMEOUT)))
}

async fn instant(telemetry: &Telemetry, reach: &Reach, params: &Params) -> Result<Response, Refusal> {
    let at = At::Instant(params.time_ms("time")?.unwrap_or_else(|| telemetry.now_ms()));
    let lookback = params
        .duration_ms("lookback_delta")?
        .unwrap_or(DEFAULT_LOOKBACK_MS);
    evaluate(telemetry, reach, params, (at, lookback)).await
}

/// Evaluates, and writes the answer on the same thread.
async fn evaluate(
    telemetry: &Telemetry,
    reach: &Reach,
    params: &Params,
    (at, lookback_ms): (At, i64),
) -> Result<Response, Refusal> {
    let (text, limit) = (params.require("query")?, params.limit()?);
    let asked = (text, at, timeout(params)?, lookback_ms);
    let write = move |outcome| render::outcome(outcome, limit);
    let (body, slot) = telemetry.queries().run_then(asked, reach, write).await?;
    Ok(telemetry.answers().json(body?, slot).await?)
}

async fn range(telemetry: &Telemetry, reach: &Reach, params: &Params) -> Result<Response, Refusal> {
    let need = |name: &str| params.require(name).map(|_| ());
    need("start")
        .and_then(|()| need("end"))
        .and_then(|()| need("step"))?;
    let (start_ms, end_ms) = (
        params.time_ms("start")?.unwrap_or(0),
        params.time_ms("end")?.unwrap_or(0),
    );
    let step_ms = params.duration_ms("step")?.unwrap_or(0);
    if end_ms < start_ms {
        return Err(Refusal::bad_data("end must not be before start"));
    }
    if step_ms <= 0 {
        return Err(Refusal::bad_data(
            "step must be longer than zero; give seconds or a duration such as 15s",
        ));
    }
    let at = At::Range {
        start_ms,
        end_ms,
        step_ms,
    };
    let lookback = params
        .duration_ms("lookback_delta")?
        .unwrap_or(DEFAULT_LOOKBACK_MS);
    evaluate(telemetry, reach, params, (at, lookback)).await
}

struct Scope {
    /// Matchers with the time range in which what they match may be seen.
    wanted: Vec<(Vec<tsdb::Matcher>, i64, i64)>,
    start_ms: i64,
    end_ms: i64,
    limit: usize,
}

impl Scope {
    /// Without `match[]`, everything when the address allows it.
    fn read(params: &Params, reach: &Reach) -> Result<Self, Refusal> {
        let selectors = params.selectors()?;
        let (start_ms, end_ms) = (
            params.time_ms("start")?.unwrap_or(i64::MIN),
            params.time_ms("end")?.unwrap_or(i64::MAX),
        );
        if end_ms < start_ms {
            return Err(Refusal::bad_data("end must not be before start"));
        }
        let selectors = if selectors.is_empty() {
            vec![Vec::new()]
        } else {
            selectors
        };
        let parts = reach.parts(start_ms, end_ms);
        let of_selector = |selector: &Vec<tsdb::Matcher>| -> Vec<_> {
            let narrowed = parts.iter().map(|(only, start_ms, end_ms)| {
                let matchers = selector.iter().chain(only).cloned().collect();
                (matchers, *start_ms, *end_ms)
            });
            narrowed.collect()
        };
        Ok(Self {
            wanted: selectors.iter().flat_map(of_selector).collect(),
            start_ms,
            end_ms,
            limit: params.limit()?,
        })
    }

    /// The names of metrics.
    async fn names(self, telemetry: &Telemetry) -> Result<BTreeSet<String>, Refusal> {
        let tsdb = telemetry.tsdb().clone();
        let work = move |_| -> tsdb::Result<BTreeSet<String>> {
            let mut found = BTreeSet::new();
            for (matchers, start_ms, end_ms) in &self.wanted {
                found.extend(tsdb.label_values(promql::METRIC_NAME, matchers, *start_ms, *end_ms)?);
            }
            Ok(found)
        };
        let found = telemetry.queries().blocking(TIMEOUT, work).await?;
        found.map_err(|error| Refusal::execution(error.to_string()))
    }

    /// Runs `read` for each selector off the reactor, unites the answers and writes them with `one`.
    async fn unite<T: Ord + Send + 'static>(
        self,
        telemetry: &Telemetry,
        read: impl Fn(&tsdb::Tsdb, &[tsdb::Matcher], i64, i64) -> tsdb::Result<Vec<T>> + Send + 'static,
        one: impl FnMut(&mut String, &T) + Send + 'static,
    ) -> Result<Response, Refusal> {
        let tsdb = telemetry.tsdb().clone();
        let limit = self.limit;
        let work = move |_| -> Result<String, Refusal> {
            let mut found = BTreeSet::new();
            let mut warnings = Vec::new();
            for (matchers, start_ms, end_ms) in &self.wanted {
                let some = read(&tsdb, matchers, *start_ms, *end_ms);
                found.extend(some.map_err(|error| Refusal::execution(error.to_string()))?);
            }
            warnings.extend(tsdb.unreadable(self.start_ms, self.end_ms));
            let is_truncated = found.len() > limit;
            let found: Vec<T> = found.into_iter().take(limit).collect();
            render::list(&found, is_truncated, warnings, one)
        };
        let (body, slot) = telemetry.queries().in_slot(TIMEOUT, work).await?;
        Ok(telemetry.answers().json(body?, slot).await?)
    }
}

async fn find_series(telemetry: &Telemetry, reach: &Reach, params: &Params) -> Result<Response, Refusal> {
    if params.selectors()?.is_empty() {
        return Err(Refusal::bad_data(
            "give at least one match[] parameter, for instance match[]=up",
        ));
    }
    let read = |tsdb: &tsdb::Tsdb, m: &[tsdb::Matcher], start, end| tsdb.series(m, start, end);
    let one = |data: &mut String, labels: &tsdb::Labels| {
        render::labels(data, &crate::source::query_labels(labels));
    };
    Scope::read(params, reach)?.unite(telemetry, read, one).await
}

async fn label_names(telemetry: &Telemetry, reach: &Reach, params: &Params) -> Result<Response, Refusal> {
    let read = |tsdb: &tsdb::Tsdb, m: &[tsdb::Matcher], start, end| tsdb.labels(m, start, end);
    Scope::read(params, reach)?.unite(telemetry, read, text).await
}

fn text<T: AsRef<str>>(data: &mut String, text: &T) {
    render::string(data, text.as_ref());
}

/// Values of one label
#[utoipa::path(get, path = "/api/v1/label/{name}/values", tag = "prometheus",
    params(("name" = String, Path), ("match[]" = Option<Vec<String>>, Query), ("start" = Option<String>, Query), ("end" = Option<String>, Query),
        ("limit" = Option<String>, Query)),
    responses((status = 200, body = Object), (status = "4XX", body = Object), (status = 503, body = Object)))]
pub(super) async fn label_values(
    State(telemetry): State<Telemetry>,
    reach: Reach,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let scope = Scope::read(&Params::read(query.as_deref(), None), &reach)?;
    let name = unescape(&name).unwrap_or(name);
    let read =
        move |tsdb: &tsdb::Tsdb, m: &[tsdb::Matcher], start, end| tsdb.label_values(&name, m, start, end);
    scope.unite(&telemetry, read, text).await
}

/// A label name that was made to fit into an address: `U__`, then `__` for an underscore and `_1F600_` for a code point.
fn unescape(text: &str) -> Option<String> {
    let mut rest = text.strip_prefix("U__")?;
    let mut name = String::new();
    while let Some((plain, after)) = rest.split_once('_') {
        name.push_str(plain);
        let (code, after) = after.split_once('_')?;
        if code.is_empty() {
            name.push('_');
        } else {
            name.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        }
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

/// Type and help of metrics
#[utoipa::path(get, path = "/api/v1/metadata", tag = "prometheus",
    params(("metric" = Option<String>, Query), ("limit" = Option<String>, Query)),
    responses((status = 200, body = Object), (status = "4XX", body = Object)))]
pub(super) async fn metadata(
    State(telemetry): State<Telemetry>,
    reach: Reach,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let params = Params::read(query.as_deref(), None);
    let limit = params.limit()?;
    let names = match params.get("metric") {
        Some(name) => vec![name.to_owned()],
        None => {
            let scope = Scope::read(&Params::default(), &reach)?;
            scope.names(&telemetry).await?.into_iter().collect()
        }
    };
    let mut data = String::from("{");
    for (index, name) in names.iter().take(limit).enumerate() {
        render::comma(&mut data, index);
        render::string(&mut data, name);
        let kind = if is_counter(name) { "counter" } else { "gauge" };
        data.push_str(&format!(":[{{\"type\":\"{kind}\",\"help\":\"\",\"unit\":\"\"}}]"));
    }
    data.push('}');
    Ok(render::success(&data))
}

fn is_counter(name: &str) -> bool {
    ["_total", "_count", "_sum", "_bucket"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

/// What answers here
#[utoipa::path(get, path = "/api/v1/status/buildinfo", tag = "prometheus",
    responses((status = 200, body = Object), (status = "4XX", body = Object)))]
pub(super) async fn buildinfo() -> Response {
    let version = env!("CARGO_PKG_VERSION");
    render::success(&format!(
        "{{\"version\":\"2.45.0\",\"revision\":\"mainstay {version}\",\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\"}}"
    ))
}

/// Exemplars are not stored: there are none to find. Clients ask for them beside each query.
async fn exemplars(_: &Telemetry, _: &Reach, params: &Params) -> Result<Response, Refusal> {
    promql::parse(params.require("query")?).map_err(|error| Refusal::bad_data(error.to_string()))?;
    Ok(render::success("[]"))
}

async fn formatted(_: &Telemetry, _: &Reach, params: &Params) -> Result<Response, Refusal> {
    let text = params.require("query")?;
    let expr = promql::parse(text).map_err(|error| Refusal::bad_data(error.to_string()))?;
    let mut data = String::new();
    render::string(&mut data, &expr.to_string());
    Ok(render::success(&data))
}

async fn parsed(_: &Telemetry, _: &Reach, params: &Params) -> Result<Response, Refusal> {
    let text = params.require("query")?;
    let expr = promql::parse(text).map_err(|error| Refusal::bad_data(error.to_string()))?;
    Ok(render::success(&super::tree::tree(&expr).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_label_names_are_read() {
        assert_eq!(unescape("U__service_2e_name").as_deref(), Some("service.name"));
        assert_eq!(unescape("U__a__b").as_deref(), Some("a_b"));
        assert_eq!(unescape("U___1F600_").as_deref(), Some("\u{1F600}"));
        for plain in ["instance", "U__a_zz_", "U__a_2e"] {
            assert_eq!(unescape(plain), None, "{plain}");
        }
    }
}
