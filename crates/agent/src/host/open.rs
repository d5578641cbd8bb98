//! Opening files that other users of the host may have put there: never waiting at a pipe, never following a link to
//! what the link's owner could not name as their own.
//!
//! The agent runs as root and reads patterns and folders in which services write. The path is walked one name at a time.
//! A link is followed when root or the agent's own user has made it; a link of anybody else only leads to files of that
//! same user. A file with several names in a folder of another user counts as a link to it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};

/// Links on the way that are followed at most.
const MOST_LINKS: usize = 40;

/// A regular file under `root`, opened for reading. Links with absolute targets stay under `root` too.
pub(crate) fn open_file(root: &Path, path: &Path) -> io::Result<File> {
    Walk::new(root, rustix::process::geteuid().as_raw())?.open(path)
}

struct Walk<'a> {
    root: &'a Path,
    /// Beside root: whose links are followed wherever they lead.
    trusted: u32,
    /// Folders from the root to where the walk stands.
    folders: Vec<OwnedFd>,
    links: usize,
    /// Owners of links that somebody else has made: what they lead to must be theirs.
    owners: Vec<u32>,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Path, trusted: u32) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, root, flags, Mode::empty())?;
        Ok(Self {
            root,
            trusted,
            folders: vec![folder],
            links: 0,
            owners: Vec::new(),
        })
    }

    fn open(mut self, path: &Path) -> io::Result<File> {
        let inside = path.strip_prefix(self.root).unwrap_or(path);
        let mut rest = VecDeque::new();
        push_front(&mut rest, inside);
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                if self.folders.len() > 1 {
                    self.folders.pop();
                }
                continue;
            }
            let kind = FileType::from_raw_mode(self.stat(&name)?.st_mode);
            if kind.is_symlink() {
                self.follow(&name, &mut rest)?;
            } else if rest.is_empty() {
                return self.read(&name);
            } else {
                self.enter(&name)?;
            }
        }
        Err(not_a_file())
    }

    fn stat(&self, name: &OsStr) -> io::Result<rustix::fs::Stat> {
        let at = self.folder()?;
        Ok(statat(at, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn folder(&self) -> io::Result<&OwnedFd> {
        self.folders.last().ok_or_else(not_a_file)
    }

    fn enter(&mut self, name: &OsStr) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(self.folder()?, name, flags, Mode::empty())?;
        self.folders.push(folder);
        Ok(())
    }

    /// Puts what a link says in front of the rest of the way. The link is read by its descriptor: it is the one looked at.
    fn follow(&mut self, name: &OsStr, rest: &mut VecDeque<OsString>) -> io::Result<()> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(rustix::io::Errno::LOOP.into());
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = openat(self.folder()?, name, flags, Mode::empty())?;
        let owner = fstat(&link)?.st_uid;
        let target = OsString::from_vec(readlinkat(link.as_fd(), "", Vec::new())?.into_bytes());
        if owner != 0 && owner != self.trusted {
            self.owners.push(owner);
        }
        let target = Path::new(&target);
        if target.is_absolute() {
            self.folders.truncate(1);
        }
        push_front(rest, target);
        Ok(())
    }

    fn read(&self, name: &OsStr) -> io::Result<File> {
        let folder = self.folder()?;
        // A pipe without a writer does not keep us; a device is not opened at all on most systems, and is refused below.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if !FileType::from_raw_mode(self.stat(name)?.st_mode).is_file() {
            return Err(not_a_file());
        }
        let file = File::from(openat(folder, name, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(not_a_file());
        }
        let folder_owner = fstat(folder)?.st_uid;
        let is_foreign_name = metadata.nlink() > 1
            && folder_owner != 0
            && folder_owner != self.trusted
            && folder_owner != metadata.uid();
        if is_foreign_name || self.owners.iter().any(|owner| *owner != metadata.uid()) {
            let text = "a link of another user leads to it";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(file)
    }
}

fn push_front(rest: &mut VecDeque<OsString>, path: &Path) {
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => rest.push_front(name.to_owned()),
            Component::ParentDir => rest.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    /// A user that is neither root nor the one the tests run as.
    const OTHER: u32 = 54_321;

    fn read(root: &Path, path: &str) -> io::Result<String> {
        let mut text = String::new();
        open_file(root, &root.join(path))?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn root() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["etc", "var/log", "home/svc/log"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        std::fs::write(dir.path().join("etc/secret"), "secret").unwrap();
        std::fs::write(dir.path().join("home/svc/log/real.log"), "mine").unwrap();
        dir
    }

    #[test]
    fn links_of_root_are_followed_and_stay_under_the_root() {
        let dir = root();
        symlink("/etc/secret", dir.path().join("var/log/absolute.log")).unwrap();
        symlink("../../etc/./secret", dir.path().join("var/log/relative.log")).unwrap();
        symlink("../../../../../../etc/secret", dir.path().join("var/log/out.log")).unwrap();
        symlink("/var", dir.path().join("v")).unwrap();
        for path in [
            "var/log/absolute.log",
            "var/log/relative.log",
            "var/log/out.log",
            "v/log/absolute.log",
        ] {
            assert_eq!(read(dir.path(), path).unwrap(), "secret", "{path}");
        }
        symlink("loop.log", dir.path().join("var/log/loop.log")).unwrap();
        assert!(read(dir.path(), "var/log/loop.log").is_err());
        assert!(read(dir.path(), "var/log").is_err(), "a folder is not a file");
    }

    #[test]
    fn a_link_of_a_service_user_leads_to_files_of_that_user_only() {
        if !rustix::process::geteuid().is_root() {
            // Only root can make files of another user.
            return;
        }
        let dir = root();
        let at = |path: &str| dir.path().join(path);
        let link = |target: &str, path: &str| {
            symlink(target, at(path)).unwrap();
            lchown(at(path), Some(OTHER), Some(OTHER)).unwrap();
        };
        link("/etc/secret", "home/svc/log/stolen.log");
        link("/etc", "home/svc/logs");
        link("real.log", "home/svc/log/current.log");
        lchown(at("home/svc/log/real.log"), Some(OTHER), None).unwrap();
        assert_eq!(read(dir.path(), "home/svc/log/current.log").unwrap(), "mine");
        for path in ["home/svc/log/stolen.log", "home/svc/logs/secret"] {
            let error = read(dir.path(), path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{path}");
        }
        // A second name for root's file, where the kernel lets users make one.
        std::fs::hard_link(at("etc/secret"), at("home/svc/log/second.log")).unwrap();
        assert!(
            read(dir.path(), "home/svc/log/second.log").is_ok(),
            "the folder is root's"
        );
        lchown(at("home/svc/log"), Some(OTHER), None).unwrap();
        assert!(read(dir.path(), "home/svc/log/second.log").is_err());
        assert_eq!(read(dir.path(), "home/svc/log/real.log").unwrap(), "mine");
    }

    #[test]
    fn pipes_and_devices_are_refused_without_waiting() {
        let dir = root();
        let pipe = dir.path().join("var/log/pipe.log");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(read(dir.path(), "var/log/pipe.log").is_err());
        symlink("/dev/zero", dir.path().join("var/log/zero.log")).unwrap();
        assert!(read(dir.path(), "var/log/zero.log").is_err());
        assert!(open_file(Path::new("/"), Path::new("/dev/zero")).is_err());
    }
}
