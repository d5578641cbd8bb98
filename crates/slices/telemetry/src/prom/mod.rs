//! The Prometheus HTTP API over the metric store, so that Grafana and every other client works at once.
//!
//! Served at `/api/v1/…` and, for clients that also want Prometheus' `rules` and `alerts`, at `/prometheus/api/v1/…`. Its answers and errors have
//! Prometheus' shapes; the other addresses of this server answer errors as problems.

mod handlers;
mod params;
mod render;
mod rules;
mod tree;

use kernel::slice::roles;
use kernel::{Allow, Endpoint};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Telemetry;

const READ: Allow = Allow::Permission("metrics.read", roles::READ);

macro_rules! endpoints {
    ($($method:literal $path:literal),* $(,)?) => {
        &[$(
            Endpoint { method: $method, path: concat!("/api/v1", $path), allow: READ },
            Endpoint { method: $method, path: concat!("/prometheus/api/v1", $path), allow: READ },
        )*
            Endpoint { method: "GET", path: "/prometheus/api/v1/rules", allow: READ },
            Endpoint { method: "GET", path: "/prometheus/api/v1/alerts", allow: READ },
        ]
    };
}

pub(crate) const PERMISSIONS: &[Endpoint] = endpoints![
    "GET" "/query",
    "POST" "/query",
    "GET" "/query_range",
    "POST" "/query_range",
    "GET" "/series",
    "POST" "/series",
    "GET" "/labels",
    "POST" "/labels",
    "GET" "/label/{name}/values",
    "GET" "/metadata",
    "GET" "/status/buildinfo",
    "GET" "/query_exemplars",
    "POST" "/query_exemplars",
    "POST" "/format_query",
    "GET" "/format_query",
    "POST" "/parse_query",
    "GET" "/parse_query",
];

pub(crate) fn routes(telemetry: &Telemetry) -> OpenApiRouter {
    let documented = OpenApiRouter::new()
        .routes(routes!(handlers::query, handlers::query_post))
        .routes(routes!(handlers::query_range, handlers::query_range_post))
        .routes(routes!(handlers::series, handlers::series_post))
        .routes(routes!(handlers::labels, handlers::labels_post))
        .routes(routes!(handlers::label_values))
        .routes(routes!(handlers::metadata))
        .routes(routes!(handlers::buildinfo))
        .routes(routes!(handlers::query_exemplars, handlers::query_exemplars_post))
        .routes(routes!(handlers::format_query, handlers::format_query_post))
        .routes(routes!(handlers::parse_query, handlers::parse_query_post));
    // The same handlers again under a base address of their own; described once.
    let (plain, _) = documented.clone().split_for_parts();
    let under_base = axum::Router::new()
        .nest("/prometheus", plain)
        .route("/prometheus/api/v1/rules", axum::routing::get(rules::rules))
        .route("/prometheus/api/v1/alerts", axum::routing::get(rules::alerts));
    documented
        .merge(OpenApiRouter::from(under_base))
        .with_state(telemetry.clone())
}
