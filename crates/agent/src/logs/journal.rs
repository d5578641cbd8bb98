//! The systemd journal, through `journalctl`: a child that prints what is new as JSON, started again after its last
//! cursor.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::{LogLine, LogSource};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

use super::line::cut;
use crate::collect::Roots;
use crate::observe::{Checkpoints, Mark, Observation, Observations};
use crate::uplink::Figures;

const KEY: &str = "journal";
/// Of a journal that is seen for the first time, so many entries are taken.
const BACKLOG: &str = "500";
/// Runs of journalctl in a row that end without an entry, after which the place is given up.
const MOST_VAIN: u32 = 5;
/// An entry larger than this is skipped (a core dump may be in it).
const MAX_ENTRY: u64 = 1024 * 1024;
const MAX_TOGETHER: usize = 500;
const PAUSE: Duration = Duration::from_secs(5);
/// Entries that come within this are sent together.
const TOGETHER: Duration = Duration::from_millis(100);

/// True when this host has a journal and the program to read it.
pub(crate) fn exists(roots: &Roots) -> bool {
    let has_entries =
        |path: &str| std::fs::read_dir(roots.root(path)).is_ok_and(|mut entries| entries.next().is_some());
    let programs = ["usr/bin/journalctl", "bin/journalctl"];
    programs.iter().any(|path| roots.root(path).is_file())
        && (has_entries("var/log/journal") || has_entries("run/log/journal"))
}

pub(crate) struct Journal {
    pub(crate) checkpoints: Checkpoints,
    pub(crate) observations: Observations,
    pub(crate) figures: Arc<Figures>,
    /// The program; another one in tests.
    pub(crate) program: String,
}

/// Follows the journal until stopped.
pub(crate) async fn follow(journal: Journal, stop: CancellationToken) {
    let mut cursor = journal.checkpoints.get(KEY);
    let mut vain = 0;
    loop {
        let before = cursor.clone();
        tokio::select! {
            outcome = journal.once(&mut cursor) => match outcome {
                Ok(()) => tracing::info!("journalctl ended; starting it again"),
                Err(error) => tracing::warn!(%error, "failed to read the journal"),
            },
            () = stop.cancelled() => return,
        }
        vain = if cursor == before { vain + 1 } else { 0 };
        if vain >= MOST_VAIN && cursor.is_some() {
            // A place that the journal does not take (its files were replaced) must not end the reading for good.
            tracing::warn!(
                "journalctl ends at once from where it was left; reading its last entries instead"
            );
            journal.figures.dropped("journal_places", 1);
            (cursor, vain) = (None, 0);
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return,
        }
    }
}

impl Journal {
    fn start(&self, cursor: Option<&str>) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(["--output=json", "--follow", "--no-pager", "--quiet"]);
        match cursor {
            Some(cursor) => command.arg(format!("--after-cursor={cursor}")).arg("--lines=all"),
            None => command.arg(format!("--lines={BACKLOG}")),
        };
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }

    async fn once(&self, cursor: &mut Option<String>) -> std::io::Result<()> {
        let mut child = self.start(cursor.as_deref())?;
        let Some(stdout) = child.stdout.take() else {
            return Ok(());
        };
        let mut reader = BufReader::with_capacity(64 * 1024, stdout);
        let mut text = Vec::new();
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let wait = if entries.is_empty() {
                Duration::from_secs(3600)
            } else {
                TOGETHER
            };
            let is_full = entries.len() >= MAX_TOGETHER;
            let line = tokio::select! {
                biased;
                line = read_line(&mut reader, &mut text), if !is_full => line?,
                () = tokio::time::sleep(if is_full { Duration::ZERO } else { wait }) => {
                    if self.send(&mut entries, cursor).await.is_none() {
                        return Ok(());
                    }
                    continue;
                }
            };
            match line {
                Line::Whole => entries.extend(parse(&text)),
                Line::TooLong => self.figures.dropped("journal_entries", 1),
                Line::End => {
                    let _ = self.send(&mut entries, cursor).await;
                    return Ok(());
                }
            }
            text.clear();
        }
    }

    /// Sends entries, those of one source together; the place is moved with the last.
    async fn send(&self, entries: &mut Vec<Entry>, cursor: &mut Option<String>) -> Option<()> {
        let mut groups: Vec<(String, Vec<LogLine>)> = Vec::new();
        let before = cursor.clone();
        for entry in entries.drain(..) {
            *cursor = Some(entry.cursor);
            match groups.iter_mut().find(|(unit, _)| *unit == entry.unit) {
                Some((_, lines)) => lines.push(entry.line),
                None => groups.push((entry.unit, vec![entry.line])),
            }
        }
        let mark = |value: String| Mark {
            key: KEY.to_owned(),
            value,
        };
        let reached = cursor.clone()?;
        // The place moves with the last group only: the others may be safe before it is.
        let before = before.unwrap_or_else(|| reached.clone());
        let last = groups.len();
        for (number, (name, lines)) in (1..).zip(groups) {
            let place = if number == last { &reached } else { &before };
            self.figures
                .log_lines
                .fetch_add(lines.len() as u64, Ordering::Relaxed);
            let source = LogSource {
                kind: "journal".to_owned(),
                name,
            };
            self.observations
                .send(Observation::Logs {
                    source,
                    lines,
                    mark: mark(place.clone()),
                })
                .await
                .ok()?;
        }
        Some(())
    }
}

