//! `ctl parked-events`: events that a consumer failed to process.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::Value;

use super::client::Client;
use super::show;

const PATH: &str = "/api/v1/parked-events";

#[derive(Debug, Subcommand)]
pub enum ParkedCommand {
    /// Parked events, newest first
    List,
    /// Process a parked event again
    Retry { consumer: String, seq: i64 },
    /// Remove a parked event without processing it
    Dismiss { consumer: String, seq: i64 },
}

pub async fn parked(client: &Client, command: &ParkedCommand) -> Result<ExitCode> {
    match command {
        ParkedCommand::List => {
            let items = client.list(PATH, &[], 10_000).await?;
            let columns = [
                ("CONSUMER", "consumer"),
                ("SEQ", "seq"),
                ("TOPIC", "topic"),
                ("SUBJECT", "subject"),
                ("PARKED", "parked_at"),
                ("ERROR", "error"),
            ];
            show::rows(client, &items, &columns);
        }
        ParkedCommand::Retry { consumer, seq } => {
            let path = format!("{PATH}/{consumer}/{seq}/retry");
            client.post(&path, &Value::Null).await?;
        }
        ParkedCommand::Dismiss { consumer, seq } => {
            let path = format!("{PATH}/{consumer}/{seq}");
            client.send_json("DELETE", &path, None).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
