//! The few file operations of the store, each with its fault point, and errors that name the path.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};

type Hook = dyn Fn(&'static str) -> io::Result<()> + Send + Sync;

/// Called before every change on disk with the name of the step. Tests use it to refuse the step (a
/// full disk) or to copy the folder as a crash at that moment would leave it.
#[derive(Clone, Default)]
pub struct FaultHook(Option<Arc<Hook>>);

impl FaultHook {
    /// A hook that asks `f` before each step.
    pub fn new(f: impl Fn(&'static str) -> io::Result<()> + Send + Sync + 'static) -> Self {
        FaultHook(Some(Arc::new(f)))
    }

    pub(crate) fn at(&self, step: &'static str, path: &Path) -> Result<()> {
        match &self.0 {
            Some(hook) => hook(step).map_err(|e| Error::io(step, path, e)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for FaultHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "FaultHook(set)"
        } else {
            "FaultHook(none)"
        })
    }
}

pub(crate) fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| Error::io("create folder", path, e))
}

/// Makes creations, renames and deletions inside `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(|e| Error::io("sync folder", dir, e))
}

/// Writes a new file durably; its folder is not synced.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| Error::io("write", path, e))
}

pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| Error::io("read", path, e))
}

pub(crate) fn remove_file(path: &Path) -> Result<()> {
    ignore_missing(fs::remove_file(path)).map_err(|e| Error::io("delete", path, e))
}

pub(crate) fn remove_dir(path: &Path) -> Result<()> {
    ignore_missing(fs::remove_dir_all(path)).map_err(|e| Error::io("delete", path, e))
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| Error::io("rename", from, e))
}

/// Hard-links, or copies where the target lies on another disk.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> Result<()> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let copy = || -> io::Result<()> {
        fs::copy(from, to)?;
        File::open(to)?.sync_all()
    };
    copy().map_err(|e| Error::io("copy into the snapshot", from, e))
}

/// Names and kinds of the entries of `dir`, sorted by name.
pub(crate) fn list(dir: &Path) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    };
    read().map_err(|e| Error::io("list", dir, e))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
