//! The slice over HTTP.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleet::{Order, Target};
use kernel::http::{App, Authenticate, assemble};
use kernel::{Actor, ActorKind, BoxFuture, Grant, Problem, Role, Scope};
use serde_json::{Value, json};
use testkit::agent::{FakeAgent, identity};
use tower::ServiceExt;

use crate::kit::{Rig, tester};

/// Everybody is a manager; `role: viewer` for less, `tag: env=prod` for a scope.
struct Manager;

impl Authenticate for Manager {
    fn authenticate<'a>(
        &'a self,
        parts: &'a axum::http::request::Parts,
    ) -> BoxFuture<'a, Result<Option<Actor>, Problem>> {
        let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
        let role = header("role").and_then(Role::parse);
        let tags = header("tag")
            .and_then(|tag| tag.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Box::pin(async move {
            Ok(Some(Actor {
                kind: ActorKind::Person,
                id: "per_1".into(),
                name: "Ann".into(),
                grants: vec![Grant {
                    role: role.unwrap_or(Role::Manager),
                    scope: Scope {
                        team: None,
                        tags: tags.into_iter().collect(),
                    },
                }],
                only: None,
            }))
        })
    }
}

pub fn app(rig: &Rig) -> App {
    assemble(
        rig.kernel(),
        &mut [fleet::slice(&rig.fleet)],
        Arc::new(Manager),
        Default::default(),
    )
}

pub async fn call(app: &App, method: &str, path: &str, body: Value) -> (u16, Value) {
    let (status, bytes) = raw(app, method, path, &body).await;
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

/// As a manager of what has this tag.
pub async fn call_in(app: &App, tag: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
    let (status, bytes) = raw_as(app, Some(tag), method, path, &body).await;
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn raw(app: &App, method: &str, path: &str, body: &Value) -> (u16, Vec<u8>) {
    raw_as(app, None, method, path, body).await
}

async fn raw_as(app: &App, tag: Option<&str>, method: &str, path: &str, body: &Value) -> (u16, Vec<u8>) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json");
    if let Some(tag) = tag {
        request = request.header("tag", tag);
    }
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    let response = app
        .router
        .clone()
        .oneshot(request.body(body).unwrap())
        .await
        .unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 30).await.unwrap();
    (status, bytes.to_vec())
}

#[tokio::test]
async fn agents_and_tokens_over_http() {
    for rig in Rig::both().await {
        let app = app(&rig);
        let new = json!({ "ttl_s": 3600, "uses": 2, "tags": { "env": "prod" }, "note": "rack 7" });
        let (status, token) = call(&app, "POST", "/api/v1/join-tokens", new).await;
        assert_eq!(status, 201, "{token}");
        let text = token["token"].as_str().unwrap();
        let command = token["command"].as_str().unwrap();
        let pipe = format!("echo {text} | sudo sh $d/join.sh");
        assert!(
            command.ends_with(&pipe),
            "the token is on no command line: {command}"
        );
        let (_, script) = raw(&app, "GET", "/join.sh", &Value::Null).await;
        let checksum = kernel::secret::sha256_hex(&script);
        assert!(
            command.contains(&format!("echo \"{checksum}  $d/join.sh\" | sha256sum -c")),
            "{command}"
        );
        let program =
            String::from_utf8(raw(&app, "GET", "/dist/mainstay.sha256", &Value::Null).await.1).unwrap();
        let body = URL_SAFE_NO_PAD
            .decode(text.strip_prefix("ms1.").unwrap())
            .unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(program, format!("{}  mainstay\n", body["p"].as_str().unwrap()));
        let agent = FakeAgent::join(text, "web-1", identity(1)).await.unwrap();
        let mut link = agent.connect().await.unwrap();
        let (_, agents) = call(&app, "GET", "/api/v1/agents", Value::Null).await;
        assert_eq!(agents["items"][0]["name"], "web-1");
        assert_eq!(agents["items"][0]["presence"], "connected");
        let (_, tokens) = call(&app, "GET", "/api/v1/join-tokens", Value::Null).await;
        assert_eq!(tokens["items"][0]["used"], 1);
        let path = format!("/api/v1/join-tokens/{}", token["id"].as_str().unwrap());
        assert_eq!(call(&app, "DELETE", &path, Value::Null).await.0, 204);
        assert_eq!(call(&app, "DELETE", &path, Value::Null).await.0, 409);
        assert!(FakeAgent::join(text, "web-2", identity(2)).await.is_err());
        for bad in [
            json!({ "ttl_s": 1 }),
            json!({ "uses": 0 }),
            json!({ "colour": 1 }),
            json!({ "tags": { "": "x" } }),
        ] {
            assert_eq!(call(&app, "POST", "/api/v1/join-tokens", bad).await.0, 422);
        }

        let path = format!("/api/v1/agents/{}/config", agent.id);
        let (_, mut config) = call(&app, "GET", &path, Value::Null).await;
        assert_eq!(config["sample_interval_ms"], 1000);
        config["watched_services"] = json!(["nginx.service"]);
        assert_eq!(call(&app, "PUT", &path, config.clone()).await.0, 200);
        let pushed = link
            .wait_for(|m| match m {
                protocol::ToAgent::Config(config) => Some(config.clone()),
                _ => None,
            })
            .await;
        assert_eq!(pushed.watched_services, ["nginx.service"]);
        config["sample_interval_ms"] = json!(1);
        assert_eq!(call(&app, "PUT", &path, config).await.0, 422);
        assert_eq!(
            agent.connect().await.unwrap().config.watched_services,
            ["nginx.service"]
        );
        assert_eq!(
            call(&app, "GET", "/api/v1/agents/agt_x", Value::Null).await.0,
            404
        );
    }
}

