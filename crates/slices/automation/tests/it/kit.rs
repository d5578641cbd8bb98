//! A house: a database, a server over it in a runtime of its own that can be killed as by `kill -9`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use automation::Automation;
use fleet::{Fleet, NewToken, Settings};
use kernel::db::DbOptions;
use kernel::event::{Event, store};
use kernel::http::assemble;
use kernel::{Actor, BoxFuture, Clock, Db, Kernel, Migration, NewEvent};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::client::ByHeader;

const SCHEMA: &[(&str, &[Migration])] = &[
    ("access", access::MIGRATIONS),
    ("inventory", inventory::MIGRATIONS),
    ("notify", notify::MIGRATIONS),
    ("fleet", fleet::MIGRATIONS),
    ("change", change::MIGRATIONS),
    ("automation", automation::MIGRATIONS),
];

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct House {
    options: DbOptions,
    pub clock: Clock,
    /// Reads what is durable, whether or not the server lives.
    observer: Db,
    pub conditions: Conditions,
    address: Mutex<Option<SocketAddr>>,
    server: Mutex<Option<Server>>,
    pub dir: tempfile::TempDir,
}

struct Server {
    runtime: Runtime,
    kernel: Kernel,
    fleet: Fleet,
    router: axum::Router,
}

/// Answers PromQL with what a test says; asks are counted.
#[derive(Clone, Default)]
pub struct Conditions(Arc<Mutex<BTreeMap<String, (Answered, usize)>>>);

type Answered = Result<Vec<f64>, String>;

fn resolved_key(alert_id: &str) -> String {
    format!("resolved {alert_id}")
}

impl Conditions {
    /// The alert does not fire any more.
    pub fn resolve(&self, alert_id: &str) {
        self.set(&resolved_key(alert_id), Ok(vec![]));
    }

    pub fn set(&self, query: &str, answer: Answered) {
        let mut all = self.0.lock().unwrap();
        all.entry(query.into()).or_insert((Ok(vec![]), 0)).0 = answer;
    }

    pub fn asked(&self, query: &str) -> usize {
        self.0.lock().unwrap().get(query).map_or(0, |(_, count)| *count)
    }
}

impl automation::Query for Conditions {
    /// Every alert fires but those that were said to have resolved.
    fn is_firing<'a>(
        &'a self,
        _: &'a mut sqlx::AnyConnection,
        alert_id: &'a str,
    ) -> BoxFuture<'a, Result<bool, kernel::DbError>> {
        let is_resolved = self.0.lock().unwrap().contains_key(&resolved_key(alert_id));
        Box::pin(async move { Ok(!is_resolved) })
    }

    fn instant<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Vec<f64>, String>> {
        Box::pin(async move {
            let mut all = self.0.lock().unwrap();
            let entry = all.entry(text.into()).or_insert((Ok(vec![]), 0));
            entry.1 += 1;
            entry.0.clone()
        })
    }
}

impl House {
    /// One on each database.
    pub async fn both() -> Vec<House> {
        Self::both_at(Clock::System).await
    }

    pub async fn both_at(clock: Clock) -> Vec<House> {
        let dir = tempfile::tempdir().unwrap();
        let options = DbOptions::sqlite(&dir.path().join("mainstay.db"));
        let other = match &clock {
            Clock::System => Clock::System,
            fake => Clock::fake(fake.now()),
        };
        vec![
            Self::build(options, dir, clock).await,
            Self::postgres_at(other).await,
        ]
    }

    pub async fn postgres() -> House {
        Self::postgres_at(Clock::System).await
    }

    pub async fn postgres_at(clock: Clock) -> House {
        let options = DbOptions::postgres(&new_database().await);
        Self::build(options, tempfile::tempdir().unwrap(), clock).await
    }

    async fn build(options: DbOptions, dir: tempfile::TempDir, clock: Clock) -> House {
        let observer = Db::open(&options, Clock::System).await.unwrap();
        observer.migrate(SCHEMA).await.unwrap();
        let house = House {
            options,
            clock,
            observer,
            conditions: Conditions::default(),
            address: Mutex::default(),
            server: Mutex::default(),
            dir,
        };
        house.start().await;
        house
    }

    /// Starts a server over what there is.
    pub async fn start(&self) {
        let known = *self.address.lock().unwrap();
        let (runtime, parts) = self.prepare(known);
        let (kernel, fleet, router, address) = runtime.spawn(serve(parts)).await.unwrap();
        *self.address.lock().unwrap() = Some(address);
        *self.server.lock().unwrap() = Some(Server {
            runtime,
            kernel,
            fleet,
            router,
        });
    }

    /// A second server over the same database, as where there are several.
    pub async fn twin(&self) -> Twin {
        let (runtime, parts) = self.prepare(None);
        let parts = runtime.spawn(serve(parts)).await.unwrap();
        Twin(Some((runtime, parts.0)))
    }

