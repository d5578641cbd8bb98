//! What the tests share: a house with hosts and services, alerts in it, and a client.

use std::collections::BTreeMap;
use std::sync::Arc;

use alerting::{Labels, Severity, Signal};
use axum::body::Body;
use axum::http::Request;
use incidents::{Incidents, Settings};
use inventory::{ItemId, Observation, RelationKind};
use kernel::event::{consume, store};
use kernel::http::{Authenticate, assemble};
use kernel::{
    Actor, ActorKind, BoxFuture, Clock, Consumer, Event, Grant, Kernel, Migration, Problem, Role, Scope,
    Slice, Timestamp,
};
use notify::Notify;
use serde_json::{Value, json};
use telemetry::Telemetry;
use testkit::Bed;
use tower::ServiceExt;

pub const SCHEMA: &[(&str, &[Migration])] = &[
    ("access", access::MIGRATIONS),
    ("notify", notify::MIGRATIONS),
    ("inventory", inventory::MIGRATIONS),
    ("alerting", alerting::MIGRATIONS),
    ("automation", automation::MIGRATIONS),
    ("incidents", incidents::MIGRATIONS),
];

/// A server without a network: slices, their consumers by hand, and the time held.
pub struct House {
    bed: Bed,
    pub incidents: Incidents,
    pub telemetry: Option<Telemetry>,
    /// Samples and log lines.
    _folder: Option<tempfile::TempDir>,
    consumers: Vec<Consumer>,
    router: axum::Router,
}

pub async fn houses(settings: Settings) -> Vec<House> {
    let start: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
    let beds = [
        Bed::sqlite_at(SCHEMA, Clock::fake(start)).await,
        Bed::postgres_at(SCHEMA, Clock::fake(start)).await,
    ];
    let mut houses = Vec::new();
    for bed in beds {
        houses.push(House::new(bed, settings.clone(), None).await);
    }
    houses
}

/// The same with stores for samples and log lines.
pub async fn houses_with_telemetry() -> Vec<House> {
    let start: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
    let beds = [
        Bed::sqlite_at(SCHEMA, Clock::fake(start)).await,
        Bed::postgres_at(SCHEMA, Clock::fake(start)).await,
    ];
    let mut houses = Vec::new();
    for bed in beds {
        let folder = tempfile::tempdir().unwrap();
        let telemetry =
            Telemetry::open(bed.kernel(), &telemetry::Settings::default(), folder.path()).unwrap();
        houses.push(House::new(bed, Settings::default(), Some((telemetry, folder))).await);
    }
    houses
}

impl House {
    async fn new(bed: Bed, settings: Settings, stores: Option<(Telemetry, tempfile::TempDir)>) -> House {
        let kernel = bed.kernel();
        let mut incidents = Incidents::new(kernel, settings);
        let (telemetry, folder) = stores.unzip();
        if let Some(telemetry) = &telemetry {
            incidents = incidents.with_telemetry(telemetry);
        }
        let notify = Notify::new(kernel, notify::Settings::default());
        let mut slices: Vec<Slice> = vec![
            notify::slice(&notify),
            alerting::slice(&alerting::Alerting::new(kernel)),
            incidents::slice(&incidents),
        ];
        let app = assemble(kernel, &mut slices, Arc::new(ByHeader), Default::default());
        let consumers: Vec<Consumer> = slices.into_iter().flat_map(|slice| slice.consumers).collect();
        let mut tx = kernel.db.write().await.unwrap();
        for consumer in &consumers {
            store::create_cursor(&mut tx, consumer.name).await.unwrap();
        }
        tx.commit().await.unwrap();
        let house = House {
            bed,
            incidents,
            telemetry,
            _folder: folder,
            consumers,
            router: app.router,
        };
        let channel = json!({
            "name": "pager", "config": { "type": "webhook", "url": "http://127.0.0.1:9/" },
        });
        house
            .send("POST", "/api/v1/channels", &channel, &[("role", "administrator")])
            .await
            .ok(201);
        house
    }

    pub fn kernel(&self) -> &Kernel {
        self.bed.kernel()
    }

    /// Runs the consumers until nothing is left.
    pub async fn settle(&self) {
        alerting::settle_all(self.kernel()).await.unwrap();
        self.incidents.settle_all().await.unwrap();
        loop {
            let before = self.latest().await;
            for consumer in &self.consumers {
                while consume::drain(self.kernel(), consumer).await.unwrap() {}
            }
            if self.latest().await == before {
                break;
            }
        }
        let mut reader = self.kernel().db.read().await.unwrap();
        assert_eq!(
            store::count_parked(&mut reader).await.unwrap(),
            0,
            "an event was not taken"
        );
    }

    async fn latest(&self) -> i64 {
        store::latest(&mut self.kernel().db.read().await.unwrap())
            .await
            .unwrap()
    }

    pub async fn advance(&self, seconds: i64) {
        self.kernel()
            .clock
            .advance(jiff::SignedDuration::from_secs(seconds));
        self.settle().await;
    }

