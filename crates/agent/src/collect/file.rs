//! Reading the kernel's files: kept open and read again from the start for those that are read every second, small
//! reads for the rest. Sizes are bounded; bytes that are no text are kept as [`names`] does.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::CollectError;
use crate::host::names;

/// The largest kernel file that is read whole.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The largest attribute file.
const MAX_SMALL: u64 = 64 * 1024;

/// A file that stays open between reads.
pub(crate) struct KeptFile {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
    /// What `buffer` says, where it is no text.
    repaired: String,
}

impl KeptFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            buffer: Vec::new(),
            repaired: String::new(),
        }
    }

    /// The whole text as it is now, names as [`names`] has them.
    pub(crate) fn read(&mut self) -> Result<&str, CollectError> {
        let kept = self.file.is_some();
        if let Err(error) = self.fill() {
            self.file = None;
            // A kept descriptor may have gone stale (module reloaded, device gone); a fresh one tells.
            let again = if kept { self.fill() } else { Err(error) };
            again.map_err(|source| CollectError::read(&self.path, source))?;
        }
        match names::text(&self.buffer) {
            Cow::Borrowed(text) => Ok(text),
            Cow::Owned(text) => {
                self.repaired = text;
                Ok(&self.repaired)
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            empty => empty.insert(open(&self.path)?),
        };
        let mut length = 0;
        loop {
            if self.buffer.len() < length + 1024 {
                let grown = (self.buffer.len() * 2).clamp(4096, MAX_BYTES + 1024);
                self.buffer.resize(grown.max(length + 1024), 0);
            }
            let spare = self.buffer.get_mut(length..).unwrap_or_default();
            let read = file.read_at(spare, length as u64)?;
            length += read;
            if read == 0 || length >= MAX_BYTES {
                break;
            }
        }
        self.buffer.truncate(length);
        Ok(())
    }
}

/// A pipe or a device in the place of a file would be waited for, perhaps for ever: they are refused.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(names::path(path))?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    Ok(file)
}

/// The text of a small file, trimmed; `None` when there is none or it cannot be read.
pub(crate) fn read_text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    open(path).ok()?.take(MAX_SMALL).read_to_end(&mut bytes).ok()?;
    Some(
        names::text(&bytes)
            .trim_matches(|c: char| c.is_whitespace() || c == '\0')
            .to_owned(),
    )
}

/// The number in a small file, decimal.
pub(crate) fn read_number(path: &Path) -> Option<f64> {
    read_text(path)?.parse().ok()
}

/// The names in a folder, sorted; empty when there is no such folder.
pub(crate) fn read_dir_names(path: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(names::path(path)) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .map(|entry| names::text(entry.file_name().as_encoded_bytes()).into_owned())
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_is_read_again_from_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stat");
        std::fs::write(&path, "one").unwrap();
        let mut kept = KeptFile::new(path.clone());
        assert_eq!(kept.read().unwrap(), "one");
        let long = "x".repeat(20_000);
        std::fs::write(&path, &long).unwrap();
        assert_eq!(kept.read().unwrap(), long);
        std::fs::write(&path, "short").unwrap();
        assert_eq!(kept.read().unwrap(), "short");
    }

    #[test]
    fn a_name_that_is_no_text_is_read_like_any_other() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join(std::ffi::OsStr::from_bytes(b"b\xe9d"));
        std::fs::create_dir(&odd).unwrap();
        std::fs::write(odd.join("address"), b"\xe9 1\n").unwrap();
        std::fs::create_dir(dir.path().join("good")).unwrap();
        let found = read_dir_names(dir.path());
        assert_eq!(found.len(), 2);
        let path = dir.path().join(&found[0]).join("address");
        assert_eq!(names::shown(&read_text(&path).unwrap()), "\u{fffd} 1");
        let mut kept = KeptFile::new(odd.join("address"));
        assert_eq!(names::shown(kept.read().unwrap()), "\u{fffd} 1\n");
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.pid");
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(read_text(&path), None);
        assert!(KeptFile::new(path).read().is_err());
    }

    #[test]
    fn a_missing_file_is_absent() {
        let mut kept = KeptFile::new("/nonexistent/file".into());
        assert!(matches!(kept.read(), Err(CollectError::Absent)));
    }
}
