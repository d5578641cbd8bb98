//! HTTP requests made from the host.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use protocol::{CommandState, HttpMethod, Stream};

use reqwest::redirect::Policy;

use super::output::Capture;

/// Redirects of one request that are followed at most.
const MOST_REDIRECTS: usize = 5;

pub(crate) struct Request {
    pub(crate) method: HttpMethod,
    pub(crate) url: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<String>,
    pub(crate) expect_status: Vec<u16>,
}

/// Makes the request; the body of the answer is the command's standard output, the status its standard error. The exit
/// code is 0 when the status is expected (any 2xx when nothing is said), else 1.
pub(crate) async fn run(
    request: Request,
    folder: &Path,
    id: &str,
    cap_bytes: u64,
    timeout: Duration,
) -> CommandState {
    let begun = Instant::now();
    let is_read = matches!(request.method, HttpMethod::Get | HttpMethod::Head);
    let outcome = attempt(request, folder, id, cap_bytes, timeout).await;
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Ok((exit_code, dropped_bytes)) => CommandState::Exited {
            exit_code: Some(exit_code),
            signal: None,
            duration_ms,
            dropped_bytes,
        },
        Err(Fault::Late) => CommandState::TimedOut { duration_ms },
        // It was on its way: nobody knows whether the other end has done it. Asking changes nothing there.
        Err(Fault::Lost(error)) if !is_read => {
            if let Ok(mut capture) = Capture::create(folder, id, Stream::Stderr, cap_bytes) {
                capture.write(format!("{error}\n").as_bytes());
            }
            CommandState::Interrupted
        }
        Err(Fault::Lost(error) | Fault::NotSent(error)) => CommandState::Failed { error },
    }
}

/// Why there is no answer.
enum Fault {
    NotSent(String),
    /// Sent, or in the middle of it, and no answer in time.
    Late,
    /// Sent, or in the middle of it, when the connection ended.
    Lost(String),
}

impl From<reqwest::Error> for Fault {
    fn from(error: reqwest::Error) -> Self {
        // The address may hold a secret, percent-encoded, which nobody would recognise and cover.
        let error = error.without_url();
        if error.is_connect() || error.is_builder() {
            Self::NotSent(reason(&error))
        } else if error.is_timeout() {
            Self::Late
        } else {
            Self::Lost(reason(&error))
        }
    }
}

async fn attempt(
    request: Request,
    folder: &Path,
    id: &str,
    cap_bytes: u64,
    timeout: Duration,
) -> Result<(i32, u64), Fault> {
    // The process may have a provider already; then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(timeout)
        .redirect(redirects(request.method))
        .build()
        .map_err(|error| Fault::NotSent(format!("failed to prepare an HTTP client: {}", reason(&error))))?;
    let method = match request.method {
        HttpMethod::Get => reqwest::Method::GET,
        HttpMethod::Head => reqwest::Method::HEAD,
        HttpMethod::Post => reqwest::Method::POST,
        HttpMethod::Put => reqwest::Method::PUT,
        HttpMethod::Patch => reqwest::Method::PATCH,
        HttpMethod::Delete => reqwest::Method::DELETE,
    };
    let mut builder = client.request(method, &request.url);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    if let Some(body) = request.body {
        builder = builder.body(body);
    }
    let mut response = builder.send().await?;
    let status = response.status();
    let io = |error: std::io::Error| Fault::Lost(format!("failed to keep the answer: {error}"));
    Capture::create(folder, id, Stream::Stderr, cap_bytes)
        .map_err(io)?
        .write(status_text(&response).as_bytes());
    let mut capture = Capture::create(folder, id, Stream::Stdout, cap_bytes).map_err(io)?;
    while let Some(chunk) = response.chunk().await? {
        capture.write(&chunk);
    }
    let expected = match request.expect_status.as_slice() {
        [] => status.is_success(),
        codes => codes.contains(&status.as_u16()),
    };
    Ok((i32::from(!expected), capture.dropped))
}

/// The status, and where the answer wanted the request to go.
fn status_text(response: &reqwest::Response) -> String {
    let status = response.status();
    let location = response.headers().get(reqwest::header::LOCATION);
    match location.and_then(|value| value.to_str().ok()) {
        Some(location) if status.is_redirection() => {
            format!("{status}; the redirect to {location} was not followed\n")
        }
        _ => format!("{status}\n"),
    }
}

/// A redirect is followed for as long as the same server is asked for the same thing: another host would be handed headers
/// and body that are not meant for it, and a POST would become a GET. What is not followed is the answer.
fn redirects(method: HttpMethod) -> Policy {
    Policy::custom(move |attempt| {
        let keeps_method = matches!(method, HttpMethod::Get | HttpMethod::Head)
            || matches!(attempt.status().as_u16(), 307 | 308);
        let is_same = attempt
            .previous()
            .first()
            .is_some_and(|first| is_same_server(first, attempt.url()));
        if keeps_method && is_same && attempt.previous().len() <= MOST_REDIRECTS {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// The same origin, or its change from plain HTTP to HTTPS on the usual ports.
fn is_same_server(from: &reqwest::Url, to: &reqwest::Url) -> bool {
    let port = |url: &reqwest::Url| url.port_or_known_default();
    let is_upgrade =
        (from.scheme(), port(from)) == ("http", Some(80)) && (to.scheme(), port(to)) == ("https", Some(443));
    from.host() == to.host() && (is_upgrade || (from.scheme() == to.scheme() && port(from) == port(to)))
}

/// An error with its causes: the outermost alone says little.
fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