    fn prepare(&self, address: Option<SocketAddr>) -> (Runtime, Parts) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let parts = Parts {
            options: DbOptions {
                url: self
                    .options
                    .url
                    .replace("application_name=observer", "application_name=killed"),
                ..self.options.clone()
            },
            clock: self.clock.clone(),
            conditions: self.conditions.clone(),
            key: self.dir.path().join("master.key"),
            address,
        };
        (runtime, parts)
    }

    /// Ends the server where it stands: no task finishes, nothing is told, connections break.
    pub async fn kill(&self) {
        let server = self.server.lock().unwrap().take().unwrap();
        let Server {
            runtime,
            kernel,
            fleet,
            router,
        } = server;
        tokio::task::spawn_blocking(move || {
            runtime.shutdown_timeout(Duration::from_secs(5));
            drop((kernel, fleet, router));
        })
        .await
        .unwrap();
        if self.options.url.starts_with("postgres") {
            // The connections of a process go with it; this one lives on.
            let mut reader = self.observer.read().await.unwrap();
            let sql = "SELECT CAST(COUNT(pg_terminate_backend(pid)) AS BIGINT) FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name = 'killed'";
            sqlx::query(sql).execute(&mut *reader).await.unwrap();
        }
    }

    pub async fn kill_and_start(&self) {
        self.kill().await;
        self.start().await;
    }

    pub fn router(&self) -> axum::Router {
        let server = self.server.lock().unwrap();
        server.as_ref().unwrap().router.clone()
    }

    /// Runs something inside of the server.
    pub async fn inside<T, F>(&self, body: impl FnOnce(Kernel, Fleet) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let running = {
            let server = self.server.lock().unwrap();
            let server = server.as_ref().unwrap();
            server
                .runtime
                .spawn(body(server.kernel.clone(), server.fleet.clone()))
        };
        running.await.unwrap()
    }

    pub fn agents_address(&self) -> SocketAddr {
        self.address.lock().unwrap().unwrap()
    }

    /// A join token for hosts with these tags.
    pub async fn token(&self, tags: &[(&str, &str)], team: Option<&str>) -> String {
        let new = NewToken {
            note: "test".into(),
            team: team.map(str::to_owned),
            tags: tags
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            uses: 1,
            life: Duration::from_secs(600),
            program: None,
            addresses: vec![self.agents_address().to_string()],
        };
        self.inside(|kernel, fleet| async move {
            let mut tx = kernel.db.write().await.unwrap();
            let actor = Actor::system("test");
            let (_, text) = fleet.create_token(&mut tx, &actor, new).await.unwrap();
            tx.commit().await.unwrap();
            text
        })
        .await
    }

    /// Says something as another slice would.
    pub async fn say(&self, topic: &'static str, subject: &str, data: Value) {
        let event = NewEvent::new(topic, subject, &data);
        self.inside(|kernel, _| async move {
            let mut tx = kernel.db.write().await.unwrap();
            tx.append(&Actor::system("test"), event).await.unwrap();
            tx.commit().await.unwrap();
        })
        .await;
    }

    pub async fn sql(&self, sql: &'static str) {
        self.inside(|kernel, _| async move {
            let mut tx = kernel.db.write().await.unwrap();
            sqlx::query(sql).execute(&mut *tx).await.unwrap();
            tx.commit().await.unwrap();
        })
        .await;
    }

    pub async fn events(&self, prefix: &str) -> Vec<Event> {
        let mut reader = self.observer.read().await.unwrap();
        let all = store::after(&mut reader, 0, 100_000).await.unwrap();
        all.into_iter()
            .filter(|event| event.topic.starts_with(prefix))
            .collect()
    }

    /// The messages that were queued, in their order.
    pub async fn pages(&self) -> Vec<Value> {
        let mut reader = self.observer.read().await.unwrap();
        let rows = sqlx::query("SELECT page FROM message ORDER BY created_at, id")
            .fetch_all(&mut *reader)
            .await
            .unwrap();
        let text = |row: &sqlx::any::AnyRow| sqlx::Row::get::<String, _>(row, 0);
        rows.iter()
            .map(|row| serde_json::from_str(&text(row)).unwrap())
            .collect()
    }

    /// A table as text.
    pub async fn table(&self, name: &str) -> String {
        let mut reader = self.observer.read().await.unwrap();
        let sql = format!("SELECT * FROM {name}");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_all(&mut *reader)
            .await
            .unwrap();
        let mut all = String::new();
        for row in rows {
            for column in 0..sqlx::Row::len(&row) {
                let text: Result<Option<String>, _> = sqlx::Row::try_get(&row, column);
                let bytes: Result<Option<Vec<u8>>, _> = sqlx::Row::try_get(&row, column);
                match (text, bytes) {
                    (Ok(Some(text)), _) => all.push_str(&text),
                    (_, Ok(Some(bytes))) => all.push_str(&String::from_utf8_lossy(&bytes)),
                    _ => {}
                }
                all.push('|');
            }
        }
        all
    }

    /// When the only schedule was started last, in microseconds.
    pub async fn schedule_mark(&self) -> i64 {
        let mut reader = self.observer.read().await.unwrap();
        let row = sqlx::query("SELECT last_at FROM runbook_schedule")
            .fetch_one(&mut *reader)
            .await
            .unwrap();
        sqlx::Row::get(&row, 0)
    }

    pub async fn latest(&self) -> i64 {
        store::latest(&mut self.observer.read().await.unwrap())
            .await
            .unwrap()
    }

    /// Events that no consumer could take.
    pub async fn parked(&self) -> i64 {
        store::count_parked(&mut self.observer.read().await.unwrap())
            .await
            .unwrap()
    }

    /// Where a run stands in the database, whether or not the server lives.
    pub async fn state(&self, run: &str) -> automation::RunState {
        let mut reader = self.observer.read().await.unwrap();
        let run = automation::store::run(&mut reader, &run.parse().unwrap()).await;
        run.unwrap().unwrap().state
    }

    pub async fn lock_holder(&self, item: &str) -> Option<String> {
        let mut reader = self.observer.read().await.unwrap();
        automation::store::lock_holder(&mut reader, item).await.unwrap()
    }

    /// Waits for the `count`th event of a topic.
    pub async fn event(&self, topic: &str, count: usize) -> Event {
        until(&format!("{count} × {topic}"), async || {
            let all = self.events(topic).await;
            all.into_iter().filter(|e| e.topic == topic).nth(count - 1)
        })
        .await
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(server) = self.server.lock().unwrap().take() {
            server.runtime.shutdown_background();
        }
    }
}

