//! The output of a command: one file a stream, capped, kept until the end of the command is acknowledged. What goes
//! over the wire is read back from the files, so a new connection simply begins at offset 0.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use protocol::Stream;

/// No command may leave more than this per stream, whatever it asks for.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Where the streams of a command are kept. Ids come from outside, so the name is a hash.
fn path(folder: &Path, id: &str, stream: Stream) -> PathBuf {
    let ending = match stream {
        Stream::Stdout => "out",
        Stream::Stderr => "err",
    };
    folder.join(format!(
        "{:032x}.{ending}",
        xxhash_rust::xxh3::xxh3_128(id.as_bytes())
    ))
}

/// Takes what a stream says, up to the cap.
pub(crate) struct Capture {
    file: File,
    left: u64,
    pub(crate) dropped: u64,
}

impl Capture {
    /// Begins anew: what an earlier attempt wrote is gone.
    pub(crate) fn create(folder: &Path, id: &str, stream: Stream, cap_bytes: u64) -> io::Result<Self> {
        let path = path(folder, id, stream);
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self {
            file,
            left: cap_bytes.min(MOST_BYTES),
            dropped: 0,
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let (kept, over) = bytes.split_at(take);
        match self.file.write_all(kept) {
            Ok(()) => self.left -= take as u64,
            // A full disk must not end the command; the loss is counted.
            Err(_) => self.dropped += take as u64,
        }
        self.dropped += over.len() as u64;
    }
}

/// At most `most` bytes of a stream from `offset`.
pub(crate) fn read(folder: &Path, id: &str, stream: Stream, offset: u64, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; most];
    let read = File::open(path(folder, id, stream))
        .and_then(|file| file.read_at(&mut bytes, offset))
        .unwrap_or(0);
    bytes.truncate(read);
    bytes
}

pub(crate) fn remove(folder: &Path, id: &str) {
    for stream in [Stream::Stdout, Stream::Stderr] {
        // There may be none.
        let _ = std::fs::remove_file(path(folder, id, stream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capped_stream_keeps_its_front_and_counts_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let mut capture = Capture::create(dir.path(), "../evil", Stream::Stdout, 5).unwrap();
        capture.write(b"abc");
        capture.write(b"defg");
        assert_eq!(capture.dropped, 2);
        assert_eq!(read(dir.path(), "../evil", Stream::Stdout, 0, 100), b"abcde");
        assert_eq!(read(dir.path(), "../evil", Stream::Stdout, 3, 100), b"de");
        assert_eq!(read(dir.path(), "../evil", Stream::Stderr, 0, 100), b"");
        remove(dir.path(), "../evil");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
