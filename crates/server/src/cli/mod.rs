//! The command line: what it takes, and how it ends.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::{agent_cmd, ctl, demo, out, snapshot, up};

/// IT operations in one binary: server, agent and command line.
#[derive(Debug, Parser)]
#[command(
    name = "mainstay",
    version,
    about,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server with an agent for this machine, on embedded storage
    Up(ServerArgs),
    /// Start the server without an agent
    Server(ServerArgs),
    /// Run a demonstration: a simulated fleet on temporary data
    Demo(demo::DemoArgs),
    /// Enrol or run the agent of this machine
    #[command(subcommand)]
    Agent(agent_cmd::AgentCommand),
    /// Command line client of a running server
    Ctl(ctl::CtlArgs),
    /// Restore a snapshot into a data folder; the server must be stopped
    Restore(snapshot::RestoreArgs),
    /// Print the OpenAPI description of the HTTP API
    Openapi,
    /// Print a shell completion script
    Completions { shell: clap_complete::Shell },
    /// Print the manual page, or write one for each command
    Man {
        /// Folder for the pages
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// How to start the server.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// Data folder
    #[arg(long, env = "MAINSTAY_DATA", default_value = "data")]
    pub data: PathBuf,
    /// Address and port of the web UI and the API
    #[arg(long, env = "MAINSTAY_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Address and port for agents [default: one port above --listen]
    #[arg(long)]
    pub agent_listen: Option<SocketAddr>,
    /// Public URL: the address that people and agents use, in links and join commands
    #[arg(long)]
    pub public_url: Option<String>,
    /// Configuration file [default: mainstay.toml in the data folder, when there is one]
    #[arg(long, env = "MAINSTAY_CONFIG")]
    pub config: Option<PathBuf>,
    /// PostgreSQL instead of SQLite: postgres://user@host/name
    #[arg(long)]
    pub database_url: Option<String>,
    /// Write an administrator's API token to this file, for scripts
    #[arg(long)]
    pub admin_token_file: Option<PathBuf>,
}

/// Does what was asked.
pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Up(args) => block_on(up::run(args, true)),
        Command::Server(args) => block_on(up::run(args, false)),
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Agent(command) => agent_cmd::run(command),
        Command::Ctl(args) => block_on(ctl::run(args)),
        Command::Restore(args) => snapshot::restore(&args),
        Command::Openapi => block_on(up::print_openapi()),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "mainstay", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { out: Some(folder) } => {
            std::fs::create_dir_all(&folder)?;
            clap_mangen::generate_to(Cli::command(), folder)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { out: None } => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            out::line(String::from_utf8_lossy(&page).trim_end());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn block_on(future: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(64)
        .build()?;
    let result = runtime.block_on(future);
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    result
}

/// 1 for a failure, 3 when the server is not reached, 4 when it refuses, 5 when a thing is not there.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    error
        .downcast_ref::<ctl::CtlError>()
        .map_or(1, ctl::CtlError::exit_code)
}
