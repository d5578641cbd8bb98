//! `ctl incidents`. An incident is named by the number that people say (`3` or `#3`) or by its id.

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::client::{Client, CtlError};
use super::show;
use crate::out;

#[derive(Debug, Subcommand)]
pub enum IncidentCommand {
    /// Open incidents, or all with --all
    List {
        #[arg(long)]
        all: bool,
    },
    /// One incident with its timeline
    Show { incident: String },
    /// Acknowledge an incident
    #[command(visible_alias = "acknowledge")]
    Ack {
        incident: String,
        #[arg(long)]
        note: Option<String>,
    },
    /// Mark as mitigated: the impact has ended, the cause remains
    Mitigate {
        incident: String,
        #[arg(long)]
        note: Option<String>,
    },
    /// Resolve an incident
    Resolve {
        incident: String,
        /// Resolution
        #[arg(long)]
        note: Option<String>,
    },
    /// Reopen an incident
    Reopen {
        incident: String,
        #[arg(long)]
        reason: Option<String>,
    },
    /// Close an incident
    Close {
        incident: String,
        #[arg(long)]
        note: Option<String>,
    },
    /// Assign the lead: a login, name or id
    Assign {
        incident: String,
        #[arg(required_unless_present = "nobody")]
        person: Option<String>,
        /// Remove the lead
        #[arg(long, conflicts_with = "person")]
        nobody: bool,
    },
    /// Set the severity
    Severity {
        incident: String,
        severity: Severity,
        #[arg(long)]
        note: Option<String>,
    },
    /// Change the title
    Rename { incident: String, title: String },
    /// Merge into another incident
    Merge {
        incident: String,
        /// Incident to merge into: number or id
        #[arg(long)]
        into: String,
        #[arg(long)]
        note: Option<String>,
    },
    /// Confirm that two incidents are one: the newer is merged into the older
    Confirm {
        incident: String,
        /// The other incident, a candidate that `show` lists
        other: String,
        #[arg(long)]
        note: Option<String>,
    },
    /// Dismiss that two incidents may be one
    Dismiss {
        incident: String,
        /// The other incident, a candidate that `show` lists
        other: String,
        #[arg(long)]
        note: Option<String>,
    },
    /// Split alerts off into an incident of their own
    Split {
        incident: String,
        /// Ids of alerts, or names that all alerts of that name are meant by
        #[arg(required = true)]
        alerts: Vec<String>,
        #[arg(long)]
        note: Option<String>,
    },
    /// Add a comment
    Comment { incident: String, text: String },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Severity {
    Sev1,
    Sev2,
    Sev3,
    Sev4,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sev1 => "sev1",
            Self::Sev2 => "sev2",
            Self::Sev3 => "sev3",
            Self::Sev4 => "sev4",
        }
    }
}

pub async fn incidents(client: &Client, command: &IncidentCommand) -> Result<ExitCode> {
    let (incident, verb, body) = match command {
        IncidentCommand::List { all } => return list(client, *all).await,
        IncidentCommand::Show { incident } => return show_one(client, incident).await,
        IncidentCommand::Ack { incident, note } => (incident, "acknowledge", json!({ "note": note })),
        IncidentCommand::Mitigate { incident, note } => (incident, "mitigate", json!({ "note": note })),
        IncidentCommand::Resolve { incident, note } => (incident, "resolve", json!({ "note": note })),
        IncidentCommand::Reopen { incident, reason } => (incident, "reopen", json!({ "reason": reason })),
        IncidentCommand::Close { incident, note } => (incident, "close", json!({ "note": note })),
        IncidentCommand::Assign { incident, person, .. } => {
            let person = match person {
                Some(person) => Some(find_person(client, person).await?),
                None => None,
            };
            (incident, "assign", json!({ "person": person }))
        }
        IncidentCommand::Severity {
            incident,
            severity,
            note,
        } => {
            let body = json!({ "severity": severity.as_str(), "note": note });
            (incident, "severity", body)
        }
        IncidentCommand::Rename { incident, title } => (incident, "rename", json!({ "title": title })),
        IncidentCommand::Merge { incident, into, note } => {
            let into = find(client, into).await?;
            (incident, "merge", json!({ "into": into, "note": note }))
        }
        IncidentCommand::Confirm {
            incident,
            other,
            note,
        } => {
            return decide(client, (incident, other), "confirm", note.as_deref()).await;
        }
        IncidentCommand::Dismiss {
            incident,
            other,
            note,
        } => {
            return decide(client, (incident, other), "dismiss", note.as_deref()).await;
        }
        IncidentCommand::Split {
            incident,
            alerts,
            note,
        } => {
            let alerts = find_alerts(client, incident, alerts).await?;
            (incident, "split", json!({ "alerts": alerts, "note": note }))
        }
        IncidentCommand::Comment { incident, text } => (incident, "comment", json!({ "text": text })),
    };
    let id = find(client, incident).await?;
    post(client, &format!("/api/v1/incidents/{id}/{verb}"), &body).await
}

/// Confirms or dismisses a candidate.
async fn decide(
    client: &Client,
    (incident, other): (&str, &str),
    verb: &str,
    note: Option<&str>,
) -> Result<ExitCode> {
    let (id, other) = (find(client, incident).await?, find(client, other).await?);
    let path = format!("/api/v1/incidents/{id}/candidates/{other}/{verb}");
    post(client, &path, &json!({ "note": note })).await
}

