//! Starting and stopping the server, with or without an agent for this machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kernel::db::{DbOptions, Past};
use kernel::secret::{SecretError, Secrets};
use kernel::{Clock, Db, Kernel};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::ServerArgs;
use crate::data::{DataDir, write_private};
use crate::edge::{self, Limits};
use crate::settings::Settings;
use crate::wire::Wired;
use crate::{agent_cmd, out, slices, wire};

/// Requests that are under way at the end may finish for this long.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long a client may take to say what it wants.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may wait for its next request.
const IDLE: Duration = Duration::from_secs(75);

/// Runs until a signal comes.
pub async fn run(args: ServerArgs, with_agent: bool) -> Result<ExitCode> {
    let started = std::time::Instant::now();
    let data = DataDir::open(&args.data)?;
    let settings = effective(&args, data.root())?;
    start_log(&settings.server.log)?;
    edge::raise_open_files();
    let http = bind(settings.server.listen, "the web page and the API").await?;
    let agents = bind(settings.server.agent_listen(), "agents").await?;
    let address = http.local_addr()?;
    let kernel = open_kernel(&settings, &data, Clock::System).await?;
    let mut wired = wire::wire(
        &kernel,
        &settings,
        data.root(),
        public_url(&settings, address),
        agents.local_addr()?,
    )
    .await?;
    wire::start(&kernel, &mut wired).await?;
    let fleet = wired.handles.fleet.clone();
    kernel::task::spawn(&kernel, "fleet.listen", async move { fleet.run(agents).await });
    announce(&wired, &args, &settings, address, started.elapsed()).await?;
    let agent = if with_agent {
        Some(start_agent(&kernel, &wired, &data).await?)
    } else {
        None
    };
    let limits = limits(&settings);
    serve(&kernel, http, wired.router.clone(), limits).await;
    if let Some(agent) = agent {
        let _ = tokio::time::timeout(GRACE, agent).await;
    }
    kernel.close(GRACE).await;
    Ok(ExitCode::SUCCESS)
}

fn effective(args: &ServerArgs, data: &Path) -> Result<Settings> {
    let mut settings = Settings::load(args.config.as_deref(), data)?;
    if let Some(listen) = args.listen {
        settings.server.listen = listen;
    }
    if args.agent_listen.is_some() {
        settings.server.agent_listen = args.agent_listen;
    }
    if args.public_url.is_some() {
        settings.server.public_url.clone_from(&args.public_url);
    }
    if args.database_url.is_some() {
        settings.database.url.clone_from(&args.database_url);
    }
    if let Some(url) = &settings.server.public_url {
        check_public_url(url)?;
    }
    Ok(settings)
}

/// Links and join commands begin with it.
fn check_public_url(text: &str) -> Result<()> {
    let parsed = reqwest::Url::parse(text).ok();
    if parsed.as_ref().is_some_and(|url| !matches!(url.path(), "" | "/")) {
        bail!(
            "the public address \"{text}\" has a path, under which the web page cannot be served; give Mainstay a host name of \
             its own, for example https://mainstay.example.org (--public-url, or `public_url` under [server])"
        );
    }
    let is_good = parsed.is_some_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if !is_good {
        bail!(
            "the public address \"{text}\" is no web address; write for example https://ops.example.org \
             (--public-url, or `public_url` under [server])"
        );
    }
    Ok(())
}

pub fn start_log(filter: &str) -> Result<()> {
    // What PostgreSQL notices and SQLx counts is for those who ask: `server.log = "info,sqlx=info"`.
    let filter =
        tracing_subscriber::EnvFilter::try_new(format!("sqlx=warn,{filter}")).with_context(|| {
            format!("`server.log` is \"{filter}\"; write for example info, or info,fleet=debug")
        })?;
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .try_init();
    Ok(())
}

pub async fn bind(address: SocketAddr, what: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address} for {what}; is another program there? choose another port with --listen")
    })
}

