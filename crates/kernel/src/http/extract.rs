//! axum's extractors, with refusals as problems.

use axum::body::{Body, Bytes};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Problem;
use crate::actor::Actor;
use crate::http::names::names_of;
use crate::http::problem::{BAD_REQUEST, TOO_LARGE, UNSUPPORTED_MEDIA};

/// A JSON body, both ways. To a POST no body at all stands for `{}`: where every field may be left away, so may the body.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let request = with_body(request, state).await?;
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(JsonRejection::JsonDataError(error)) => {
                Err(Problem::invalid_field("body", reason(&error.body_text())))
            }
            Err(JsonRejection::MissingJsonContentType(_)) => Err(Problem::new(
                &UNSUPPORTED_MEDIA,
                "send the body as `Content-Type: application/json`",
            )),
            Err(error) if error.status().as_u16() == 413 => Err(Problem::new(&TOO_LARGE, error.body_text())),
            Err(error) => Err(Problem::new(&BAD_REQUEST, error.body_text())),
        }
    }
}

/// Puts `{}` in the place of an empty body.
async fn with_body<S: Send + Sync>(request: Request, state: &S) -> Result<Request, Problem> {
    let (mut parts, body) = request.into_parts();
    let hint = axum::body::HttpBody::size_hint(&body);
    if parts.method != Method::POST || hint.lower() > 0 {
        return Ok(Request::from_parts(parts, body));
    }
    let mut whole = Request::new(body);
    // The limit of the route is among the extensions.
    *whole.extensions_mut() = parts.extensions.clone();
    let bytes = Bytes::from_request(whole, state).await.map_err(|error| {
        let code = if error.status().as_u16() == 413 {
            &TOO_LARGE
        } else {
            &BAD_REQUEST
        };
        Problem::new(code, error.body_text())
    })?;
    if !bytes.is_empty() {
        return Ok(Request::from_parts(parts, Body::from(bytes)));
    }
    let json = header::HeaderValue::from_static("application/json");
    parts.headers.insert(header::CONTENT_TYPE, json);
    Ok(Request::from_parts(parts, Body::from("{}")))
}

/// The part of axum's message that names the field.
fn reason(text: &str) -> String {
    text.split_once(": ").map_or(text, |(_, rest)| rest).to_owned()
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The query string. A parameter that `T` does not read, and a `limit` that is not 1 to `MOST`, are refused.
pub struct Query<T, const MOST: u32 = 500>(pub T);

impl<T: DeserializeOwned, const MOST: u32, S: Send + Sync> FromRequestParts<S> for Query<T, MOST> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = parts.uri.query().unwrap_or_default();
        refuse_nul(text)?;
        check_names(text, names_of::<T>(), MOST)?;
        let result: Result<axum::extract::Query<T>, QueryRejection> =
            axum::extract::Query::from_request_parts(parts, state).await;
        match result {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::bad_request(error.body_text())),
        }
    }
}

fn check_names(query: &str, known: Option<&[&str]>, most: u32) -> Result<(), Problem> {
    let Some(known) = known else { return Ok(()) };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !known.contains(&name.as_ref()) {
            return Err(Problem::bad_request(format_args!(
                "this address takes no parameter \"{name}\"; it takes {}",
                known.join(", ")
            )));
        }
        let is_in_range = || {
            value
                .parse::<u32>()
                .is_ok_and(|limit| (1..=most).contains(&limit))
        };
        if name == "limit" && !is_in_range() {
            return Err(Problem::bad_request(format_args!(
                "`limit` is \"{value}\"; it must be a whole number from 1 to {most}"
            )));
        }
    }
    Ok(())
}

/// Parts of the path.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        refuse_nul(parts.uri.path())?;
        let result: Result<axum::extract::Path<T>, PathRejection> =
            axum::extract::Path::from_request_parts(parts, state).await;
        match result {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::bad_request(error.body_text())),
        }
    }
}

/// PostgreSQL refuses NUL in text; no name or id has one.
fn refuse_nul(text: &str) -> Result<(), Problem> {
    if text.contains("%00") {
        return Err(Problem::bad_request("the address contains a NUL character"));
    }
    Ok(())
}

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Actor>()
            .cloned()
            .ok_or_else(Problem::unauthenticated)
    }
}
