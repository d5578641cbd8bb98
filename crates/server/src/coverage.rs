//! Tests over the whole interface: every endpoint is in the permission table and described, every problem has its page, and the
//! description that the web page is generated from is current.

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