    pub async fn item(&self, kind: &str, parent: Option<&ItemId>, name: &str) -> ItemId {
        let mut tx = self.kernel().db.write().await.unwrap();
        let seen = Observation {
            kind: kind.into(),
            key: name.into(),
            parent: parent.cloned(),
            name: name.into(),
            source: "test".into(),
            ..Observation::default()
        };
        let id = inventory::observe(&mut tx, &Actor::system("test"), &seen)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        id
    }

    pub async fn needs(&self, from: &ItemId, to: &ItemId) {
        let mut tx = self.kernel().db.write().await.unwrap();
        let actor = Actor::system("test");
        inventory::relate(&mut tx, &actor, from, RelationKind::DependsOn, to, "test")
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// web-1 carries api; db-1 carries postgres and a disk; api needs postgres.
    pub async fn shop(&self) -> Shop {
        let web = self.item("host", None, "web-1").await;
        let db = self.item("host", None, "db-1").await;
        let api = self.item("service", Some(&web), "api").await;
        let postgres = self.item("service", Some(&db), "postgres").await;
        self.item("disk", Some(&db), "/data").await;
        self.needs(&api, &postgres).await;
        Shop { api, postgres }
    }

    /// An alert begins or ends.
    pub async fn look(&self, name: &str, labels: &[(&str, &str)], severity: Severity, active: bool) {
        let labels: Labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let signal = Signal {
            source: format!("rule:{name}"),
            name: name.into(),
            annotations: BTreeMap::from([
                (
                    "summary".into(),
                    format!("{name} on {}", labels.values().next().unwrap()),
                ),
                ("runbook".into(), "mend".into()),
            ]),
            labels,
            severity,
            active,
            value: None,
            at: self.kernel().clock.now(),
            for_ms: 0,
            keep_firing_for_ms: 0,
        };
        let mut tx = self.kernel().db.write().await.unwrap();
        alerting::observe(&mut tx, &[signal]).await.unwrap();
        tx.commit().await.unwrap();
        self.settle().await;
    }

    pub async fn say(&self, topic: &'static str, subject: &str, data: &Value) -> i64 {
        let mut tx = self.kernel().db.write().await.unwrap();
        let event = kernel::NewEvent::new(topic, subject, data);
        let seq = tx.append(&Actor::system("test"), event).await.unwrap();
        tx.commit().await.unwrap();
        self.settle().await;
        seq
    }

    pub async fn topics(&self, prefix: &str) -> Vec<String> {
        self.events(prefix).await.into_iter().map(|e| e.topic).collect()
    }

    pub async fn events(&self, prefix: &str) -> Vec<Event> {
        let filter = store::Filter {
            topic_prefix: Some(prefix.into()),
            ..store::Filter::default()
        };
        let mut reader = self.kernel().db.read().await.unwrap();
        let mut events = store::before(&mut reader, &filter, i64::MAX, 10_000)
            .await
            .unwrap();
        events.reverse();
        events
    }

    /// Titles of the messages in the outbox, oldest first.
    pub async fn pages(&self) -> Vec<(String, String)> {
        self.events("message.queued")
            .await
            .into_iter()
            .map(|e| {
                let text = |field: &str| e.data[field].as_str().unwrap().to_owned();
                (text("kind"), text("title"))
            })
            .collect()
    }

    pub async fn open(&self) -> Vec<Value> {
        let list = self.get("/api/v1/incidents?state=open").await;
        list["items"].as_array().unwrap().clone()
    }

    /// The only open incident, in full.
    pub async fn one(&self) -> Value {
        let open = self.open().await;
        assert_eq!(open.len(), 1, "{open:#?}");
        self.get(&format!("/api/v1/incidents/{}", open[0]["id"].as_str().unwrap()))
            .await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.send("GET", path, &Value::Null, &[]).await.ok(200)
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, body, &[]).await
    }

    /// A command on an incident; settles after it.
    pub async fn command(&self, incident: &Value, verb: &str, body: &Value) -> Answer {
        let id = incident["id"].as_str().unwrap();
        let answer = self.post(&format!("/api/v1/incidents/{id}/{verb}"), body).await;
        self.settle().await;
        answer
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
        let request = request.body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
        Answer {
            status,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }
}

pub struct Shop {
    pub api: ItemId,
    pub postgres: ItemId,
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

struct ByHeader;

impl Authenticate for ByHeader {
    fn authenticate<'a>(
        &'a self,
        parts: &'a axum::http::request::Parts,
    ) -> BoxFuture<'a, Result<Option<Actor>, Problem>> {
        let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
        let role = header("role").and_then(Role::parse);
        let team = header("team").map(str::to_owned);
        Box::pin(async move {
            let scope = Scope {
                team,
                ..Scope::default()
            };
            Ok(role.map(|role| Actor {
                kind: ActorKind::Person,
                id: "per_1".into(),
                name: "Ann".into(),
                grants: vec![Grant { role, scope }],
                only: None,
            }))
        })
    }
}
