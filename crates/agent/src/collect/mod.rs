//! Collectors: what a host says about itself, as samples.
//!
//! A [`Collector`] reads files under configurable roots ([`Roots`]) and puts samples into a [`Sink`]. The
//! [`sampler`] runs them on a pool of threads with a deadline each, so that one that hangs never delays another.
//! `node/` holds the collectors that speak node_exporter's names, `own/` those of Mainstay.

pub(crate) mod file;
pub(crate) mod node;
pub(crate) mod own;
pub(crate) mod pool;
pub(crate) mod sampler;
pub(crate) mod series;
pub(crate) mod sink;

use std::path::{Path, PathBuf};

pub(crate) use file::{KeptFile, read_dir_names, read_number, read_text};
pub(crate) use sink::Sink;

/// Where the kernel's views of the host are mounted.
#[derive(Clone, Debug)]
pub struct Roots {
    pub procfs: PathBuf,
    pub sysfs: PathBuf,
    pub rootfs: PathBuf,
    /// The udev database, for the names of disks.
    pub udev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
            udev: "/run/udev/data".into(),
        }
    }
}

impl Roots {
    /// Everything under one folder, as where a host's root is mounted into a container.
    pub fn under(root: &Path) -> Self {
        Self {
            procfs: root.join("proc"),
            sysfs: root.join("sys"),
            rootfs: root.to_owned(),
            udev: root.join("run/udev/data"),
        }
    }

    pub(crate) fn proc(&self, path: &str) -> PathBuf {
        self.procfs.join(path)
    }

    pub(crate) fn sys(&self, path: &str) -> PathBuf {
        self.sysfs.join(path)
    }

    /// An absolute path of the host, seen under the root.
    pub(crate) fn root(&self, path: &str) -> PathBuf {
        self.rootfs.join(path.trim_start_matches('/'))
    }

    /// As [`Roots::root`], for a path whose bytes may be no text.
    pub(crate) fn root_path(&self, path: &Path) -> PathBuf {
        self.rootfs.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// How often a collector runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Every {
    /// At the sample interval that the server sets.
    Tick,
    /// At least this many milliseconds apart.
    Millis(i64),
}

/// Reads one part of the host.
pub(crate) trait Collector: Send {
    /// The value of the label `collector` in `node_scrape_collector_success`.
    fn name(&self) -> &'static str;

    fn every(&self) -> Every {
        Every::Tick
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError>;
}

/// Why a collector has nothing to say.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    #[error("failed to read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the collector panicked")]
    Panicked,
    /// The host has no such thing; not a fault.
    #[error("nothing to collect")]
    Absent,
}

impl CollectError {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::NotFound {
            return Self::Absent;
        }
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}
