//! Lives through the week before the start: the clock is behind, the fleet was there already, each episode of [`past`] fires its
//! alerts, people answer through the API, and the house does the rest as it always does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alerting::{Severity, Signal};
use anyhow::{Context, Result, bail};
use kernel::clock::from_millis;
use kernel::{Actor, Kernel};
use serde_json::{Value, json};

use super::fault::Company;
use super::host::Host;
use super::past::{self, Deed, Episode, Trouble};
use super::read::DISKS;
use super::seed::Caller;
use super::{facts, seed, world};

/// What the house does by itself is waited for so long.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(30);
/// Customers notice so long after the database is gone.
const SYMPTOM_MINUTES: f64 = 0.6;

struct Replay<'a> {
    kernel: &'a Kernel,
    company: &'a Arc<Company>,
    caller: &'a Caller,
    people: BTreeMap<&'static str, Caller>,
    /// When the demonstration starts.
    now_ms: i64,
}

/// From a clock that is behind by `days` to the end of the last episode.
pub async fn week(
    kernel: &Kernel,
    company: &Arc<Company>,
    caller: &Caller,
    teams: &BTreeMap<&'static str, String>,
    days: u32,
) -> Result<()> {
    let mut replay = Replay {
        kernel,
        company,
        caller,
        people: BTreeMap::new(),
        now_ms: kernel::Clock::System.now_ms(),
    };
    for host in &company.hosts {
        replay.observe(host, replay.kernel.clock.now_ms()).await?;
    }
    seed::own_hosts(caller, company, teams).await?;
    for episode in past::within(days) {
        let lived = replay.live(episode).await;
        lived.with_context(|| format!("the past of {}", episode.host))?;
    }
    Ok(())
}

