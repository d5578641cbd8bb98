//! `ctl changes`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;

use super::client::Client;
use super::show;
use crate::out;

#[derive(Debug, Subcommand)]
pub enum ChangeCommand {
    /// Changes, newest first
    List,
    /// Approve a change
    Approve {
        change: String,
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Reject a change
    Reject {
        change: String,
        #[arg(long, default_value = "")]
        note: String,
    },
}

pub async fn changes(client: &Client, command: Option<&ChangeCommand>) -> Result<ExitCode> {
    let (change, verb, note) = match command {
        None | Some(ChangeCommand::List) => {
            let items = client.list("/api/v1/changes", &[], 200).await?;
            let columns = [
                ("STATE", "state"),
                ("TITLE", "title"),
                ("RISK", "risk"),
                ("BY", "requested_by_name"),
                ("AT", "requested_at"),
                ("ID", "id"),
            ];
            show::rows(client, &items, &columns);
            return Ok(ExitCode::SUCCESS);
        }
        Some(ChangeCommand::Approve { change, note }) => (change, "approve", note),
        Some(ChangeCommand::Reject { change, note }) => (change, "reject", note),
    };
    let path = format!("/api/v1/changes/{change}");
    let seen = client.get(&path, &[]).await?;
    let body = json!({ "version": seen["version"], "note": note });
    let done = client.post(&format!("{path}/{verb}"), &body).await?;
    if client.json {
        show::value(&done);
    } else {
        let (title, state) = (show::cell(&done, "title"), show::cell(&done, "state"));
        out::line(format_args!("{title} is {state}"));
    }
    Ok(ExitCode::SUCCESS)
}
