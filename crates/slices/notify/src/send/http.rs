//! Sending over HTTP: one client, bounded in time and answer size, that follows redirects on the same host only, and only those
//! that keep method and body (307, 308): a POST that comes as a GET has lost its message.

use std::sync::OnceLock;
use std::time::Duration;

use kernel::Timestamp;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{RequestBuilder, StatusCode, Url};

use super::{chain, misconfigured, permanent, redact, temporary, unknown};
use crate::decide::Outcome;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: usize = 3;
/// Of an answer only this much is read; it ends up in an error text at most.
const ANSWER_MAX: usize = 16 * 1024;

/// Made at its first use.
pub struct Client {
    timeout: Duration,
    inner: OnceLock<Result<reqwest::Client, String>>,
}

impl Client {
    /// `timeout` bounds a whole request.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            inner: OnceLock::new(),
        }
    }

    pub fn get(&self) -> Result<&reqwest::Client, Outcome> {
        let made = self.inner.get_or_init(|| {
            if rustls::crypto::CryptoProvider::get_default().is_none() {
                // Another thread may have been first, which is as good.
                let _ = rustls::crypto::ring::default_provider().install_default();
            }
            reqwest::Client::builder()
                .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")))
                .timeout(self.timeout)
                .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
                .redirect(Policy::custom(redirect))
                // An idle connection may be dead: a page that is lost on it would count as sent and wait for minutes.
                .pool_max_idle_per_host(0)
                .build()
                .map_err(|error| chain(&error))
        });
        made.as_ref()
            .map_err(|error| temporary(format!("no HTTP client can be made: {error}")))
    }
}

/// Invariants: what is meant for one host, with its secrets, never goes to another; what is sent by POST is never sent as GET.
fn redirect(attempt: Attempt) -> reqwest::redirect::Action {
    let keeps_body = matches!(
        attempt.status(),
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
    );
    let is_same = attempt
        .previous()
        .first()
        .is_some_and(|first| is_same_host(first, attempt.url()));
    if keeps_body && is_same && attempt.previous().len() <= MAX_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// The same origin, or the same host by HTTPS instead of HTTP, both at their usual ports.
fn is_same_host(first: &Url, next: &Url) -> bool {
    let is_upgrade = first.scheme() == "http"
        && next.scheme() == "https"
        && first.port().is_none()
        && next.port().is_none()
        && first.host_str() == next.host_str();
    first.origin() == next.origin() || is_upgrade
}

/// What the receiver answered.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    /// Where it came from, after redirects.
    pub url: Option<Url>,
}

/// Sends a request and reads the answer, of whatever status.
pub async fn call(request: RequestBuilder) -> Result<Answer, Outcome> {
    let response = request.send().await.map_err(|error| {
        // The address may hold a secret.
        let error = error.without_url();
        if error.is_builder() {
            misconfigured(format!("the request cannot be made: {}", chain(&error)))
        } else if error.is_connect() {
            temporary(chain(&error))
        } else {
            unknown(format!(
                "the request was sent and not answered: {}",
                chain(&error)
            ))
        }
    })?;
    let (status, headers) = (response.status(), response.headers().clone());
    let url = Some(response.url().clone());
    let body = read(response).await;
    Ok(Answer {
        status,
        headers,
        body,
        url,
    })
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

/// What an answer means for the message: `Ok` when the receiver took it.
pub fn judge(answer: &Answer, now: Timestamp) -> Result<(), Outcome> {
    let status = answer.status;
    if status.is_success() {
        return Ok(());
    }
    if status.is_redirection() {
        return Err(misconfigured(moved(answer)));
    }
    let said: String = answer
        .body
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect();
    let said = said.trim();
    let reason = if said.is_empty() {
        format!("the receiver answered {status}")
    } else {
        format!("the receiver answered {status}: {said}")
    };
    Err(match status.as_u16() {
        // The gateway passed it on and heard nothing.
        504 => unknown(reason),
        408 | 425 | 429 | 500.. => Outcome::Temporary {
            reason,
            retry_after: answer
                .headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .and_then(|text| retry_after(text, now)),
        },
        401 | 403 | 404 | 405 | 407 | 410 => misconfigured(reason),
        _ => permanent(reason),
    })
}

/// Why a redirect is no success, with the new address as far as it holds no secrets.
fn moved(answer: &Answer) -> String {
    let status = answer.status;
    let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let target = answer
        .url
        .as_ref()
        .zip(location)
        .and_then(|(from, to)| from.join(to).ok());
    let Some(target) = target else {
        return format!("the receiver answered {status} without a new address; check the address");
    };
    let shown = redact::address(&target);
    match status {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
            format!(
                "the receiver answered {status} and points to another host, {shown}; set that address instead"
            )
        }
        _ => format!(
            "the receiver answered {status} and points to {shown}, where the message would arrive without its body; \
             set that address instead"
        ),
    }
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

    fn answer(status: u16, header: Option<(&'static str, &str)>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: "no\nthanks".into(),
            url: Some("https://x.org/in".parse().unwrap()),
        }
    }

    #[test]
    fn each_status_has_its_outcome() {
        let now: Timestamp = "2015-10-21T07:27:00Z".parse().unwrap();
        for (status, outcome) in [
            (200, "delivered"),
            (202, "delivered"),
            (500, "failed"),
            (503, "failed"),
            (429, "failed"),
            (408, "failed"),
            (504, "unknown"),
            (400, "refused"),
            (413, "refused"),
            (404, "misconfigured"),
            (401, "misconfigured"),
            (301, "misconfigured"),
            (302, "misconfigured"),
            (303, "misconfigured"),
        ] {
            let judged = judge(&answer(status, None), now)
                .err()
                .unwrap_or(Outcome::Delivered);
            assert_eq!(judged.name(), outcome, "{status}");
        }
        let asked = |text| match judge(&answer(429, Some(("retry-after", text))), now) {
            Err(Outcome::Temporary { retry_after, .. }) => retry_after.map(|d| d.as_secs()),
            _ => None,
        };
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(60));
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn only_https_at_the_same_host_is_as_good_as_the_address() {
        let is_same = |a: &str, b: &str| is_same_host(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(is_same("http://x.org/a", "https://x.org/b"));
        assert!(is_same("http://x.org:81/a", "http://x.org:81/b"));
        assert!(!is_same("https://x.org/a", "http://x.org/a"));
        assert!(!is_same("http://x.org/a", "https://y.org/a"));
        assert!(!is_same("http://x.org:81/a", "https://x.org/a"));
    }
}
