//! The data folder: one server at a time, made when it is missing, and clear words when it cannot be used.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A data folder that this process holds.
pub struct DataDir {
    root: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the folder when needed and takes its lock.
    pub fn open(root: &Path) -> Result<Self> {
        let shown = root.display();
        make(root)
            .with_context(|| format!("cannot make the data folder {shown}; choose another with --data"))?;
        let root = root
            .canonicalize()
            .with_context(|| format!("cannot open the data folder {shown}"))?;
        if !is_ours(&root).with_context(|| format!("cannot read the data folder {shown}"))? {
            bail!("{shown} holds files that are not Mainstay's; choose an empty or a new folder with --data");
        }
        private(&root)?;
        let path = root.join("lock");
        let lock = File::create(&path).with_context(|| {
            format!("cannot write to the data folder {shown}; check its owner, and that the disk is neither full nor read-only")
        })?;
        if lock.try_lock().is_err() {
            bail!(
                "another mainstay server uses the data folder {shown}; stop it, or choose another folder with --data"
            );
        }
        let probe = root.join("probe");
        std::fs::write(&probe, [0u8; 4096]).and_then(|()| std::fs::remove_file(&probe)).with_context(|| {
            format!("cannot write to the data folder {shown}; free some space and start again, nothing was lost")
        })?;
        Ok(Self { root, _lock: lock })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn database(&self) -> PathBuf {
        self.root.join("mainstay.db")
    }

    /// Is there a database that is not just an empty file?
    pub fn has_database(&self) -> bool {
        std::fs::metadata(self.database()).is_ok_and(|file| file.len() > 0)
    }

    pub fn master_key(&self) -> PathBuf {
        self.root.join("master.key")
    }

    /// State of the agent that runs beside the server.
    pub fn agent(&self) -> PathBuf {
        self.root.join("agent")
    }
}

/// Makes the folder for its owner and group when it is missing.
pub fn make(root: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(root)
}

/// A folder that is empty, or that a server has begun before. Any other would be closed to its users.
fn is_ours(root: &Path) -> std::io::Result<bool> {
    const MARKS: [&str; 3] = ["mainstay.toml", "mainstay.db", "master.key"];
    const NOTHING: [&str; 3] = ["lock", "probe", "lost+found"];
    let names: Vec<_> = std::fs::read_dir(root)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<std::io::Result<_>>()?;
    let is_marked = names.iter().any(|name| MARKS.iter().any(|mark| name == mark));
    Ok(is_marked || names.iter().all(|name| NOTHING.iter().any(|known| name == known)))
}

/// The folder holds secrets and everybody's logs: others than owner and group have no business in it.
fn private(root: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(root)?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(mode & 0o750))
            .with_context(|| format!("cannot make {} private", root.display()))?;
    }
    Ok(())
}

/// Writes a file that only its owner may read, whole or not at all.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let temporary = path.with_extension("tmp");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(|| format!("cannot write {}", temporary.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path).with_context(|| format!("cannot write {}", path.display()))
}
