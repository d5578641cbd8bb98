//! Snapshots of the data folder while the server runs, and putting one back.
//!
//! A snapshot is a folder: the database, the metric and log stores, the master key and a manifest with the checksum of every file.
//! It is complete once the manifest is there; `restore` checks every file against it before it touches anything.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use axum::extract::State;
use clap::Args;
use kernel::db::Kind;
use kernel::http::Json;
use kernel::slice::roles;
use kernel::{Actor, Allow, Endpoint, Kernel, NewEvent, Problem, Slice};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use telemetry::Telemetry;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::out;

const PERMISSIONS: &[Endpoint] = &[
    Endpoint {
        method: "GET",
        path: "/api/v1/snapshots",
        allow: Allow::Permission("snapshots.read", roles::ADMINISTER),
    },
    Endpoint {
        method: "POST",
        path: "/api/v1/snapshots",
        allow: Allow::Permission("snapshots.create", roles::ADMINISTER),
    },
];

const MANIFEST: &str = "manifest.json";

#[derive(Clone)]
struct Snapshots {
    kernel: Kernel,
    telemetry: Telemetry,
    data: PathBuf,
    one_at_a_time: std::sync::Arc<tokio::sync::Mutex<()>>,
}

pub fn slice(kernel: &Kernel, telemetry: &Telemetry, data: PathBuf) -> Slice {
    let state = Snapshots {
        kernel: kernel.clone(),
        telemetry: telemetry.clone(),
        data,
        one_at_a_time: Default::default(),
    };
    Slice {
        routes: OpenApiRouter::new()
            .routes(routes!(list_snapshots, create_snapshot))
            .with_state(state),
        permissions: PERMISSIONS,
        ..Slice::named("snapshot")
    }
}

/// What is in a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    #[schema(value_type = String, format = DateTime)]
    pub made_at: kernel::Timestamp,
    /// False when the state is in PostgreSQL, which has its own backup.
    pub has_state: bool,
    pub bytes: u64,
    pub files: Vec<ManifestFile>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ManifestFile {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

/// A snapshot that has been made.
#[derive(Debug, Serialize, ToSchema)]
struct SnapshotInfo {
    name: String,
    /// On the server's disk.
    path: String,
    #[schema(value_type = String, format = DateTime)]
    made_at: kernel::Timestamp,
    bytes: u64,
    files: usize,
    has_state: bool,
}

fn info(folder: &Path, manifest: &Manifest) -> SnapshotInfo {
    SnapshotInfo {
        name: manifest.name.clone(),
        path: folder.display().to_string(),
        made_at: manifest.made_at,
        bytes: manifest.bytes,
        files: manifest.files.len(),
        has_state: manifest.has_state,
    }
}

/// Snapshots of the data folder
#[utoipa::path(get, path = "/api/v1/snapshots", tag = "snapshots",
    responses((status = 200, body = Vec<SnapshotInfo>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_snapshots(State(state): State<Snapshots>) -> Result<Json<Vec<SnapshotInfo>>, Problem> {
    let root = state.data.join("snapshots");
    let read = tokio::task::spawn_blocking(move || -> Vec<SnapshotInfo> {
        let folders = std::fs::read_dir(root)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let mut found: Vec<_> = folders
            .filter_map(|folder| {
                let text = std::fs::read_to_string(folder.join(MANIFEST)).ok()?;
                Some(info(&folder, &serde_json::from_str::<Manifest>(&text).ok()?))
            })
            .collect();
        found.sort_by_key(|info| std::cmp::Reverse(info.made_at));
        found
    });
    Ok(Json(read.await.map_err(Problem::internal)?))
}

/// Make a snapshot of the data folder
#[utoipa::path(post, path = "/api/v1/snapshots", tag = "snapshots",
    responses((status = 200, body = SnapshotInfo), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn create_snapshot(
    State(state): State<Snapshots>,
    actor: Actor,
) -> Result<Json<SnapshotInfo>, Problem> {
    let Ok(_turn) = state.one_at_a_time.try_lock() else {
        return Err(Problem::conflict("a snapshot is being made already"));
    };
    let now = state.kernel.clock.now();
    let name = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let folder = state.data.join("snapshots").join(&name);
    if folder.exists() {
        return Err(Problem::conflict("there is a snapshot of this second already"));
    }
    let made = make(&state, &name, &folder, now).await;
    let manifest = made.map_err(|error| {
        let _ = std::fs::remove_dir_all(&folder);
        tracing::error!(error = format!("{error:#}"), "snapshot failed");
        Problem::unavailable(
            format_args!("the snapshot failed: {error}; check the free space of the data folder"),
            60,
        )
    })?;
    let mut tx = state.kernel.db.write().await?;
    let data = serde_json::json!({ "name": name, "bytes": manifest.bytes, "files": manifest.files.len() });
    tx.append(&actor, NewEvent::new("snapshot.made", &name, &data))
        .await?;
    tx.commit().await?;
    Ok(Json(info(&folder, &manifest)))
}

async fn make(state: &Snapshots, name: &str, folder: &Path, now: kernel::Timestamp) -> Result<Manifest> {
    std::fs::create_dir_all(folder)?;
    let has_state = state.kernel.db.kind() == Kind::Sqlite;
    // Stores first: the database, taken last, refers to nothing that they lack.
    let (telemetry, target) = (state.telemetry.clone(), folder.to_owned());
    tokio::task::spawn_blocking(move || -> Result<()> {
        telemetry.tsdb().snapshot(target.join("metrics"))?;
        telemetry.logs().snapshot(target.join("logs"))?;
        Ok(())
    })
    .await??;
    if has_state {
        state
            .kernel
            .db
            .snapshot_sqlite(&folder.join("mainstay.db"))
            .await?;
    }
    std::fs::copy(state.data.join("master.key"), folder.join("master.key"))?;
    let (folder, name) = (folder.to_owned(), name.to_owned());
    tokio::task::spawn_blocking(move || {
        let mut files = Vec::new();
        hash_all(&folder, &folder, &mut files)?;
        let bytes = files.iter().map(|file| file.bytes).sum();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let manifest = Manifest {
            name,
            version,
            made_at: now,
            has_state,
            bytes,
            files,
        };
        crate::data::write_private(&folder.join(MANIFEST), &serde_json::to_string_pretty(&manifest)?)?;
        Ok(manifest)
    })
    .await?
}

fn hash_all(root: &Path, folder: &Path, files: &mut Vec<ManifestFile>) -> Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<std::io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            hash_all(root, &path, files)?;
            continue;
        }
        let (bytes, sha256) = hash(&path)?;
        let relative = path.strip_prefix(root)?.display().to_string();
        files.push(ManifestFile {
            path: relative,
            bytes,
            sha256,
        });
    }
    Ok(())
}

fn hash(path: &Path) -> Result<(u64, String)> {
    let mut file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        bytes += count as u64;
    }
    Ok((
        bytes,
        hasher.finalize().iter().map(|b| format!("{b:02x}")).collect(),
    ))
}

