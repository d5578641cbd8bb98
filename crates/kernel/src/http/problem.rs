//! The one HTTP error: RFC 9457 `application/problem+json`, whose `type` leads to a page of the documentation.

use std::fmt;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::DbError;

/// A kind of problem. Each has a page `docs/api/errors/<slug>.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    pub slug: &'static str,
    pub status: u16,
    pub title: &'static str,
}

macro_rules! codes {
    ($($name:ident = $status:literal, $slug:literal, $title:literal;)*) => {
        $(pub const $name: Code = Code { slug: $slug, status: $status, title: $title };)*
        /// The problems that any slice may answer with.
        pub const COMMON: &[Code] = &[$($name),*];
    };
}

codes! {
    BAD_REQUEST = 400, "bad-request", "The request cannot be read";
    UNAUTHENTICATED = 401, "unauthenticated", "Sign in first";
    FORBIDDEN = 403, "forbidden", "Your roles do not allow this";
    NOT_FOUND = 404, "not-found", "There is no such thing, or you may not see it";
    METHOD_NOT_ALLOWED = 405, "method-not-allowed", "This address does not take that method";
    CONFLICT = 409, "conflict", "The thing is not in a state that allows this";
    STALE = 412, "stale", "The thing has changed since you read it";
    TOO_LARGE = 413, "too-large", "The request is larger than allowed";
    UNSUPPORTED_MEDIA = 415, "unsupported-media-type", "The body is not of a type that this address takes";
    INVALID = 422, "invalid", "Some fields are not valid";
    TOO_MANY = 429, "too-many-requests", "Too many requests";
    INTERNAL = 500, "internal", "Something went wrong on the server";
    BUSY = 503, "busy", "Another change was in the way";
    UNAVAILABLE = 503, "unavailable", "The server cannot do this right now";
}

/// One field that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Path into the body, for instance `steps[2].timeout`.
    pub field: String,
    pub message: String,
}

/// What went wrong, for programs and people.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Address of the page that explains it.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: &'static str,
    pub status: u16,
    /// What, where and how to mend it.
    pub detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

impl Problem {
    pub fn new(code: &Code, detail: impl fmt::Display) -> Self {
        Self {
            kind: format!("/docs/api/errors/{}", code.slug),
            title: code.title,
            status: code.status,
            detail: detail.to_string(),
            errors: Vec::new(),
            retry_after_s: None,
        }
    }

    pub fn bad_request(detail: impl fmt::Display) -> Self {
        Self::new(&BAD_REQUEST, detail)
    }

    pub fn unauthenticated() -> Self {
        Self::new(
            &UNAUTHENTICATED,
            "sign in, or send an API token as `Authorization: Bearer …`",
        )
    }

    pub fn forbidden(detail: impl fmt::Display) -> Self {
        Self::new(&FORBIDDEN, detail)
    }

    /// `noun` in the singular, as a person would say it.
    pub fn not_found(noun: &str, id: &dyn fmt::Display) -> Self {
        Self::new(
            &NOT_FOUND,
            format_args!("there is no {noun} \"{id}\" that you may see"),
        )
    }

    pub fn conflict(detail: impl fmt::Display) -> Self {
        Self::new(&CONFLICT, detail)
    }

    pub fn stale(detail: impl fmt::Display) -> Self {
        Self::new(&STALE, detail)
    }

    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let fields: Vec<String> = errors
            .iter()
            .map(|e| format!("{}: {}", e.field, e.message))
            .collect();
        Self {
            errors,
            ..Self::new(&INVALID, fields.join("; "))
        }
    }

    /// A single field that is not valid.
    pub fn invalid_field(field: &str, message: impl fmt::Display) -> Self {
        Self::invalid(vec![FieldError {
            field: field.into(),
            message: message.to_string(),
        }])
    }

    pub fn too_many(detail: impl fmt::Display, retry_after_s: u64) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(&TOO_MANY, detail)
        }
    }

    pub fn unavailable(detail: impl fmt::Display, retry_after_s: u64) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(&UNAVAILABLE, detail)
        }
    }

    /// Logs the cause and shows nothing of it.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::new(&INTERNAL, "the server's log has the cause")
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        if error.is_conflict() {
            tracing::warn!(%error, "a transaction gave way to another");
            return Self {
                retry_after_s: Some(1),
                ..Self::new(
                    &BUSY,
                    "two changes were made at the same time and this one gave way; nothing was changed, send it again",
                )
            };
        }
        if error.is_unavailable() {
            tracing::error!(%error, "database unavailable");
            return Self::unavailable(
                "the database cannot be written or reached; check disk space and its server",
                5,
            );
        }
        Self::internal(error)
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        DbError::from(error).into()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.title, self.status, self.detail)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
