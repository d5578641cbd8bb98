//! `mainstay agent …`, and the agent that `mainstay up` keeps running beside the server.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Subcommand;
use tokio_util::sync::CancellationToken;

use crate::out;

#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Enrol this machine with a join token and keep its certificate
    Join {
        /// The token that the server gave out. Better on standard input (when it is absent or `-`) or in the environment: on the
        /// command line every user of the machine can read it
        #[arg(env = "MAINSTAY_JOIN_TOKEN", hide_env_values = true)]
        token: Option<String>,
        /// Where the agent keeps its key, spool and journals
        #[arg(long, default_value = "/var/lib/mainstay-agent")]
        state: PathBuf,
    },
    /// Watch this machine and do what the server asks
    Run {
        #[arg(long, default_value = "/var/lib/mainstay-agent")]
        state: PathBuf,
        /// Joins with this token when the machine has not joined yet. Better in the environment than on the command line
        #[arg(long, env = "MAINSTAY_JOIN_TOKEN", hide_env_values = true)]
        token: Option<String>,
        /// Where the root of the host to watch is mounted, for an agent in a container: its `/proc`, `/sys` and files are read there
        #[arg(long, env = "MAINSTAY_AGENT_ROOT")]
        root: Option<PathBuf>,
        /// Ends when the process that started it ends
        #[arg(long, hide = true)]
        with_parent: bool,
        /// `error`, `warn`, `info`, `debug`
        #[arg(long, default_value = "info", env = "MAINSTAY_AGENT_LOG")]
        log: String,
    },
}

pub fn run(command: AgentCommand) -> Result<ExitCode> {
    // Two threads are enough, and each costs memory on every host.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .build()?;
    match command {
        AgentCommand::Join { token, state } => {
            let token = match token.filter(|token| token != "-") {
                Some(token) => token,
                None => read_token()?,
            };
            runtime
                .block_on(agent::join(&token, &state))
                .context("joining failed")?;
            out::line(format_args!(
                "Joined. Start the agent with: mainstay agent run --state {}",
                state.display()
            ));
        }
        AgentCommand::Run {
            state,
            token,
            root,
            with_parent,
            log,
        } => {
            let filter = tracing_subscriber::EnvFilter::try_new(&log).unwrap_or_default();
            let _ = tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(std::io::stderr)
                .with_ansi(false)
                .try_init();
            if with_parent {
                rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
            }
            let stop = CancellationToken::new();
            let options = agent::Options {
                token,
                version: env!("CARGO_PKG_VERSION").into(),
                ..agent::Options::new(state)
            };
            let options = match root {
                Some(root) => options.watching(&root),
                None => options,
            };
            runtime.block_on(async {
                let signals = async {
                    wait_for_signal().await;
                    stop.cancel();
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    result = agent::run(options, stop.clone()) => result.context("the agent ended"),
                    () = signals => Ok(()),
                }
            })?;
        }
    }
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(ExitCode::SUCCESS)
}

/// The first line of standard input.
fn read_token() -> Result<String> {
    let mut line = String::new();
    BufReader::new(std::io::stdin().take(MOST_TOKEN_BYTES))
        .read_line(&mut line)
        .context("the token could not be read from standard input")?;
    let token = line.trim().to_owned();
    anyhow::ensure!(!token.is_empty(), "give the join token on standard input");
    Ok(token)
}

/// Longer texts are no tokens.
const MOST_TOKEN_BYTES: u64 = 16 * 1024;

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Keeps an agent process running beside the server until it stops. A process of its own: it can be watched, limited and killed alone.
pub async fn keep_child(state: &Path, token: &str, stop: CancellationToken) {
    let mut pause = Duration::from_millis(200);
    while !stop.is_cancelled() {
        let started = std::time::Instant::now();
        match child(state, token).spawn() {
            Ok(mut child) => {
                tokio::select! {
                    status = child.wait() => tracing::warn!(?status, "the local agent ended; it starts again"),
                    () = stop.cancelled() => {
                        end(&mut child).await;
                        return;
                    }
                }
            }
            Err(error) => tracing::error!(%error, "the local agent does not start"),
        }
        if started.elapsed() > Duration::from_secs(30) {
            pause = Duration::from_millis(200);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

fn child(state: &Path, token: &str) -> tokio::process::Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "mainstay".into());
    let mut command = tokio::process::Command::new(program);
    command
        .args(["agent", "run", "--with-parent", "--log", "warn", "--state"])
        .arg(state);
    // In the environment, so that it shows in no process list.
    command
        .env("MAINSTAY_JOIN_TOKEN", token)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn end(child: &mut tokio::process::Child) {
    if let Some(pid) = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(Duration::from_secs(3), child.wait())
        .await
        .is_err()
    {
        let _ = child.kill().await;
    }
}
