//! `ctl incidents` and `ctl silence`.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::client::Client;
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
    Show { id: String },
    /// Say that you are on it
    Ack { id: String },
    /// Say that it is over
    Resolve {
        id: String,
        /// What mended it
        #[arg(long, default_value = "")]
        note: String,
    },
    /// It is not over after all
    Reopen { id: String },
    /// Add a comment
    Comment { id: String, text: String },
}

pub async fn incidents(client: &Client, command: &IncidentCommand) -> Result<ExitCode> {
    match command {
        IncidentCommand::List { all } => {
            let mut items = client.list("/api/v1/incidents", &[], 500).await?;
            items.retain(|i| *all || !matches!(i["state"].as_str(), Some("resolved" | "closed" | "merged")));
            let columns = [
                ("STATE", "state"),
                ("SEVERITY", "severity"),
                ("TITLE", "title"),
                ("OPENED", "opened_at"),
                ("ID", "id"),
            ];
            show::rows(client, &items, &columns);
        }
        IncidentCommand::Show { id } => {
            let incident = client.get(&format!("/api/v1/incidents/{id}"), &[]).await?;
            let timeline = client
                .list(&format!("/api/v1/incidents/{id}/timeline"), &[], 500)
                .await?;
            if client.json {
                show::value(&json!({ "incident": incident, "timeline": timeline }));
                return Ok(ExitCode::SUCCESS);
            }
            let at = |path: &str| show::cell(&incident, path);
            out::line(format_args!(
                "{}  {}  {}",
                at("title"),
                at("state"),
                at("severity")
            ));
            show::rows(
                client,
                &timeline,
                &[
                    ("AT", "at"),
                    ("WHAT", "topic"),
                    ("WHO", "actor_name"),
                    ("TEXT", "text"),
                ],
            );
        }
        IncidentCommand::Ack { id } => act(client, id, "acknowledge", json!({})).await?,
        IncidentCommand::Resolve { id, note } => act(client, id, "resolve", json!({ "note": note })).await?,
        IncidentCommand::Reopen { id } => act(client, id, "reopen", json!({})).await?,
        IncidentCommand::Comment { id, text } => act(client, id, "comment", json!({ "text": text })).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn act(client: &Client, id: &str, verb: &str, body: Value) -> Result<()> {
    let done = client
        .post(&format!("/api/v1/incidents/{id}/{verb}"), &body)
        .await?;
    if client.json {
        show::value(&done);
    } else {
        out::line(format_args!(
            "{} is {}",
            show::cell(&done, "title"),
            show::cell(&done, "state")
        ));
    }
    Ok(())
}

#[derive(Debug, Subcommand)]
pub enum SilenceCommand {
    /// Silences that are on or ahead
    List,
    /// Mute matching alerts: `ctl silence add alertname=DiskFull instance=~web-.* --for 2h --comment '…'`
    Add {
        /// label=value, label!=value, label=~regex or label!~regex
        #[arg(required = true)]
        matchers: Vec<String>,
        #[arg(long = "for", default_value = "1h")]
        duration: String,
        #[arg(long)]
        comment: String,
    },
    /// End a silence
    Remove { id: String },
}

pub async fn silences(client: &Client, command: &SilenceCommand) -> Result<ExitCode> {
    match command {
        SilenceCommand::List => {
            let items = client.list("/api/v1/silences", &[], 500).await?;
            let columns = [
                ("STATE", "phase"),
                ("ENDS", "ends_at"),
                ("COMMENT", "comment"),
                ("BY", "created_by_name"),
                ("ID", "id"),
            ];
            show::rows(client, &items, &columns);
        }
        SilenceCommand::Add {
            matchers,
            duration,
            comment,
        } => {
            let length = promql::parse_duration(duration)
                .map_err(anyhow::Error::msg)
                .context("--for")?;
            let now = kernel::Clock::System.now();
            let ends = now.checked_add(SignedDuration::from_millis(length))?;
            let matchers: Vec<Value> = matchers.iter().map(|text| matcher(text)).collect::<Result<_>>()?;
            let body = json!({ "matchers": matchers, "starts_at": now, "ends_at": ends, "comment": comment });
            show::value(&client.post("/api/v1/silences", &body).await?);
        }
        SilenceCommand::Remove { id } => {
            client
                .send_json("DELETE", &format!("/api/v1/silences/{id}"), None)
                .await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn matcher(text: &str) -> Result<Value> {
    for op in ["=~", "!~", "!=", "="] {
        if let Some((label, value)) = text.split_once(op) {
            return Ok(json!({ "name": label, "op": op, "value": value }));
        }
    }
    bail!("\"{text}\" is no matcher; write label=value, label!=value, label=~regex or label!~regex")
}
