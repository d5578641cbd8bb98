//! `mainstay demo`: the whole product with a fleet that nobody has at hand.
//!
//! Flow: a data folder that goes away at the end → the server as it always is, plus the routes of [`api`] → people, channels and
//! runbooks ([`seed`]), all a week ago → what went wrong since ([`past`]), lived through with a clock that is behind ([`relive`]) → the
//! samples and log lines of the week ([`history`]) → 40 made-up hosts ([`world`], [`host`]) that join and speak the agents'
//! protocol over TLS ([`line`], [`agent`]), write logs ([`speech`]), obey ([`act`]) and can be broken ([`fault`]).
//!
//! Nothing of it reaches a server that was not started by `mainstay demo`.

mod act;
mod agent;
mod api;
mod curve;
mod facts;
mod fault;
mod history;
mod host;
mod line;
mod past;
mod perform;
mod read;
mod relive;
mod seed;
mod show;
mod speech;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::SignedDuration;
use kernel::{Clock, Kernel, Timestamp};

use self::agent::Agent;
use self::fault::Company;
use self::line::Member;
use self::seed::Caller;
use crate::data::{DataDir, write_private};
use crate::settings::Settings;
use crate::wire::{self, Wired};
use crate::{out, up};

/// How to start the demonstration.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// Address and port of the web page and the API
    #[arg(long, default_value = "127.0.0.1:8600")]
    pub listen: SocketAddr,
    /// Address and port for agents [default: any free port of the same address]
    #[arg(long)]
    pub agent_listen: Option<SocketAddr>,
    /// Days of history, at most 8
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(0..=8))]
    pub history_days: u32,
    /// Write an administrator's API token here, for scripts
    #[arg(long)]
    pub admin_token_file: Option<PathBuf>,
    /// What is logged to standard error: `error`, `warn`, `info`, `debug`, or a filter
    #[arg(long, default_value = "warn")]
    pub log: String,
}

/// How long hosts have to join, on the busiest machine.
const JOIN: Duration = Duration::from_secs(180);

/// Runs until a signal comes.
pub async fn run(args: DemoArgs) -> Result<ExitCode> {
    let started = Instant::now();
    up::start_log(&args.log)?;
    let folder = tempfile::Builder::new()
        .prefix("mainstay-demo-")
        .tempdir()
        .context("cannot make a temporary folder")?;
    let data = DataDir::open(folder.path())?;
    let http = up::bind(args.listen, "the web page and the API").await?;
    let agent_listen = args
        .agent_listen
        .unwrap_or_else(|| SocketAddr::new(args.listen.ip(), 0));
    let agents = up::bind(agent_listen, "agents").await?;
    let mut settings = Settings::default();
    // Forty hosts and their server share this machine: one that waits its turn is not gone.
    settings.fleet.lost_after_ms = 10_000;
    let past = SignedDuration::from_hours(24 * i64::from(args.history_days));
    let kernel = up::open_kernel(&settings, &data, Clock::behind(past)).await?;
    let base = format!("http://{}", up::reachable(http.local_addr()?));
    let (company, address) = (
        Arc::new(Company::new(Clock::System.now_ms())),
        agents.local_addr()?,
    );
    let own = |_: &wire::Handles| vec![api::slice(&api::Demo::new(&kernel, &company))];
    let mut wired = wire::wire_with(&kernel, &settings, data.root(), base.clone(), address, own).await?;
    wire::start(&kernel, &mut wired).await?;
    let fleet = wired.handles.fleet.clone();
    kernel::task::spawn(&kernel, "fleet.listen", async move { fleet.run(agents).await });
    let serving = up::serve(&kernel, http, wired.router.clone(), up::limits(&settings));
    let setting_up = set_up(&kernel, &wired, &company, &args, &base, address, started);
    let result = tokio::select! {
        ((), result) = async { tokio::join!(serving, setting_up) } => result,
        () = ended_early(&kernel) => Ok(()),
    };
    kernel.close(up::GRACE).await;
    drop(wired);
    drop(data);
    folder
        .close()
        .context("the temporary folder could not be removed")?;
    result.map(|()| ExitCode::SUCCESS)
}

