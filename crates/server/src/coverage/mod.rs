//! Tests over the whole interface: every endpoint is in the permission table and described, every problem has its page, and the
//! description that the web page is generated from is current.

mod table;
mod walk;
mod world;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use crate::settings::Settings;
use crate::wire::{self, Wired};

/// Addresses that are not described: files, health, and the same Prometheus handlers under a base address of their own.
fn is_plain(path: &str) -> bool {
    [
        "/metrics",
        "/healthz",
        "/api/v1/openapi.json",
        "/join.sh",
        "/dist/",
    ]
    .iter()
    .any(|p| path.starts_with(p))
        || path.starts_with("/prometheus/")
}

async fn wired(bed: &testkit::Bed) -> Wired {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 8601));
    wire::wire(
        bed.kernel(),
        &Settings::default(),
        bed.dir(),
        "http://127.0.0.1:8600".into(),
        nowhere,
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn every_endpoint_is_described_and_in_the_permission_table() {
    let bed = testkit::Bed::sqlite(crate::slices::SCHEMA).await;
    let wired = wired(&bed).await;
    let document = serde_json::to_value(&wired.openapi).unwrap();
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let table: BTreeSet<(String, String)> = wired
        .endpoints
        .iter()
        .map(|e| (e.method.to_owned(), e.path.to_owned()))
        .collect();
    let unguarded: Vec<_> = described.difference(&table).collect();
    assert!(unguarded.is_empty(), "not in the permission table: {unguarded:?}");
    let undescribed: Vec<_> = table
        .difference(&described)
        .filter(|(_, path)| !is_plain(path))
        .collect();
    assert!(undescribed.is_empty(), "not described: {undescribed:?}");
    assert_eq!(
        table.len(),
        wired.endpoints.len(),
        "an endpoint is in the table twice"
    );
}

#[tokio::test]
async fn nobody_gets_in_without_a_credential() {
    let bed = testkit::Bed::sqlite(crate::slices::SCHEMA).await;
    let wired = wired(&bed).await;
    for endpoint in wired
        .endpoints
        .iter()
        .filter(|e| !matches!(e.allow, kernel::Allow::Public))
    {
        let path = endpoint.path.replace(['{', '}'], "");
        let request = axum::http::Request::builder().method(endpoint.method).uri(&path);
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(wired.router.clone(), request)
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 401, "{} {path}", endpoint.method);
    }
}

/// Calls the application as it stands, without a network.
async fn call(
    router: &axum::Router,
    method: &str,
    path: &str,
    token: &str,
    body: &str,
) -> (u16, serde_json::Value) {
    let request = axum::http::Request::builder().method(method).uri(path);
    let request = request
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    let request = request.body(axum::body::Body::from(body.to_owned())).unwrap();
    let response = tower::ServiceExt::oneshot(router.clone(), request).await.unwrap();
    let status = response.status().as_u16();
    let is_stream = response
        .headers()
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if is_stream {
        return (status, serde_json::Value::Null);
    }
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// A service account with one role (none: without any), and a token of it, which may be narrowed.
async fn holder(
    router: &axum::Router,
    token: &str,
    role: Option<kernel::Role>,
    only: Option<&str>,
) -> String {
    let name = format!(
        "{} {}",
        role.map_or("nothing", kernel::Role::as_str),
        only.unwrap_or("everything")
    );
    let body = serde_json::json!({ "name": name }).to_string();
    let (status, account) = call(router, "POST", "/api/v1/service-accounts", token, &body).await;
    assert!(status < 300, "{account}");
    let id = account["id"].as_str().unwrap();
    if let Some(role) = role {
        let path = format!("/api/v1/service-accounts/{id}/grants");
        let body = serde_json::json!({ "role": role.as_str() }).to_string();
        let (status, grant) = call(router, "POST", &path, token, &body).await;
        assert!(status < 300, "{grant}");
    }
    let body = serde_json::json!({ "name": "test", "owner": id, "permissions": only.map(|only| [only]) });
    let (status, made) = call(router, "POST", "/api/v1/tokens", token, &body.to_string()).await;
    assert!(status < 300, "{made}");
    made["token"].as_str().unwrap().to_owned()
}

/// Every endpoint with every role, with none, and with a token that is narrowed to another permission: the table is what happens.
#[tokio::test]
async fn each_role_reaches_what_the_table_says_and_nothing_else() {
    let bed = testkit::Bed::sqlite(crate::slices::SCHEMA).await;
    let wired = wired(&bed).await;
    let router = &wired.router;
    let admin = wired.handles.access.bootstrap_token().await.unwrap();
    let mut holders = vec![(None, None, holder(router, &admin, None, None).await)];
    for role in kernel::Role::ALL {
        holders.push((Some(role), None, holder(router, &admin, Some(role), None).await));
    }
    let (role, only) = (kernel::Role::Administrator, "incidents.read");
    holders.push((
        Some(role),
        Some(only),
        holder(router, &admin, Some(role), Some(only)).await,
    ));
    let mut wrong = Vec::new();
    for endpoint in &wired.endpoints {
        let kernel::Allow::Permission(permission, roles) = endpoint.allow else {
            continue;
        };
        let path = endpoint.path.replace("{", "").replace("}", "");
        for (role, only, token) in &holders {
            let may =
                role.is_some_and(|role| roles.contains(&role)) && only.is_none_or(|only| only == permission);
            // Nobody takes this for anything: what is let in finds nothing of that name, or cannot read it.
            let (status, answer) = call(router, endpoint.method, &path, token, "\"no object\"").await;
            let is_let_in = status != 403;
            if is_let_in != may || status == 401 || status >= 500 {
                wrong.push(format!(
                    "{} {path} ({permission}) as {role:?} {only:?}: {status} {answer}",
                    endpoint.method
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_problem_has_its_page() {
    let bed = testkit::Bed::sqlite(crate::slices::SCHEMA).await;
    let wired = wired(&bed).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api/errors");
    for code in kernel::http::problem::COMMON.iter().chain(wired.problems()) {
        let page = std::fs::read_to_string(root.join(format!("{}.md", code.slug))).unwrap_or_default();
        assert!(
            page.contains(&code.status.to_string()),
            "docs/api/errors/{}.md",
            code.slug
        );
    }
}

#[tokio::test]
async fn the_kept_description_is_current() {
    let bed = testkit::Bed::sqlite(crate::slices::SCHEMA).await;
    let wired = wired(&bed).await;
    let kept =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/openapi.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let now = serde_json::to_value(&wired.openapi).unwrap();
    assert!(kept == now, "ui/openapi.json is not current: run `make openapi`");
}
