//! Sending over HTTP: one client, bounded in time and answer size, that follows redirects on the same host only.

use std::sync::OnceLock;
use std::time::Duration;

use kernel::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{RequestBuilder, StatusCode};

use super::{chain, permanent, temporary};
use crate::decide::{Outcome, SEND_TIMEOUT};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: usize = 3;
/// Of an answer only this much is read; it ends up in an error text at most.
const ANSWER_MAX: usize = 16 * 1024;

/// Made at its first use.
#[derive(Default)]
pub struct Client {
    inner: OnceLock<Result<reqwest::Client, String>>,
}

impl Client {
    pub fn get(&self) -> Result<&reqwest::Client, Outcome> {
        let made = self.inner.get_or_init(|| {
            if rustls::crypto::CryptoProvider::get_default().is_none() {
                // Another thread may have been first, which is as good.
                let _ = rustls::crypto::ring::default_provider().install_default();
            }
            reqwest::Client::builder()
                .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")))
                .timeout(SEND_TIMEOUT)
                .connect_timeout(CONNECT_TIMEOUT)
                .redirect(Policy::custom(same_host))
                .pool_max_idle_per_host(4)
                .build()
                .map_err(|error| chain(&error))
        });
        made.as_ref()
            .map_err(|error| temporary(format!("no HTTP client can be made: {error}")))
    }
}

/// Invariant: what is meant for one host, with its secrets, never goes to another.
fn same_host(attempt: Attempt) -> reqwest::redirect::Action {
    let first = attempt.previous().first().map(reqwest::Url::origin);
    if attempt.previous().len() <= MAX_REDIRECTS && first == Some(attempt.url().origin()) {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// An answer that was not a success.
pub struct Refusal {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

/// Sends a request. The inner error is what the receiver answered, the outer that there was no answer.
pub async fn call(request: RequestBuilder) -> Result<Result<(), Refusal>, Outcome> {
    let response = request.send().await.map_err(|error| {
        // The address may hold a secret.
        let error = error.without_url();
        if error.is_builder() {
            permanent(format!("the request cannot be made: {}", chain(&error)))
        } else {
            temporary(chain(&error))
        }
    })?;
    if response.status().is_success() {
        return Ok(Ok(()));
    }
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read(response).await;
    Ok(Err(Refusal {
        status,
        headers,
        body,
    }))
}

async fn read(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= ANSWER_MAX {
            bytes.truncate(ANSWER_MAX);
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a refusal means for the message.
pub fn judge(refusal: &Refusal, now: Timestamp) -> Outcome {
    let status = refusal.status;
    let said: String = refusal
        .body
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect();
    let said = said.trim();
    let reason = if status.is_redirection() {
        format!("the receiver answered {status} and points to another host; set that address instead")
    } else if said.is_empty() {
        format!("the receiver answered {status}")
    } else {
        format!("the receiver answered {status}: {said}")
    };
    if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
        let retry_after = refusal
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| retry_after(text, now));
        return Outcome::Temporary { reason, retry_after };
    }
    permanent(reason)
}

/// RFC 9110, 10.2.3: seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let seconds = u64::try_from(date.as_second() - now.as_second()).ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, retry: Option<&str>) -> Refusal {
        let mut headers = HeaderMap::new();
        if let Some(retry) = retry {
            headers.insert(RETRY_AFTER, retry.parse().unwrap());
        }
        Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: "no\nthanks".into(),
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let now: Timestamp = "2015-10-21T07:27:00Z".parse().unwrap();
        for (status, is_temporary) in [
            (500, true),
            (503, true),
            (429, true),
            (408, true),
            (400, false),
            (404, false),
            (302, false),
        ] {
            let outcome = judge(&refusal(status, None), now);
            assert_eq!(
                matches!(outcome, Outcome::Temporary { .. }),
                is_temporary,
                "{status}"
            );
        }
        let asked = |text| match judge(&refusal(429, Some(text)), now) {
            Outcome::Temporary { retry_after, .. } => retry_after.map(|d| d.as_secs()),
            _ => None,
        };
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(60));
        assert_eq!(asked("soon"), None);
    }
}
