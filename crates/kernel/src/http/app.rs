//! Putting the slices' routes together: one router, one OpenAPI document, one guard.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::guard::{Authenticate, Guard, guard};
use super::problem::METHOD_NOT_ALLOWED;
use crate::slice::{Allow, Endpoint, Slice};
use crate::{Kernel, Problem};

/// Bodies above this are refused, except where a route sets its own limit.
const BODY_LIMIT: usize = 2 * 1024 * 1024;

/// What the server serves, and its description.
pub struct App {
    pub router: Router,
    pub openapi: OpenApi,
    pub endpoints: Vec<Endpoint>,
}

const OWN: &[Endpoint] = &[
    Endpoint {
        method: "GET",
        path: "/metrics",
        allow: Allow::Public,
    },
    Endpoint {
        method: "GET",
        path: "/healthz",
        allow: Allow::Public,
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/openapi.json",
        allow: Allow::Public,
    },
];

/// Builds the application. Takes the routes out of `slices` and leaves the rest.
pub fn assemble(
    kernel: &Kernel,
    slices: &mut [Slice],
    authenticate: Arc<dyn Authenticate>,
    base: OpenApi,
) -> App {
    let mut api = OpenApiRouter::with_openapi(base).merge(crate::event::api::routes(kernel.clone()));
    let mut endpoints: Vec<Endpoint> = [crate::event::api::PERMISSIONS, OWN].concat();
    for slice in slices {
        api = api.merge(std::mem::take(&mut slice.routes));
        endpoints.extend_from_slice(slice.permissions);
    }
    let (router, openapi) = api.split_for_parts();
    let description: Arc<str> = openapi.to_json().unwrap_or_default().into();
    let table: HashMap<_, _> = endpoints
        .iter()
        .map(|e| ((e.method.to_owned(), e.path.to_owned()), *e))
        .collect();
    let guard_state = Guard {
        kernel: kernel.clone(),
        authenticate,
        table: Arc::new(table),
    };
    let router = router
        .route("/metrics", axum::routing::get(metrics).with_state(kernel.clone()))
        .route("/healthz", axum::routing::get(healthz).with_state(kernel.clone()))
        .route(
            "/api/v1/openapi.json",
            axum::routing::get(move || async move {
                (
                    [(header::CONTENT_TYPE, "application/json")],
                    description.to_string(),
                )
            }),
        )
        .method_not_allowed_fallback(|uri: Uri| async move {
            Problem::new(
                &METHOD_NOT_ALLOWED,
                format_args!("{} does not take this method", uri.path()),
            )
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .route_layer(middleware::from_fn_with_state(guard_state, guard));
    App {
        router,
        openapi,
        endpoints,
    }
}

async fn metrics(State(kernel): State<Kernel>) -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        kernel.metrics.render(),
    )
        .into_response()
}

/// Healthy means: the database answers. Anything else is on `/metrics`.
async fn healthz(State(kernel): State<Kernel>, _: HeaderMap) -> Response {
    let check = async {
        let mut reader = kernel.db.read().await?;
        crate::event::store::latest(&mut reader).await
    };
    match tokio::time::timeout(Duration::from_secs(5), check).await {
        Ok(Ok(_)) => (StatusCode::OK, "ok\n").into_response(),
        Ok(Err(error)) => Problem::from(error).into_response(),
        Err(_) => Problem::unavailable("the database does not answer within 5 s", 5).into_response(),
    }
}
