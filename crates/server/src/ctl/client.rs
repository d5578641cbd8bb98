//! Requests to a server, and errors that tell a script what happened by their exit code.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde_json::Value;

/// Why a request did not do what was asked.
#[derive(Debug)]
pub enum CtlError {
    Unreachable { url: String, reason: String },
    Refused { status: u16, detail: String },
}

impl CtlError {
    /// 3: not reached; 5: no such thing; 4: refused.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } => 3,
            Self::Refused { status: 404, .. } => 5,
            Self::Refused { .. } => 4,
        }
    }
}

impl std::fmt::Display for CtlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable { url, reason } => {
                write!(
                    f,
                    "cannot reach {url}: {reason}; is the server running? give its address with --url"
                )
            }
            Self::Refused { status: 404, detail } => write!(f, "{detail}"),
            Self::Refused { status: 401, detail } => {
                write!(f, "{detail} (give a token with --token-file or MAINSTAY_TOKEN)")
            }
            Self::Refused { status, detail } => write!(f, "{detail} (status {status})"),
        }
    }
}

impl std::error::Error for CtlError {}

pub struct Client {
    base: Url,
    token: Option<String>,
    http: reqwest::Client,
    /// Print JSON.
    pub json: bool,
}

impl Client {
    pub fn new(url: &str, token: Option<&str>, file: Option<&Path>, json: bool) -> Result<Self> {
        let base: Url = url
            .parse()
            .with_context(|| format!("\"{url}\" is not a URL; use for example http://127.0.0.1:8600"))?;
        let token = match (token, file) {
            (Some(token), _) => Some(token.trim().to_owned()),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the token in {}", path.display()))?;
                Some(text.trim().to_owned())
            }
            (None, None) => None,
        };
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .build()?;
        Ok(Self {
            base,
            token,
            http,
            json,
        })
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        let url = self
            .base
            .join(path)
            .with_context(|| format!("\"{path}\" is not a path"))?;
        let request = self.http.request(method, url);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let unreachable = |error: reqwest::Error| CtlError::Unreachable {
            url: self.base.as_str().trim_end_matches('/').to_owned(),
            reason: root(&error),
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body: Value = response.json().await.unwrap_or(Value::Null);
        let detail = body["detail"]
            .as_str()
            .or(body["error"].as_str())
            .unwrap_or("the server refused the request")
            .to_owned();
        Err(CtlError::Refused {
            status: status.as_u16(),
            detail,
        }
        .into())
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value> {
        let response = self.send(request.timeout(Duration::from_secs(120))).await?;
        let kind = response.headers().get(reqwest::header::CONTENT_TYPE);
        if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
            // The server answers with its web page to every address that is not of the interface.
            let detail = format!("{} is not a path of the API", response.url().path());
            return Err(CtlError::Refused { status: 404, detail }.into());
        }
        let text = response.text().await?;
        if text.is_empty() {
            Ok(Value::Null)
        } else {
            Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
        }
    }

    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        self.json(self.request(Method::GET, &with_query(path, query))?)
            .await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.json(self.request(Method::POST, path)?.json(body)).await
    }

    pub async fn send_json(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let method: Method = method.to_uppercase().parse().context("not an HTTP method")?;
        let request = self.request(method, path)?;
        self.json(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// All items of a paged list, up to `most`.
    pub async fn list(&self, path: &str, query: &[(&str, &str)], most: usize) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        while items.len() < most {
            let mut query = query.to_vec();
            if let Some(cursor) = &cursor {
                query.push(("cursor", cursor));
            }
            let page = self.get(path, &query).await?;
            if let Value::Array(all) = page {
                return Ok(all);
            }
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        items.truncate(most);
        Ok(items)
    }

    /// Server-sent events, one after the other.
    pub async fn events(&self, path: &str, query: &[(&str, &str)]) -> Result<Events> {
        let request = self.request(Method::GET, &with_query(path, query))?;
        let response = self.send(request).await?;
        let kind = response.headers().get(reqwest::header::CONTENT_TYPE);
        if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
            let detail = format!("{} is not an event stream", response.url().path());
            return Err(CtlError::Refused { status: 404, detail }.into());
        }
        Ok(Events {
            response,
            buffer: Vec::new(),
        })
    }
}

/// A stream of server-sent events.
pub struct Events {
    response: Response,
    /// Bytes, because a piece may end in the middle of a character.
    buffer: Vec<u8>,
}

impl Events {
    /// Name and data of the next event; `None` at the end. Comments are passed over.
    pub async fn next(&mut self) -> Result<Option<(String, String)>> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let (event, data) = read_event(&String::from_utf8_lossy(&block));
                if !data.is_empty() {
                    return Ok(Some((event, data)));
                }
            }
            match self
                .response
                .chunk()
                .await
                .context("the stream was interrupted")?
            {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}

fn read_event(block: &str) -> (String, String) {
    let field = |name: &str| {
        let lines = block.lines().filter_map(|line| line.strip_prefix(name));
        lines
            .map(|rest| rest.strip_prefix(' ').unwrap_or(rest))
            .collect::<Vec<_>>()
            .join("\n")
    };
    (field("event:"), field("data:"))
}

/// The cause at the bottom, in words.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    loop {
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return "connection refused".into();
        }
        match cause.source() {
            Some(source) => cause = source,
            None if error.is_timeout() => return "timed out".into(),
            None => return cause.to_string(),
        }
    }
}

fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    let mut url = Url::parse("http://x/").map_or_else(
        |_| String::new(),
        |mut url| {
            url.query_pairs_mut().extend_pairs(query);
            url.query().unwrap_or_default().to_owned()
        },
    );
    url.insert(0, '?');
    format!("{path}{url}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_encoded() {
        assert_eq!(
            with_query("/a", &[("q", "x=\"y z\"&"), ("n", "1")]),
            "/a?q=x%3D%22y+z%22%26&n=1"
        );
        assert_eq!(with_query("/a", &[]), "/a");
    }

    #[test]
    fn events_are_read() {
        let (event, data) = read_event("id: 4\nevent: run\ndata: {\"a\":\ndata: 1}\n\n");
        assert_eq!((event.as_str(), data.as_str()), ("run", "{\"a\":\n1}"));
        assert_eq!(read_event(": comment\n\n").1, "");
    }
}
