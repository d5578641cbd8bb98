//! Mounted file systems. `statfs` may hang for ever (NFS, dead disk), so each mount point is a job of its own on a pool
//! of threads: one that hangs is reported as `node_filesystem_device_error 1` and costs the others nothing.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{StatVfs, StatVfsMountFlags};

use crate::collect::pool::{Job, Pool};
use crate::collect::{CollectError, Collector, KeptFile, Roots, Sink};
use crate::host::names;

/// How long one `statfs` may take before its thread is given up.
const DEADLINE: Duration = Duration::from_millis(100);
/// How long all of them may take in one round.
const LIMIT: Duration = Duration::from_millis(200);
/// More mounts than this are not watched.
pub(crate) const MAX_MOUNTS: usize = 512;

/// One line of the mount table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) device: String,
    pub(crate) point: String,
    pub(crate) fs_type: String,
    pub(crate) read_only: bool,
}

struct Probe {
    point: String,
    path: PathBuf,
    result: Option<Result<StatVfs, rustix::io::Errno>>,
}

impl Job for Probe {
    fn run(&mut self) {
        self.result = Some(rustix::fs::statvfs(&self.path));
    }
}

/// `node_filesystem_*`.
pub(crate) struct Filesystem {
    roots: Roots,
    table: KeptFile,
    table_text: String,
    mounts: Vec<Mount>,
    left_out: usize,
    pool: Pool<Probe>,
    home: BTreeMap<String, Probe>,
    away: Vec<String>,
}

impl Filesystem {
    pub(crate) fn new(roots: &Roots) -> Self {
        let init = roots.proc("1/mounts");
        // Inside a container the table of process 1 is the container's; unreadable means that we are not root.
        let path = if std::fs::File::open(&init).is_ok() {
            init
        } else {
            roots.proc("self/mounts")
        };
        Self {
            roots: roots.clone(),
            table: KeptFile::new(path),
            table_text: String::new(),
            mounts: Vec::new(),
            left_out: 0,
            pool: Pool::new("agent-statfs"),
            home: BTreeMap::new(),
            away: Vec::new(),
        }
    }

    fn probe(&mut self) {
        let mut jobs = Vec::new();
        for mount in &self.mounts {
            if self.away.contains(&mount.point) {
                continue;
            }
            let fresh = || Probe {
                point: mount.point.clone(),
                path: names::path(&self.roots.root(&mount.point)).into_owned(),
                result: None,
            };
            let mut probe = self.home.remove(&mount.point).unwrap_or_else(fresh);
            probe.result = None;
            self.away.push(mount.point.clone());
            jobs.push(probe);
        }
        self.home.clear();
        self.pool.submit(jobs);
        self.pool.settle_blocking(LIMIT, DEADLINE);
        let mut done = Vec::new();
        self.pool.take_done(&mut done);
        for probe in done {
            self.away.retain(|point| *point != probe.point);
            self.home.insert(probe.point.clone(), probe);
        }
    }
}

impl Collector for Filesystem {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let text = self.table.read()?;
        if text != self.table_text {
            text.clone_into(&mut self.table_text);
            self.mounts = parse_mounts(text);
            self.left_out = self.mounts.len().saturating_sub(MAX_MOUNTS);
            self.mounts.truncate(MAX_MOUNTS);
        }
        out.left_out("mounts", self.left_out);
        self.probe();
        for mount in &self.mounts {
            let labels = [
                ("device", mount.device.as_str()),
                ("mountpoint", &mount.point),
                ("fstype", &mount.fs_type),
            ];
            let result = self
                .home
                .get(&mount.point)
                .and_then(|probe| probe.result.as_ref());
            let Some(Ok(stat)) = result else {
                out.put("node_filesystem_device_error", &labels, 1.0);
                continue;
            };
            let block = stat.f_frsize as f64;
            let read_only = mount.read_only || stat.f_flag.contains(StatVfsMountFlags::RDONLY);
            out.put("node_filesystem_device_error", &labels, 0.0);
            out.put(
                "node_filesystem_readonly",
                &labels,
                f64::from(u8::from(read_only)),
            );
            out.put(
                "node_filesystem_size_bytes",
                &labels,
                stat.f_blocks as f64 * block,
            );
            out.put("node_filesystem_free_bytes", &labels, stat.f_bfree as f64 * block);
            out.put(
                "node_filesystem_avail_bytes",
                &labels,
                stat.f_bavail as f64 * block,
            );
            out.put("node_filesystem_files", &labels, stat.f_files as f64);
            out.put("node_filesystem_files_free", &labels, stat.f_ffree as f64);
        }
        Ok(())
    }
}

/// The mounts worth watching, in the order of their mounting: no kernel views, no bind of the same device over itself, the last mount of a point.
pub(crate) fn parse_mounts(text: &str) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    let mut taken = HashSet::new();
    // From the last to the first: what is mounted over hides what is below.
    for line in text.lines().rev() {
        let mut words = line.split_ascii_whitespace();
        let (Some(device), Some(point), Some(fs_type), Some(options)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let (device, point) = (unescape(device), unescape(point));
        if !taken.insert(point.clone()) || is_ignored(&point, fs_type) {
            continue;
        }
        let read_only = options.split(',').any(|option| option == "ro");
        mounts.push(Mount {
            device,
            point,
            fs_type: fs_type.to_owned(),
            read_only,
        });
    }
    mounts.reverse();
    mounts
}

