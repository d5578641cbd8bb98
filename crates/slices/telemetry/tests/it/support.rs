//! A telemetry handle over a bed, and requests against it.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use kernel::{Actor, ActorKind, BoxFuture, Grant, Migration, Problem, Role, Scope};
use telemetry::{SeriesEntry, Settings, Telemetry};
use testkit::Bed;
use tower::ServiceExt;

pub const SCHEMA: &[(&str, &[Migration])] = &[
    ("access", access::MIGRATIONS),
    ("inventory", inventory::MIGRATIONS),
    ("fleet", fleet::MIGRATIONS),
    ("alerting", alerting::MIGRATIONS),
    ("telemetry", telemetry::MIGRATIONS),
];

struct Anybody;

impl kernel::http::Authenticate for Anybody {
    fn authenticate<'a>(
        &'a self,
        parts: &'a axum::http::request::Parts,
    ) -> BoxFuture<'a, Result<Option<Actor>, Problem>> {
        // A request may come from somebody whose role holds for one environment only.
        let env = parts.headers.get("x-env").map(|env| env.to_str().unwrap());
        let tags = env.map(|env| ("env".to_owned(), env.to_owned()));
        let grants = vec![Grant {
            role: Role::Manager,
            scope: Scope {
                team: None,
                tags: tags.into_iter().collect(),
            },
        }];
        let actor = Actor {
            kind: ActorKind::Person,
            id: "per_1".into(),
            name: "Ann".into(),
            grants,
            only: None,
        };
        Box::pin(async { Ok(Some(actor)) })
    }
}

pub fn settings() -> Settings {
    Settings {
        public_url: "https://ops.example/mainstay/".into(),
        external_labels: [("site".to_owned(), "north".to_owned())].into(),
        ..Settings::default()
    }
}

/// Metric, labels, value.
pub type Shown<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

pub struct House {
    pub bed: Bed,
    pub telemetry: Telemetry,
    router: axum::Router,
}

impl House {
    pub async fn on(bed: Bed) -> House {
        Self::with(bed, &settings()).await
    }

    pub async fn with(bed: Bed, settings: &Settings) -> House {
        let telemetry = Telemetry::open(bed.kernel(), settings, bed.dir()).unwrap();
        telemetry.start().await.unwrap();
        let mut slices = vec![telemetry::slice(&telemetry)];
        let router =
            kernel::http::assemble(bed.kernel(), &mut slices, Arc::new(Anybody), Default::default()).router;
        House {
            bed,
            telemetry,
            router,
        }
    }

    /// Starts the duties of this name, tasks and consumers, as the server does.
    pub fn run(&self, name: &str) {
        let kernel = self.bed.kernel();
        let slice = telemetry::slice(&self.telemetry);
        for consumer in slice.consumers.into_iter().filter(|one| one.name == name) {
            let (kernel_, consumer) = (kernel.clone(), Arc::new(consumer));
            kernel::task::supervise(kernel, consumer.name, move || {
                kernel::event::consume::run(kernel_.clone(), consumer.clone())
            });
        }
        for task in slice.tasks.into_iter().filter(|one| one.name == name) {
            kernel::task::start(kernel, task);
        }
    }

    /// Stops it and starts it again over the same stores.
    pub async fn restarted(self) -> House {
        self.restarted_with(&settings()).await
    }

    pub async fn restarted_with(self, settings: &Settings) -> House {
        let House {
            bed,
            telemetry,
            router,
        } = self;
        drop((router, telemetry));
        House::with(bed, settings).await
    }

    pub async fn both() -> Vec<House> {
        let mut houses = Vec::new();
        for bed in Bed::both(SCHEMA).await {
            houses.push(House::on(bed).await);
        }
        houses
    }

    pub async fn send(&self, host: &str, at_ms: i64, samples: &[Shown<'_>]) {
        let rows = samples
            .iter()
            .map(|(name, labels, value)| {
                let pairs = labels.iter().copied().chain([("__name__", *name)]);
                (SeriesEntry::new(host, "mainstay", pairs), at_ms, *value)
            })
            .collect();
        self.telemetry.ingest_samples(host, rows).await.unwrap();
    }

    pub async fn call(
        &self,
        method: &str,
        uri: &str,
        content_type: &str,
        body: &str,
    ) -> (u16, serde_json::Value) {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("content-type", content_type)
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 10_000_000).await.unwrap();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(serde_json::Value::Null),
        )
    }

    /// As somebody who may see the hosts with this tag `env`.
    pub async fn get_in(&self, env: &str, uri: &str) -> serde_json::Value {
        let request = Request::builder().uri(uri).header("x-env", env);
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let bytes = to_bytes(response.into_body(), 10_000_000).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// The same with another method and a body.
    pub async fn call_in(&self, env: &str, method: &str, uri: &str, body: &str) -> (u16, serde_json::Value) {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("x-env", env)
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 10_000_000).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    pub async fn get(&self, uri: &str) -> (u16, serde_json::Value) {
        self.call("GET", uri, "text/plain", "").await
    }

    pub async fn topics(&self) -> Vec<String> {
        let mut reader = self.bed.kernel().db.read().await.unwrap();
        let events = kernel::event::store::after(&mut reader, 0, 1000).await.unwrap();
        events.into_iter().map(|event| event.topic).collect()
    }

    pub fn now_ms(&self) -> i64 {
        self.bed.kernel().clock.now_ms()
    }
}
