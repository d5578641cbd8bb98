//! Which file, told from others by device, inode and its first bytes, and up to where it has been taken.
//!
//! An inode number is given again as soon as its file is gone, and a file may be cut and written anew in place: the first
//! bytes tell.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use serde::{Deserialize, Serialize};

/// Of the first bytes, so many count at most.
const HEAD: u64 = 256;

/// Kept over restarts, once the lines in front of it are safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Position {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) offset: u64,
    /// How many of the first bytes `head_hash` is of; 0 where they are not known.
    pub(crate) head_bytes: u64,
    pub(crate) head_hash: u64,
    /// When everything in the file had been read; 0 where it never had.
    pub(crate) caught_up_ms: i64,
}

impl Position {
    /// A place in an open file.
    pub(crate) fn of(file: &File, offset: u64) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let mut position = Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            offset,
            ..Self::default()
        };
        position.learn(file)?;
        Ok(position)
    }

    pub(crate) fn is(&self, metadata: &Metadata) -> bool {
        (self.device, self.inode) == (metadata.dev(), metadata.ino())
    }

    /// The same file under whatever name.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether the file still begins as it did and is no shorter than what was taken of it.
    pub(crate) fn still_fits(&self, file: &File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        Ok(self.is(&metadata)
            && metadata.len() >= self.offset
            && (self.head_bytes == 0 || hash(file, self.head_bytes)? == Some(self.head_hash)))
    }

    /// Takes more of the first bytes into account, once they have been read.
    pub(crate) fn learn(&mut self, file: &File) -> io::Result<()> {
        let known = self.offset.min(HEAD);
        if known > self.head_bytes
            && let Some(hash) = hash(file, known)?
        {
            (self.head_bytes, self.head_hash) = (known, hash);
        }
        Ok(())
    }
}

/// Of the first `bytes` bytes; `None` when there are not so many.
fn hash(file: &File, bytes: u64) -> io::Result<Option<u64>> {
    let mut head = vec![0; usize::try_from(bytes.min(HEAD)).unwrap_or(0)];
    match file.read_exact_at(&mut head, 0) {
        Ok(()) => Ok(Some(xxhash_rust::xxh3::xxh3_64(&head))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
