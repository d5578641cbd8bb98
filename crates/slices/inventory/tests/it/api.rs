//! The slice over HTTP.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use inventory::Inventory;
use kernel::http::{App, Authenticate, assemble};
use kernel::{Actor, ActorKind, BoxFuture, Grant, Kernel, Problem, Role, Scope};
use serde_json::{Value, json};
use tower::ServiceExt;

use protocol::ListenFact;

use crate::kit::{beds, facts, listens, named, observe, service, talks};

/// `role: operator`, with `tag: env=prod` for a scope.
struct ByHeader;

impl Authenticate for ByHeader {
    fn authenticate<'a>(
        &'a self,
        parts: &'a axum::http::request::Parts,
    ) -> BoxFuture<'a, Result<Option<Actor>, Problem>> {
        let text = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .map(str::to_owned)
        };
        let role = text("role").and_then(|role| Role::parse(&role));
        let tags = text("tag").and_then(|tag| tag.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())));
        Box::pin(async move {
            Ok(role.map(|role| Actor {
                kind: ActorKind::Person,
                id: "per_1".into(),
                name: "Ann".into(),
                grants: vec![Grant {
                    role,
                    scope: Scope {
                        team: None,
                        tags: tags.into_iter().collect(),
                    },
                }],
                only: None,
            }))
        })
    }
}

pub fn app(kernel: &Kernel) -> App {
    let inventory = Inventory::new(kernel);
    assemble(
        kernel,
        &mut [inventory::slice(&inventory)],
        Arc::new(ByHeader),
        Default::default(),
    )
}

pub async fn call(
    app: &App,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Value,
) -> (u16, Value) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    let response = app
        .router
        .clone()
        .oneshot(request.body(body).unwrap())
        .await
        .unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 10_000_000)
        .await
        .unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

const OPERATOR: &[(&str, &str)] = &[("role", "operator")];
const MANAGER: &[(&str, &str)] = &[("role", "manager")];
const VIEWER: &[(&str, &str)] = &[("role", "viewer")];

#[tokio::test]
async fn items_are_listed_read_and_changed() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let app = app(kernel);
        for n in 1..=3 {
            observe(kernel, n, &facts(&format!("web-{n}"), &format!("10.0.0.{n}"))).await;
        }
        let (status, page) = call(
            &app,
            "GET",
            "/api/v1/items?q=kind%3Dhost&limit=2",
            VIEWER,
            Value::Null,
        )
        .await;
        assert_eq!((status, page["items"].as_array().unwrap().len()), (200, 2));
        let next = format!(
            "/api/v1/items?q=kind%3Dhost&limit=2&cursor={}",
            page["next"].as_str().unwrap()
        );
        let (_, page) = call(&app, "GET", &next, VIEWER, Value::Null).await;
        assert_eq!(page["items"][0]["name"], "web-3");
        assert_eq!(page["next"], Value::Null);
        let (status, problem) = call(&app, "GET", "/api/v1/items?q=colour%3Dred", VIEWER, Value::Null).await;
        assert_eq!(status, 422);
        assert!(
            problem["detail"].as_str().unwrap().contains("column 1"),
            "{problem}"
        );

        let id = named(kernel, "host", "web-1").await.id;
        let path = format!("/api/v1/items/{id}");
        let change =
            json!({ "team": "team_1", "tags": { "env": "prod" }, "attributes": { "os_name": "BSD" } });
        assert_eq!(call(&app, "PATCH", &path, VIEWER, change.clone()).await.0, 403);
        assert_eq!(
            call(&app, "PATCH", &path, OPERATOR, change.clone()).await.0,
            403,
            "team and tags take a manager"
        );
        let (status, item) = call(&app, "PATCH", &path, MANAGER, change).await;
        assert_eq!(status, 200, "{item}");
        assert_eq!(item["attributes"]["os_name"]["value"], "BSD");
        assert_eq!(
            item["attributes"]["os_name"]["observed"]["value"],
            "Debian GNU/Linux"
        );
        let ssh = named(kernel, "service", "ssh.service").await;
        assert_eq!(ssh.team.as_deref(), Some("team_1"), "services inherit the team");
        let stale = [("role", "operator"), ("if-match", "1")];
        assert_eq!(
            call(&app, "PATCH", &path, &stale, json!({ "name": "x" })).await.0,
            412
        );
        assert_eq!(
            call(&app, "PATCH", &path, OPERATOR, json!({ "name": "web-2" }))
                .await
                .0,
            409
        );
        assert_eq!(
            call(&app, "PATCH", &path, OPERATOR, json!({ "name": "" }))
                .await
                .0,
            422
        );
        let (_, history) = call(&app, "GET", &format!("{path}/history"), VIEWER, Value::Null).await;
        assert_eq!(history["items"][0]["data"]["attribute"], "os_name");
        let (_, packages) = call(&app, "GET", &format!("{path}/packages?q=ss"), VIEWER, Value::Null).await;
        assert_eq!(packages["items"][0]["name"], "openssh");
        let (_, detail) = call(&app, "GET", &path, VIEWER, Value::Null).await;
        assert_eq!(detail["children"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_scope_shows_only_what_it_covers() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let app = app(kernel);
        observe(kernel, 1, &facts("web-1", "10.0.0.1")).await;
        observe(kernel, 2, &facts("web-2", "10.0.0.2")).await;
        let id = named(kernel, "host", "web-1").await.id;
        let other = named(kernel, "host", "web-2").await.id;
        let path = format!("/api/v1/items/{id}");
        call(
            &app,
            "PATCH",
            &path,
            MANAGER,
            json!({ "tags": { "env": "prod" } }),
        )
        .await;
        let scoped = [("role", "operator"), ("tag", "env=prod")];
        let (_, page) = call(
            &app,
            "GET",
            "/api/v1/items?q=kind%3Dhost,service",
            &scoped,
            Value::Null,
        )
        .await;
        let names: Vec<_> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["name"].clone())
            .collect();
        assert_eq!(names, ["ssh.service", "web-1"]);
        assert_eq!(
            call(
                &app,
                "GET",
                &format!("/api/v1/items/{other}"),
                &scoped,
                Value::Null
            )
            .await
            .0,
            404
        );
        let scoped = [("role", "manager"), ("tag", "env=prod")];
        let leave = json!({ "tags": { "env": "dev" } });
        assert_eq!(
            call(&app, "PATCH", &path, &scoped, leave).await.0,
            403,
            "not out of one's own scope"
        );
        let new = json!({ "kind": "host", "name": "db-1", "tags": { "env": "dev" } });
        assert_eq!(call(&app, "POST", "/api/v1/items", &scoped, new).await.0, 403);
    }
}

