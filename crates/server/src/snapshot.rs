//! Snapshots of the data folder while the server runs, and putting one back.
//!
//! A snapshot is a folder: the database, the metric and log stores and a manifest with the checksum of every file. The master key,
//! which opens the secrets in the database, is not in it unless somebody asks: who finds a snapshot does not find the secrets.
//! It is complete once the manifest is there; `restore` checks every file against it before it touches anything.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use axum::extract::State;
use clap::Args;
use kernel::db::Kind;
use kernel::http::Json;
use kernel::secret::Secrets;
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
const MASTER_KEY: &str = "master.key";

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
    /// Tells which master key its secrets open with.
    #[serde(default)]
    pub key_id: Option<String>,
    pub bytes: u64,
    pub files: Vec<ManifestFile>,
}

impl Manifest {
    fn has_master_key(&self) -> bool {
        self.files.iter().any(|file| file.path == MASTER_KEY)
    }
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
    /// Secrets in it open without anything else: keep it as safe as the key.
    has_master_key: bool,
}

/// What goes into a snapshot.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct NewSnapshot {
    /// Put the master key beside the data that it opens.
    include_master_key: bool,
}

fn info(folder: &Path, manifest: &Manifest) -> SnapshotInfo {
    SnapshotInfo {
        name: manifest.name.clone(),
        path: folder.display().to_string(),
        made_at: manifest.made_at,
        bytes: manifest.bytes,
        files: manifest.files.len(),
        has_state: manifest.has_state,
        has_master_key: manifest.has_master_key(),
    }
}

/// A snapshot holds what belongs to everybody.
fn require_everywhere(actor: &Actor, permission: &str) -> Result<(), Problem> {
    match actor.may(permission, roles::ADMINISTER, None, &Default::default()) {
        true => Ok(()),
        false => Err(Problem::forbidden(
            "a snapshot holds what belongs to everybody; this needs a role that holds everywhere",
        )),
    }
}

/// Snapshots of the data folder
#[utoipa::path(get, path = "/api/v1/snapshots", tag = "snapshots",
    responses((status = 200, body = Vec<SnapshotInfo>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn list_snapshots(
    State(state): State<Snapshots>,
    actor: Actor,
) -> Result<Json<Vec<SnapshotInfo>>, Problem> {
    require_everywhere(&actor, "snapshots.read")?;
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
///
/// Without the master key, unless the body asks for it.
#[utoipa::path(post, path = "/api/v1/snapshots", tag = "snapshots", request_body = NewSnapshot,
    responses((status = 200, body = SnapshotInfo), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn create_snapshot(
    State(state): State<Snapshots>,
    actor: Actor,
    Json(wanted): Json<NewSnapshot>,
) -> Result<Json<SnapshotInfo>, Problem> {
    require_everywhere(&actor, "snapshots.create")?;
    let Ok(_turn) = state.one_at_a_time.try_lock() else {
        return Err(Problem::conflict("a snapshot is being made already"));
    };
    let now = state.kernel.clock.now();
    let name = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let folder = state.data.join("snapshots").join(&name);
    if folder.exists() {
        return Err(Problem::conflict("there is a snapshot of this second already"));
    }
    let made = make(&state, &name, &folder, now, wanted.include_master_key).await;
    let manifest = made.map_err(|error| {
        let _ = std::fs::remove_dir_all(&folder);
        tracing::error!(error = format!("{error:#}"), "snapshot failed");
        Problem::unavailable(
            format_args!("the snapshot failed: {error}; check the free space of the data folder"),
            60,
        )
    })?;
    let mut tx = state.kernel.db.write().await?;
    let data = serde_json::json!({ "name": name, "bytes": manifest.bytes, "files": manifest.files.len(),
        "has_master_key": manifest.has_master_key() });
    tx.append(&actor, NewEvent::new("snapshot.made", &name, &data))
        .await?;
    tx.commit().await?;
    Ok(Json(info(&folder, &manifest)))
}

async fn make(
    state: &Snapshots,
    name: &str,
    folder: &Path,
    now: kernel::Timestamp,
    with_key: bool,
) -> Result<Manifest> {
    crate::data::make(folder)?;
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
    if with_key {
        std::fs::copy(state.data.join(MASTER_KEY), folder.join(MASTER_KEY))?;
    }
    let key_id = Some(state.kernel.secrets.key_id().to_owned());
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
            key_id,
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
    /// The master key of the server that the snapshot is of (its DATA/master.key), when the snapshot does not hold it
    #[arg(long, value_name = "FILE")]
    master_key: Option<PathBuf>,
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
    let key = given_key(args, &manifest)?;
    for file in &manifest.files {
        put_back(args, &args.snapshot.join(&file.path), &file.path)?;
    }
    if let Some(key) = &key {
        put_back(args, key, MASTER_KEY)?;
    }
    let data = args.data.display();
    if key.is_none() && !manifest.has_master_key() {
        out::line(format_args!(
            "The snapshot does not hold the master key that its secrets open with: put the one of that server at \
             {data}/{MASTER_KEY}, mode 600, before the start."
        ));
    }
    out::line(format_args!(
        "Restored {} files to {data}. Start the server with: mainstay up --data {data}",
        manifest.files.len(),
    ));
    if !manifest.has_state {
        out::line("The state was in PostgreSQL: restore it from PostgreSQL's own backup.");
    }
    Ok(ExitCode::SUCCESS)
}

/// The key file that was named, when it is the right one.
fn given_key(args: &RestoreArgs, manifest: &Manifest) -> Result<Option<PathBuf>> {
    let Some(path) = args.master_key.clone().filter(|_| !manifest.has_master_key()) else {
        return Ok(None);
    };
    let Some(key) = Secrets::open_existing(&path)? else {
        bail!("there is no master key {}", path.display());
    };
    if manifest.key_id.as_deref().is_some_and(|id| id != key.key_id()) {
        bail!(
            "{} is the master key of another server: the secrets of this snapshot do not open with it",
            path.display()
        );
    }
    Ok(Some(path))
}

/// Hashes of passwords and keys are among the files: nobody else may read them, not even while they are written.
fn put_back(args: &RestoreArgs, from: &Path, name: &str) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let target = args.data.join(name);
    let write = || -> std::io::Result<()> {
        crate::data::make(target.parent().unwrap_or(&args.data))?;
        let mut to = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&target)?;
        std::io::copy(&mut std::fs::File::open(from)?, &mut to)?;
        to.sync_all()
    };
    write().with_context(|| format!("cannot write {}", target.display()))
}
