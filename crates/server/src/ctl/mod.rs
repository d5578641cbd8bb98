//! `mainstay ctl`: the command line of a running server. It uses the same HTTP interface as everybody else.

mod changes;
mod client;
mod incidents;
mod joins;
mod lists;
mod logs;
mod metrics;
mod parked;
mod run;
mod runbooks;
mod show;
mod silences;
mod tokens;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use client::Client;
pub use client::CtlError;

#[derive(Debug, Args)]
pub struct CtlArgs {
    /// Address of the server
    #[arg(
        long,
        env = "MAINSTAY_URL",
        default_value = "http://127.0.0.1:8600",
        global = true
    )]
    url: String,
    /// API token
    #[arg(long, env = "MAINSTAY_TOKEN", hide_env_values = true, global = true)]
    token: Option<String>,
    /// File with the API token
    #[arg(long, env = "MAINSTAY_TOKEN_FILE", global = true)]
    token_file: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: CtlCommand,
}

#[derive(Debug, Subcommand)]
enum CtlCommand {
    /// Hosts with agent presence and firing alerts
    Hosts,
    /// Items of the inventory: `ctl items 'kind=service on=web-1'`
    Items {
        #[arg(default_value = "")]
        selector: String,
    },
    /// Agents: presence, version, address
    Agents,
    /// Evaluate PromQL now, or over a range with --last
    Query(metrics::QueryArgs),
    /// Search log lines; --follow streams new ones
    Logs(logs::LogArgs),
    /// Active alerts, firing and pending
    Alerts,
    /// Incidents: list, show, acknowledge, assign, merge, resolve, …
    #[command(subcommand)]
    Incidents(incidents::IncidentCommand),
    /// Silences: list, add, remove
    #[command(subcommand)]
    Silence(silences::SilenceCommand),
    /// Start a runbook and follow the run until it ends
    Run(run::RunArgs),
    /// Runbooks: list, show, check, apply
    #[command(subcommand)]
    Runbooks(runbooks::RunbookCommand),
    /// Runs: list, show, follow, approve, reject, cancel
    Runs {
        #[command(subcommand)]
        command: Option<run::RunsCommand>,
    },
    /// Changes: list, approve, reject
    Changes {
        #[command(subcommand)]
        command: Option<changes::ChangeCommand>,
    },
    /// API tokens: list, create, revoke
    #[command(subcommand)]
    Tokens(tokens::TokenCommand),
    /// Create a join token and print the command for the new host
    JoinToken(tokens::JoinArgs),
    /// Machines that would take over a known host: list, approve, deny
    #[command(subcommand)]
    Joins(joins::JoinsCommand),
    /// Create a snapshot of the server's data folder
    Snapshot {
        /// Include the master key, which decrypts the secrets in it
        #[arg(long)]
        include_master_key: bool,
    },
    /// The timeline, newest first
    Events {
        /// Topic, or a prefix of it
        #[arg(long)]
        topic: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Events that a consumer failed to process: list, retry, dismiss
    #[command(subcommand)]
    ParkedEvents(parked::ParkedCommand),
    /// Send any request: `ctl api GET /api/v1/items`
    Api {
        method: String,
        path: String,
        /// JSON body
        body: Option<String>,
    },
}

pub async fn run(args: CtlArgs) -> Result<ExitCode> {
    let client = Client::new(
        &args.url,
        args.token.as_deref(),
        args.token_file.as_deref(),
        args.json,
    )?;
    match args.command {
        CtlCommand::Hosts => lists::hosts(&client).await,
        CtlCommand::Items { selector } => lists::items(&client, &selector).await,
        CtlCommand::Agents => lists::agents(&client).await,
        CtlCommand::Query(query) => metrics::query(&client, &query).await,
        CtlCommand::Logs(query) => logs::logs(&client, &query).await,
        CtlCommand::Alerts => lists::alerts(&client).await,
        CtlCommand::Incidents(command) => incidents::incidents(&client, &command).await,
        CtlCommand::Silence(command) => silences::silences(&client, &command).await,
        CtlCommand::Run(args) => run::run(&client, &args).await,
        CtlCommand::Runbooks(command) => runbooks::runbooks(&client, &command).await,
        CtlCommand::Runs { command } => run::runs(&client, command.as_ref()).await,
        CtlCommand::Changes { command } => changes::changes(&client, command.as_ref()).await,
        CtlCommand::Tokens(command) => tokens::tokens(&client, &command).await,
        CtlCommand::JoinToken(args) => tokens::join(&client, &args).await,
        CtlCommand::Joins(command) => joins::joins(&client, &command).await,
        CtlCommand::Snapshot { include_master_key } => lists::snapshot(&client, include_master_key).await,
        CtlCommand::Events { topic, limit } => lists::events(&client, topic.as_deref(), limit).await,
        CtlCommand::ParkedEvents(command) => parked::parked(&client, &command).await,
        CtlCommand::Api { method, path, body } => lists::api(&client, &method, &path, body.as_deref()).await,
    }
}
