//! File systems that keep statistics of their own: XFS and Btrfs under `/sys/fs`, ZFS under `/proc/spl/kstat`.

use std::path::Path;

use crate::collect::{CollectError, Collector, Every, Roots, Sink, read_dir_names, read_number, read_text};

/// `node_xfs_*`.
pub(crate) struct Xfs(Roots);

impl Xfs {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

/// Lines of the statistics file, the group of their metrics, and what their numbers are.
const XFS: [(&str, &str, &[&str]); 8] = [
    (
        "extent_alloc",
        "extent_allocation",
        &[
            "extents_allocated",
            "blocks_allocated",
            "extents_freed",
            "blocks_freed",
        ],
    ),
    ("abt", "allocation_btree", &BTREE),
    (
        "blk_map",
        "block_mapping",
        &[
            "reads",
            "writes",
            "unmaps",
            "extent_list_insertions",
            "extent_list_deletions",
            "extent_list_lookups",
            "extent_list_compares",
        ],
    ),
    ("bmbt", "block_map_btree", &BTREE),
    (
        "dir",
        "directory_operation",
        &["lookup", "create", "remove", "getdents"],
    ),
    (
        "ig",
        "inode_operation",
        &[
            "attempts",
            "found",
            "recycled",
            "missed",
            "duplicates",
            "reclaims",
            "attribute_changes",
        ],
    ),
    ("rw", "", &["write_calls", "read_calls"]),
    (
        "vnodes",
        "vnode",
        &[
            "active", "allocate", "get", "hold", "release", "reclaim", "remove",
        ],
    ),
];
const BTREE: [&str; 4] = ["lookups", "compares", "records_inserted", "records_deleted"];

impl Collector for Xfs {
    fn name(&self) -> &'static str {
        "xfs"
    }

    fn every(&self) -> Every {
        Every::Millis(5_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("fs/xfs");
        let mut found = false;
        for device in read_dir_names(&folder) {
            let Some(text) = read_text(&folder.join(&device).join("stats/stats")) else {
                continue;
            };
            found |= device != "stats";
            for line in text.lines() {
                let mut words = line.split_ascii_whitespace();
                let key = words.next().unwrap_or_default();
                let Some((_, group, names)) = XFS.iter().find(|(known, ..)| *known == key) else {
                    continue;
                };
                let between = if group.is_empty() { "" } else { "_" };
                for (name, value) in names.iter().zip(words) {
                    if let Ok(value) = value.parse() {
                        let parts = ["node_xfs_", group, between, name, "_total"];
                        out.put_parts(&parts, &[("device", &device)], value);
                    }
                }
            }
        }
        if found { Ok(()) } else { Err(CollectError::Absent) }
    }
}

/// `node_btrfs_*`.
pub(crate) struct Btrfs(Roots);

impl Btrfs {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for Btrfs {
    fn name(&self) -> &'static str {
        "btrfs"
    }

