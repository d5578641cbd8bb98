//! A server process with a folder of its own, a webhook sink, and a service that can be stopped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::TestHost;

use crate::clock::TestClock;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_mainstay");

/// How long a test waits for something that should happen at once. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How a house is built.
#[derive(Clone, Default)]
pub struct Plan {
    /// PostgreSQL instead of SQLite.
    pub database_url: Option<String>,
    /// Without an agent beside it: agents join from elsewhere.
    pub is_alone: bool,
    /// What `mainstay.toml` says.
    pub config: String,
    /// Where the data folder is, when not in the test's own folder.
    pub data: Option<PathBuf>,
    /// The agent watches this very machine, not a made-up host.
    pub is_this_machine: bool,
    /// The wall clock of the server and of the agent beside it.
    pub clock: Option<TestClock>,
}

impl Plan {
    /// One plan per database.
    pub async fn both() -> [Plan; 2] {
        let database_url = Some(testkit::postgres::database().await);
        let postgres = Plan {
            database_url,
            ..Plan::default()
        };
        [Plan::default(), postgres]
    }
}

pub struct House {
    dir: TempDir,
    plan: Plan,
    pub host: TestHost,
    port: u16,
    server: Option<Child>,
    http: reqwest::Client,
    pub pages: Arc<Mutex<Vec<Value>>>,
    pub sink: String,
}

