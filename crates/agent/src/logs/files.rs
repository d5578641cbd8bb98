//! All log files that the settings name: found by pattern, followed over rotation, each from where it was left.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use protocol::{AgentConfig, LogLine, LogSource};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::glob::expand;
use super::position::Position;
use super::tail::{Look, Tail};
use super::wake::{Wake, WatchId, Woken};
use crate::collect::Roots;
use crate::observe::{Checkpoints, Mark, Observation, Observations};
use crate::rt;
use crate::uplink::Figures;

/// Between two looks at all files, whatever the kernel tells of them.
const LOOK: Duration = Duration::from_secs(2);
/// Between two searches for files, and the least between two after names have changed.
const SEARCH: Duration = Duration::from_secs(5);
const SEARCH_LEAST: Duration = Duration::from_millis(500);
/// So soon the end of the agent is noticed.
const NOTICE: Duration = Duration::from_millis(500);
/// A file that was rotated away may still be written to for a while.
const LINGER: Duration = Duration::from_secs(60);
/// Of a file that is seen for the first time when the agent starts, this much is taken.
const BACKLOG_BYTES: u64 = 64 * 1024;
const MAX_FILES: usize = 256;

/// Files that only repeat what the journal has.
const OF_JOURNAL: [&str; 8] = [
    "/var/log/syslog",
    "/var/log/messages",
    "/var/log/auth.log",
    "/var/log/kern.log",
    "/var/log/daemon.log",
    "/var/log/user.log",
    "/var/log/mail.log",
    "/var/log/cron.log",
];

#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) roots: Roots,
    pub(crate) config: watch::Receiver<AgentConfig>,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) observations: Observations,
    pub(crate) figures: Arc<Figures>,
    pub(crate) stop: CancellationToken,
    /// The journal is followed too.
    pub(crate) beside_journal: bool,
}

/// A file that is followed.
struct Followed {
    tail: Tail,
    /// Since when another file has its name.
    retired: Option<Instant>,
    /// The name that it has now, where the patterns match that too: it goes on under it when its lingering is over.
    renamed: Option<PathBuf>,
    /// The kernel tells when it is written to.
    watch: Option<WatchId>,
    /// There may be something to read.
    due: bool,
}

impl Followed {
    fn new(tail: Tail, retired: Option<Instant>) -> Self {
        Self {
            tail,
            retired,
            renamed: None,
            watch: None,
            due: true,
        }
    }
}

/// Follows files on a thread of its own until stopped.
pub(crate) fn follow(files: Files) {
    let started = rt::thread("agent-logs", move || {
        loop {
            let follower = Follower::new(files.clone());
            let ended = catch_unwind(AssertUnwindSafe(|| follower.run()));
            if ended.is_ok() || files.stop.is_cancelled() {
                return;
            }
            // Each file goes on from the place that was kept for it.
            tracing::error!("the reader of log files panicked; it begins anew");
            std::thread::sleep(SEARCH);
        }
    });
    if let Err(error) = started {
        tracing::error!(%error, "failed to start the thread that reads log files");
    }
}

struct Follower {
    files: Files,
    followed: Vec<Followed>,
    wake: Wake,
    /// The first search is over: files found later are new and are taken from their first byte.
    begun: bool,
    linger: Duration,
}

impl Follower {
    fn new(files: Files) -> Self {
        Self {
            files,
            followed: Vec::new(),
            wake: Wake::new(),
            begun: false,
            linger: LINGER,
        }
    }

    fn run(mut self) {
        let zone = TimeZone::system();
        let mut buffer = Vec::new();
        let (mut searched, mut next_search) = (None::<Instant>, Instant::now());
        let mut next_look = Instant::now();
        while !self.files.stop.is_cancelled() {
            let now = Instant::now();
            if now >= next_search {
                self.search();
                (searched, next_search) = (Some(now), now + SEARCH);
            }
            if now >= next_look {
                self.check_rotation();
                self.followed.iter_mut().for_each(|one| one.due = true);
                next_look = now + LOOK;
            }
            self.watch_new();
            let Some(more) = self.look(&zone, &mut buffer) else {
                return;
            };
            if more {
                continue;
            }
            let next = next_look
                .min(next_search)
                .saturating_duration_since(Instant::now());
            let unwatched = self.followed.iter().any(|one| one.watch.is_none());
            let woken = self.wake.wait(next.min(NOTICE), unwatched);
            if woken.names {
                next_search = next_search.min(searched.map_or(now, |at| at + SEARCH_LEAST));
            }
            if woken.names || woken.all {
                self.check_rotation();
            }
            self.mark_due(&woken);
        }
    }

