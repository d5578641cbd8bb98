//! `ctl runbooks`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::Subcommand;
use serde_json::json;

use super::client::Client;
use super::show;
use crate::out;

#[derive(Debug, Subcommand)]
pub enum RunbookCommand {
    /// Runbooks, by name
    List,
    /// Print the source of a runbook
    Show { runbook: String },
    /// Validate files without saving them
    Check { files: Vec<PathBuf> },
    /// Apply files: create new runbooks, update those of the same name
    Apply { files: Vec<PathBuf> },
}

pub async fn runbooks(client: &Client, command: &RunbookCommand) -> Result<ExitCode> {
    match command {
        RunbookCommand::List => {
            let items = client.list("/api/v1/runbooks", &[], 5000).await?;
            let columns = [
                ("NAME", "name"),
                ("RISK", "risk"),
                ("VERSION", "version"),
                ("CHANGED BY", "updated_by"),
                ("ID", "id"),
            ];
            show::rows(client, &items, &columns);
        }
        RunbookCommand::Show { runbook } => {
            let id = find(client, runbook).await?;
            let found = client.get(&format!("/api/v1/runbooks/{id}"), &[]).await?;
            if client.json {
                show::value(&found)
            } else {
                out::line(found["text"].as_str().unwrap_or_default().trim_end())
            }
        }
        RunbookCommand::Check { files } => return check(files),
        RunbookCommand::Apply { files } => apply(client, files).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the files here: no server is needed to check them.
fn check(files: &[PathBuf]) -> Result<ExitCode> {
    let mut is_good = true;
    for file in files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        match automation::parse_document(&text) {
            Ok(document) => out::line(format_args!(
                "{}: {} ({} steps)",
                file.display(),
                document.name,
                document.steps.len()
            )),
            Err(errors) => {
                is_good = false;
                for error in errors {
                    out::complain(format_args!(
                        "{}:{}:{}: {}",
                        file.display(),
                        error.line,
                        error.column,
                        error.message
                    ));
                }
            }
        }
    }
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

async fn apply(client: &Client, files: &[PathBuf]) -> Result<()> {
    let known = client.list("/api/v1/runbooks", &[], 5000).await?;
    for file in files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let document = automation::parse_document(&text).map_err(|errors| {
            anyhow!(
                "{}: {}",
                file.display(),
                errors
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; ")
            )
        })?;
        let before = known
            .iter()
            .find(|runbook| runbook["name"] == document.name.as_str());
        let (word, kept) = match before {
            Some(before) if before["text"] == text.as_str() => ("unchanged", before.clone()),
            Some(before) => {
                let body = json!({ "text": text, "version": before["version"] });
                let path = format!("/api/v1/runbooks/{}", show::cell(before, "id"));
                ("updated", client.send_json("PUT", &path, Some(&body)).await?)
            }
            None => (
                "created",
                client.post("/api/v1/runbooks", &json!({ "text": text })).await?,
            ),
        };
        out::line(format_args!(
            "{}: {word} ({})",
            show::cell(&kept, "name"),
            show::cell(&kept, "id")
        ));
    }
    Ok(())
}

/// The id of a runbook that is named by its name or id.
pub async fn find(client: &Client, wanted: &str) -> Result<String> {
    if wanted.starts_with("rbk_") {
        return Ok(wanted.to_owned());
    }
    let runbooks = client.list("/api/v1/runbooks", &[], 5000).await?;
    let found = runbooks.iter().find(|runbook| runbook["name"] == wanted);
    found
        .and_then(|runbook| runbook["id"].as_str().map(str::to_owned))
        .ok_or_else(|| {
            anyhow!("there is no runbook \"{wanted}\"; list them with: mainstay ctl runbooks list")
        })
}
