//! The demonstration: for each of its faults the first suspect is the cause, or no change was found.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::house::PROGRAM;

/// Forty hosts join, and some faults show after minutes of their rules.
const PATIENCE: Duration = Duration::from_secs(300);

struct Demo {
    child: Child,
    url: String,
    token: String,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Demo {
    async fn start() -> Demo {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let (token_file, log) = (folder.path().join("token"), folder.path().join("log"));
        let child = Command::new(PROGRAM)
            .args([
                "demo",
                "--listen",
                "127.0.0.1:0",
                "--history-days",
                "0",
                "--admin-token-file",
            ])
            .arg(&token_file)
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut demo = Demo {
            child,
            url: String::new(),
            token: String::new(),
            http: reqwest::Client::new(),
            _folder: folder,
        };
        let url = until("the demonstration", async || {
            let said = std::fs::read_to_string(&log).unwrap();
            let (_, rest) = said.split_once("is up at ")?;
            Some(rest.split_whitespace().next()?.to_owned())
        });
        demo.url = url.await;
        let token = std::fs::read_to_string(&token_file).unwrap();
        token.trim().clone_into(&mut demo.token);
        demo
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap_or(Value::Null)
    }

    async fn get(&self, path: &str) -> Value {
        self.call(reqwest::Method::GET, path, None).await
    }

    /// The open incident whose title contains this, in full.
    async fn incident(&self, title: &str) -> Option<Value> {
        let open = self.get("/api/v1/incidents?state=open").await;
        let all = open["items"].as_array().unwrap().iter();
        let found = all
            .clone()
            .find(|i| i["title"].as_str().unwrap().contains(title))?;
        Some(
            self.get(&format!("/api/v1/incidents/{}", found["id"].as_str().unwrap()))
                .await,
        )
    }
}

async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// (fault, part of the incident's title, the first suspect: part of its title, none when no change explains it)
const FAULTS: [(&str, &str, Option<&str>); 6] = [
    ("disk_full", "reports-2", None),
    ("host_cut", "search-3", None),
    ("certificate_expired", "web-2", None),
    ("memory_leak", "app-5", Some("shop-app grew by")),
    ("database_stopped", "shop-db-1", Some("deploy ran systemctl kill")),
    ("bad_deploy", "requests", Some("shop-app 2.13.4")),
];

#[tokio::test]
async fn the_first_suspect_of_each_fault_is_its_cause_or_no_change_is_found() {
    let demo = Demo::start().await;
    for (fault, title, cause) in FAULTS {
        demo.call(
            reqwest::Method::POST,
            "/api/v1/demo/faults",
            Some(json!({ "fault": fault })),
        )
        .await;
        let incident = until(fault, async || demo.incident(title).await).await;
        let suspects = incident["suspects"].as_array().unwrap();
        let first = suspects.first().map(|suspect| suspect["title"].as_str().unwrap());
        println!("{fault}: {} → {first:?}", incident["title"]);
        match cause {
            Some(cause) => assert!(
                first.is_some_and(|first| first.contains(cause)),
                "{fault}: {suspects:#?}"
            ),
            None => assert_eq!(first, None, "{fault}: {suspects:#?}"),
        }
        let path = format!("/api/v1/demo/faults/{fault}");
        demo.call(reqwest::Method::DELETE, &path, None).await;
        until("its end", async || {
            demo.incident(title).await.is_none().then_some(())
        })
        .await;
    }
}
