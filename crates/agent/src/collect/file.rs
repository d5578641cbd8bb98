//! Reading the kernel's files: kept open and read again from the start for those that are read every second, small
//! reads for the rest. Sizes are bounded, text that is not UTF-8 is repaired.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::CollectError;

/// The largest kernel file that is read whole.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The largest attribute file.
const MAX_SMALL: u64 = 64 * 1024;

/// A file that stays open between reads.
pub(crate) struct KeptFile {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
}

impl KeptFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            buffer: Vec::new(),
        }
    }

    /// The whole text as it is now.
    pub(crate) fn read(&mut self) -> Result<&str, CollectError> {
        let kept = self.file.is_some();
        if let Err(error) = self.fill() {
            self.file = None;
            // A kept descriptor may have gone stale (module reloaded, device gone); a fresh one tells.
            let again = if kept { self.fill() } else { Err(error) };
            again.map_err(|source| CollectError::read(&self.path, source))?;
        }
        std::str::from_utf8(&self.buffer)
            .map_err(|_| CollectError::format(&self.path, "the text is not UTF-8"))
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
        .open(path)?;
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
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    Some(
        text.trim_matches(|c: char| c.is_whitespace() || c == '\0')
            .to_owned(),
    )
}

/// The number in a small file, decimal.
pub(crate) fn read_number(path: &Path) -> Option<f64> {
    read_text(path)?.parse().ok()
}

/// The names in a folder, sorted; empty when there is no such folder.
pub(crate) fn read_dir_names(path: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(path) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().into_string().ok())
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
