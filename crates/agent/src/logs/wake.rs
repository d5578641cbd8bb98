//! What wakes the reader of log files: the kernel's word that a file was written to or a name has changed, and the clock
//! where the kernel gives no word (network file systems, no watches left).

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

/// Without word from the kernel: between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// After the first word; what is written meanwhile is read together. Lines wait longer than this for their batch.
const REST: Duration = Duration::from_millis(200);

/// A watch of the kernel.
pub(crate) type WatchId = i32;

pub(crate) struct Wake {
    inotify: Option<OwnedFd>,
    folders: Vec<(PathBuf, WatchId)>,
}

/// Why the reader was woken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Woken {
    /// These files were written to.
    pub(crate) files: Vec<WatchId>,
    /// Names came, went or changed.
    pub(crate) names: bool,
    /// Anything may have happened.
    pub(crate) all: bool,
}

impl Wake {
    pub(crate) fn new() -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        let inotify = inotify
            .inspect_err(|error| tracing::info!(%error, "the kernel does not tell of changed files; log files are looked at"))
            .ok();
        Self {
            inotify,
            folders: Vec::new(),
        }
    }

    /// Watches the open file itself, whatever its name leads to now. `None`: it must be looked at.
    pub(crate) fn watch_file(&self, file: &File) -> Option<WatchId> {
        let inotify = self.inotify.as_ref()?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        inotify::add_watch(inotify, path.as_str(), WatchFlags::MODIFY).ok()
    }

    pub(crate) fn unwatch(&self, watch: WatchId) {
        if let Some(inotify) = &self.inotify {
            // The kernel may have ended it with the file.
            let _ = inotify::remove_watch(inotify, watch);
        }
    }

    /// Watches the names in the folders of these files, and in no others.
    pub(crate) fn watch_folders<'a>(&mut self, files: impl Iterator<Item = &'a Path>) {
        let Some(inotify) = &self.inotify else { return };
        let wanted: Vec<PathBuf> = files.filter_map(|file| Some(file.parent()?.to_owned())).collect();
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.folders)
            .into_iter()
            .partition(|(path, _)| wanted.contains(path));
        self.folders = kept;
        for (_, watch) in gone {
            let _ = inotify::remove_watch(inotify, watch);
        }
        for path in wanted {
            if self.folders.iter().any(|(known, _)| *known == path) {
                continue;
            }
            let flags =
                WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM | WatchFlags::DELETE;
            if let Ok(watch) = inotify::add_watch(inotify, &path, flags) {
                self.folders.push((path, watch));
            }
        }
    }

    /// Waits for word from the kernel, at most `limit`. With `unwatched` files there is no waiting for word.
    pub(crate) fn wait(&self, limit: Duration, unwatched: bool) -> Woken {
        let everything = Woken {
            all: true,
            ..Woken::default()
        };
        let Some(inotify) = &self.inotify else {
            std::thread::sleep(limit.min(LOOK));
            return everything;
        };
        let limit = if unwatched { limit.min(LOOK) } else { limit };
        let timeout = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(1),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        let mut waiting = [PollFd::new(inotify, PollFlags::IN)];
        match poll(&mut waiting, Some(&timeout)) {
            Ok(0) => {
                return Woken {
                    all: unwatched,
                    ..Woken::default()
                };
            }
            Ok(_) => std::thread::sleep(REST),
            Err(rustix::io::Errno::INTR) => return Woken::default(),
            Err(_) => {
                std::thread::sleep(LOOK);
                return everything;
            }
        }
        let mut woken = self.read(inotify);
        woken.all |= unwatched;
        woken
    }

    fn read(&self, inotify: &OwnedFd) -> Woken {
        let mut woken = Woken::default();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(inotify.as_fd(), &mut buffer);
        while let Ok(event) = events.next() {
            let watch = event.wd();
            if event.events().contains(ReadFlags::IGNORED) {
                // The end of a watch.
            } else if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                woken.all = true;
            } else if self.folders.iter().any(|(_, folder)| *folder == watch) {
                woken.names = true;
            } else if !woken.files.contains(&watch) {
                woken.files.push(watch);
            }
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_write_and_a_new_name_wake() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut file = File::create(&path).unwrap();
        let mut wake = Wake::new();
        let watch = wake.watch_file(&file).unwrap();
        wake.watch_folders([path.as_path()].into_iter());
        assert_eq!(wake.wait(Duration::ZERO, false), Woken::default());
        // Renamed: it is still the same file that is watched.
        std::fs::rename(&path, dir.path().join("a.log.1")).unwrap();
        file.write_all(b"x").unwrap();
        let woken = wake.wait(Duration::from_secs(5), false);
        assert_eq!((woken.files, woken.names, woken.all), (vec![watch], true, false));
        wake.watch_folders(std::iter::empty());
        wake.unwatch(watch);
        File::create(dir.path().join("b.log")).unwrap();
        assert_eq!(wake.wait(Duration::ZERO, false), Woken::default());
        assert!(wake.wait(Duration::ZERO, true).all);
    }
}
