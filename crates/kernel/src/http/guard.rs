//! The guard before every handler: who is it, may they, how long did it take.
//!
//! Invariant: a route that is not in the permission table answers nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::streams::Streams;
use crate::actor::Actor;
use crate::slice::{Allow, Endpoint};
use crate::{BoxFuture, Kernel, Problem};

/// Finds out who sends a request. Access implements it; tests may too.
pub trait Authenticate: Send + Sync {
    /// `None` when nobody is signed in; an error when a credential is there and not good.
    fn authenticate<'a>(
        &'a self,
        request: &'a axum::http::request::Parts,
    ) -> BoxFuture<'a, Result<Option<Actor>, Problem>>;

    /// May an event of this topic change what a credential is worth? Open streams are then checked again at once.
    fn is_concerned(&self, topic: &str) -> bool {
        let _ = topic;
        true
    }
}

/// In the extensions of a request whose credential is only looked at again, for a stream that is open: that is no use of it.
#[derive(Clone, Copy, Debug)]
pub struct LookedAtAgain;

/// Names a request in the log and in the `x-request-id` header.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

#[derive(Clone)]
pub(super) struct Guard {
    pub kernel: Kernel,
    pub authenticate: Arc<dyn Authenticate>,
    pub table: Arc<HashMap<(String, String), Endpoint>>,
    pub streams: Streams,
}

pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map(|p| p.as_str().to_owned())
        .unwrap_or_default();
    let id = RequestId(uuid::Uuid::now_v7().simple().to_string());
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(id.clone());
    let mut response = match admit(&guard, &mut parts, &method, &path).await {
        Ok(()) => {
            let actor = parts.extensions.get::<Actor>().cloned();
            let credential = parts.clone();
            let response = next.run(Request::from_parts(parts, body)).await;
            guard.streams.hold(&guard, credential, actor, response)
        }
        Err(problem) => problem.into_response(),
    };
    let seconds = started.elapsed().as_secs_f64();
    let status = response.status();
    guard
        .kernel
        .metrics
        .histogram("mainstay_http_request_seconds", &[("path", &path)])
        .observe(seconds);
    let labels = [
        ("method", method.as_str()),
        ("path", path.as_str()),
        ("status", status.as_str()),
    ];
    guard
        .kernel
        .metrics
        .counter("mainstay_http_requests_total", &labels)
        .add(1);
    tracing::debug!(request = id.0, %method, path, status = status.as_u16(), seconds, "request");
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert("x-request-id", value);
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

async fn admit(
    guard: &Guard,
    parts: &mut axum::http::request::Parts,
    method: &Method,
    path: &str,
) -> Result<(), Problem> {
    let method = if method == Method::HEAD {
        Method::GET
    } else {
        method.clone()
    };
    let Some(endpoint) = guard.table.get(&(method.to_string(), path.to_owned())) else {
        if guard.table.keys().any(|(_, known)| known == path) {
            return Ok(());
        }
        return Err(Problem::forbidden(format_args!(
            "{method} {path} has no entry in the permission table"
        )));
    };
    if matches!(endpoint.allow, Allow::Public) {
        // A public handler may still like to know who is there; a stale session must not keep anybody out.
        if let Ok(Some(actor)) = guard.authenticate.authenticate(parts).await {
            parts.extensions.insert(actor);
        }
        return Ok(());
    }
    let actor = guard
        .authenticate
        .authenticate(parts)
        .await?
        .ok_or_else(Problem::unauthenticated)?;
    if let Allow::Permission(permission, roles) = endpoint.allow
        && !actor.may_somewhere(permission, roles)
    {
        let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let roles = roles.join(", ");
        return Err(Problem::forbidden(format_args!(
            "\"{permission}\" needs one of the roles {roles}"
        )));
    }
    parts.extensions.insert(actor);
    Ok(())
}
