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
                    "no answer from {url} ({reason}); is the server up? give its address with --url"
                )
            }
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
            .with_context(|| format!("\"{url}\" is no address; write for example http://127.0.0.1:8600"))?;
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
            .with_context(|| format!("\"{path}\" is no path"))?;
        let request = self.http.request(method, url);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let unreachable = |error: reqwest::Error| CtlError::Unreachable {
            url: self.base.to_string(),
            reason: std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string),
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
            .unwrap_or("the server refused")
            .to_owned();
        Err(CtlError::Refused {
            status: status.as_u16(),
            detail,
        }
        .into())
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value> {
        let response = self.send(request.timeout(Duration::from_secs(120))).await?;
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
        let method: Method = method.to_uppercase().parse().context("no HTTP method")?;
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

    /// Server-sent events, one `data` at a time, until the stream ends or `each` says stop.
    pub async fn stream(
        &self,
        path: &str,
        query: &[(&str, &str)],
        mut each: impl FnMut(&str, &str) -> bool,
    ) -> Result<()> {
        let mut response = self
            .send(self.request(Method::GET, &with_query(path, query))?)
            .await?;
        let mut buffer = String::new();
        while let Some(chunk) = response.chunk().await? {
            buffer.push_str(&String::from_utf8_lossy(&chunk));
            while let Some(end) = buffer.find("\n\n") {
                let block: String = buffer.drain(..end + 2).collect();
                let field = |name: &str| {
                    let lines = block.lines().filter_map(|line| line.strip_prefix(name));
                    lines
                        .map(|rest| rest.strip_prefix(' ').unwrap_or(rest))
                        .collect::<Vec<_>>()
                        .join("\n")
                };
                let data = field("data:");
                if !data.is_empty() && !each(&field("event:"), &data) {
                    return Ok(());
                }
            }
        }
        Ok(())
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
}