/// How to put a snapshot back.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Folder of the snapshot
    snapshot: PathBuf,
    /// Data folder to make; must not exist or be empty
    #[arg(long, env = "MAINSTAY_DATA", default_value = "data")]
    data: PathBuf,
    /// Only check that every file of the snapshot is as it was
    #[arg(long)]
    check: bool,
}

pub fn restore(args: &RestoreArgs) -> Result<ExitCode> {
    let shown = args.snapshot.display();
    let text = std::fs::read_to_string(args.snapshot.join(MANIFEST))
        .with_context(|| format!("{shown} is no complete snapshot: it has no {MANIFEST}"))?;
    let manifest: Manifest =
        serde_json::from_str(&text).with_context(|| format!("{shown}/{MANIFEST} does not read"))?;
    for file in &manifest.files {
        let path = args.snapshot.join(&file.path);
        let (bytes, sha256) = hash(&path)?;
        if bytes != file.bytes || sha256 != file.sha256 {
            bail!(
                "{} is not as it was when the snapshot was made; take another snapshot",
                path.display()
            );
        }
    }
    if args.check {
        out::line(format_args!(
            "{} files, {} bytes: all as they were made",
            manifest.files.len(),
            manifest.bytes
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let is_empty = std::fs::read_dir(&args.data).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty {
        bail!(
            "{} is not empty; move it away, or choose another folder with --data",
            args.data.display()
        );
    }
    for file in &manifest.files {
        put_back(args, file)?;
    }
    let data = args.data.display();
    out::line(format_args!(
        "Restored {} files to {data}. Start the server with: mainstay up --data {data}",
        manifest.files.len(),
    ));
    if !manifest.has_state {
        out::line("The state was in PostgreSQL: restore it from PostgreSQL's own backup.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Hashes of passwords and keys are among the files: nobody else may read them, not even while they are written.
fn put_back(args: &RestoreArgs, file: &ManifestFile) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let target = args.data.join(&file.path);
    let write = || -> std::io::Result<()> {
        crate::data::make(target.parent().unwrap_or(&args.data))?;
        let mut to = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&target)?;
        std::io::copy(&mut std::fs::File::open(args.snapshot.join(&file.path))?, &mut to)?;
        to.sync_all()
    };
    write().with_context(|| format!("cannot write {}", target.display()))
}