/// The ids of the alerts of an incident that people mean by ids or names.
async fn find_alerts(client: &Client, incident: &str, wanted: &[String]) -> Result<Vec<String>> {
    let id = find(client, incident).await?;
    let incident = client.get(&format!("/api/v1/incidents/{id}"), &[]).await?;
    let alerts = incident["alerts"].as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for wanted in wanted {
        let is_meant = |alert: &&Value| alert["id"] == wanted.as_str() || alert["name"] == wanted.as_str();
        let ids: Vec<String> = alerts
            .iter()
            .filter(is_meant)
            .filter_map(|alert| alert["id"].as_str().map(str::to_owned))
            .collect();
        if ids.is_empty() {
            bail!("no alert \"{wanted}\" is in this incident; `show` lists them");
        }
        found.extend(ids);
    }
    Ok(found)
}

async fn post(client: &Client, path: &str, body: &Value) -> Result<ExitCode> {
    let done = client.post(path, body).await?;
    if client.json {
        show::value(&done);
    } else {
        headline(&done);
    }
    Ok(ExitCode::SUCCESS)
}

/// `#3  Title  acknowledged  sev2  led by Ann`
fn headline(incident: &Value) {
    let at = |path: &str| show::cell(incident, path);
    let lead = incident["lead"]["name"]
        .as_str()
        .map(|name| format!("  led by {name}"));
    out::line(format_args!(
        "#{}  {}  {}  {}{}",
        at("number"),
        at("title"),
        at("state"),
        at("severity"),
        lead.unwrap_or_default()
    ));
}

async fn list(client: &Client, all: bool) -> Result<ExitCode> {
    let query: &[_] = if all { &[] } else { &[("state", "open")] };
    let mut items = client.list("/api/v1/incidents", query, 500).await?;
    if !client.json {
        for item in &mut items {
            item["number"] = json!(format!("#{}", item["number"]));
        }
    }
    let columns = [
        ("NUMBER", "number"),
        ("STATE", "state"),
        ("SEVERITY", "severity"),
        ("TITLE", "title"),
        ("LEAD", "lead.name"),
        ("OPENED", "opened_at"),
        ("ID", "id"),
    ];
    show::rows(client, &items, &columns);
    Ok(ExitCode::SUCCESS)
}

async fn show_one(client: &Client, incident: &str) -> Result<ExitCode> {
    let id = find(client, incident).await?;
    let incident = client.get(&format!("/api/v1/incidents/{id}"), &[]).await?;
    let mut timeline = client
        .list(&format!("/api/v1/incidents/{id}/timeline"), &[], 500)
        .await?;
    if client.json {
        show::value(&json!({ "incident": incident, "timeline": timeline }));
        return Ok(ExitCode::SUCCESS);
    }
    headline(&incident);
    print_parts(client, &incident);
    for event in &mut timeline {
        let text = show::cell(event, "text");
        if let Some(note) = event["data"]["note"].as_str()
            && !text.contains(note)
        {
            event["text"] = json!(format!("{text}: {note}"));
        }
    }
    let columns = [
        ("AT", "at"),
        ("WHAT", "topic"),
        ("WHO", "actor_name"),
        ("TEXT", "text"),
    ];
    show::rows(client, &timeline, &columns);
    Ok(ExitCode::SUCCESS)
}

/// Alerts, suspects and candidates of an incident.
fn print_parts(client: &Client, incident: &Value) {
    let list = |field: &str| incident[field].as_array().cloned().unwrap_or_default();
    out::line("");
    let columns = [
        ("ALERT", "name"),
        ("STATE", "state"),
        ("SEVERITY", "severity"),
        ("ROLE", "role"),
        ("ID", "id"),
    ];
    show::rows(client, &list("alerts"), &columns);
    out::line("");
    let suspects = list("suspects");
    if suspects.is_empty() {
        out::line("No change found before the incident.");
    } else {
        let columns = [
            ("LIKELY CAUSE", "title"),
            ("DETAIL", "detail"),
            ("SCORE", "score"),
            ("AT", "at"),
        ];
        show::rows(client, &suspects, &columns);
    }
    out::line("");
    let mut candidates = list("candidates");
    if !candidates.is_empty() {
        for candidate in &mut candidates {
            candidate["number"] = json!(format!("#{}", candidate["number"]));
        }
        let columns = [
            ("MAY BE THE SAME AS", "number"),
            ("TITLE", "title"),
            ("REASON", "reason"),
        ];
        show::rows(client, &candidates, &columns);
        out::line("");
    }
}

/// The id that a person means by `3`, `#3` or an id.
pub async fn find(client: &Client, wanted: &str) -> Result<String> {
    let number = wanted.strip_prefix('#').unwrap_or(wanted);
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        if !wanted.starts_with("inc_") {
            bail!("\"{wanted}\" is not an incident; give its number, such as 3, or its id");
        }
        return Ok(wanted.to_owned());
    }
    let found = client.list("/api/v1/incidents", &[("number", number)], 1).await?;
    let id = found.first().and_then(|incident| incident["id"].as_str());
    id.map(str::to_owned).ok_or_else(|| {
        let detail = format!("there is no incident #{number} that you may see");
        CtlError::Refused { status: 404, detail }.into()
    })
}

async fn find_person(client: &Client, wanted: &str) -> Result<String> {
    if wanted.starts_with("per_") {
        return Ok(wanted.to_owned());
    }
    let people = client.list("/api/v1/people", &[], 10_000).await?;
    let is_meant = |person: &&Value| {
        ["login", "name"]
            .iter()
            .filter_map(|field| person[*field].as_str())
            .any(|text| text.eq_ignore_ascii_case(wanted))
    };
    let mut found = people.iter().filter(is_meant);
    let first = found.next().and_then(|person| person["id"].as_str());
    if found.next().is_some() {
        bail!("several people are named \"{wanted}\"; give the login or the id");
    }
    first
        .map(str::to_owned)
        .ok_or_else(|| anyhow!("there is no person \"{wanted}\"; give a login, a name or an id"))
}
