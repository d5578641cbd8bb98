//! People, teams, channels, rules and runbooks of the made-up company, made through the API as a person would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fleet::NewToken;
use kernel::{Actor, Kernel};
use serde_json::{Value, json};

use super::fault::Company;
use super::host::Host;
use super::world::TEAMS;
use crate::wire::Handles;

pub const LOGIN: &str = "demo";
pub const PASSWORD: &str = "show-me-the-fleet";

/// Every example of `docs/runbooks`.
pub const RUNBOOKS: [(&str, &str); 7] = [
    (
        "restart-service",
        include_str!("../../../../docs/runbooks/restart-service.yaml"),
    ),
    (
        "free-disk-space",
        include_str!("../../../../docs/runbooks/free-disk-space.yaml"),
    ),
    (
        "collect-diagnostics",
        include_str!("../../../../docs/runbooks/collect-diagnostics.yaml"),
    ),
    (
        "rolling-restart",
        include_str!("../../../../docs/runbooks/rolling-restart.yaml"),
    ),
    (
        "rotate-logs",
        include_str!("../../../../docs/runbooks/rotate-logs.yaml"),
    ),
    (
        "renew-certificate",
        include_str!("../../../../docs/runbooks/renew-certificate.yaml"),
    ),
    (
        "roll-back-package",
        include_str!("../../../../docs/runbooks/roll-back-package.yaml"),
    ),
];

const RULES: &str = include_str!("rules.yaml");

/// Name, login, role, teams.
const PEOPLE: [(&str, &str, &str, &[&str]); 4] = [
    ("Ada Okafor", "ada", "manager", &["Web", "Data"]),
    ("Ben Lindqvist", "ben", "operator", &["Web"]),
    ("Chen Wei", "chen", "operator", &["Data"]),
    ("Dana Moreau", "dana", "operator", &["Payments"]),
];

/// Calls the API of the server that was just started.
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Caller {
    pub fn new(base: &str, token: String) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self {
            http,
            base: base.to_owned(),
            token,
        })
    }

    /// Calls as one of the [`PEOPLE`], with a token of their own.
    pub async fn sign_in(&self, login: &str) -> Result<Self> {
        let body = json!({ "login": login, "password": format!("{login}-{PASSWORD}") });
        let answer = self
            .http
            .post(format!("{}/api/v1/session", self.base))
            .json(&body)
            .send()
            .await?;
        let cookie = answer.headers().get("set-cookie").cloned();
        let cookie = cookie.with_context(|| format!("{login} cannot sign in: {}", answer.status()))?;
        let session: Value = answer.json().await?;
        let csrf = session["csrf_token"]
            .as_str()
            .context("a session without a token")?;
        let pair = cookie.to_str()?.split(';').next().unwrap_or_default().to_owned();
        let request = self.http.post(format!("{}/api/v1/tokens", self.base));
        let request = request
            .header("cookie", pair)
            .header("x-csrf-token", csrf)
            .json(&json!({ "name": "Demonstration" }));
        let made = Self::read("/api/v1/tokens", request).await?;
        let token = made["token"].as_str().context("an answer has no token")?;
        Self::new(&self.base, token.to_owned())
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        let request = self.http.post(format!("{}{path}", self.base));
        Self::read(path, request.bearer_auth(&self.token).json(&body)).await
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        let request = self.http.get(format!("{}{path}", self.base));
        Self::read(path, request.bearer_auth(&self.token)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Result<Value> {
        let request = self.http.patch(format!("{}{path}", self.base));
        Self::read(path, request.bearer_auth(&self.token).json(&body)).await
    }

    async fn read(path: &str, request: reqwest::RequestBuilder) -> Result<Value> {
        let answer = request
            .send()
            .await
            .with_context(|| format!("cannot call {path}"))?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{path} answers {status}: {text}");
        }
        Ok(if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text)?
        })
    }
}

fn id(made: &Value) -> Result<&str> {
    made["id"].as_str().context("an answer has no id")
}

/// Fills the house. Returns the ids of the teams by name.
pub async fn plant(handles: &Handles, caller: &Caller) -> Result<BTreeMap<&'static str, String>> {
    if let Some(token) = handles.access.setup_link_token().await? {
        let body = json!({ "token": token, "name": "Demo", "login": LOGIN, "password": PASSWORD, "email": "demo@example.org" });
        caller.post("/api/v1/setup", body).await?;
    }
    let mut teams = BTreeMap::new();
    for (name, description) in TEAMS {
        let made = caller
            .post(
                "/api/v1/teams",
                json!({ "name": name, "description": description }),
            )
            .await?;
        teams.insert(name, id(&made)?.to_owned());
    }
    people(caller, &teams).await?;
    channels(caller, &teams).await?;
    caller
        .post("/api/v1/rule-files", json!({ "name": "shop", "text": RULES }))
        .await?;
    Ok(teams)
}

