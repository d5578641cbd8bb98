//! `If-Match` with a version number: whoever changes a thing may say which state of it they have seen.

use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};
use kernel::Problem;

/// The version that the caller has seen, when they say so.
pub struct IfMatch(Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            return Ok(Self(None));
        };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        text.trim_matches('"')
            .parse()
            .map(|version| Self(Some(version)))
            .map_err(|_| {
                Problem::bad_request("If-Match takes the `version` of the thing, for instance \"3\"")
            })
    }
}

impl IfMatch {
    /// Refuses a change of something that is not as the caller has seen it.
    pub fn check(&self, version: i64) -> Result<(), Problem> {
        match self.0 {
            Some(seen) if seen != version => Err(Problem::stale(format_args!(
                "you have seen version {seen}, it is at version {version} now; read it again"
            ))),
            _ => Ok(()),
        }
    }
}
