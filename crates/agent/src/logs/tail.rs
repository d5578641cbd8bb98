//! One file that grows: reads whole lines from where the last read ended, and notices when it was cut.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use protocol::LogLine;

use super::MAX_LINE;
use super::line::{self, Context};
use super::position::Position;
use crate::host::open::open_file;

/// Bytes that one look at a file takes at most, so that a busy file does not starve the others.
const LOOK_BYTES: usize = 64 * 1024;

/// Lines may be written this much later than they say: buffers, and clocks without a zone.
const LATE_MS: i64 = 3600 * 1000;
/// Lines of a file that was never read to its end may be this old.
const OLD_MS: i64 = 10 * 365 * 24 * 3600 * 1000;

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
    /// Opens a file under `root` and begins at `offset`.
    pub(crate) fn open(root: &Path, path: &Path, offset: u64) -> io::Result<Self> {
        let file = open_file(root, path)?;
        let position = Position::of(&file, offset)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            position,
            partial: Vec::new(),
            cut: 0,
        })
    }

    /// Goes on from a place that was kept; from the first byte when the file was cut or written anew since.
    pub(crate) fn resume(root: &Path, path: &Path, kept: Position) -> io::Result<Self> {
        let mut tail = Self::open(root, path, 0)?;
        if kept.still_fits(&tail.file)? {
            tail.position = kept;
            tail.position.learn(&tail.file)?;
        }
        Ok(tail)
    }

    /// Begins at the first whole line of the last `bytes` bytes.
    pub(crate) fn open_near_end(root: &Path, path: &Path, bytes: u64) -> io::Result<Self> {
        let mut tail = Self::open(root, path, 0)?;
        tail.position.offset = tail.file.metadata()?.len().saturating_sub(bytes);
        if tail.position.offset > 0 {
            let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(0)];
            let read = tail.file.read_at(&mut buffer, tail.position.offset)?;
            let first = buffer
                .iter()
                .take(read)
                .position(|byte| *byte == b'\n')
                .map_or(read, |at| at + 1);
            tail.position.offset += first as u64;
            tail.position.learn(&tail.file)?;
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
        self.position.is(metadata)
    }

    /// Reads what is new.
    pub(crate) fn look(&mut self, now_ms: i64, zone: &TimeZone, buffer: &mut Vec<u8>) -> io::Result<Look> {
        let size = self.file.metadata()?.len();
        let mut look = Look::default();
        if !self.position.still_fits(&self.file)? {
            // Cut in place (copytruncate): what follows is new from the first byte.
            self.position = Position {
                caught_up_ms: self.position.caught_up_ms,
                ..Position::of(&self.file, 0)?
            };
            self.partial.clear();
            self.cut = 0;
        }
        let new = usize::try_from(size.saturating_sub(self.position.offset)).unwrap_or(LOOK_BYTES);
        if new == 0 {
            self.position.caught_up_ms = now_ms;
            return Ok(look);
        }
        buffer.resize(new.min(LOOK_BYTES), 0);
        let read = self.file.read_at(buffer, self.position.offset)?;
        self.position.offset += read as u64;
        self.position.learn(&self.file)?;
        look.more = read < new && read > 0;
        let context = self.context(now_ms, zone);
        let mut rest = buffer.get(..read).unwrap_or_default();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.keep(line);
            self.finish(&context, &mut look);
            rest = after.get(1..).unwrap_or_default();
        }
        self.keep(rest);
        if !look.more {
            self.position.caught_up_ms = now_ms;
        }
        Ok(look)
    }

    /// When the lines that come now may have been written.
    fn context<'a>(&self, now_ms: i64, zone: &'a TimeZone) -> Context<'a> {
        let after_ms = match self.position.caught_up_ms {
            0 => now_ms.saturating_sub(OLD_MS),
            caught_up_ms => caught_up_ms.min(now_ms).saturating_sub(LATE_MS),
        };
        Context {
            now_ms,
            after_ms,
            zone,
        }
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
        let context = self.context(now_ms, zone);
        self.finish(&context, &mut look);
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
        let mut tail = Tail::open(dir.path(), &path, 0).unwrap();
        assert_eq!(look(&mut tail), ["one"]);
        assert_eq!(tail.position().offset, 4, "the half line is not taken");
        append(&path, "o\n\n");
        assert_eq!(look(&mut tail), ["two"]);
        assert_eq!(tail.position().offset, 9);
        // Opened again at that place nothing comes twice.
        append(&path, "three");
        let mut tail = Tail::open(dir.path(), &path, tail.position().offset).unwrap();
        assert!(look(&mut tail).is_empty());
        assert_eq!(tail.end(1, &TimeZone::UTC).lines[0].text, "three");
    }

    #[test]
    fn a_file_cut_in_place_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        append(&path, "a long first line\n");
        let mut tail = Tail::open(dir.path(), &path, 0).unwrap();
        look(&mut tail);
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(look(&mut tail), ["new"]);
    }

    #[test]
    fn a_file_cut_and_written_longer_than_before_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        append(&path, "first\n");
        let mut tail = Tail::open(dir.path(), &path, 0).unwrap();
        look(&mut tail);
        std::fs::write(&path, "another beginning\nand more\n").unwrap();
        assert_eq!(look(&mut tail), ["another beginning", "and more"]);
    }

    #[test]
    fn a_file_that_was_replaced_while_nobody_read_it_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        append(&path, "one\ntwo\n");
        let mut tail = Tail::open(dir.path(), &path, 0).unwrap();
        look(&mut tail);
        let kept = tail.position();
        append(&path, "three\n");
        let mut tail = Tail::resume(dir.path(), &path, kept).unwrap();
        assert_eq!(look(&mut tail), ["three"]);
        // The same inode, longer than before, with other content.
        std::fs::write(&path, "ONE\nTWO\nTHREE\nFOUR\n").unwrap();
        let mut tail = Tail::resume(dir.path(), &path, kept).unwrap();
        assert_eq!(look(&mut tail), ["ONE", "TWO", "THREE", "FOUR"]);
        std::fs::write(&path, "one\n").unwrap();
        let mut tail = Tail::resume(dir.path(), &path, kept).unwrap();
        assert_eq!(look(&mut tail), ["one"], "cut and begun anew alike");
        // Places that were kept before first bytes were are taken as they are.
        let text = format!(
            "{{\"device\":{},\"inode\":{},\"offset\":4}}",
            kept.device, kept.inode
        );
        let old: Position = serde_json::from_str(&text).unwrap();
        append(&path, "two\n");
        let mut tail = Tail::resume(dir.path(), &path, old).unwrap();
        assert_eq!(look(&mut tail), ["two"]);
    }

    #[test]
    fn lines_from_before_the_last_look_have_the_time_of_reading() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        const NOW_MS: i64 = 1_795_273_200_000;
        append(&path, "2026-09-01 00:00:00 old and true\n");
        let mut tail = Tail::open(dir.path(), &path, 0).unwrap();
        let at = |tail: &mut Tail| {
            let look = tail.look(NOW_MS, &TimeZone::UTC, &mut Vec::new()).unwrap();
            look.lines.iter().map(|line| line.at_ms).collect::<Vec<_>>()
        };
        let first = at(&mut tail);
        assert!(first[0] < NOW_MS - 80 * 24 * 3600 * 1000, "{first:?}");
        append(&path, "2026-09-01 00:00:00 it cannot be\n");
        assert_eq!(at(&mut tail), [NOW_MS]);
    }

    #[test]
    fn long_lines_are_cut_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        append(&path, &format!("{}\nshort\n", "x".repeat(600 * 1024)));
        let mut tail = Tail::open(dir.path(), &path, 0).unwrap();
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
        let mut tail = Tail::open_near_end(dir.path(), &path, 25).unwrap();
        assert_eq!(look(&mut tail), ["line 098", "line 099"]);
    }
}