/// Runbooks, some of which answer alerts by themselves: for when there are hosts to run on.
pub async fn runbooks(caller: &Caller) -> Result<()> {
    for (name, text) in RUNBOOKS {
        let made = caller.post("/api/v1/runbooks", json!({ "text": text })).await;
        made.with_context(|| format!("the runbook {name}"))?;
    }
    Ok(())
}

/// Somebody has looked at a host, and tried what a restart of a tier would do.
pub async fn runs(caller: &Caller) -> Result<()> {
    let ben = caller.sign_in("ben").await?;
    let found = caller.get("/api/v1/runbooks").await?;
    for (name, body) in [
        (
            "Collect diagnostics",
            json!({ "inputs": { "host": "app-3" }, "reason": "It was short of memory this week." }),
        ),
        (
            "Rolling restart",
            json!({ "inputs": { "service": "nginx", "hosts": "web-*" }, "dry_run": true, "reason": "Before the release." }),
        ),
    ] {
        let mut all = found.as_array().into_iter().flatten();
        let runbook = all.find(|runbook| runbook["name"] == name);
        let runbook = runbook.with_context(|| format!("there is no runbook {name}"))?;
        ben.post(&format!("/api/v1/runbooks/{}/runs", id(runbook)?), body)
            .await?;
    }
    Ok(())
}

async fn people(caller: &Caller, teams: &BTreeMap<&'static str, String>) -> Result<()> {
    for (name, login, role, member_of) in PEOPLE {
        let body = json!({
            "name": name, "login": login, "email": format!("{login}@example.org"), "password": format!("{login}-{PASSWORD}"),
        });
        let made = caller.post("/api/v1/people", body).await?;
        let person = id(&made)?;
        caller
            .post(
                &format!("/api/v1/people/{person}/grants"),
                json!({ "role": role }),
            )
            .await?;
        for team in member_of {
            let team = teams.get(team).context("an unknown team")?;
            caller
                .post(
                    &format!("/api/v1/teams/{team}/members"),
                    json!({ "person": person }),
                )
                .await?;
        }
    }
    Ok(())
}

async fn channels(caller: &Caller, teams: &BTreeMap<&'static str, String>) -> Result<()> {
    let payments = teams.get("Payments").context("an unknown team")?;
    for (name, path, subscription) in [
        ("Operations room", "operations", json!({})),
        (
            "Payments, critical only",
            "payments",
            json!({ "min_severity": "critical", "teams": [payments] }),
        ),
    ] {
        let url = format!("{}/api/v1/demo/inbox/{path}", caller.base);
        let body = json!({
            "name": name, "config": { "type": "webhook", "url": url },
            "secrets": { "signing_key": "a-key-for-the-demonstration" }, "subscription": subscription,
        });
        caller.post("/api/v1/channels", body).await?;
    }
    Ok(())
}

fn tags() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("env".to_owned(), "prod".to_owned()),
        ("system".to_owned(), "shop".to_owned()),
    ])
}

/// Gives the hosts of the past to their teams: a join token takes over only what its team and tags cover.
pub async fn own_hosts(
    caller: &Caller,
    company: &Company,
    teams: &BTreeMap<&'static str, String>,
) -> Result<()> {
    let page = caller.get("/api/v1/items?q=kind%3Dhost&limit=500").await?;
    for item in page["items"].as_array().into_iter().flatten() {
        let is_it = |host: &&Arc<Host>| item["name"] == host.spec.name.as_str();
        let Some(host) = company.hosts.iter().find(is_it) else {
            continue;
        };
        let team = teams
            .get(host.spec.role.team)
            .context("a host of an unknown team")?;
        let path = format!("/api/v1/items/{}", id(item)?);
        caller
            .patch(&path, json!({ "team": team, "tags": tags() }))
            .await?;
    }
    Ok(())
}

/// A join token for the hosts of one team.
pub async fn join_token(
    kernel: &Kernel,
    handles: &Handles,
    team: (&str, &str),
    hosts: i64,
    address: std::net::SocketAddr,
) -> Result<String> {
    let new = NewToken {
        note: format!("made-up hosts of {}", team.0),
        team: Some(team.1.to_owned()),
        tags: tags(),
        uses: hosts,
        life: Duration::from_secs(600),
        program: None,
        addresses: vec![address.to_string()],
    };
    let mut tx = kernel.db.write().await?;
    let (_, text) = handles
        .fleet
        .create_token(&mut tx, &Actor::system("demo"), new)
        .await?;
    tx.commit().await?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_runbook_reads_and_is_planted() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/runbooks");
        let files = std::fs::read_dir(folder)
            .unwrap()
            .flatten()
            .map(|entry| entry.path());
        let mut names: Vec<String> = files
            .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let mut planted: Vec<&str> = RUNBOOKS.iter().map(|(name, _)| *name).collect();
        planted.sort_unstable();
        assert_eq!(names, planted);
        for (name, text) in RUNBOOKS {
            if let Err(errors) = automation::parse_document(text) {
                panic!("{name}: {errors:?}");
            }
        }
    }

    #[test]
    fn the_rules_of_the_shop_read() {
        assert_eq!(telemetry::check_rules(RULES), vec![]);
    }
}
