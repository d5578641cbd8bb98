//! `ctl run`, which follows a run with the output of its commands, and `ctl runs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use super::client::Client;
use super::runbooks::find;
use super::show;
use crate::out;

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Name or id of the runbook
    runbook: String,
    /// name=value, repeatable
    #[arg(long = "input", short)]
    inputs: Vec<String>,
    /// Selector of the targets
    #[arg(long)]
    targets: Option<String>,
    /// Number or id of the incident
    #[arg(long)]
    incident: Option<String>,
    /// Show what would be done without doing it
    #[arg(long)]
    dry_run: bool,
    /// Start the run and return without waiting
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
                .ok_or_else(|| anyhow!("\"{text}\" is not an input; use name=value"))
        })
        .collect::<Result<_>>()?;
    let incident = match &args.incident {
        Some(incident) => Some(super::incidents::find(client, incident).await?),
        None => None,
    };
    let body = json!({
        "inputs": inputs, "targets": args.targets, "incident_id": incident, "dry_run": args.dry_run,
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

/// Commands whose output is shown at a time; the others come after them.
const SHOWN_AT_ONCE: usize = 16;
/// What is written after the end of a run is waited for so long.
const LAST_OUTPUT: Duration = Duration::from_secs(10);

/// Shows the run as it goes. The exit code tells how it ended: 0 well, 2 not.
async fn follow(client: &Client, id: &str) -> Result<ExitCode> {
    let mut story = Story::default();
    let mut events = client.events(&format!("/api/v1/runs/{id}/stream"), &[]).await?;
    let mut outputs = FuturesUnordered::new();
    loop {
        while outputs.len() < SHOWN_AT_ONCE
            && let Some((command, target)) = story.commands.pop_front()
        {
            outputs.push(show_output(client, command, target));
        }
        tokio::select! {
            event = events.next() => match event? {
                Some((_, data)) => story.tell(serde_json::from_str(&data)?, client.json),
                None => break,
            },
            Some(()) = outputs.next(), if !outputs.is_empty() => {}
        }
    }
    let rest = async {
        while let Some(()) = outputs.next().await {
            if let Some((command, target)) = story.commands.pop_front() {
                outputs.push(show_output(client, command, target));
            }
        }
    };
    let _ = tokio::time::timeout(LAST_OUTPUT, rest).await;
    let run = &story.run;
    if client.json {
        show::value(run);
    } else {
        let (state, note) = (show::cell(run, "state"), run["note"].as_str().unwrap_or_default());
        out::line(format!("{id} {state} {note}").trim_end());
    }
    Ok(match run["state"].as_str() {
        Some("succeeded") => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    })
}

/// What of a run has been told.
#[derive(Default)]
struct Story {
    run: Value,
    tasks: BTreeMap<String, String>,
    seen: BTreeSet<String>,
    /// Commands whose output is still to be shown: id and target.
    commands: VecDeque<(String, String)>,
    waits: String,
}

impl Story {
    fn tell(&mut self, run: Value, is_json: bool) {
        self.run = run;
        if is_json {
            return;
        }
        let run = &self.run;
        for task in run["tasks"].as_array().into_iter().flatten() {
            let (target, state) = (show::cell(task, "target"), show::cell(task, "state"));
            if let Some(command) = task["command_id"].as_str()
                && self.seen.insert(command.to_owned())
            {
                self.commands.push_back((command.to_owned(), target.clone()));
            }
            let key = format!("{}/{}", task["step"], task["item_id"]);
            if self.tasks.insert(key, state.clone()).as_ref() != Some(&state) {
                let step = task["step"].as_u64().and_then(|n| usize::try_from(n).ok());
                let name = show::cell(&run["steps"][step.unwrap_or(0)], "name");
                let note = task["note"].as_str().unwrap_or_default();
                out::line(format!("{name}  {target}  {state}  {note}").trim_end());
            }
        }
        let waits = waits_for(run).unwrap_or_default();
        if waits != self.waits && !waits.is_empty() {
            out::line(&waits);
        }
        self.waits = waits;
    }
}

/// Whose answer a run waits for, and how to give it.
fn waits_for(run: &Value) -> Option<String> {
    let id = run["id"].as_str()?;
    let note = run["note"].as_str().map(|note| format!(": {note}"));
    let note = note.unwrap_or_default();
    match run["state"].as_str()? {
        "awaiting_person" => Some(format!(
            "awaiting approval{note}\n  mainstay ctl runs approve {id}\n  mainstay ctl runs reject {id}"
        )),
        "awaiting_approval" => {
            let change = run["change_id"].as_str().unwrap_or("-");
            Some(format!(
                "awaiting approval of its change{note}\n  mainstay ctl changes approve {change}\n  mainstay ctl changes reject {change}"
            ))
        }
        _ => None,
    }
}

/// Prints the output of a command as it comes, each line with its target.
async fn show_output(client: &Client, command: String, target: String) {
    let shown = async {
        let path = format!("/api/v1/commands/{command}/output");
        let mut events = client.events(&path, &[]).await?;
        let mut lines = Lines::default();
        while let Some((event, data)) = events.next().await? {
            if event == "output" {
                let piece: Value = serde_json::from_str(&data)?;
                let stream = piece["stream"].as_str().unwrap_or_default();
                for line in lines.add(stream, piece["text"].as_str().unwrap_or_default()) {
                    out::line(format_args!("{target} | {line}"));
                }
            }
        }
        for line in lines.end() {
            out::line(format_args!("{target} | {line}"));
        }
        anyhow::Ok(())
    };
    if let Err(error) = shown.await {
        out::complain(format_args!("{target}: the output cannot be shown: {error:#}"));
    }
}

/// Whole lines out of pieces, each stream on its own.
#[derive(Default)]
struct Lines(BTreeMap<String, String>);

impl Lines {
    fn add(&mut self, stream: &str, text: &str) -> Vec<String> {
        let rest = self.0.entry(stream.to_owned()).or_default();
        rest.push_str(text);
        let Some(end) = rest.rfind('\n') else {
            return Vec::new();
        };
        let whole: String = rest.drain(..=end).collect();
        whole.lines().map(str::to_owned).collect()
    }

    fn end(self) -> impl Iterator<Item = String> {
        self.0.into_values().filter(|rest| !rest.is_empty())
    }
}

#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Runs, newest first
    List,
    /// Show a run and its tasks
    Show { run: String },
    /// Follow a run until it ends
    Follow { run: String },
    /// Approve a run that awaits approval; it continues
    Approve { run: String },
    /// Reject a run that awaits approval; it ends
    Reject { run: String },
    /// Cancel a run: stop running commands, start no more
    Cancel { run: String },
}

pub async fn runs(client: &Client, command: Option<&RunsCommand>) -> Result<ExitCode> {
    let (run, verb) = match command {
        None | Some(RunsCommand::List) => return list(client).await,
        Some(RunsCommand::Show { run }) => {
            let run = client.get(&format!("/api/v1/runs/{}", id(run)?), &[]).await?;
            if client.json {
                show::value(&run);
            } else {
                out::line(format_args!(
                    "{}  {}  {}",
                    show::cell(&run, "runbook"),
                    show::cell(&run, "state"),
                    show::cell(&run, "note")
                ));
                Story::default().tell(run, false);
            }
            return Ok(ExitCode::SUCCESS);
        }
        Some(RunsCommand::Follow { run }) => return follow(client, id(run)?).await,
        Some(RunsCommand::Approve { run }) => (run, "approve"),
        Some(RunsCommand::Reject { run }) => (run, "reject"),
        Some(RunsCommand::Cancel { run }) => (run, "cancel"),
    };
    let done = client
        .send_json("POST", &format!("/api/v1/runs/{}/{verb}", id(run)?), None)
        .await?;
    if client.json {
        show::value(&done);
    } else {
        let (name, state) = (show::cell(&done, "runbook"), show::cell(&done, "state"));
        out::line(format_args!("{name} is {state}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn id(text: &str) -> Result<&str> {
    if text.starts_with("run_") {
        Ok(text)
    } else {
        bail!("\"{text}\" is not the id of a run; list runs with: mainstay ctl runs")
    }
}

async fn list(client: &Client) -> Result<ExitCode> {
    let runs = client.list("/api/v1/runs", &[], 200).await?;
    let columns = [
        ("STATE", "state"),
        ("RUNBOOK", "runbook"),
        ("BY", "requested_by"),
        ("AT", "requested_at"),
        ("ID", "id"),
    ];
    show::rows(client, &runs, &columns);
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines() {
        let mut lines = Lines::default();
        assert_eq!(lines.add("stdout", "one\ntw"), ["one"]);
        assert_eq!(lines.add("stderr", "err\n"), ["err"]);
        assert_eq!(lines.add("stdout", "o\nthree"), ["two"]);
        assert_eq!(lines.end().collect::<Vec<_>>(), ["three"]);
    }

    #[test]
    fn a_waiting_run_says_how_to_answer() {
        let run = json!({ "id": "run_1", "state": "awaiting_person", "note": "Go on?" });
        let text = waits_for(&run).unwrap();
        assert!(
            text.contains("Go on?") && text.contains("ctl runs approve run_1"),
            "{text}"
        );
        let run = json!({ "id": "run_1", "state": "awaiting_approval", "change_id": "chg_2", "note": null });
        assert!(waits_for(&run).unwrap().contains("ctl changes approve chg_2"));
        assert_eq!(waits_for(&json!({ "id": "run_1", "state": "running" })), None);
    }
}
