//! A house with notify in it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use kernel::http::{Authenticate, assemble};
use kernel::{Actor, ActorKind, BoxFuture, Clock, Grant, Kernel, Problem, Role, Scope, Timestamp};
use notify::model::ChannelId;
use notify::{Notify, Page, PageKind, Settings, Severity};
use serde_json::{Value, json};
use testkit::Bed;
use tower::ServiceExt;

/// Signs everybody in with the role in the header `role`, an administrator when there is none.
struct ByHeader;

impl Authenticate for ByHeader {
    fn authenticate<'a>(
        &'a self,
        parts: &'a axum::http::request::Parts,
    ) -> BoxFuture<'a, Result<Option<Actor>, Problem>> {
        let role = parts.headers.get("role").map(|role| role.to_str().unwrap());
        let role = Role::parse(role.unwrap_or("administrator")).unwrap();
        Box::pin(async move { Ok(Some(actor(role))) })
    }
}

pub fn actor(role: Role) -> Actor {
    let scope = Scope::default();
    Actor {
        kind: ActorKind::Person,
        id: "per_1".into(),
        name: "Ann".into(),
        grants: vec![Grant { role, scope }],
        only: None,
    }
}

pub struct House {
    pub bed: Bed,
    pub clock: Clock,
    pub notify: Notify,
    router: Router,
}

impl House {
    /// One house per database, with time standing still.
    pub async fn both() -> Vec<House> {
        House::both_with(settings()).await
    }

    pub async fn both_with(settings: Settings) -> Vec<House> {
        let schema: &[(&'static str, &'static [kernel::Migration])] = &[("notify", notify::MIGRATIONS)];
        let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let (one, two) = (Clock::fake(start), Clock::fake(start));
        vec![
            House::on(Bed::sqlite_at(schema, one.clone()).await, one, &settings),
            House::on(Bed::postgres_at(schema, two.clone()).await, two, &settings),
        ]
    }

    fn on(bed: Bed, clock: Clock, settings: &Settings) -> House {
        let notify = Notify::new(bed.kernel(), settings.clone());
        let mut slices = vec![notify::slice(&notify)];
        let app = assemble(bed.kernel(), &mut slices, Arc::new(ByHeader), Default::default());
        House {
            router: app.router,
            bed,
            clock,
            notify,
        }
    }

    pub fn kernel(&self) -> &Kernel {
        self.bed.kernel()
    }

    /// What another process would have, or this one after a restart.
    pub fn another(&self) -> Notify {
        Notify::new(self.kernel(), settings())
    }

    pub async fn call(&self, role: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("role", role)
            .header("content-type", "application/json");
        let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
        let response = self
            .router
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("administrator", "GET", path, None).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("administrator", "POST", path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("administrator", "PATCH", path, Some(body)).await
    }

    /// Adds a channel and returns its id.
    pub async fn channel(&self, name: &str, config: Value, secrets: Value) -> ChannelId {
        let body = json!({ "name": name, "config": config, "secrets": secrets });
        let (status, body) = self.post("/api/v1/channels", body).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().parse().unwrap()
    }

    pub async fn webhook(&self, name: &str, url: &str) -> ChannelId {
        self.channel(name, json!({ "type": "webhook", "url": url }), json!({}))
            .await
    }

    /// Queues a page and returns how many messages that made.
    pub async fn page(&self, page: &Page) -> u64 {
        let mut tx = self.kernel().db.write().await.unwrap();
        let queued = notify::page(&mut tx, &Actor::system("incidents"), page)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        queued
    }

    pub async fn topics(&self) -> Vec<String> {
        let mut reader = self.kernel().db.read().await.unwrap();
        let events = kernel::event::store::after(&mut reader, 0, 1000).await.unwrap();
        events.into_iter().map(|event| event.topic).collect()
    }

    /// The states of all messages, oldest first.
    pub async fn states(&self) -> Vec<String> {
        let list = self.get("/api/v1/messages").await;
        let items = list["items"].as_array().unwrap();
        let states = items.iter().rev();
        states
            .map(|item| item["state"].as_str().unwrap().to_owned())
            .collect()
    }
}

pub fn settings() -> Settings {
    Settings {
        public_url: "https://ops.example.org/".into(),
        ..Settings::default()
    }
}

pub fn incident(key: &str) -> Page {
    Page {
        dedup_key: key.to_owned(),
        kind: PageKind::IncidentOpened,
        severity: Severity::Critical,
        team: None,
        title: "nginx on web-1 has stopped".into(),
        text: "It was active for 3 days & left with <status 1>.".into(),
        url_path: Some("/incidents/inc_1".into()),
        fields: vec![("Host".into(), "web-1".into())],
        ..Page::default()
    }
}
