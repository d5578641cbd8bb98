//! `ctl tokens` and `ctl join-token`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::client::Client;
use super::show;
use crate::out;

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// API tokens, without their secrets
    List,
    /// Make a token for yourself; it is shown once
    Create {
        name: String,
        /// Days until it ends
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// Narrow it to permissions, as often as needed: incidents.read, metrics.*
        #[arg(long = "only")]
        permissions: Vec<String>,
    },
    /// End a token now
    Revoke { id: String },
}

pub async fn tokens(client: &Client, command: &TokenCommand) -> Result<ExitCode> {
    match command {
        TokenCommand::List => {
            let items = client.list("/api/v1/tokens", &[], 1000).await?;
            let columns = [
                ("NAME", "name"),
                ("OWNER", "owner"),
                ("EXPIRES", "expires_at"),
                ("LAST USED", "last_used_at"),
                ("ID", "id"),
            ];
            show::rows(client, &items, &columns);
        }
        TokenCommand::Create {
            name,
            days,
            permissions,
        } => {
            let only = (!permissions.is_empty()).then_some(permissions);
            let body = json!({ "name": name, "expires_in_days": days, "permissions": only });
            let made = client.post("/api/v1/tokens", &body).await?;
            if client.json {
                show::value(&made)
            } else {
                out::line(made["token"].as_str().unwrap_or_default())
            }
        }
        TokenCommand::Revoke { id } => {
            client
                .send_json("DELETE", &format!("/api/v1/tokens/{id}"), None)
                .await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Args)]
pub struct JoinArgs {
    /// How long it is good for
    #[arg(long, default_value = "1h")]
    ttl: String,
    /// Hosts that may join with it
    #[arg(long, default_value_t = 1)]
    uses: u32,
}

pub async fn join(client: &Client, args: &JoinArgs) -> Result<ExitCode> {
    let ttl_ms = show::duration_ms("--ttl", &args.ttl)?;
    let made = client
        .post(
            "/api/v1/join-tokens",
            &json!({ "ttl_s": ttl_ms / 1000, "uses": args.uses }),
        )
        .await?;
    if client.json {
        show::value(&made);
    } else {
        out::line(made["command"].as_str().unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}