/// Two neighbouring ports that are free.
fn free_port() -> u16 {
    loop {
        let first = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < 65_000 && std::net::TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

impl House {
    /// A running server with the agent of this machine and a webhook channel.
    pub async fn up() -> House {
        House::built(Plan::default()).await
    }

    pub async fn built(plan: Plan) -> House {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let pages: Arc<Mutex<Vec<Value>>> = Arc::default();
        let sink = start_sink(pages.clone()).await;
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let host = TestHost::new(dir.path().join("host"), "0123456789abcdef0123456789abcdef");
        let mut house = House {
            dir,
            plan,
            host,
            port: free_port(),
            server: None,
            http,
            pages,
            sink,
        };
        std::fs::create_dir_all(house.data()).unwrap();
        std::fs::write(house.data().join("mainstay.toml"), &house.plan.config).unwrap();
        house.start().await;
        let channel = json!({ "name": "sink", "config": { "type": "webhook", "url": house.sink } });
        let (status, body) = house.call("POST", "/api/v1/channels", Some(&channel)).await;
        assert!(status < 300, "{body}");
        house
    }

    pub fn data(&self) -> PathBuf {
        let own = || self.dir.path().join("data");
        self.plan.data.clone().unwrap_or_else(own)
    }

    pub fn token_file(&self) -> PathBuf {
        self.dir.path().join("token")
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn scratch(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where agents connect.
    pub fn agent_address(&self) -> String {
        format!("127.0.0.1:{}", self.port + 1)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch("log")).unwrap_or_default()
    }

    /// The server as it is started, without its output.
    pub fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .arg(if self.plan.is_alone { "server" } else { "up" })
            .args(["--listen", &format!("127.0.0.1:{}", self.port), "--data"])
            .arg(self.data())
            .arg("--admin-token-file")
            .arg(self.token_file());
        if let Some(url) = &self.plan.database_url {
            command.args(["--database-url", url]);
        }
        if !self.plan.is_this_machine {
            command.env("MAINSTAY_AGENT_ROOT", self.host.root());
        }
        if let Some(clock) = &self.plan.clock {
            clock.wind(&mut command);
        }
        command
    }

    /// Starts the server and waits until it serves.
    pub async fn start(&mut self) {
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(
                std::fs::File::options()
                    .create(true)
                    .append(true)
                    .open(self.scratch("log"))
                    .unwrap(),
            )
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(
            line.contains("is up"),
            "the server does not start: {line}{}",
            self.log()
        );
        self.server = Some(child);
    }

    /// `kill -9`. The agent beside it ends with it.
    pub fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// Ends it as an administrator would.
    pub fn stop(&mut self) {
        let mut server = self.server.take().unwrap();
        let pid = server.id().to_string();
        Command::new("kill").arg(pid).status().unwrap();
        server.wait().unwrap();
    }

    /// True as long as the process has not ended by itself.
    pub fn is_running(&mut self) -> bool {
        let server = self.server.as_mut();
        server.is_some_and(|server| server.try_wait().unwrap().is_none())
    }

    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let token = std::fs::read_to_string(self.token_file()).unwrap();
        let request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url()))
            .bearer_auth(token.trim());
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let Ok(response) = request.send().await else {
            return (0, Value::Null);
        };
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).await.1
    }

    /// Asks again until `check` gives something.
    pub async fn until<T>(&self, what: &str, path: &str, check: impl Fn(&Value) -> Option<T>) -> T {
        let started = Instant::now();
        let mut last = Value::Null;
        while started.elapsed() < PATIENCE {
            last = self.get(path).await;
            if let Some(found) = check(&last) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let alerts = self.get("/api/v1/alerts").await;
        panic!(
            "{what} did not happen; last answer: {last}\nalerts: {alerts}\n{}",
            self.log()
        )
    }

    /// Waits until the server has told `count` pages whose title has `part`.
    pub async fn until_paged(&self, part: &str, count: usize) {
        let has_part = |page: &Value| page["title"].as_str().is_some_and(|title| title.contains(part));
        self.until_pages(part, count, has_part).await;
    }

    /// Waits until a page is as `check` wants it.
    pub async fn until_page(&self, what: &str, check: impl Fn(&Value) -> bool) {
        self.until_pages(what, 1, check).await;
    }

    async fn until_pages(&self, what: &str, count: usize, check: impl Fn(&Value) -> bool) {
        let started = Instant::now();
        loop {
            let pages = self.pages.lock().unwrap().clone();
            if pages.iter().filter(|page| check(page)).count() >= count {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "no page \"{what}\": {pages:?}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The agent's watch list; every name is a program that the test starts and stops.
    pub async fn watch(&self, names: &[&str]) {
        let agent = self.until("the agent", "/api/v1/agents", |body| {
            let agent = &body["items"][0];
            (agent["presence"] == "connected").then(|| agent["id"].as_str().unwrap().to_owned())
        });
        let path = format!("/api/v1/agents/{}/config", agent.await);
        let mut config = self.get(&path).await;
        config["watched_services"] = json!(names);
        let (status, body) = self.call("PUT", &path, Some(&config)).await;
        assert_eq!(status, 200, "{body}");
        for name in names {
            let path = format!("/api/v1/query?query=mainstay_service_up%7Bname%3D%22{name}%22%7D");
            let is_up = |body: &Value| (body["data"]["result"][0]["value"][1] == "1").then_some(());
            self.until("the service", &path, is_up).await;
        }
    }

    pub async fn open_incidents(&self, part: &str) -> Vec<Value> {
        let body = self.get("/api/v1/incidents").await;
        let all = body["items"].as_array().cloned().unwrap_or_default();
        all.into_iter()
            .filter(|i| i["title"].as_str().is_some_and(|t| t.contains(part)) && i["state"] != "resolved")
            .collect()
    }

    /// A token of a person with this role; the file that it is in.
    pub async fn person(&self, login: &str, role: &str) -> PathBuf {
        let password = "correct horse battery staple";
        let new = serde_json::json!({ "name": login, "login": login, "password": password });
        let (status, person) = self.call("POST", "/api/v1/people", Some(&new)).await;
        assert_eq!(status, 201, "{person}");
        let grants = format!("/api/v1/people/{}/grants", person["id"].as_str().unwrap());
        let (status, grant) = self
            .call("POST", &grants, Some(&serde_json::json!({ "role": role })))
            .await;
        assert_eq!(status, 201, "{grant}");
        let sign_in = serde_json::json!({ "login": login, "password": password });
        let request = self
            .http
            .post(format!("{}/api/v1/session", self.url()))
            .json(&sign_in);
        let response = request.send().await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let session: Value = response.json().await.unwrap();
        let request = self
            .http
            .post(format!("{}/api/v1/tokens", self.url()))
            .header("cookie", cookie)
            .header("x-csrf-token", session["csrf_token"].as_str().unwrap())
            .json(&serde_json::json!({ "name": "test" }));
        let made: Value = request.send().await.unwrap().json().await.unwrap();
        let file = self.scratch(&format!("token-{login}"));
        std::fs::write(&file, made["token"].as_str().unwrap()).unwrap();
        file
    }

    pub fn ctl(&self, args: &[&str]) -> (Option<i32>, String) {
        self.ctl_as(&self.token_file(), args)
    }

    pub fn ctl_as(&self, token: &Path, args: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(PROGRAM)
            .args(["ctl", "--url", &self.url(), "--token-file"])
            .arg(token)
            .args(args)
            .output()
            .unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (output.status.code(), text)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Takes webhooks in; the idempotency of the sender shows in the ids.
async fn start_sink(pages: Arc<Mutex<Vec<Value>>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let take = move |axum::Json(page): axum::Json<Value>| {
        pages.lock().unwrap().push(page);
        async { "ok" }
    };
    let router = axum::Router::new().route("/", axum::routing::post(take));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let listener = listener.into_std().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    format!("http://{address}/")
}

/// A program under a name of its own, so that the agent can watch it.
pub struct Service {
    program: PathBuf,
    host: TestHost,
    child: Child,
}

impl Service {
    /// On the host of the agent beside the server.
    pub fn start(house: &House, name: &str) -> Service {
        Service::start_on(house, &house.host, name)
    }

    pub fn start_on(house: &House, host: &TestHost, name: &str) -> Service {
        let program = house.scratch(name);
        std::fs::copy("/bin/sleep", &program).unwrap();
        let child = Command::new(&program).arg("1000").spawn().unwrap();
        let host = host.clone();
        host.show(child.id());
        Service { program, host, child }
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.child = Command::new(&self.program).arg("1000").spawn().unwrap();
        self.host.show(self.child.id());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = Command::new("pkill").arg("-f").arg(&self.program).status();
    }
}

/// A name that no other test uses.
pub fn unique(name: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{name}{}x{}",
        std::process::id() % 100_000,
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
