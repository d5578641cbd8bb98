//! The guard: nothing is served that the permission table does not know.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use kernel::http::page::PageQuery;
use kernel::http::{Authenticate, Json, Query, assemble};
use kernel::slice::roles;
use kernel::{Actor, ActorKind, Allow, BoxFuture, Endpoint, Grant, Problem, Role, Scope, Slice};
use testkit::Bed;
use tower::ServiceExt;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub struct ByHeader;

impl Authenticate for ByHeader {
    fn authenticate<'a>(
        &'a self,
        parts: &'a axum::http::request::Parts,
    ) -> BoxFuture<'a, Result<Option<Actor>, Problem>> {
        let role = parts
            .headers
            .get("role")
            .and_then(|v| v.to_str().ok())
            .and_then(Role::parse);
        Box::pin(async move {
            Ok(role.map(|role| Actor {
                kind: ActorKind::Person,
                id: "per_1".into(),
                name: "Ann".into(),
                grants: vec![Grant {
                    role,
                    scope: Scope::default(),
                }],
                only: None,
            }))
        })
    }
}

#[utoipa::path(get, path = "/api/v1/known", responses((status = 200)))]
async fn known(actor: Actor) -> String {
    actor.name
}

#[utoipa::path(get, path = "/api/v1/forgotten", responses((status = 200)))]
async fn forgotten() -> &'static str {
    "never"
}

const TABLE: &[Endpoint] = &[
    Endpoint {
        method: "GET",
        path: "/api/v1/known",
        allow: Allow::Permission("known.read", roles::OPERATE),
    },
    Endpoint {
        method: "GET",
        path: "/api/v1/list",
        allow: Allow::Public,
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/act",
        allow: Allow::Public,
    },
];

#[utoipa::path(get, path = "/api/v1/list", params(PageQuery), responses((status = 200)))]
async fn list(Query(page): Query<PageQuery>) -> String {
    page.limit().to_string()
}

#[derive(Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Act {
    note: Option<String>,
}

#[utoipa::path(post, path = "/api/v1/act", request_body = Act, responses((status = 200)))]
async fn act(Json(given): Json<Act>) -> String {
    given.note.unwrap_or_else(|| "nothing".into())
}

fn app(bed: &Bed) -> kernel::http::App {
    let routes = OpenApiRouter::new()
        .routes(routes!(known))
        .routes(routes!(forgotten))
        .routes(routes!(list))
        .routes(routes!(act));
    let mut slices = vec![Slice {
        routes,
        permissions: TABLE,
        ..Slice::named("test")
    }];
    assemble(bed.kernel(), &mut slices, Arc::new(ByHeader), Default::default())
}

async fn ask(app: &kernel::http::App, request: Request<Body>) -> (u16, String) {
    let response = app.router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn unknown_parameters_and_limits_out_of_range_are_refused_by_name() {
    let bed = Bed::sqlite(&[]).await;
    let app = app(&bed);
    for (query, status, part) in [
        ("", 200, "100"),
        ("?limit=500&cursor=", 200, "500"),
        (
            "?kind=host",
            400,
            "no parameter \\\"kind\\\"; it takes limit, cursor",
        ),
        ("?limit=501", 400, "1 to 500"),
        ("?limit=0", 400, "1 to 500"),
        ("?limit=many", 400, "1 to 500"),
        ("?limit=1&limit=2", 400, "duplicate"),
    ] {
        let request = Request::get(format!("/api/v1/list{query}"))
            .body(Body::empty())
            .unwrap();
        let (found, body) = ask(&app, request).await;
        assert!(found == status && body.contains(part), "{query}: {found} {body}");
    }
    let document = serde_json::to_value(&app.openapi).unwrap();
    let limit = &document["paths"]["/api/v1/list"]["get"]["parameters"][0]["schema"];
    assert_eq!(
        (&limit["minimum"], &limit["maximum"]),
        (&1.into(), &500.into()),
        "{limit}"
    );
    let stream = &document["paths"]["/api/v1/events/stream"]["get"]["responses"]["200"];
    assert_eq!(stream["content"]["text/event-stream"], serde_json::json!({}));
}

#[tokio::test]
async fn a_body_that_may_be_empty_may_be_left_away() {
    let bed = Bed::sqlite(&[]).await;
    let app = app(&bed);
    for (kind, body, status, part) in [
        (None, "", 200, "nothing"),
        (Some("application/json"), "", 200, "nothing"),
        (Some("application/json"), "{\"note\":\"x\"}", 200, "x"),
        (Some("text/plain"), "{\"note\":\"x\"}", 415, "application/json"),
        (None, "{\"note\":\"x\"}", 415, "application/json"),
        (Some("application/json"), "{\"nota\":\"x\"}", 422, "nota"),
    ] {
        let request = Request::post("/api/v1/act");
        let request = match kind {
            Some(kind) => request.header("content-type", kind),
            None => request,
        };
        let (found, answer) = ask(&app, request.body(Body::from(body)).unwrap()).await;
        assert!(
            found == status && answer.contains(part),
            "{kind:?} {body}: {found} {answer}"
        );
    }
    let document = serde_json::to_value(&app.openapi).unwrap();
    assert_eq!(
        document["paths"]["/api/v1/act"]["post"]["requestBody"]["required"],
        false
    );
}

#[tokio::test]
async fn the_guard_asks_who_and_may() {
    let bed = Bed::sqlite(&[]).await;
    let app = app(&bed);
    let status = async |method: &str, path: &str, role: &str| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("role", role)
            .body(Body::empty())
            .unwrap();
        app.router
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(status("GET", "/api/v1/known", "operator").await, 200);
    assert_eq!(status("GET", "/api/v1/known", "viewer").await, 403);
    assert_eq!(status("GET", "/api/v1/known", "nobody").await, 401);
    assert_eq!(status("GET", "/api/v1/forgotten", "administrator").await, 403);
    assert_eq!(status("POST", "/api/v1/known", "operator").await, 405);
    assert_eq!(status("GET", "/healthz", "nobody").await, 200);
}
