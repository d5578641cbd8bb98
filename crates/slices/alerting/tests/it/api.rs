//! The API as a client sees it.

use std::sync::Arc;

use alerting::{Alerting, settle_all};
use axum::body::Body;
use axum::http::Request;
use kernel::http::{Authenticate, assemble};
use kernel::{Actor, ActorKind, BoxFuture, Grant, Kernel, Problem, Role, Scope, Timestamp};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::parts::{advance, beds, observe, signal};

struct ByHeader;

impl Authenticate for ByHeader {
    fn authenticate<'a>(
        &'a self,
        parts: &'a axum::http::request::Parts,
    ) -> BoxFuture<'a, Result<Option<Actor>, Problem>> {
        let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
        let role = header("role").and_then(Role::parse);
        let team = header("team").map(str::to_owned);
        let env = header("env").map(|env| ("env".to_owned(), env.to_owned()));
        let id = header("person").unwrap_or("per_1").to_owned();
        Box::pin(async move {
            let scope = Scope {
                team,
                tags: env.into_iter().collect(),
            };
            Ok(role.map(|role| Actor {
                kind: ActorKind::Person,
                id,
                name: "Ann".into(),
                grants: vec![Grant { role, scope }],
                only: None,
            }))
        })
    }
}

pub struct Client {
    router: axum::Router,
    kernel: Kernel,
}

pub struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    /// The body of an answer that has this status.
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

impl Client {
    pub fn new(kernel: &Kernel) -> Self {
        let handle = Alerting::new(kernel);
        let mut slices = vec![alerting::slice(&handle)];
        let app = assemble(kernel, &mut slices, Arc::new(ByHeader), Default::default());
        Self {
            router: app.router,
            kernel: kernel.clone(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.kernel.clock.now()
    }

    pub async fn send(&self, method: &str, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "role") {
            request = request.header("role", "operator");
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
        let response = self
            .router
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &Value::Null, &[]).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, body, &[]).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &Value::Null, &[]).await
    }
}

#[tokio::test]
async fn alerts_are_listed_filtered_and_paged() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let client = Client::new(kernel);
        let many: Vec<_> = (0..5)
            .map(|n| signal(kernel, "DiskFull", &format!("web-{n}"), true))
            .collect();
        observe(kernel, &many).await;
        advance(kernel, 5);
        observe(kernel, &[signal(kernel, "DiskFull", "web-0", false)]).await;
        let all = client.get("/api/v1/alerts").await.ok(200);
        assert_eq!(all["items"].as_array().unwrap().len(), 4);
        let page = client.get("/api/v1/alerts?limit=3").await.ok(200);
        let next = page["next"].as_str().unwrap();
        let rest = client
            .get(&format!("/api/v1/alerts?limit=3&cursor={next}"))
            .await
            .ok(200);
        assert_eq!(rest["items"].as_array().unwrap().len(), 1);
        assert!(rest["next"].is_null());
        let some = client
            .get("/api/v1/alerts?filter=instance%3D~%22web-(1%7C2)%22")
            .await
            .ok(200);
        assert_eq!(some["items"].as_array().unwrap().len(), 2);
        let ended = client.get("/api/v1/alerts?state=resolved").await.ok(200);
        let id = ended["items"][0]["id"].as_str().unwrap();
        let detail = client.get(&format!("/api/v1/alerts/{id}")).await.ok(200);
        assert_eq!(detail["history"].as_array().unwrap().len(), 2);
        let summary = client.get("/api/v1/alerts/summary").await.ok(200);
        assert_eq!(summary["warning"], 4);
        client.get("/api/v1/alerts?state=wrong").await.ok(422);
        client.get("/api/v1/alerts?filter=wrong").await.ok(422);
        client.get("/api/v1/alerts?cursor=AA").await.ok(400);
        client.get("/api/v1/alerts/alr_none").await.ok(404);
    }
}

#[tokio::test]
async fn bad_silences_name_their_fields() {
    for bed in beds().await {
        let client = Client::new(bed.kernel());
        let ends = (client.now() + jiff::SignedDuration::from_hours(1)).to_string();
        let matcher = json!({ "name": "instance", "op": "=~", "value": "web-.*" });
        for (body, field) in [
            (
                json!({ "matchers": [], "comment": "x", "ends_at": ends }),
                "matchers",
            ),
            (
                json!({ "matchers": [{ "name": "a", "op": "=~", "value": ".*" }], "comment": "x", "ends_at": ends }),
                "matchers",
            ),
            (
                json!({ "matchers": [{ "name": "a", "op": "=~", "value": "(" }], "comment": "x", "ends_at": ends }),
                "matchers[0].value",
            ),
            (
                json!({ "matchers": [matcher], "comment": " ", "ends_at": ends }),
                "comment",
            ),
            (
                json!({ "matchers": [matcher], "comment": "x", "ends_at": "2020-01-01T00:00:00Z" }),
                "ends_at",
            ),
        ] {
            let problem = client.post("/api/v1/silences", &body).await.ok(422);
            assert_eq!(problem["errors"][0]["field"], field, "{body}");
        }
    }
}

#[tokio::test]
async fn a_stale_change_is_refused() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let client = Client::new(kernel);
        let at = |h| (client.now() + jiff::SignedDuration::from_hours(h)).to_string();
        let body = json!({
            "matchers": [{ "name": "instance", "op": "=", "value": "web-1" }], "comment": "x", "ends_at": at(1),
        });
        let made = client.post("/api/v1/silences", &body).await.ok(201);
        let path = format!("/api/v1/silences/{}", made["id"].as_str().unwrap());
        let longer = json!({ "ends_at": at(2) });
        let changed = client
            .send("PATCH", &path, &longer, &[("if-match", "\"1\"")])
            .await
            .ok(200);
        assert_eq!(changed["version"], 2);
        client
            .send("PATCH", &path, &longer, &[("if-match", "\"1\"")])
            .await
            .ok(412);
        client
            .send("PATCH", &path, &longer, &[("role", "viewer")])
            .await
            .ok(403);
        advance(kernel, 7_200);
        settle_all(kernel).await.unwrap();
        client.send("PATCH", &path, &longer, &[]).await.ok(409);
        let listed = client.get("/api/v1/silences?phase=expired").await.ok(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    }
}