pub async fn open_kernel(settings: &Settings, data: &DataDir, clock: Clock) -> Result<Kernel> {
    let options = match &settings.database.url {
        Some(url) => DbOptions::postgres(url),
        None => DbOptions::sqlite(&data.database()),
    };
    let known = Secrets::open_existing(&data.master_key())?;
    if settings.database.url.is_none() && known.is_some() && !data.has_database() {
        bail!(
            "the database {} is missing or empty, but this data folder has been used: it has a master key. Put the database \
             back, restore a snapshot into another folder with `mainstay restore`, or choose an empty folder with --data",
            data.database().display()
        );
    }
    let patience = Duration::from_secs(u64::from(settings.database.wait_s));
    let db = Db::open_when_up(&options, clock.clone(), patience).await?;
    match db.past().await.map_err(|error| error.at(&options))? {
        Past::None if known.is_some() => bail!(
            "the database is empty, but the data folder {} has been used: it has a master key. Check the database's address, \
             restore the database, or choose an empty folder with --data",
            data.root().display()
        ),
        Past::Used if known.is_none() => {
            let path = data.master_key();
            return Err(SecretError::Missing { path }.into());
        }
        _ => {}
    }
    db.migrate(slices::SCHEMA)
        .await
        .map_err(|error| error.at(&options))?;
    let latest_us = kernel::event::store::latest_at(&mut *db.read().await?).await?;
    kernel::id::start_after(kernel::clock::from_micros(latest_us));
    let secrets = Secrets::open_or_create(&data.master_key())?;
    Ok(Kernel {
        db,
        clock,
        secrets,
        metrics: Default::default(),
        stop: CancellationToken::new(),
        tasks: Default::default(),
    })
}

/// What links and join commands say: the setting, or the address that is listened on.
fn public_url(settings: &Settings, address: SocketAddr) -> String {
    let given = settings.server.public_url.clone();
    given
        .unwrap_or_else(|| format!("http://{}", reachable(address)))
        .trim_end_matches('/')
        .to_owned()
}

pub fn reachable(address: SocketAddr) -> String {
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{name}:{}", address.port())
}

async fn announce(
    wired: &Wired,
    args: &ServerArgs,
    settings: &Settings,
    address: SocketAddr,
    took: Duration,
) -> Result<()> {
    let base = public_url(settings, address);
    if let Some(file) = &args.admin_token_file {
        admin_token(wired, file).await?;
    }
    out::line(format_args!(
        "Mainstay is up at {base} (started in {} ms)",
        took.as_millis()
    ));
    if crate::address::PublicAddress::of(&base).is_loopback && settings.server.public_url.is_none() {
        out::line(format_args!(
            "This address works on this machine only. {}",
            crate::address::FIX
        ));
    }
    if let Some(token) = wired.handles.access.setup_link_token().await? {
        out::line("Create the first administrator here; the link works once:");
        out::line(format_args!("  {base}/setup?token={token}"));
    }
    Ok(())
}

/// Keeps a token that still works; else makes one.
async fn admin_token(wired: &Wired, file: &PathBuf) -> Result<()> {
    if let Ok(text) = std::fs::read_to_string(file)
        && wired.handles.access.is_good_token(text.trim()).await?
    {
        return Ok(());
    }
    let token = wired.handles.access.bootstrap_token().await?;
    write_private(file, &format!("{token}\n"))
}

async fn start_agent(kernel: &Kernel, wired: &Wired, data: &DataDir) -> Result<tokio::task::JoinHandle<()>> {
    let token = wired.handles.fleet.local_join_token().await?;
    let state = data.agent();
    let stop = kernel.stop.clone();
    Ok(kernel::task::spawn(kernel, "agent.local", async move {
        agent_cmd::keep_child(&state, &token, stop).await;
    }))
}

/// What clients of the page and the API may take.
pub fn limits(settings: &Settings) -> Limits {
    Limits {
        connections: settings.server.max_connections.max(1),
        proxies: settings.access.trusted_proxies.clone(),
        head: HEAD,
        idle: IDLE,
        grace: GRACE,
    }
}

pub async fn serve(kernel: &Kernel, listener: TcpListener, router: axum::Router, limits: Limits) {
    let stop = kernel.stop.clone();
    kernel::task::spawn(kernel, "signals", async move {
        tokio::select! {
            () = stop.cancelled() => return,
            () = wait_for_signal() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    edge::serve(kernel, listener, router, limits).await;
}

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

/// Prints the OpenAPI document; needs a scratch database only.
pub async fn print_openapi() -> Result<ExitCode> {
    let scratch = std::env::temp_dir().join(format!("mainstay-openapi-{}", std::process::id()));
    let data = DataDir::open(&scratch)?;
    let settings = Settings::default();
    let kernel = open_kernel(&settings, &data, Clock::System).await?;
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 8601));
    let wired = wire::wire(
        &kernel,
        &settings,
        data.root(),
        "http://127.0.0.1:8600".into(),
        nowhere,
    )
    .await?;
    let text = wired
        .openapi
        .to_pretty_json()
        .context("the OpenAPI document does not serialise")?;
    out::line(text);
    kernel.stop.cancel();
    drop(Arc::new(wired));
    let _ = std::fs::remove_dir_all(&scratch);
    Ok(ExitCode::SUCCESS)
}
