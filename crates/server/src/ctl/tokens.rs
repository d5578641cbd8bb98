//! `ctl tokens` and `ctl join-token`.

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::Client;
use super::show;
use crate::out;

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// API tokens, without their secrets
    List,
    /// Create a token for yourself; it is shown once
    Create {
        name: String,
        /// Expires in (days)
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// Scope: limit it to permissions, repeatable: incidents.read, metrics.*
        #[arg(long = "scope", alias = "only")]
        permissions: Vec<String>,
    },
    /// Revoke a token
    Revoke { id: String },
}

pub async fn tokens(client: &Client, command: &TokenCommand) -> Result<ExitCode> {
    match command {
        TokenCommand::List => {
            let mut items = client.list("/api/v1/tokens", &[], 1000).await?;
            if !client.json {
                name_owners(client, &mut items).await;
            }
            let columns = [
                ("NAME", "name"),
                ("OWNER", "owner"),
                ("EXPIRES", "expires_at"),
                ("LAST USED", "used_at"),
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
    /// Time until the token expires
    #[arg(long, default_value = "1h")]
    ttl: String,
    /// Max uses: hosts that may join with it
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
    // A server from before this address has no answer; the command stands either way.
    if let Ok(address) = client.get("/api/v1/address", &[]).await
        && address["is_loopback"] == true
    {
        out::complain(format_args!(
            "warning: the command names {}, which other machines cannot reach. {}",
            show::cell(&address, "public_url"),
            crate::address::FIX
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Owners by name, as far as the caller may see people and service accounts.
async fn name_owners(client: &Client, tokens: &mut [Value]) {
    let mut names = HashMap::new();
    for path in ["/api/v1/people", "/api/v1/service-accounts"] {
        for owner in client.list(path, &[], 10_000).await.unwrap_or_default() {
            names.insert(show::cell(&owner, "id"), owner["name"].clone());
        }
    }
    for token in tokens {
        if let Some(name) = names.get(&show::cell(token, "owner")) {
            token["owner"] = name.clone();
        }
    }
}