/// Ends with its drop.
pub struct Twin(Option<(Runtime, Kernel)>);

impl Drop for Twin {
    fn drop(&mut self) {
        if let Some((runtime, _)) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct Parts {
    options: DbOptions,
    clock: Clock,
    conditions: Conditions,
    key: std::path::PathBuf,
    address: Option<SocketAddr>,
}

/// The address of an empty database.
async fn new_database() -> String {
    let server = testkit::postgres::server().await;
    let name = format!("t{}", kernel::secret::random_hex(8));
    let options = DbOptions::postgres(&server.url("postgres"));
    let admin = Db::open(&options, Clock::System).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    let mut connection = admin.read().await.unwrap();
    sqlx::query(create).execute(&mut *connection).await.unwrap();
    drop(connection);
    admin.close().await;
    format!("{}?application_name=observer", server.url(&name))
}

/// The port may still be that of the server before, for a moment.
async fn listen(address: SocketAddr) -> TcpListener {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < deadline, "{address}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn serve(parts: Parts) -> (Kernel, Fleet, axum::Router, SocketAddr) {
    let db = Db::open(&parts.options, parts.clock.clone()).await.unwrap();
    // What a kernel has besides: as in every other test.
    let bed = testkit::Bed::sqlite(&[]).await;
    let kernel = Kernel {
        db,
        clock: parts.clock,
        secrets: kernel::secret::Secrets::open_or_create(&parts.key).unwrap(),
        stop: CancellationToken::new(),
        ..bed.kernel().clone()
    };
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = listen(parts.address.unwrap_or(anywhere)).await;
    let address = listener.local_addr().unwrap();
    let settings = Settings {
        lost_after_ms: 60_000,
        ..Settings::default()
    };
    let fleet = Fleet::new(&kernel, settings, "http://127.0.0.1:7443", address)
        .await
        .unwrap();
    let automation = Automation::new(&kernel, fleet.clone(), Arc::new(parts.conditions));
    let notify = notify::Notify::new(&kernel, notify::Settings::default());
    let mut working = vec![fleet::slice(&fleet), automation::slice(&automation)];
    let mut served = vec![
        inventory::slice(&inventory::Inventory::new(&kernel)),
        notify::slice(&notify),
        change::slice(&kernel),
    ];
    let duties: Vec<_> = working
        .iter_mut()
        .map(|slice| {
            (
                std::mem::take(&mut slice.consumers),
                std::mem::take(&mut slice.tasks),
            )
        })
        .collect();
    served.append(&mut working);
    let app = assemble(&kernel, &mut served, Arc::new(ByHeader), Default::default());
    let consumers = duties.iter().flat_map(|(consumers, _)| consumers);
    let names: Vec<&str> = consumers.map(|consumer| consumer.name).collect();
    kernel::event::consume::register(&kernel, &names).await.unwrap();
    for (consumers, tasks) in duties {
        for consumer in consumers.into_iter().map(Arc::new) {
            let (own, name) = (kernel.clone(), consumer.name);
            kernel::task::supervise(&kernel, name, move || {
                kernel::event::consume::run(own.clone(), consumer.clone())
            });
        }
        for task in tasks {
            kernel::task::start(&kernel, task);
        }
    }
    let listening = fleet.clone();
    kernel::task::spawn(
        &kernel,
        "test.fleet",
        async move { listening.run(listener).await },
    );
    (kernel, fleet, app.router, address)
}

/// Asks again and again, up to a deadline.
pub async fn until<T>(what: &str, check: impl AsyncFnMut() -> Option<T>) -> T {
    let found = until_or(check).await;
    found.unwrap_or_else(|| panic!("{what} does not happen"))
}

pub async fn until_or<T>(mut check: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check().await {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