impl Replay<'_> {
    fn go(&self, t_ms: i64) {
        self.kernel.clock.catch_up_to(from_millis(t_ms));
    }

    /// Takes the facts of a host as they were.
    async fn observe(&self, host: &Host, t_ms: i64) -> Result<()> {
        let mut state = host.lock().clone();
        past::shade(host, &mut state, t_ms, self.now_ms);
        let facts = facts::facts(host, &state, &self.company.specs, host.boot_ms);
        let identity = facts::identity(&host.spec);
        let actor = Actor::system("demo");
        let mut tx = self.kernel.db.write().await?;
        inventory::observe_facts(&mut tx, &actor, "agent:demo", &facts, &identity, None).await?;
        Ok(tx.commit().await?)
    }

    async fn live(&mut self, episode: &Episode) -> Result<()> {
        let at = |minutes: f64| episode.at_ms(minutes, self.now_ms);
        let struck: Vec<Arc<Host>> = self
            .company
            .hosts
            .iter()
            .filter(|host| episode.strikes(host))
            .cloned()
            .collect();
        if let Some(upgrade) = &episode.upgrade {
            let when = at(-upgrade.minutes_before);
            self.go(when);
            for host in &struck {
                self.observe(host, when + 1).await?;
            }
        }
        let (begin, symptoms, end) = (at(0.0), at(SYMPTOM_MINUTES), at(episode.minutes));
        self.go(begin);
        self.signal(causes(episode, &struck), true).await?;
        let incident = self.opened().await?;
        let follows = self.symptoms(episode);
        if !follows.is_empty() {
            self.go(symptoms);
            self.signal(follows.clone(), true).await?;
        }
        let (path, all) = (
            format!("/api/v1/incidents/{incident}"),
            struck.len() + follows.len(),
        );
        self.until("its alerts", &path, |body| body["alert_count"] == all)
            .await?;
        let (during, after): (Vec<&Deed>, Vec<&Deed>) = episode
            .deeds
            .iter()
            .partition(|deed| deed.minutes() < episode.minutes);
        for deed in during {
            self.act(episode, &incident, deed).await?;
        }
        self.go(end);
        for host in struck.iter().filter(|_| episode.trouble != Trouble::Full) {
            self.observe(host, end).await?;
        }
        self.signal([causes(episode, &struck), follows].concat(), false)
            .await?;
        self.until("its end", &path, |body| body["state"] == "resolved")
            .await?;
        for deed in after {
            self.act(episode, &incident, deed).await?;
        }
        self.sent().await
    }

    async fn signal(&self, mut signals: Vec<Signal>, active: bool) -> Result<()> {
        let mut tx = self.kernel.db.write().await?;
        for signal in &mut signals {
            signal.active = active;
            signal.at = tx.now();
        }
        alerting::observe(&mut tx, &signals).await?;
        Ok(tx.commit().await?)
    }

    async fn act(&mut self, episode: &Episode, incident: &str, deed: &Deed) -> Result<()> {
        self.sent().await?;
        self.go(episode.at_ms(deed.minutes(), self.now_ms));
        let (login, verb, body) = match deed {
            Deed::Acknowledged(_, login) => (*login, "acknowledge", json!({})),
            Deed::Said(_, login, text) => (*login, "comment", json!({ "text": text })),
        };
        if !self.people.contains_key(login) {
            self.people.insert(login, self.caller.sign_in(login).await?);
        }
        let person = self.people.get(login).context("nobody of that name")?;
        person
            .post(&format!("/api/v1/incidents/{incident}/{verb}"), body)
            .await?;
        Ok(())
    }

    /// The id of the incident that is open now.
    async fn opened(&self) -> Result<String> {
        let found = self
            .until("an incident", "/api/v1/incidents?state=triggered", |body| {
                body["items"][0]["id"].is_string()
            })
            .await?;
        let id = found["items"][0]["id"]
            .as_str()
            .context("an incident without an id")?;
        Ok(id.to_owned())
    }

    /// Until every message is out: the clock must not move on while one is under way.
    async fn sent(&self) -> Result<()> {
        let is_done = |body: &Value| body["items"].as_array().is_some_and(Vec::is_empty);
        self.until("its messages", "/api/v1/messages?state=waiting", is_done)
            .await
            .map(|_| ())
    }

    async fn until(&self, what: &str, path: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let body = self.caller.get(path).await?;
            if is_so(&body) {
                return Ok(body);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("{what} did not come");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What follows from it on other hosts.
    fn symptoms(&self, episode: &Episode) -> Vec<Signal> {
        if episode.trouble == Trouble::BadRelease {
            return Vec::new();
        }
        let shop = self
            .company
            .hosts
            .iter()
            .filter(|host| host.spec.role.unit == world::SHOP);
        shop.filter(|host| episode.failing(host) > 0.0)
            .map(|host| failing(host, episode.failing(host)))
            .collect()
    }
}

/// The alerts of what was wrong.
fn causes(episode: &Episode, struck: &[Arc<Host>]) -> Vec<Signal> {
    let alert = |host: &Host| match episode.trouble {
        Trouble::Down => {
            let unit = host.spec.role.unit;
            let summary = format!("{unit} is down on {}", host.spec.name);
            signal(
                "ServiceDown",
                host,
                Severity::Critical,
                &[("manager", "systemd"), ("name", unit)],
                summary,
                0.0,
            )
        }
        Trouble::Full => {
            let (mount, device, _) = DISKS[1];
            let summary = format!("Disk {mount} on {} is 95 % full", host.spec.name);
            let on = [("device", device), ("fstype", "ext4"), ("mountpoint", mount)];
            signal("DiskFull", host, Severity::Critical, &on, summary, 95.4)
        }
        Trouble::Leak => {
            let summary = format!("Memory of {}: 4.2 % available", host.spec.name);
            signal("MemoryShort", host, Severity::Warning, &[], summary, 4.2)
        }
        Trouble::BadRelease => failing(host, episode.failing(host)),
    };
    struck.iter().map(|host| alert(host)).collect()
}

fn failing(host: &Host, share: f64) -> Signal {
    let summary = format!(
        "{:.0} % of the requests to {} fail",
        share * 100.0,
        host.spec.name
    );
    signal(
        "ShopErrors",
        host,
        Severity::Critical,
        &[("name", world::SHOP)],
        summary,
        share * 100.0,
    )
}

fn signal(
    name: &str,
    host: &Host,
    severity: Severity,
    labels: &[(&str, &str)],
    summary: String,
    value: f64,
) -> Signal {
    let own = [
        ("instance", host.spec.name.as_str()),
        ("job", "mainstay"),
        ("severity", severity.as_str()),
    ];
    let labels = labels
        .iter()
        .chain(&own)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Signal {
        source: "demo".into(),
        name: name.into(),
        labels: labels.collect(),
        annotations: BTreeMap::from([("summary".to_owned(), summary)]),
        severity,
        active: true,
        value: Some(value),
        at: kernel::Timestamp::UNIX_EPOCH,
        for_ms: 0,
        keep_firing_for_ms: 0,
    }
}
