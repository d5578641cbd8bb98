//! Putting the slices' routes together: one router, one OpenAPI document, one guard.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use utoipa::Number;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{self, OpenApi, RefOr, Required};
use utoipa_axum::router::OpenApiRouter;

use super::guard::{Authenticate, Guard, guard};
use super::problem::METHOD_NOT_ALLOWED;
use super::streams::Streams;
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
    let (router, mut openapi) = api.split_for_parts();
    describe(&mut openapi);
    let description: Arc<str> = openapi.to_json().unwrap_or_default().into();
    let table: HashMap<_, _> = endpoints
        .iter()
        .map(|e| ((e.method.to_owned(), e.path.to_owned()), *e))
        .collect();
    let guard_state = Guard {
        kernel: kernel.clone(),
        authenticate,
        table: Arc::new(table),
        streams: Streams::new(&kernel.metrics),
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

/// Says what holds for every address: the bounds of `limit`, that the body of a POST may be left away when it has no required
/// fields, and that a stream is a sequence of events and not a text.
fn describe(document: &mut OpenApi) {
    let schemas = document.components.as_ref().map(|components| &components.schemas);
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            for parameter in operation.parameters.iter_mut().flatten() {
                bound_limit(parameter);
            }
            for response in operation.responses.responses.values_mut() {
                describe_stream(response);
            }
        }
        if let Some(RefOr::T(body)) = item.post.as_mut().and_then(|post| post.request_body.as_mut())
            && body
                .content
                .values()
                .all(|content| may_be_empty(content, schemas))
        {
            body.required = Some(Required::False);
        }
    }
}

fn may_be_empty(
    content: &RefOr<openapi::Content>,
    schemas: Option<&BTreeMap<String, RefOr<Schema>>>,
) -> bool {
    let RefOr::T(content) = content else { return false };
    let schema = match &content.schema {
        Some(RefOr::Ref(place)) => {
            let name = place.ref_location.rsplit('/').next().unwrap_or_default();
            schemas.and_then(|schemas| schemas.get(name))
        }
        other => other.as_ref(),
    };
    matches!(schema, Some(RefOr::T(Schema::Object(object))) if !object.properties.is_empty() && object.required.is_empty())
}

fn bound_limit(parameter: &mut RefOr<Parameter>) {
    if let RefOr::T(parameter) = parameter
        && parameter.name == "limit"
        && let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema
        // That of Prometheus' addresses is a text without bounds.
        && schema.schema_type == SchemaType::Type(Type::Integer)
    {
        schema.minimum = Some(Number::UInt(1));
        schema.maximum.get_or_insert(Number::UInt(500));
    }
}

/// A schema would be that of one value; OpenAPI 3.1 has none for a sequence of events.
fn describe_stream(response: &mut RefOr<openapi::Response>) {
    if let RefOr::T(response) = response
        && let Some(RefOr::T(content)) = response.content.get_mut("text/event-stream")
    {
        content.schema = None;
        response.description = "Server-sent events whose `data` is JSON".into();
    }
}

async fn metrics(State(kernel): State<Kernel>) -> Result<Response, Problem> {
    let metrics = kernel.metrics.clone();
    let text = tokio::task::spawn_blocking(move || metrics.render())
        .await
        .map_err(Problem::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
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