    fn mark_due(&mut self, woken: &Woken) {
        for one in &mut self.followed {
            one.due |= woken.all || one.watch.is_some_and(|watch| woken.files.contains(&watch));
        }
    }

    /// Asks for word of files that are new here. They are due, so that nothing written before is missed.
    fn watch_new(&mut self) {
        let mut is_new = false;
        for one in self.followed.iter_mut().filter(|one| one.watch.is_none()) {
            one.watch = self.wake.watch_file(one.tail.file());
            one.due = true;
            is_new = true;
        }
        if is_new {
            self.wake
                .watch_folders(self.followed.iter().map(|one| one.tail.path.as_path()));
        }
    }

    fn search(&mut self) {
        let patterns = self.files.config.borrow().log_files.clone();
        let mut found: Vec<PathBuf> = patterns
            .iter()
            .flat_map(|pattern| expand(&self.files.roots.rootfs, pattern))
            .filter(|path| !self.is_of_journal(path))
            .collect();
        // Names that were followed before come first: what was rotated meanwhile is then read under the name that it had.
        found.sort_by_key(|path| self.files.checkpoints.get(&key(path)).is_none());
        let mut left_out = Vec::new();
        for path in found {
            if let Some(renamed) = self.followed_as(&path) {
                // Its place is kept under the new name too.
                if let Some(at) = renamed
                    && self.tell(at, Vec::new(), &path).is_none()
                {
                    return;
                }
                continue;
            }
            if self.followed.len() >= MAX_FILES {
                left_out.push(path);
                continue;
            }
            match self.open(&path) {
                Ok(mut tails) => self.followed.append(&mut tails),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::debug!(%error, path = %path.display(), "failed to open a log file");
                    left_out.push(path);
                }
            }
        }
        left_out.dedup();
        self.files.figures.left_out("log_files", left_out.len() as u64);
        self.begun = true;
    }

    /// `None`: the file is not read yet, under whatever name. `Some(Some(at))`: it has just been found to be a file that was
    /// rotated to this name.
    fn followed_as(&mut self, path: &Path) -> Option<Option<usize>> {
        let is_active = |one: &Followed| one.retired.is_none() && one.tail.path == path;
        if self.followed.iter().any(is_active) {
            return Some(None);
        }
        let metadata = fs::metadata(path).ok()?;
        let at = self.followed.iter().position(|one| one.tail.is(&metadata))?;
        let one = self.followed.get_mut(at)?;
        if one.retired.is_none() || one.tail.path == path || one.renamed.is_some() {
            return Some(None);
        }
        one.renamed = Some(path.to_owned());
        Some(Some(at))
    }

    fn is_of_journal(&self, path: &Path) -> bool {
        self.files.beside_journal
            && OF_JOURNAL
                .iter()
                .any(|known| self.files.roots.root(known) == path)
    }

    /// Opens a file where it was left. If it was rotated meanwhile, what is left of the old one comes first.
    fn open(&self, path: &Path) -> std::io::Result<Vec<Followed>> {
        let root = &self.files.roots.rootfs;
        let fresh = Tail::open(root, path, 0)?;
        let kept = self
            .files
            .checkpoints
            .get(&key(path))
            .and_then(|text| place(&text));
        let active = |tail| Followed::new(tail, None);
        let Some(kept) = kept else {
            // It may have been read under the name that it had before.
            let elsewhere = self.files.checkpoints.with_prefix(KEY).into_iter();
            let elsewhere = elsewhere
                .filter_map(|text| place(&text))
                .find(|place| place.is_same_file(&fresh.position()));
            let tail = match elsewhere {
                Some(place) => Tail::resume(root, path, place)?,
                None if self.begun => fresh,
                None => Tail::open_near_end(root, path, BACKLOG_BYTES)?,
            };
            return Ok(vec![active(tail)]);
        };
        if kept.is_same_file(&fresh.position()) {
            return Ok(vec![active(Tail::resume(root, path, kept)?)]);
        }
        // One that is still read needs no second reader.
        let is_read = self
            .followed
            .iter()
            .any(|one| one.tail.path == path || one.tail.position().is_same_file(&kept));
        let old = rotated(path, kept).filter(|_| !is_read).and_then(|old| {
            let mut tail = Tail::resume(root, &old, kept).ok()?;
            path.clone_into(&mut tail.path);
            Some(Followed::new(tail, Some(Instant::now())))
        });
        Ok(old.into_iter().chain([active(fresh)]).collect())
    }

    /// A name that leads to another file now: the old one is read for a while, the new one from its first byte.
    fn check_rotation(&mut self) {
        let root = &self.files.roots.rootfs;
        let mut fresh = Vec::new();
        for one in self.followed.iter_mut().filter(|one| one.retired.is_none()) {
            match fs::metadata(&one.tail.path) {
                Ok(metadata) if one.tail.is(&metadata) => {}
                Ok(_) => {
                    one.retired = Some(Instant::now());
                    fresh.extend(Tail::open(root, &one.tail.path, 0).map(|tail| Followed::new(tail, None)));
                }
                Err(_) => one.retired = Some(Instant::now()),
            }
        }
        self.followed.extend(fresh);
    }

    /// One look at every file that is due; `None` when nobody listens any more, `Some(true)` when there is more to read now.
    fn look(&mut self, zone: &TimeZone, buffer: &mut Vec<u8>) -> Option<bool> {
        let mut any_more = false;
        let mut at = 0;
        while let Some(one) = self.followed.get_mut(at) {
            if !std::mem::take(&mut one.due) {
                at += 1;
                continue;
            }
            let look = one.tail.look(rt::now_ms(), zone, buffer).unwrap_or_else(|error| {
                self.files.figures.dropped("log_reads", 1);
                tracing::debug!(%error, path = %one.tail.path.display(), "failed to read a log file");
                Look::default()
            });
            one.due = look.more;
            any_more |= look.more;
            let is_over = one.retired.is_some_and(|since| since.elapsed() > self.linger) && !look.more;
            self.send(at, look)?;
            if is_over {
                let last = self
                    .followed
                    .get_mut(at)
                    .map(|one| one.tail.end(rt::now_ms(), zone))
                    .unwrap_or_default();
                self.send(at, last)?;
                self.retire(at)?;
            } else {
                at += 1;
            }
        }
        Some(any_more)
    }

    /// The end of a file under the name that it had. Under a new one that the patterns match it goes on from its place.
    fn retire(&mut self, at: usize) -> Option<()> {
        let mut ended = self.followed.remove(at);
        if !self.followed.iter().any(|one| one.tail.path == ended.tail.path) {
            self.files.checkpoints.remove(&key(&ended.tail.path));
        }
        match ended.renamed.take() {
            Some(path) => {
                (ended.tail.path, ended.retired) = (path.clone(), None);
                self.followed.insert(at, ended);
                self.tell(at, Vec::new(), &path)
            }
            None => {
                if let Some(watch) = ended.watch {
                    self.wake.unwatch(watch);
                }
                Some(())
            }
        }
    }

    fn send(&self, at: usize, look: Look) -> Option<()> {
        if look.lines.is_empty() {
            return Some(());
        }
        self.files
            .figures
            .log_lines
            .fetch_add(look.lines.len() as u64, Ordering::Relaxed);
        self.files
            .figures
            .log_cut_lines
            .fetch_add(look.cut_lines, Ordering::Relaxed);
        let one = self.followed.get(at)?;
        self.tell(at, look.lines, &one.tail.path)?;
        match &one.renamed {
            Some(path) => self.tell(at, Vec::new(), path),
            None => Some(()),
        }
    }

    /// Lines, if any, with the place that is reached once they are safe, kept under the name `path`.
    fn tell(&self, at: usize, lines: Vec<LogLine>, path: &Path) -> Option<()> {
        let one = self.followed.get(at)?;
        // While something is left of an old file, the place in the new one must not hide it.
        let same = || {
            self.followed
                .iter()
                .filter(|other| other.tail.path == path && one.tail.path == path)
        };
        let unread = same().find(|other| other.tail.has_unread());
        let position = unread
            .or_else(|| same().next_back())
            .unwrap_or(one)
            .tail
            .position();
        let mark = Mark {
            key: key(path),
            value: serde_json::to_string(&position).unwrap_or_default(),
        };
        let source = LogSource {
            kind: "file".to_owned(),
            name: shown(&self.files.roots, &one.tail.path),
        };
        self.files
            .observations
            .blocking_send(Observation::Logs { source, lines, mark })
            .ok()
    }
}

/// In front of the names of files among the checkpoints.
const KEY: &str = "file:";

/// A name that is no text has its odd bytes written out, so that two such names are not one.
fn key(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("{KEY}{text}"),
        Err(_) => format!("{KEY}{}", bytes.escape_ascii()),
    }
}

fn place(text: &str) -> Option<Position> {
    serde_json::from_str(text).ok()
}

/// The path as the host knows it.
fn shown(roots: &Roots, path: &Path) -> String {
    let inside = path.strip_prefix(&roots.rootfs).unwrap_or(path);
    format!("/{}", inside.display())
}

/// The file that a name led to before: in the same folder, under another name.
fn rotated(path: &Path, kept: Position) -> Option<PathBuf> {
    let entries = fs::read_dir(path.parent()?).ok()?;
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|other| {
            fs::metadata(other).is_ok_and(|metadata| kept.is(&metadata) && metadata.len() >= kept.offset)
        })
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
