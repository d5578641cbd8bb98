//! Everything that can go wrong in the store, worded for the person who has to mend it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors are cloneable because one failed disk write answers every caller of a group commit.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The disk refused. Nothing of the call was acknowledged; it may be repeated as a whole.
    #[error("cannot {action} {}: {source}{}", .path.display(), hint(.source))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder concerned.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// Another process (or another handle in this one) has the folder open.
    #[error("the metric store {} is in use by another process: stop that process or choose another folder", .path.display())]
    Locked {
        /// The store's folder.
        path: PathBuf,
    },
    /// Bytes on disk that do not check out.
    #[error("{} is damaged: {what}", .path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// What did not check out.
        what: String,
    },
    /// A matcher whose regular expression cannot be compiled.
    #[error("regular expression {pattern:?} of label {label:?} is not valid: {what}")]
    BadRegex {
        /// The label that the matcher is for.
        label: String,
        /// The expression as given.
        pattern: String,
        /// What the compiler said.
        what: String,
    },
    /// The query would touch more than its limits allow.
    #[error(
        "the query needs more than {limit} {unit}: narrow its matchers or its time range, or raise the limit"
    )]
    QueryLimit {
        /// `samples` or `series`.
        unit: &'static str,
        /// The limit that was hit.
        limit: u64,
    },
    /// An option or argument that makes no sense.
    #[error("{what}")]
    Invalid {
        /// What is wrong and what would be right.
        what: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Error::Io {
            action,
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    pub(crate) fn corrupt(path: &Path, what: impl Into<String>) -> Self {
        Error::Corrupt {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    /// Whether bytes are wrong or files are missing, as opposed to a disk that cannot be read now.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Error::Corrupt { .. }) || self.is_missing()
    }

    /// Whether the user may not read: a matter of set-up, which must not pass as damage.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Whether a file is not there.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the disk has no space left (or the quota is used up).
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Error::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// Whether the same call may succeed later without a change by the caller.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Io { .. } | Error::Locked { .. })
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            " (free space on that disk; the store goes on by itself)"
        }
        io::ErrorKind::ReadOnlyFilesystem => " (make the disk writable; the store goes on by itself)",
        io::ErrorKind::PermissionDenied => " (give the user that runs the store write access)",
        _ => "",
    }
}
