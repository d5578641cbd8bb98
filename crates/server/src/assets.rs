//! The web page's files and the documentation, out of the binary.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use kernel::Problem;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
struct Page;

#[derive(RustEmbed)]
#[folder = "../../docs"]
#[include = "api/errors/*.md"]
#[include = "guides/*.md"]
struct Docs;

const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Answers everything that no route takes: a file, the page itself for its own addresses, or a problem.
pub async fn serve(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") || path.starts_with("prometheus/") {
        return Problem::not_found("address", &uri.path()).into_response();
    }
    if let Some(rest) = path.strip_prefix("docs/")
        && let Some(file) = Docs::get(&format!("{}.md", rest.trim_end_matches(".md")))
    {
        return (
            [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")],
            file.data.into_owned(),
        )
            .into_response();
    }
    match Page::get(path) {
        Some(file) => asset(path, file, &headers),
        None if path.starts_with("assets/") => (StatusCode::NOT_FOUND, "no such file\n").into_response(),
        None => match Page::get("index.html") {
            Some(file) => asset("index.html", file, &headers),
            None => (StatusCode::NOT_FOUND, "built without the web page\n").into_response(),
        },
    }
}

fn asset(path: &str, file: rust_embed::EmbeddedFile, headers: &HeaderMap) -> Response {
    let tag: String = file
        .metadata
        .sha256_hash()
        .iter()
        .take(8)
        .map(|b| format!("{b:02x}"))
        .collect();
    let tag = format!("\"{tag}\"");
    let is_known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v == tag);
    // Names under assets/ carry a hash of their content.
    let cache = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let head = [
        (header::CONTENT_TYPE, media_type(path).to_owned()),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::ETAG, tag),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "same-origin".to_owned()),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, file.data.into_owned()).into_response()
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" | "webmanifest" => "application/json",
        _ => "application/octet-stream",
    }
}
