//! Backups: a consistent copy of the store in another folder, by hard links where possible.

use std::path::Path;

use super::Tsdb;
use crate::block;
use crate::disk;
use crate::error::{Error, Result};
use crate::stats::lock;

/// What a snapshot holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Files in it.
    pub files: u64,
    /// Bytes of them (shared with the store where hard links were possible).
    pub bytes: u64,
}

impl Tsdb {
    /// Puts a consistent copy of the store into `target`, which must not exist yet: everything
    /// acknowledged before the call is in it. Open it like any store. Appends and reads go on meanwhile.
    pub fn snapshot(&self, target: impl AsRef<Path>) -> Result<Snapshot> {
        let target = target.as_ref();
        if target.exists() {
            return Err(Error::Invalid {
                what: format!(
                    "{} exists already: a snapshot needs a new folder",
                    target.display()
                ),
            });
        }
        // Blocks and closed segments stay in place while this is held.
        let _maintenance = lock(&self.maintenance);
        let segments = {
            let mut writer = lock(&self.writer);
            writer.wal.rotate()?;
            writer.wal.closed_paths()
        };
        let name = target
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let part = target.with_file_name(format!("{name}.part"));
        disk::remove_dir(&part)?;
        let result = self.fill(&part, &segments).and_then(|snapshot| {
            disk::rename(&part, target)?;
            if let Some(parent) = target.parent().filter(|p| !p.as_os_str().is_empty()) {
                disk::sync_dir(parent)?;
            }
            Ok(snapshot)
        });
        result.inspect_err(|_| {
            let _ = disk::remove_dir(&part);
        })
    }

    fn fill(&self, part: &Path, segments: &[std::path::PathBuf]) -> Result<Snapshot> {
        let (wal, blocks) = (part.join("wal"), part.join("blocks"));
        disk::create_dir(&wal)?;
        disk::create_dir(&blocks)?;
        let mut snapshot = Snapshot::default();
        for path in segments {
            snapshot.take(path, &wal)?;
        }
        for block in self.blocks().iter() {
            let dir = block::block_path(&blocks, block.meta.seq);
            disk::create_dir(&dir)?;
            for file in block::FILES {
                snapshot.take(&block.dir.join(file), &dir)?;
            }
            disk::sync_dir(&dir)?;
        }
        snapshot.take(&self.dir.join("version"), part)?;
        for dir in [&wal, &blocks, part] {
            disk::sync_dir(dir)?;
        }
        Ok(snapshot)
    }
}

impl Snapshot {
    fn take(&mut self, from: &Path, dir: &Path) -> Result<()> {
        let name = from.file_name().unwrap_or_default();
        let to = dir.join(name);
        disk::link_or_copy(from, &to)?;
        self.files += 1;
        self.bytes += std::fs::metadata(&to)
            .map_err(|e| Error::io("read", &to, e))?
            .len();
        Ok(())
    }
}