    fn every(&self) -> Every {
        Every::Millis(10_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("fs/btrfs");
        let mut found = false;
        for uuid in read_dir_names(&folder) {
            let path = folder.join(&uuid);
            if path.join("allocation").is_dir() {
                found = true;
                put_btrfs(&path, ("uuid", &uuid), out);
            }
        }
        if found { Ok(()) } else { Err(CollectError::Absent) }
    }
}

fn put_btrfs(path: &Path, uuid: (&str, &str), out: &mut Sink) {
    let label = read_text(&path.join("label")).unwrap_or_default();
    out.put("node_btrfs_info", &[uuid, ("label", &label)], 1.0);
    if let Some(size) = read_number(&path.join("allocation/global_rsv_size")) {
        out.put("node_btrfs_global_rsv_size_bytes", &[uuid], size);
    }
    let devices = read_dir_names(&path.join("devices"));
    for device in &devices {
        let sectors = read_number(&path.join("devices").join(device).join("size")).unwrap_or(0.0);
        let labels = [uuid, ("device", device.as_str())];
        out.put("node_btrfs_device_size_bytes", &labels, sectors * 512.0);
    }
    for kind in ["data", "metadata", "system"] {
        put_block_group(
            &path.join("allocation").join(kind),
            [uuid, ("block_group_type", kind)],
            devices.len(),
            out,
        );
    }
    // Older kernels do not count commits.
    let text = read_text(&path.join("commit_stats")).unwrap_or_default();
    let number = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        line.and_then(|value| value.trim().parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    out.put("node_btrfs_commits_total", &[uuid], number("commits"));
    for (key, metric) in [
        ("last_commit_ms", "node_btrfs_last_commit_seconds"),
        ("max_commit_ms", "node_btrfs_max_commit_seconds"),
        ("total_commit_ms", "node_btrfs_commit_seconds_total"),
    ] {
        out.put(metric, &[uuid], number(key) / 1000.0);
    }
}

fn put_block_group(path: &Path, labels: [(&str, &str); 2], devices: usize, out: &mut Sink) {
    if let Some(bytes) = read_number(&path.join("bytes_reserved")) {
        out.put("node_btrfs_reserved_bytes", &labels, bytes);
    }
    for mode in read_dir_names(path) {
        let (Some(total), Some(used)) = (
            read_number(&path.join(&mode).join("total_bytes")),
            read_number(&path.join(&mode).join("used_bytes")),
        ) else {
            continue;
        };
        let [uuid, kind] = labels;
        let labels = [uuid, kind, ("mode", mode.as_str())];
        out.put("node_btrfs_size_bytes", &labels, total);
        out.put("node_btrfs_used_bytes", &labels, used);
        out.put("node_btrfs_allocation_ratio", &labels, copies(&mode, devices));
    }
}

/// Bytes on the devices for a byte of data.
fn copies(mode: &str, devices: usize) -> f64 {
    let devices = devices as f64;
    match mode {
        "dup" | "raid1" | "raid10" => 2.0,
        "raid1c3" => 3.0,
        "raid1c4" => 4.0,
        "raid5" if devices > 1.0 => devices / (devices - 1.0),
        "raid6" if devices > 2.0 => devices / (devices - 2.0),
        _ => 1.0,
    }
}

/// `node_zfs_*`: the kernel module's counters, and those of pools and data sets.
pub(crate) struct Zfs(Roots);

impl Zfs {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

const KSTATS: [(&str, &str); 11] = [
    ("abdstats", "abd"),
    ("arcstats", "arc"),
    ("dbufstats", "dbuf"),
    ("dmu_tx", "dmu_tx"),
    ("dnodestats", "dnode"),
    ("fm", "fm"),
    ("vdev_cache_stats", "vdev_cache"),
    ("vdev_mirror_stats", "vdev_mirror"),
    ("xuio_stats", "xuio"),
    ("zfetchstats", "zfetch"),
    ("zil", "zil"),
];
const POOL_STATES: [&str; 7] = [
    "degraded",
    "faulted",
    "offline",
    "online",
    "removed",
    "suspended",
    "unavail",
];

impl Collector for Zfs {
    fn name(&self) -> &'static str {
        "zfs"
    }

    fn every(&self) -> Every {
        Every::Millis(10_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.proc("spl/kstat/zfs");
        if !folder.is_dir() {
            return Err(CollectError::Absent);
        }
        for (file, group) in KSTATS {
            // Versions of the module have a subset.
            let text = read_text(&folder.join(file)).unwrap_or_default();
            for (name, value) in kstat(&text) {
                if let Ok(value) = value.parse() {
                    out.put_parts(&["node_zfs_", group, "_", &name.replace('-', "_")], &[], value);
                }
            }
        }
        for pool in read_dir_names(&folder) {
            let path = folder.join(&pool);
            if path.is_dir() {
                put_pool(&path, ("zpool", &pool), out);
            }
        }
        Ok(())
    }
}

/// Name and value of each line after the two of the heading: name, type (3 and 4 are numbers, 7 is text), value.
fn kstat(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().skip(2).filter_map(|line| {
        let (name, rest) = line.split_once(' ')?;
        let (_, value) = rest.trim_start().split_once(' ')?;
        Some((name, value.trim()))
    })
}

fn put_pool(path: &Path, pool: (&str, &str), out: &mut Sink) {
    if let Some(state) = read_text(&path.join("state")) {
        for known in POOL_STATES {
            let is_it = known.eq_ignore_ascii_case(&state);
            out.put(
                "node_zfs_zpool_state",
                &[pool, ("state", known)],
                f64::from(u8::from(is_it)),
            );
        }
    }
    if let Some(text) = read_text(&path.join("io")) {
        let mut lines = text.lines().skip(1);
        let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        for (name, value) in names
            .split_ascii_whitespace()
            .zip(values.split_ascii_whitespace())
        {
            if let Ok(value) = value.parse() {
                out.put_parts(&["node_zfs_zpool_", name], &[pool], value);
            }
        }
    }
    for file in read_dir_names(path) {
        if !file.starts_with("objset-") {
            continue;
        }
        let text = read_text(&path.join(file)).unwrap_or_default();
        let Some((_, dataset)) = kstat(&text).find(|(name, _)| *name == "dataset_name") else {
            continue;
        };
        for (name, value) in kstat(&text) {
            if let Ok(value) = value.parse() {
                out.put_parts(
                    &["node_zfs_zpool_dataset_", name],
                    &[pool, ("dataset", dataset)],
                    value,
                );
            }
        }
    }
}
