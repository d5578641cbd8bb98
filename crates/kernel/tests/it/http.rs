//! The guard: nothing is served that the permission table does not know.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use kernel::http::{Authenticate, assemble};
use kernel::slice::roles;
use kernel::{Actor, ActorKind, Allow, BoxFuture, Endpoint, Grant, Problem, Role, Scope, Slice};
use testkit::Bed;
use tower::ServiceExt;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

struct ByHeader;

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

const TABLE: &[Endpoint] = &[Endpoint {
    method: "GET",
    path: "/api/v1/known",
    allow: Allow::Permission("known.read", roles::OPERATE),
}];

#[tokio::test]
async fn the_guard_asks_who_and_may() {
    let bed = Bed::sqlite(&[]).await;
    let routes = OpenApiRouter::new()
        .routes(routes!(known))
        .routes(routes!(forgotten));
    let mut slices = vec![Slice {
        routes,
        permissions: TABLE,
        ..Slice::named("test")
    }];
    let app = assemble(bed.kernel(), &mut slices, Arc::new(ByHeader), Default::default());
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
