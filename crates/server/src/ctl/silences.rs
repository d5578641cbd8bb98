//! `ctl silence`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Subcommand;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::client::Client;
use super::show;

#[derive(Debug, Subcommand)]
pub enum SilenceCommand {
    /// Active and pending silences
    List,
    /// Silence matching alerts: `ctl silence add alertname=DiskFull instance=~web-.* --for 2h --comment '…'`
    Add {
        /// label=value, label!=value, label=~regex or label!~regex
        #[arg(required = true)]
        matchers: Vec<String>,
        #[arg(long = "for", default_value = "1h")]
        duration: String,
        #[arg(long)]
        comment: String,
    },
    /// End a silence now
    Remove { id: String },
}

pub async fn silences(client: &Client, command: &SilenceCommand) -> Result<ExitCode> {
    match command {
        SilenceCommand::List => {
            let mut items = client.list("/api/v1/silences", &[], 500).await?;
            if !client.json {
                for item in &mut items {
                    let matchers = item["matchers"].as_array().map_or(&[][..], Vec::as_slice);
                    let texts: Vec<String> = matchers.iter().map(written).collect();
                    item["matchers"] = json!(texts.join(" "));
                }
            }
            let columns = [
                ("STATE", "phase"),
                ("MATCHERS", "matchers"),
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
            let length = show::duration_ms("--for", duration)?;
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

/// `instance="web-1"`
fn written(matcher: &Value) -> String {
    let field = |name: &str| matcher[name].as_str().unwrap_or("?").to_owned();
    format!("{}{}{}", field("name"), field("op"), matcher["value"])
}

fn matcher(text: &str) -> Result<Value> {
    for op in ["=~", "!~", "!=", "="] {
        if let Some((label, value)) = text.split_once(op) {
            return Ok(json!({ "name": label, "op": op, "value": value }));
        }
    }
    bail!("\"{text}\" is not a matcher; use label=value, label!=value, label=~regex or label!~regex")
}
