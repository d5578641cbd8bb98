//! All log files that the settings name: found by pattern, followed over rotation, each from where it was left.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use protocol::{AgentConfig, LogSource};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::glob::expand;
use super::tail::{Look, Position, Tail};
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
            watch: None,
            due: true,
        }
    }
}

/// Follows files on a thread of its own until stopped.
pub(crate) fn follow(files: Files) {
    let started = rt::thread("agent-logs", move || {
        Follower {
            files,
            followed: Vec::new(),
            wake: Wake::new(),
            begun: false,
        }
        .run()
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
}

impl Follower {
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
        let found: Vec<PathBuf> = patterns
            .iter()
            .flat_map(|pattern| expand(&self.files.roots.rootfs, pattern))
            .collect();
        for path in found {
            let is_followed = self
                .followed
                .iter()
                .any(|one| one.retired.is_none() && one.tail.path == path);
            if is_followed || self.followed.len() >= MAX_FILES || self.is_of_journal(&path) {
                continue;
            }
            match self.open(&path) {
                Ok(mut tails) => self.followed.append(&mut tails),
                Err(error) => tracing::debug!(%error, path = %path.display(), "failed to open a log file"),
            }
        }
        self.begun = true;
    }

    fn is_of_journal(&self, path: &Path) -> bool {
        self.files.beside_journal
            && OF_JOURNAL
                .iter()
                .any(|known| self.files.roots.root(known) == path)
    }

    /// Opens a file where it was left. If it was rotated meanwhile, what is left of the old one comes first.
    fn open(&self, path: &Path) -> std::io::Result<Vec<Followed>> {
        let metadata = fs::metadata(path)?;
        let kept = self
            .files
            .checkpoints
            .get(&key(path))
            .and_then(|text| serde_json::from_str::<Position>(&text).ok());
        let active = |tail| Followed::new(tail, None);
        let Some(kept) = kept else {
            let tail = if self.begun {
                Tail::open(path, 0)?
            } else {
                Tail::open_near_end(path, BACKLOG_BYTES)?
            };
            return Ok(vec![active(tail)]);
        };
        if (kept.device, kept.inode) == (metadata.dev(), metadata.ino()) {
            return Ok(vec![active(Tail::open(path, kept.offset)?)]);
        }
        // One that is still read needs no second reader.
        let is_read = self.followed.iter().any(|one| one.tail.path == path);
        let old = rotated(path, kept).filter(|_| !is_read).and_then(|old| {
            let mut tail = Tail::open(&old, kept.offset).ok()?;
            path.clone_into(&mut tail.path);
            Some(Followed::new(tail, Some(Instant::now())))
        });
        Ok(old.into_iter().chain([active(Tail::open(path, 0)?)]).collect())
    }

    /// A name that leads to another file now: the old one is read for a while, the new one from its first byte.
    fn check_rotation(&mut self) {
        let mut fresh = Vec::new();
        for one in self.followed.iter_mut().filter(|one| one.retired.is_none()) {
            match fs::metadata(&one.tail.path) {
                Ok(metadata) if one.tail.is(&metadata) => {}
                Ok(_) => {
                    one.retired = Some(Instant::now());
                    fresh.extend(Tail::open(&one.tail.path, 0).map(|tail| Followed::new(tail, None)));
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
            let look = one.tail.look(rt::now_ms(), zone, buffer).unwrap_or_default();
            one.due = look.more;
            any_more |= look.more;
            let is_over = one.retired.is_some_and(|since| since.elapsed() > LINGER) && !look.more;
            self.send(at, look)?;
            if is_over {
                let last = self
                    .followed
                    .get_mut(at)
                    .map(|one| one.tail.end(rt::now_ms(), zone))
                    .unwrap_or_default();
                self.send(at, last)?;
                let ended = self.followed.remove(at);
                if let Some(watch) = ended.watch {
                    self.wake.unwatch(watch);
                }
                if !self.followed.iter().any(|one| one.tail.path == ended.tail.path) {
                    self.files.checkpoints.remove(&key(&ended.tail.path));
                }
            } else {
                at += 1;
            }
        }
        Some(any_more)
    }

    fn send(&self, at: usize, look: Look) -> Option<()> {
        let one = self.followed.get(at)?;
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
        // While something is left of an old file, the place in the new one must not hide it.
        let same = || {
            self.followed
                .iter()
                .filter(|other| other.tail.path == one.tail.path)
        };
        let unread = same().find(|other| other.tail.has_unread());
        let position = unread
            .or_else(|| same().next_back())
            .unwrap_or(one)
            .tail
            .position();
        let mark = Mark {
            key: key(&one.tail.path),
            value: serde_json::to_string(&position).unwrap_or_default(),
        };
        let source = LogSource {
            kind: "file".to_owned(),
            name: shown(&self.files.roots, &one.tail.path),
        };
        self.files
            .observations
            .blocking_send(Observation::Logs {
                source,
                lines: look.lines,
                mark,
            })
            .ok()
    }
}

fn key(path: &Path) -> String {
    format!("file:{}", path.display())
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
            fs::metadata(other).is_ok_and(|metadata| {
                (metadata.dev(), metadata.ino()) == (kept.device, kept.inode) && metadata.len() >= kept.offset
            })
        })
}
