//! `ctl joins`: machines that show the identity of a known host and wait for an approval.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use super::client::Client;
use super::show;

#[derive(Debug, Subcommand)]
pub enum JoinsCommand {
    /// Pending join requests
    List,
    /// Approve: the machine may take over the host with its next join by the same token, within a day
    Approve { id: String },
    /// Deny: the machine may not take over the host with this token
    Deny { id: String },
}

pub async fn joins(client: &Client, command: &JoinsCommand) -> Result<ExitCode> {
    let (id, verb) = match command {
        JoinsCommand::List => {
            let items = client.list("/api/v1/join-requests", &[], 1000).await?;
            let columns = [
                ("HOST", "name"),
                ("REASON", "reason"),
                ("REPORTED NAME", "hostname"),
                ("ADDRESS", "address"),
                ("ATTEMPTS", "attempts"),
                ("LAST SEEN", "seen_at"),
                ("ID", "id"),
            ];
            show::rows(client, &items, &columns);
            return Ok(ExitCode::SUCCESS);
        }
        JoinsCommand::Approve { id } => (id, "approve"),
        JoinsCommand::Deny { id } => (id, "deny"),
    };
    client
        .send_json("POST", &format!("/api/v1/join-requests/{id}/{verb}"), None)
        .await?;
    Ok(ExitCode::SUCCESS)
}
