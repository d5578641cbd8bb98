//! What a host's journal and samples say: who stopped a unit, what the kernel ended, which process grew.

use std::time::Duration;

use jiff::SignedDuration;
use kernel::clock::from_millis;
use kernel::{Actor, DbError};
use logs::{MatchOp, Matcher, Query};
use sqlx::AnyConnection;
use telemetry::Telemetry;

use super::journal::{self, Said};
use super::words::span;
use super::{Findings, Search, Suspect, is_visible};
use crate::decide::terrain::Terrain;
use crate::model::Member;
use crate::{Incidents, place, store};

/// Hosts that are looked at.
const MAX_HOSTS: usize = 3;
/// How long before something failed its journal is read, and how long after.
const BEFORE: SignedDuration = SignedDuration::from_secs(120);
const AFTER: SignedDuration = SignedDuration::from_secs(15);
const MAX_LINES: usize = 500;
/// Lines of the service manager that one symptom shows.
const SHOWN_LINES: usize = 3;
/// The answer does not wait longer for the stores.
const PATIENCE: Duration = Duration::from_secs(2);
/// Growth within this time.
const GROWTH_WINDOW: &str = "15m";
/// Share of the memory that a process must have grown by, where the alert is about memory and elsewhere.
const GREW: f64 = 0.1;
const GREW_MUCH: f64 = 0.3;

struct Host {
    /// As samples and log lines name it.
    name: String,
    /// The place in the inventory, when there is one.
    id: String,
}

/// A line that says something, and when.
struct Line {
    at_ms: i64,
    said: Said,
    text: String,
}

pub async fn look(
    incidents: &Incidents,
    connection: &mut AnyConnection,
    actor: &Actor,
    search: &Search<'_>,
    terrain: &Terrain,
    found: &mut Findings,
) -> Result<(), DbError> {
    let Some(telemetry) = &incidents.telemetry else {
        return Ok(());
    };
    let root = match &search.incident.root_alert {
        Some(root) => store::member::get(connection, root).await?,
        None => None,
    };
    let units = units(connection, search, found).await?;
    for host in hosts(connection, actor, root.as_ref(), search, terrain).await? {
        let reading = tokio::time::timeout(PATIENCE, async {
            let lines = read_journal(telemetry, &host, search, found).await;
            let growth = grown(telemetry, &host, search).await;
            (lines, growth)
        });
        let Ok((lines, growth)) = reading.await else {
            tracing::warn!(
                host = host.name,
                "samples and log lines did not answer in time for suspects"
            );
            continue;
        };
        tell_lines(&host, &units, lines, search, found);
        tell_growth(&host, root.as_ref(), growth, search, found);
    }
    Ok(())
}

