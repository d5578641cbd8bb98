//! The client of a house: requests as somebody, and words for what tests ask again and again.

use axum::body::Body;
use axum::http::Request;
use kernel::http::Authenticate;
use kernel::{Actor, ActorKind, BoxFuture, Grant, Problem, Role, Scope};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::kit::{House, PATIENCE, until_or};

/// The client.
impl House {
    pub async fn send(&self, method: &str, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "role") {
            request = request.header("role", "administrator");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        let request = request.body(body).unwrap();
        let router = self.router();
        let running = self.inside(|_, _| async move {
            let response = router.oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
            (status, String::from_utf8(bytes.to_vec()).unwrap())
        });
        let (status, text) = tokio::time::timeout(PATIENCE, running).await.expect("no answer");
        Answer { status, text }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.send("GET", path, &Value::Null, &[]).await.ok(200)
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, body, &[]).await
    }

    /// Keeps a runbook; gives its id.
    pub async fn runbook(&self, text: &str) -> String {
        let made = self.post("/api/v1/runbooks", &json!({ "text": text })).await;
        made.ok(200)["id"].as_str().unwrap().to_owned()
    }

    /// Asks for a run; gives its id.
    pub async fn run(&self, runbook: &str, body: Value) -> String {
        let path = format!("/api/v1/runbooks/{runbook}/runs");
        let run = self.post(&path, &body).await.ok(200);
        run["id"].as_str().unwrap().to_owned()
    }

    pub async fn look(&self, run: &str) -> Value {
        self.get(&format!("/api/v1/runs/{run}")).await
    }

    /// Waits until a run is in a state.
    pub async fn until(&self, run: &str, state: &str) -> Value {
        let mut last = Value::Null;
        let found = until_or(async || {
            last = self.look(run).await;
            (last["state"] == state).then(|| last.clone())
        })
        .await;
        found.unwrap_or_else(|| panic!("{run} does not become {state}: {last:#}"))
    }

    /// The word of somebody else than ann, who asks for runs.
    pub async fn approve(&self, run: &str) -> Answer {
        let path = format!("/api/v1/runs/{run}/approve");
        self.send("POST", &path, &Value::Null, &[("who", "bob")]).await
    }

    pub async fn steer(&self, run: &str, verb: &str) -> Answer {
        self.post(&format!("/api/v1/runs/{run}/{verb}"), &Value::Null)
            .await
    }
}

/// The tasks of a run as `step target state`.
pub fn tasks(run: &Value) -> Vec<String> {
    let all = run["tasks"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    all.map(|task| {
        let state = text(&task["state"]);
        format!("{} {} {state}", task["step"], text(&task["target"]))
    })
    .collect()
}

pub struct Answer {
    pub status: u16,
    pub text: String,
}

impl Answer {
    /// The body of an answer that has this status.
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

/// `role` (everywhere, or on things with the tag `env` of `env` or of the `team`), `also` (a second role, everywhere), `who`.
pub struct ByHeader;

impl Authenticate for ByHeader {
    fn authenticate<'a>(
        &'a self,
        parts: &'a axum::http::request::Parts,
    ) -> BoxFuture<'a, Result<Option<Actor>, Problem>> {
        let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
        let role = header("role").and_then(Role::parse);
        let also = header("also").and_then(Role::parse);
        let env = header("env").map(|env| ("env".to_owned(), env.to_owned()));
        let team = header("team").map(str::to_owned);
        let who = header("who").unwrap_or("ann").to_owned();
        Box::pin(async move {
            let scope = Scope {
                team,
                tags: env.into_iter().collect(),
            };
            let everywhere = also.map(|role| Grant {
                role,
                scope: Scope::default(),
            });
            Ok(role.map(|role| Actor {
                kind: if who.starts_with("svc") {
                    ActorKind::Service
                } else {
                    ActorKind::Person
                },
                id: format!("per_{who}"),
                name: who,
                grants: [Grant { role, scope }].into_iter().chain(everywhere).collect(),
                only: None,
            }))
        })
    }
}
