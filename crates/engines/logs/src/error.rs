//! The errors of the store. Texts say what failed, where, and how to mend it.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

/// What may go wrong. Cloneable because one failed disk write is told to every append that shared it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{what} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// What was tried, as "write the segment".
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A second process has the folder open.
    #[error("log store {} is in use by another process; stop that process or choose another data folder", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder was written by another version of the program.
    #[error("log store {} has format \"{found}\" and this program reads \"{expected}\"; start the newer program, or name another data folder", path.display())]
    OtherFormat {
        /// The folder.
        path: PathBuf,
        /// What its FORMAT file says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// The commit that the append was part of did not come to its end.
    #[error("the lines were not stored because {reason}; the same append may be tried again")]
    Abandoned {
        /// What happened.
        reason: String,
    },
    /// The memory for unsealed lines is used up because sealing keeps failing.
    #[error("{bytes} bytes of lines wait to be sealed and sealing fails; free space in {}", path.display())]
    Overfull {
        /// How much waits.
        bytes: u64,
        /// The folder.
        path: PathBuf,
    },
    /// The query asks for something that cannot be.
    #[error("{0}")]
    BadQuery(String),
    /// The folder for a snapshot holds something.
    #[error("snapshot folder {} is not empty; name a new one", path.display())]
    SnapshotExists {
        /// The folder.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        detail: String,
    },
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

fn hint(source: &Arc<io::Error>) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free space or lower the retention",
        io::ErrorKind::PermissionDenied => "; the server's user needs to own the data folder",
        io::ErrorKind::ReadOnlyFilesystem => "; remount the file system for writing",
        _ => "",
    }
}

impl Error {
    /// True when the file behind the error is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// True when the user may not read: a matter of set-up, which must not pass as damage.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// Adds what and where to a bare `io::Result`.
pub(crate) trait IoContext<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io {
            what,
            path: path.to_path_buf(),
            source: Arc::new(source),
        })
    }
}

/// Bytes that do not decode, before it is known which file they came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Malformed {
    pub(crate) fn in_file(self, path: &Path) -> Error {
        Error::Damaged {
            path: path.to_path_buf(),
            detail: self.0.to_string(),
        }
    }
}