const IGNORED_TYPES: [&str; 27] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "ramfs",
];

fn is_ignored(point: &str, fs_type: &str) -> bool {
    // In a container the root itself is an overlay and the only disk there is.
    if point == "/" && fs_type == "overlay" {
        return false;
    }
    let under = |folder: &str| {
        point == folder
            || point
                .strip_prefix(folder)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    let below = |folder: &str| point.starts_with(folder) && point.len() > folder.len();
    IGNORED_TYPES.contains(&fs_type)
        || ["/dev", "/proc", "/sys"].into_iter().any(under)
        || [
            "/run/credentials/",
            "/var/lib/docker/",
            "/var/lib/containers/storage/",
        ]
        .into_iter()
        .any(below)
}

/// Undoes the octal escapes of the mount table.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = bytes
            .get(at + 1..at + 4)
            .filter(|_| byte == b'\\')
            .and_then(|digits| {
                let digits = std::str::from_utf8(digits).ok()?;
                u8::from_str_radix(digits, 8).ok()
            });
        out.push(code.unwrap_or(byte));
        at += if code.is_some() { 4 } else { 1 };
    }
    names::text(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_table_is_filtered() {
        let text = "proc /proc proc rw 0 0\noverlay / overlay rw,relatime 0 0\n/dev/sda1 /data\\040one ext4 ro,noatime 0 0\n\
                    tmpfs /dev/shm tmpfs rw 0 0\noverlay /var/lib/docker/overlay2/x overlay rw 0 0\ntmpfs /run tmpfs rw 0 0\nbroken\n";
        let mounts = parse_mounts(text);
        let points: Vec<_> = mounts.iter().map(|m| (m.point.as_str(), m.read_only)).collect();
        assert_eq!(points, vec![("/", false), ("/data one", true), ("/run", false)]);
    }

    /// Samples of a metric by a label.
    fn by(sink: &mut Sink, name: &str, label: &str) -> BTreeMap<String, f64> {
        let is_it = |labels: &protocol::Labels| labels.iter().any(|(_, text)| text == name);
        let named = sink.drain_named().into_iter().filter(|(labels, _)| is_it(labels));
        let of = |labels: &protocol::Labels| labels.iter().find(|(name, _)| name == label).unwrap().1.clone();
        named.map(|(labels, value)| (of(&labels), value)).collect()
    }

    fn with_table(dir: &std::path::Path, table: &[u8]) -> Filesystem {
        std::fs::create_dir_all(dir.join("proc/1")).unwrap();
        std::fs::write(dir.join("proc/1/mounts"), table).unwrap();
        Filesystem::new(&Roots {
            procfs: dir.join("proc"),
            rootfs: dir.to_owned(),
            ..Roots::default()
        })
    }

    #[test]
    fn a_mount_point_that_is_no_text_costs_no_other_and_is_measured_too() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(std::ffi::OsStr::from_bytes(b"b\xe9"))).unwrap();
        std::fs::create_dir(dir.path().join("good")).unwrap();
        let table = b"tmpfs /b\xe9 tmpfs rw 0 0\n/dev/sda1 /good ext4 rw 0 0\n";
        let mut collector = with_table(dir.path(), table);
        let mut sink = Sink::new(crate::collect::series::Series::default());
        collector.collect(&mut sink).unwrap();
        let errors = by(&mut sink, "node_filesystem_device_error", "mountpoint");
        assert_eq!(
            errors,
            [("/b\u{fffd}".to_owned(), 0.0), ("/good".to_owned(), 0.0)].into(),
            "both were asked for their size"
        );
    }

    #[test]
    fn mounts_over_the_bound_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let table: String = (0..MAX_MOUNTS + 2)
            .map(|number| format!("tmpfs /m{number} tmpfs rw 0 0\n"))
            .collect();
        let mut collector = with_table(dir.path(), table.as_bytes());
        let mut sink = Sink::new(crate::collect::series::Series::default());
        collector.collect(&mut sink).unwrap();
        assert_eq!(
            by(&mut sink, "mainstay_agent_left_out", "what"),
            [("mounts".to_owned(), 2.0)].into()
        );
    }

    #[test]
    fn this_host_has_a_root_with_a_size() {
        let mut collector = Filesystem::new(&Roots::default());
        let mut sink = Sink::new(crate::collect::series::Series::default());
        collector.collect(&mut sink).unwrap();
        let samples = sink.drain_named();
        let root = ("mountpoint".to_owned(), "/".to_owned());
        let size = ("__name__".to_owned(), "node_filesystem_size_bytes".to_owned());
        let found = samples
            .iter()
            .find(|(labels, _)| labels.contains(&root) && labels.contains(&size));
        assert!(found.is_some_and(|(_, value)| *value > 0.0));
    }
}