enum Line {
    Whole,
    TooLong,
    End,
}

/// Adds to `text`, which keeps half a line when the caller drops this future in the middle.
async fn read_line(reader: &mut BufReader<ChildStdout>, text: &mut Vec<u8>) -> std::io::Result<Line> {
    let left = MAX_ENTRY.saturating_sub(text.len() as u64);
    let mut limited = reader.take(left);
    // Cancel-safe: what has been read is in `text`.
    let read = limited.read_until(b'\n', text).await?;
    if text.last() == Some(&b'\n') {
        return Ok(Line::Whole);
    }
    if read == 0 && left > 0 {
        return Ok(Line::End);
    }
    text.clear();
    loop {
        let buffered = reader.fill_buf().await?;
        let end = buffered.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(buffered.len(), |end| end + 1);
        if length == 0 {
            return Ok(Line::End);
        }
        reader.consume(length);
        if end.is_some() {
            return Ok(Line::TooLong);
        }
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    cursor: String,
    unit: String,
    line: LogLine,
}

/// One entry of `journalctl --output=json`.
pub(crate) fn parse(bytes: &[u8]) -> Option<Entry> {
    let entry: Value = serde_json::from_slice(bytes).ok()?;
    let get = |key: &str| text(entry.get(key)?);
    let micros: i64 = get("__REALTIME_TIMESTAMP")?.parse().ok()?;
    let program = get("SYSLOG_IDENTIFIER").or_else(|| get("_COMM"));
    let mut message = get("MESSAGE").unwrap_or_default();
    let over = cut(&mut message);
    if over > 0 {
        message.push_str(&format!(" … ({over} bytes cut)"));
    }
    let unit = get("_SYSTEMD_UNIT")
        .or_else(|| get("UNIT"))
        .or_else(|| program.clone());
    let pid = get("_PID")
        .or_else(|| get("SYSLOG_PID"))
        .and_then(|pid| pid.parse().ok());
    let severity = get("PRIORITY")
        .and_then(|priority| priority.parse().ok())
        .filter(|severity| *severity <= 7);
    Some(Entry {
        cursor: get("__CURSOR")?,
        unit: unit.unwrap_or_else(|| "kernel".to_owned()),
        line: LogLine {
            at_ms: micros / 1000,
            severity,
            program,
            pid,
            text: message,
        },
    })
}

/// A field is text, or its bytes when it is not UTF-8, or several of these.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.iter().all(Value::is_number) => {
            let bytes: Vec<u8> = items
                .iter()
                .filter_map(|item| u8::try_from(item.as_u64()?).ok())
                .collect();
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        Value::Array(items) => items.first().and_then(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn entries_of_all_shapes() {
        let entry = parse(
            br#"{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1700000000123456","PRIORITY":"3","SYSLOG_IDENTIFIER":"sshd",
                "_PID":"7","_SYSTEMD_UNIT":"ssh.service","MESSAGE":[104,105,255]}"#,
        )
        .unwrap();
        assert_eq!(
            (entry.cursor.as_str(), entry.unit.as_str()),
            ("s=1", "ssh.service")
        );
        assert_eq!(
            (entry.line.at_ms, entry.line.severity, entry.line.pid),
            (1_700_000_000_123, Some(3), Some(7))
        );
        assert_eq!(entry.line.text, "hi\u{fffd}");
        assert!(parse(b"{}").is_none() && parse(b"garbage").is_none());
        let long = format!(
            r#"{{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":"{}"}}"#,
            "é".repeat(20_000)
        );
        let entry = parse(long.as_bytes()).unwrap();
        assert!(entry.line.text.contains("bytes cut") && entry.unit == "kernel");
    }

    /// A `journalctl` that prints two entries, one of them far too large, and then ends; it notes how it was called.
    #[tokio::test]
    async fn the_child_is_started_again_after_the_last_cursor() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("journalctl");
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> {0}/calls\nhead -c 3000000 /dev/zero | tr '\\0' x\necho\n\
             echo '{{\"__CURSOR\":\"c7\",\"__REALTIME_TIMESTAMP\":\"1000\",\"MESSAGE\":\"hello\",\"_SYSTEMD_UNIT\":\"u\"}}'\n",
            dir.path().display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (observations, mut queue) = tokio::sync::mpsc::channel(8);
        let checkpoints = Checkpoints::open(&dir.path().join("checkpoints.json"));
        let program = program.to_str().unwrap().to_owned();
        let journal = Journal {
            checkpoints,
            observations,
            figures: Arc::default(),
            program,
        };
        let mut cursor = None;
        for _ in 0..2 {
            journal.once(&mut cursor).await.unwrap();
            let Some(Observation::Logs { source, lines, mark }) = queue.recv().await else {
                panic!("no lines")
            };
            assert_eq!(
                (source.kind.as_str(), source.name.as_str(), lines[0].text.as_str()),
                ("journal", "u", "hello")
            );
            assert_eq!(mark.value, "c7");
        }
        let calls = std::fs::read_to_string(dir.path().join("calls")).unwrap();
        let calls: Vec<&str> = calls.lines().collect();
        assert!(
            calls[0].contains("--lines=500") && calls[1].contains("--after-cursor=c7"),
            "{calls:?}"
        );
    }

    /// A `journalctl` that takes no place: it ends at once unless it is asked for the last entries.
    #[tokio::test(start_paused = true)]
    async fn a_place_that_the_journal_does_not_take_ends_no_reading() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("journalctl");
        let entry =
            r#"{"__CURSOR":"c9","__REALTIME_TIMESTAMP":"1000","MESSAGE":"hello","_SYSTEMD_UNIT":"u"}"#;
        let script =
            format!("#!/bin/sh\ncase \"$*\" in *after-cursor*) exit 1;; esac\necho '{entry}'\nsleep 600\n");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (observations, mut queue) = tokio::sync::mpsc::channel(8);
        let checkpoints = Checkpoints::open(&dir.path().join("checkpoints.json"));
        checkpoints.set(Mark {
            key: KEY.into(),
            value: "gone".into(),
        });
        let figures: Arc<Figures> = Arc::default();
        let journal = Journal {
            checkpoints,
            observations,
            figures: figures.clone(),
            program: program.to_str().unwrap().to_owned(),
        };
        let stop = CancellationToken::new();
        let following = crate::rt::spawn("journal", follow(journal, stop.clone()));
        let Some(Observation::Logs { lines, mark, .. }) = queue.recv().await else {
            panic!("no lines")
        };
        assert_eq!((lines[0].text.as_str(), mark.value.as_str()), ("hello", "c9"));
        assert_eq!(figures.bounds.lock().dropped["journal_places"], 1);
        stop.cancel();
        following.await.unwrap();
    }
}
