//! One file that grows: reads whole lines from where the last read ended, and notices when it was cut.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use protocol::LogLine;
use serde::{Deserialize, Serialize};

use super::MAX_LINE;
use super::line::{self, Context};

/// Bytes that one look at a file takes at most, so that a busy file does not starve the others.
const LOOK_BYTES: usize = 64 * 1024;

/// Which file, and up to which byte it has been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) offset: u64,
}

pub(crate) struct Tail {
    pub(crate) path: PathBuf,
    file: File,
    position: Position,
    /// The unfinished line in front of the next read.
    partial: Vec<u8>,
    /// Bytes of the unfinished line that were not kept.
    cut: u64,
}

/// What a look gave.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) lines: Vec<LogLine>,
    pub(crate) cut_lines: u64,
    /// There may be more to read now.
    pub(crate) more: bool,
}

impl Tail {
    /// Opens a file and begins at `offset`.
    pub(crate) fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let position = Position {
            device: metadata.dev(),
            inode: metadata.ino(),
            offset,
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            position,
            partial: Vec::new(),
            cut: 0,
        })
    }

    /// Begins at the first whole line of the last `bytes` bytes.
    pub(crate) fn open_near_end(path: &Path, bytes: u64) -> io::Result<Self> {
        let size = std::fs::metadata(path)?.len();
        let mut tail = Self::open(path, size.saturating_sub(bytes))?;
        if tail.position.offset > 0 {
            let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(0)];
            let read = tail.file.read_at(&mut buffer, tail.position.offset)?;
            let first = buffer
                .iter()
                .take(read)
                .position(|byte| *byte == b'\n')
                .map_or(read, |at| at + 1);
            tail.position.offset += first as u64;
        }
        Ok(tail)
    }

    /// Up to where whole lines have been taken.
    pub(crate) fn position(&self) -> Position {
        let unfinished = self.partial.len() as u64 + self.cut;
        Position {
            offset: self.position.offset - unfinished.min(self.position.offset),
            ..self.position
        }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn has_unread(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|metadata| metadata.len() > self.position().offset)
    }

    pub(crate) fn is(&self, metadata: &std::fs::Metadata) -> bool {
        (self.position.device, self.position.inode) == (metadata.dev(), metadata.ino())
    }

    /// Reads what is new.
    pub(crate) fn look(&mut self, now_ms: i64, zone: &TimeZone, buffer: &mut Vec<u8>) -> io::Result<Look> {
        let size = self.file.metadata()?.len();
        if size < self.position.offset {
            // Cut in place (copytruncate): what follows is new from the first byte.
            self.position.offset = 0;
            self.partial.clear();
            self.cut = 0;
        }
        let mut look = Look::default();
        let new = usize::try_from(size - self.position.offset).unwrap_or(LOOK_BYTES);
        if new == 0 {
            return Ok(look);
        }
        buffer.resize(new.min(LOOK_BYTES), 0);
        let read = self.file.read_at(buffer, self.position.offset)?;
        self.position.offset += read as u64;
        look.more = read < new;
        let context = Context { now_ms, zone };
        let mut rest = buffer.get(..read).unwrap_or_default();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.keep(line);
            self.finish(&context, &mut look);
            rest = after.get(1..).unwrap_or_default();
        }
        self.keep(rest);
        Ok(look)
    }

    fn keep(&mut self, bytes: &[u8]) {
        let take = bytes.len().min(MAX_LINE.saturating_sub(self.partial.len()));
        let (kept, over) = bytes.split_at(take);
        self.partial.extend_from_slice(kept);
        self.cut += over.len() as u64;
    }

    fn finish(&mut self, context: &Context<'_>, look: &mut Look) {
        if !self.partial.is_empty() {
            look.lines.push(line::parse(&self.partial, self.cut, context));
            look.cut_lines += u64::from(self.cut > 0);
        }
        self.partial.clear();
        self.cut = 0;
    }

    /// The file will not grow any more: its unfinished line is one.
    pub(crate) fn end(&mut self, now_ms: i64, zone: &TimeZone) -> Look {
        let mut look = Look::default();
        self.finish(&Context { now_ms, zone }, &mut look);
        look
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn append(path: &Path, text: &str) {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn look(tail: &mut Tail) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let look = tail.look(1, &TimeZone::UTC, &mut Vec::new()).unwrap();
            lines.extend(look.lines.into_iter().map(|line| line.text));
            if !look.more {
                return lines;
            }
        }
    }

    #[test]
    fn half_a_line_waits_for_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        append(&path, "one\ntw");
        let mut tail = Tail::open(&path, 0).unwrap();
        assert_eq!(look(&mut tail), ["one"]);
        assert_eq!(tail.position().offset, 4, "the half line is not taken");
        append(&path, "o\n\n");
        assert_eq!(look(&mut tail), ["two"]);
        assert_eq!(tail.position().offset, 9);
        // Opened again at that place nothing comes twice.
        append(&path, "three");
        let mut tail = Tail::open(&path, tail.position().offset).unwrap();
        assert!(look(&mut tail).is_empty());
        assert_eq!(tail.end(1, &TimeZone::UTC).lines[0].text, "three");
    }

    #[test]
    fn a_file_cut_in_place_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        append(&path, "a long first line\n");
        let mut tail = Tail::open(&path, 0).unwrap();
        look(&mut tail);
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(look(&mut tail), ["new"]);
    }

    #[test]
    fn long_lines_are_cut_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        append(&path, &format!("{}\nshort\n", "x".repeat(600 * 1024)));
        let mut tail = Tail::open(&path, 0).unwrap();
        let lines = look(&mut tail);
        assert_eq!(lines[1], "short");
        let cut = 600 * 1024 - MAX_LINE;
        assert!(lines[0].len() < MAX_LINE + 64 && lines[0].ends_with(&format!("({cut} bytes cut)")));
        assert_eq!(tail.position().offset, 600 * 1024 + 7);
    }

    #[test]
    fn a_first_look_begins_near_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        for number in 0..100 {
            append(&path, &format!("line {number:03}\n"));
        }
        let mut tail = Tail::open_near_end(&path, 25).unwrap();
        assert_eq!(look(&mut tail), ["line 098", "line 099"]);
    }
}
