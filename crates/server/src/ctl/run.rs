//! `ctl run` and `ctl runbooks`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::Client;
use super::show;
use crate::out;

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Name or id of the runbook
    runbook: String,
    /// name=value, as often as needed
    #[arg(long = "input", short)]
    inputs: Vec<String>,
    /// Selector of the targets
    #[arg(long)]
    targets: Option<String>,
    /// The incident that it is for
    #[arg(long)]
    incident: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not wait for the end
    #[arg(long)]
    detach: bool,
}

pub async fn run(client: &Client, args: &RunArgs) -> Result<ExitCode> {
    let id = find(client, &args.runbook).await?;
    let inputs: BTreeMap<&str, &str> = args
        .inputs
        .iter()
        .map(|text| {
            text.split_once('=')
                .ok_or_else(|| anyhow!("\"{text}\" is no input; write name=value"))
        })
        .collect::<Result<_>>()?;
    let body = json!({
        "inputs": inputs, "targets": args.targets, "incident_id": args.incident, "dry_run": args.dry_run,
    });
    let run = client.post(&format!("/api/v1/runbooks/{id}/runs"), &body).await?;
    let id = run["id"].as_str().unwrap_or_default().to_owned();
    if args.detach {
        if client.json {
            show::value(&run)
        } else {
            out::line(&id)
        }
        return Ok(ExitCode::SUCCESS);
    }
    follow(client, &id).await
}

/// Shows each task as it ends. The exit code tells how the run ended: 0 well, 2 not.
async fn follow(client: &Client, id: &str) -> Result<ExitCode> {
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    let mut last = Value::Null;
    let json = client.json;
    client
        .stream(&format!("/api/v1/runs/{id}/stream"), &[], |_, data| {
            last = serde_json::from_str(data).unwrap_or(Value::Null);
            if !json {
                tell(&last, &mut told);
            }
            true
        })
        .await?;
    if json {
        show::value(&last);
    } else {
        out::line(format_args!(
            "{id} {} {}",
            show::cell(&last, "state"),
            show::cell(&last, "note")
        ));
    }
    let is_good = last["state"] == "succeeded";
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

fn tell(run: &Value, told: &mut BTreeMap<String, String>) {
    for task in run["tasks"].as_array().into_iter().flatten() {
        let key = format!("{}/{}", task["step"], task["item_id"]);
        let state = show::cell(task, "state");
        if told.insert(key, state.clone()).as_ref() != Some(&state) {
            let step = task["step"]
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(0);
            let name = show::cell(&run["steps"][step], "name");
            let note = task["note"].as_str().unwrap_or_default();
            out::line(
                format_args!("{name}  {}  {state}  {note}", show::cell(task, "target"))
                    .to_string()
                    .trim_end(),
            );
        }
    }
}

async fn find(client: &Client, wanted: &str) -> Result<String> {
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

#[derive(Debug, Subcommand)]
pub enum RunbookCommand {
    /// Runbooks, by name
    List,
    /// Print the document of a runbook
    Show { runbook: String },
    /// Check files; nothing is kept
    Check { files: Vec<PathBuf> },
    /// Keep files: adds new runbooks, changes those of the same name
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
            Some(before) if before["text"] == text.as_str() => ("as it was", before.clone()),
            Some(before) => {
                let body = json!({ "text": text, "version": before["version"] });
                let path = format!("/api/v1/runbooks/{}", show::cell(before, "id"));
                ("changed", client.send_json("PUT", &path, Some(&body)).await?)
            }
            None => (
                "added",
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