#[tokio::test]
async fn output_streams_to_the_end() {
    for rig in Rig::both().await {
        let app = app(&rig);
        let (agent, mut link) = rig.connect(1).await;
        let action = protocol::Action::Service {
            name: "nginx".into(),
            verb: protocol::ServiceVerb::Restart,
        };
        let order = Order::new(Target::Agent(agent.id.parse().unwrap()), action, "r");
        let mut tx = rig.kernel().db.write().await.unwrap();
        let id = rig.fleet.dispatch(&mut tx, &tester(), &order).await.unwrap();
        tx.commit().await.unwrap();
        let path = format!("/api/v1/commands/{id}/output");
        let reading = raw(&app, "GET", &path, &Value::Null);
        let running = async {
            link.wait_command().await;
            link.write_output(id.as_str(), protocol::Stream::Stdout, 0, b"caf\xc3")
                .await;
            link.report(id.as_str(), 1, protocol::CommandState::Running).await;
            link.write_output(id.as_str(), protocol::Stream::Stdout, 4, b"\xa9\n")
                .await;
            let end = protocol::CommandState::Exited {
                exit_code: Some(0),
                signal: None,
                duration_ms: 12,
                dropped_bytes: 0,
            };
            link.report(id.as_str(), 1, end).await;
        };
        let ((status, bytes), ()) = tokio::join!(reading, running);
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(status, 200);
        let written: String = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
            .filter_map(|data| data["text"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(written, "café\n", "{text}");
        assert!(
            text.contains("event: end") && text.contains("\"exit_code\":0"),
            "{text}"
        );
        let (_, command) = call(&app, "GET", &format!("/api/v1/commands/{id}"), Value::Null).await;
        assert_eq!(command["duration_ms"], 12);
        let (status, _) = call(
            &app,
            "POST",
            &format!("/api/v1/commands/{id}/cancel"),
            Value::Null,
        )
        .await;
        assert_eq!(status, 409);
    }
}

#[tokio::test]
async fn a_new_host_finds_all_that_it_needs() {
    let rig = Rig::start(testkit::Bed::sqlite(crate::kit::SCHEMA).await, |_| {}).await;
    let app = app(&rig);
    let (status, script) = raw(&app, "GET", "/join.sh", &Value::Null).await;
    assert_eq!(status, 200);
    let dir = rig.bed.dir().join("join.sh");
    std::fs::write(&dir, &script).unwrap();
    let shell = async |args: &[&str]| {
        let output = tokio::process::Command::new("sh")
            .args(args)
            .output()
            .await
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let path = dir.to_str().unwrap();
    assert!(shell(&["-n", path]).await.0, "the script is a shell script");
    let (is_done, said) = shell(&[path]).await;
    assert!(!is_done && said.contains("give the join token"), "{said}");
    let (is_done, said) = shell(&[path, "nonsense"]).await;
    assert!(!is_done && said.contains("is no join token"), "{said}");
    let (status, program) = raw(&app, "GET", "/dist/mainstay", &Value::Null).await;
    assert_eq!(status, 200);
    let (_, sum) = raw(&app, "GET", "/dist/mainstay.sha256", &Value::Null).await;
    let sum = String::from_utf8(sum).unwrap();
    assert_eq!(
        sum.split(' ').next().unwrap(),
        kernel::secret::sha256_hex(&program)
    );
    assert!(
        String::from_utf8(script)
            .unwrap()
            .contains(sum.split(' ').next().unwrap())
    );
    let (_, unit) = raw(&app, "GET", "/dist/mainstay-agent.service", &Value::Null).await;
    assert!(String::from_utf8(unit).unwrap().contains("ExecStart="));
}
