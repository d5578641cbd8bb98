//! What the tests share: a fleet that listens, an intake that can be told to fail, and waiting for events.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleet::{Fleet, HostRef, Intake, NewToken, Settings};
use kernel::event::Event;
use kernel::event::store::after;
use kernel::{Actor, AnyError, BoxFuture, Kernel, Migration};
use protocol::{Batch, Body};
use testkit::Bed;
use testkit::agent::{FakeAgent, FakeLink, PATIENCE, identity};
use tokio::net::TcpListener;

pub const SCHEMA: &[(&str, &[Migration])] =
    &[("inventory", inventory::MIGRATIONS), ("fleet", fleet::MIGRATIONS)];

pub struct Rig {
    pub bed: Bed,
    pub fleet: Fleet,
    pub intake: Arc<Recorder>,
    pub address: std::net::SocketAddr,
}

/// Keeps what it is given; refuses while it is told to.
#[derive(Default)]
pub struct Recorder {
    pub taken: Mutex<Vec<(HostRef, u64, Vec<Body>)>>,
    pub is_full: AtomicBool,
    pub forgotten: Mutex<Vec<u64>>,
}

impl Intake for Recorder {
    fn take<'a>(
        &'a self,
        host: &'a HostRef,
        connection: u64,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<(), AnyError>> {
        Box::pin(async move {
            if self.is_full.load(Ordering::SeqCst) {
                return Err("the disk is full".into());
            }
            self.taken
                .lock()
                .unwrap()
                .push((host.clone(), connection, batch.body.clone()));
            Ok(())
        })
    }

    fn forget(&self, connection: u64) {
        self.forgotten.lock().unwrap().push(connection);
    }
}

impl Rig {
    pub async fn both() -> Vec<Rig> {
        Self::both_with(|_| {}).await
    }

    pub async fn both_with(tune: impl Fn(&mut Settings)) -> Vec<Rig> {
        let mut rigs = Vec::new();
        for bed in Bed::both(SCHEMA).await {
            rigs.push(Self::start(bed, &tune).await);
        }
        rigs
    }

    pub async fn start(bed: Bed, tune: impl Fn(&mut Settings)) -> Rig {
        let mut settings = Settings {
            lost_after_ms: 1200,
            ..Settings::default()
        };
        tune(&mut settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kernel = bed.kernel();
        let fleet = Fleet::new(kernel, settings, "http://127.0.0.1:7443", address)
            .await
            .unwrap();
        let intake = Arc::new(Recorder::default());
        fleet.set_intake(intake.clone());
        for task in fleet::slice(&fleet).tasks {
            kernel::task::start(kernel, task);
        }
        let serve = fleet.clone();
        kernel::task::spawn(kernel, "test.fleet", async move { serve.run(listener).await });
        Rig {
            bed,
            fleet,
            intake,
            address,
        }
    }

    pub fn kernel(&self) -> &Kernel {
        self.bed.kernel()
    }

    pub async fn token(&self, uses: i64) -> String {
        self.token_with(uses, Duration::from_secs(60), None).await.1
    }

    pub async fn token_with(
        &self,
        uses: i64,
        life: Duration,
        team: Option<&str>,
    ) -> (fleet::JoinToken, String) {
        let new = NewToken {
            note: "test".into(),
            team: team.map(str::to_owned),
            tags: BTreeMap::from([("env".to_owned(), "prod".to_owned())]),
            uses,
            life,
            addresses: vec![self.address.to_string()],
            program: None,
        };
        let mut tx = self.kernel().db.write().await.unwrap();
        let made = self.fleet.create_token(&mut tx, &tester(), new).await.unwrap();
        tx.commit().await.unwrap();
        made
    }

    /// A token of a manager of what has this tag.
    pub async fn token_of(&self, tag: (&str, &str), uses: i64) -> String {
        let new = NewToken {
            note: "test".into(),
            team: None,
            tags: BTreeMap::from([(tag.0.to_owned(), tag.1.to_owned())]),
            uses,
            life: Duration::from_secs(60),
            addresses: vec![self.address.to_string()],
            program: None,
        };
        let mut tx = self.kernel().db.write().await.unwrap();
        let (_, text) = self.fleet.create_token(&mut tx, &tester(), new).await.unwrap();
        tx.commit().await.unwrap();
        text
    }

    pub async fn item(&self, id: &inventory::ItemId) -> inventory::Item {
        let mut reader = self.kernel().db.read().await.unwrap();
        inventory::store::item(&mut reader, id).await.unwrap().unwrap()
    }

    /// A joined agent of host `web-<n>`.
    pub async fn join(&self, n: u32) -> FakeAgent {
        let token = self.token(1).await;
        FakeAgent::join(&token, &format!("web-{n}"), identity(n))
            .await
            .unwrap()
    }

    /// A joined and connected agent.
    pub async fn connect(&self, n: u32) -> (FakeAgent, FakeLink) {
        let agent = self.join(n).await;
        let link = agent.connect().await.unwrap();
        (agent, link)
    }

    pub async fn agent(&self, id: &str) -> fleet::Agent {
        let mut reader = self.kernel().db.read().await.unwrap();
        fleet::store::agent(&mut reader, &id.parse().unwrap())
            .await
            .unwrap()
            .unwrap()
    }

    pub async fn events(&self) -> Vec<Event> {
        let mut reader = self.kernel().db.read().await.unwrap();
        after(&mut reader, 0, 10_000).await.unwrap()
    }

    pub async fn topics(&self, prefix: &str) -> Vec<String> {
        let all = self.events().await.into_iter().map(|event| event.topic);
        all.filter(|topic| topic.starts_with(prefix)).collect()
    }

    /// Waits for the `count`th event of a topic.
    pub async fn event(&self, topic: &str, count: usize) -> Event {
        wait_until(&format!("{count} × {topic}"), async || {
            self.events()
                .await
                .into_iter()
                .filter(|event| event.topic == topic)
                .nth(count - 1)
        })
        .await
    }
}

/// Asks again and again, up to a deadline.
pub async fn wait_until<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "{what} does not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn tester() -> Actor {
    Actor::system("test")
}