#[tokio::test]
async fn relations_and_the_map() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let app = app(kernel);
        let mut web = facts("web-1", "10.0.0.1");
        web.services = vec![service("app"), service("db")];
        web.listening = vec![listens("db", 5432)];
        web.peers = vec![talks("app", "127.0.0.1", 5432)];
        observe(kernel, 1, &web).await;
        let (status, item) = call(
            &app,
            "POST",
            "/api/v1/items",
            OPERATOR,
            json!({ "kind": "site", "name": "Berlin" }),
        )
        .await;
        assert_eq!(status, 201, "{item}");
        let site = item["id"].as_str().unwrap();
        let host = named(kernel, "host", "web-1").await.id;
        let path = format!("/api/v1/items/{host}/relations");
        let new = json!({ "kind": "part_of", "to": site });
        assert_eq!(call(&app, "POST", &path, OPERATOR, new.clone()).await.0, 201);
        assert_eq!(call(&app, "POST", &path, OPERATOR, new).await.0, 409);
        let (_, map) = call(&app, "GET", "/api/v1/map", VIEWER, Value::Null).await;
        assert_eq!(map["edges"].as_array().unwrap().len(), 1);
        assert_eq!(map["nodes"][0]["host_name"], "web-1");
        let (_, impact) = call(
            &app,
            "GET",
            &format!("/api/v1/items/{site}/impact"),
            VIEWER,
            Value::Null,
        )
        .await;
        assert_eq!(impact["counts"]["service"], 2, "{impact}");
        assert_eq!(impact["counts"]["host"], 1);
        let gone = format!("{path}/part_of/{site}");
        assert_eq!(call(&app, "DELETE", &gone, OPERATOR, Value::Null).await.0, 204);
        assert_eq!(call(&app, "DELETE", &gone, OPERATOR, Value::Null).await.0, 404);
        assert_eq!(
            call(
                &app,
                "DELETE",
                &format!("/api/v1/items/{site}"),
                OPERATOR,
                Value::Null
            )
            .await
            .0,
            204
        );
        for odd in [
            "/api/v1/items/x",
            "/api/v1/items/itm_00000000000000000000000000000000/impact",
        ] {
            assert_eq!(call(&app, "GET", odd, VIEWER, Value::Null).await.0, 404, "{odd}");
        }
    }
}

#[tokio::test]
async fn all_listening_ports_of_a_host_are_listed_with_the_owner_where_it_is_known() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let app = app(kernel);
        let mut web = facts("web-1", "10.0.0.1");
        web.services = vec![service("db")];
        let plain = |protocol: &str, port: u16, process: Option<&str>| ListenFact {
            protocol: protocol.into(),
            address: "127.0.0.1".into(),
            port,
            process: process.map(str::to_owned),
            ..ListenFact::default()
        };
        web.listening = vec![
            listens("db", 5432),
            plain("tcp", 9999, None),
            plain("tcp", 8080, Some("python3")),
            plain("udp", 53, Some("dnsmasq")),
            plain("udp", 41234, Some("resolver")),
        ];
        observe(kernel, 1, &web).await;
        let host = named(kernel, "host", "web-1").await.id;
        let path = format!("/api/v1/items/{host}/listeners");
        let (status, list) = call(&app, "GET", &path, VIEWER, Value::Null).await;
        assert_eq!(status, 200, "{list}");
        let rows: Vec<_> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
                let owner = (text(&row["process"]), text(&row["service"]["name"]));
                (text(&row["protocol"]), row["port"].as_u64().unwrap(), owner)
            })
            .collect();
        let row = |protocol: &str, port, process: &str, service: &str| {
            (
                protocol.to_owned(),
                port,
                (process.to_owned(), service.to_owned()),
            )
        };
        assert_eq!(
            rows,
            [
                row("udp", 53, "dnsmasq", "-"),
                row("tcp", 5432, "-", "db"),
                row("tcp", 8080, "python3", "-"),
                row("tcp", 9999, "-", "-"),
            ]
        );
        let other = [("role", "viewer"), ("tag", "env=elsewhere")];
        assert_eq!(call(&app, "GET", &path, &other, Value::Null).await.0, 404);
    }
}