/// The names of what failed.
async fn units(
    connection: &mut AnyConnection,
    search: &Search<'_>,
    found: &Findings,
) -> Result<Vec<String>, DbError> {
    let ids = search.items.iter().cloned();
    let ids: Vec<String> = ids
        .chain(found.symptoms.iter().map(|s| s.subject.clone()))
        .collect();
    let mut names = Vec::new();
    for id in ids {
        let item = place::item(connection, &id).await?;
        let item = item.filter(|item| item.kind != "host" && item.name.len() > 2);
        names.extend(item.map(|item| item.name));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// The root's host first, then those of its other alerts, as far as the actor sees them.
async fn hosts(
    connection: &mut AnyConnection,
    actor: &Actor,
    root: Option<&Member>,
    search: &Search<'_>,
    terrain: &Terrain,
) -> Result<Vec<Host>, DbError> {
    let first = root.and_then(|root| root.host.clone());
    let others = search.items.iter().map(|item| terrain.host(item).to_owned());
    let mut ids: Vec<String> = Vec::new();
    for id in first.into_iter().chain(others) {
        if !ids.contains(&id) && ids.len() < MAX_HOSTS {
            ids.push(id);
        }
    }
    let names = place::names(connection, ids.clone()).await?;
    let mut hosts = Vec::new();
    for id in ids {
        if is_visible(connection, actor, &id).await? {
            let name = names.get(&id).cloned().unwrap_or_default();
            hosts.push(Host { name, id });
        }
    }
    Ok(hosts)
}

async fn read_journal(
    telemetry: &Telemetry,
    host: &Host,
    search: &Search<'_>,
    found: &Findings,
) -> Vec<Line> {
    let failed = found.symptoms.iter().map(|symptom| symptom.at);
    let first = failed.min().unwrap_or(search.until).min(search.until);
    let from = first.saturating_sub(BEFORE).unwrap_or(first).max(search.from);
    let until = search.until.saturating_add(AFTER).unwrap_or(search.until);
    let mut query = Query::new(from.as_millisecond(), until.as_millisecond());
    query.limit = MAX_LINES;
    let matchers = [
        Matcher::new("host", MatchOp::Eq, host.name.clone()),
        Matcher::new("program", MatchOp::Re, journal::PROGRAMS),
    ];
    query.selection.matchers = matchers.into_iter().filter_map(Result::ok).collect();
    let store = telemetry.logs().clone();
    let page = tokio::task::spawn_blocking(move || store.query(&query)).await;
    let records = match page {
        Ok(Ok(page)) => page.records,
        _ => Vec::new(),
    };
    let lines = records.into_iter().filter_map(|found| {
        let record = found.record;
        let said = journal::read(record.labels.get("program"), &record.text)?;
        Some(Line {
            at_ms: record.at_ms,
            said,
            text: record.text,
        })
    });
    lines.collect()
}

/// Processes that grew until the incident began: name, bytes, share of the memory.
async fn grown(telemetry: &Telemetry, host: &Host, search: &Search<'_>) -> Vec<(String, f64, f64)> {
    let instance = host.name.replace('\\', "\\\\").replace('"', "\\\"");
    let memory = format!("mainstay_process_resident_memory_bytes{{instance=\"{instance}\"}}");
    let growth = format!("topk(3, {memory} - min_over_time({memory}[{GROWTH_WINDOW}]))");
    let total = format!("max(node_memory_MemTotal_bytes{{instance=\"{instance}\"}})");
    let at_ms = search.until.as_millisecond();
    let total = vector(telemetry, &total, at_ms).await;
    let Some(total) = total
        .first()
        .map(|(_, value)| *value)
        .filter(|total| *total > 0.0)
    else {
        return Vec::new();
    };
    let grown = vector(telemetry, &growth, at_ms).await.into_iter();
    grown.map(|(name, bytes)| (name, bytes, bytes / total)).collect()
}

/// Label `name` and value of each result; nothing when the query fails.
async fn vector(telemetry: &Telemetry, query: &str, at_ms: i64) -> Vec<(String, f64)> {
    match telemetry.instant(query, at_ms).await {
        Ok(promql::Value::Vector(samples)) => samples
            .into_iter()
            .map(|sample| (sample.labels.get("name").to_owned(), sample.value))
            .collect(),
        _ => Vec::new(),
    }
}

fn tell_lines(host: &Host, units: &[String], lines: Vec<Line>, search: &Search<'_>, found: &mut Findings) {
    let until_ms = search.until.as_millisecond();
    let is_again = search.incident.reopened_at.is_some();
    let seconds = |at_ms: i64| (until_ms - at_ms) as f64 / 1000.0;
    for line in lines.iter().filter(|line| line.at_ms <= until_ms) {
        let (title, named, strength) = match &line.said {
            Said::Command { user, command } if !journal::only_reads(command) => {
                let named = units.iter().find(|unit| command.contains(unit.as_str()));
                let strength = match (named, journal::acts(command)) {
                    (Some(_), _) => 2.2,
                    (None, true) => 0.6,
                    (None, false) => -0.4,
                };
                let title = format!("{user} ran {}", journal::shown(command));
                (title, named, strength)
            }
            Said::OutOfMemory { process } => {
                let title = format!("The kernel ended {process}: out of memory");
                (
                    title,
                    units.iter().find(|unit| unit.contains(process.as_str())),
                    1.6,
                )
            }
            _ => continue,
        };
        let nearness = 2.0 * (-seconds(line.at_ms).max(0.0) / 300.0).exp() - 1.0;
        let mut evidence = vec![span(seconds(line.at_ms), is_again)];
        evidence.extend(named.map(|unit| format!("names {unit}")));
        evidence.extend(login_of(&line.said, &lines));
        found.suspects.push(Suspect {
            seq: None,
            title,
            detail: format!("in the journal of {}", host.name),
            kind: "command".into(),
            at: from_millis(line.at_ms),
            score: chance(nearness + strength - 0.4),
            evidence,
            subject: host.id.clone(),
        });
    }
    for symptom in &mut found.symptoms {
        let said = lines.iter().filter(|line| {
            let is_then = (line.at_ms - symptom.at.as_millisecond()).abs() <= BEFORE.as_millis() as i64;
            is_then && line.said == Said::Unit && units.iter().any(|unit| line.text.contains(unit.as_str()))
        });
        symptom
            .evidence
            .extend(said.take(SHOWN_LINES).map(|line| line.text.clone()));
        symptom.evidence.dedup();
    }
}

/// Where whoever ran the command had logged in from.
fn login_of(said: &Said, lines: &[Line]) -> Option<String> {
    let Said::Command { user: who, .. } = said else {
        return None;
    };
    lines.iter().find_map(|line| match &line.said {
        Said::Login { user, from } if user == who => Some(format!("{who} logged in from {from}")),
        _ => None,
    })
}

fn tell_growth(
    host: &Host,
    root: Option<&Member>,
    grown: Vec<(String, f64, f64)>,
    search: &Search<'_>,
    found: &mut Findings,
) {
    let is_about_memory = root.is_some_and(|root| {
        let about = format!("{} {}", root.name, root.summary).to_lowercase();
        ["memory", "oom", "swap"].iter().any(|word| about.contains(word))
    });
    let least = if is_about_memory { GREW } else { GREW_MUCH };
    for (name, bytes, share) in grown.into_iter().filter(|(_, _, share)| *share >= least) {
        let base = if is_about_memory { 1.0 } else { -0.4 };
        found.suspects.push(Suspect {
            seq: None,
            title: format!("{name} grew by {:.1} GiB", bytes / f64::from(1 << 30)),
            detail: format!("resident memory on {}", host.name),
            kind: "process".into(),
            at: search.until,
            score: chance(base + 2.0 * share),
            evidence: vec![
                format!("{:.0} % of the memory within {GROWTH_WINDOW}", share * 100.0),
                "on the host of the incident".into(),
            ],
            subject: host.id.clone(),
        });
    }
}

fn chance(odds: f64) -> f64 {
    let score = 1.0 / (1.0 + (-odds).exp());
    (score * 1_000.0).round() / 1_000.0
}