/// A signal while the demonstration is still being set up must not wait for that.
async fn ended_early(kernel: &Kernel) {
    kernel.stop.cancelled().await;
    tokio::time::sleep(Duration::from_secs(6)).await;
}

async fn set_up(
    kernel: &Kernel,
    wired: &Wired,
    company: &Arc<Company>,
    args: &DemoArgs,
    base: &str,
    address: SocketAddr,
    started: Instant,
) -> Result<()> {
    let outcome = fill(kernel, wired, company, args, base, address).await;
    if let Err(error) = outcome {
        // Without the fleet there is nothing to show.
        kernel.stop.cancel();
        return Err(error);
    }
    out::line(format_args!(
        "Mainstay's demonstration is up at {base} (started in {:.1} s)",
        started.elapsed().as_secs_f64()
    ));
    out::line(format_args!(
        "  sign in as {} with the password {}",
        seed::LOGIN,
        seed::PASSWORD
    ));
    out::line(format_args!(
        "  faults to trigger: GET and POST {base}/api/v1/demo/faults"
    ));
    out::line("All data is deleted on exit (Ctrl-C).");
    Ok(())
}

async fn fill(
    kernel: &Kernel,
    wired: &Wired,
    company: &Arc<Company>,
    args: &DemoArgs,
    base: &str,
    address: SocketAddr,
) -> Result<()> {
    out::complain("people, channels, rules and runbooks …");
    let token = wired.handles.access.bootstrap_token().await?;
    if let Some(file) = &args.admin_token_file {
        write_private(file, &format!("{token}\n"))?;
    }
    let caller = Caller::new(base, token)?;
    let teams = seed::plant(&wired.handles, &caller).await?;
    if args.history_days > 0 {
        out::complain("what happened since …");
        relive::week(kernel, company, &caller, &teams, args.history_days).await?;
    }
    kernel.clock.catch_up_to(Timestamp::MAX);
    let now_ms = kernel.clock.now_ms();
    if args.history_days > 0 {
        out::complain(format_args!("{} days of metrics and logs …", args.history_days));
        let (samples, lines) =
            history::write(&wired.handles.telemetry, company, args.history_days, now_ms).await?;
        tracing::info!(samples, lines, "the history is written");
    }
    seed::runbooks(&caller).await?;
    out::complain(format_args!("{} simulated hosts join …", company.hosts.len()));
    let joined = populate(kernel, wired, company, &teams, address);
    tokio::time::timeout(JOIN, joined)
        .await
        .context("the simulated hosts did not join in time")??;
    seed::runs(&caller).await
}

/// All hosts join; each works in a task of its own from then on.
async fn populate(
    kernel: &Kernel,
    wired: &Wired,
    company: &Arc<Company>,
    teams: &BTreeMap<&'static str, String>,
    address: SocketAddr,
) -> Result<()> {
    let mut tokens = BTreeMap::new();
    for (name, team) in teams {
        let hosts = company
            .hosts
            .iter()
            .filter(|host| host.spec.role.team == *name)
            .count() as i64;
        tokens.insert(
            *name,
            seed::join_token(kernel, &wired.handles, (name, team), hosts, address).await?,
        );
    }
    for host in &company.hosts {
        let token = tokens
            .get(host.spec.role.team)
            .context("a host of an unknown team")?;
        let member = Member::join(token, &host.spec.name, facts::identity(&host.spec)).await;
        let member = member.with_context(|| format!("{} did not join", host.spec.name))?;
        let agent = Agent::new(kernel, company, host, member);
        kernel::task::spawn(kernel, "demo.host", agent.run());
    }
    Ok(())
}
