//! Block devices: `/proc/diskstats`, with what udev knows of each.

use std::collections::HashMap;

use crate::collect::{CollectError, Collector, Every, KeptFile, Roots, Sink, read_number, read_text};

const SECTOR: f64 = 512.0;
const MILLI: f64 = 0.001;

/// Metric and factor of the columns that follow the device's name.
const COLUMNS: [(&str, f64); 17] = [
    ("node_disk_reads_completed_total", 1.0),
    ("node_disk_reads_merged_total", 1.0),
    ("node_disk_read_bytes_total", SECTOR),
    ("node_disk_read_time_seconds_total", MILLI),
    ("node_disk_writes_completed_total", 1.0),
    ("node_disk_writes_merged_total", 1.0),
    ("node_disk_written_bytes_total", SECTOR),
    ("node_disk_write_time_seconds_total", MILLI),
    ("node_disk_io_now", 1.0),
    ("node_disk_io_time_seconds_total", MILLI),
    ("node_disk_io_time_weighted_seconds_total", MILLI),
    ("node_disk_discards_completed_total", 1.0),
    ("node_disk_discards_merged_total", 1.0),
    ("node_disk_discarded_sectors_total", 1.0),
    ("node_disk_discard_time_seconds_total", MILLI),
    ("node_disk_flush_requests_total", 1.0),
    ("node_disk_flush_requests_time_seconds_total", MILLI),
];

/// `node_disk_*` counters.
pub(crate) struct Disk(KeptFile);

impl Disk {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(KeptFile::new(roots.proc("diskstats")))
    }
}

impl Collector for Disk {
    fn name(&self) -> &'static str {
        "diskstats"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        for line in self.0.read()?.lines() {
            let mut words = line.split_ascii_whitespace().skip(2);
            let Some(device) = words.next().filter(|device| !is_ignored(device)) else {
                continue;
            };
            for ((metric, factor), word) in COLUMNS.iter().zip(words) {
                out.put(
                    metric,
                    &[("device", device)],
                    word.parse::<f64>().unwrap_or(0.0) * factor,
                );
            }
        }
        Ok(())
    }
}

/// RAM disks, loops, floppies and partitions: their numbers are those of nothing or of the whole disk.
pub(crate) fn is_ignored(device: &str) -> bool {
    let stem = device.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == device.len() {
        return false;
    }
    let is_letter_disk = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_lowercase())
    };
    let is_nvme_partition = || {
        let middle = stem.strip_prefix("nvme").and_then(|rest| rest.strip_suffix('p'));
        middle
            .and_then(|rest| rest.split_once('n'))
            .is_some_and(|(controller, namespace)| {
                controller.parse::<u32>().is_ok() && namespace.parse::<u32>().is_ok()
            })
    };
    matches!(stem, "ram" | "zram" | "loop" | "fd")
        || ["hd", "sd", "vd", "xvd"].into_iter().any(is_letter_disk)
        || is_nvme_partition()
}

/// `node_disk_info` and its kin, from the udev database.
pub(crate) struct DiskInfo {
    roots: Roots,
    stats: KeptFile,
}

impl DiskInfo {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            roots: roots.clone(),
            stats: KeptFile::new(roots.proc("diskstats")),
        }
    }
}

impl Collector for DiskInfo {
    fn name(&self) -> &'static str {
        "diskinfo"
    }

    fn every(&self) -> Every {
        Every::Millis(60_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        for line in self.stats.read()?.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(major), Some(minor), Some(device)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            if is_ignored(device) {
                continue;
            }
            let text = read_text(&self.roots.udev.join(format!("b{major}:{minor}"))).unwrap_or_default();
            let rotational = read_number(&self.roots.sys("block").join(device).join("queue/rotational"));
            put_info(
                out,
                (device, major, minor),
                rotational.unwrap_or(0.0),
                &parse_udev(&text),
            );
        }
        Ok(())
    }
}

/// The `E:KEY=value` lines of a udev record.
fn parse_udev(text: &str) -> HashMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("E:")?.split_once('='))
        .collect()
}

fn put_info(
    out: &mut Sink,
    (device, major, minor): (&str, &str, &str),
    rotational: f64,
    udev: &HashMap<&str, &str>,
) {
    let get = |key: &str| udev.get(key).copied().unwrap_or_default();
    let serial = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"]
        .into_iter()
        .map(get)
        .find(|serial| !serial.is_empty())
        .unwrap_or_default();
    let rotational = if rotational > 0.0 { "1" } else { "0" };
    let labels = [
        ("device", device),
        ("major", major),
        ("minor", minor),
        ("path", get("ID_PATH")),
        ("wwn", get("ID_WWN")),
        ("model", get("ID_MODEL")),
        ("serial", serial),
        ("revision", get("ID_REVISION")),
        ("rotational", rotational),
    ];
    out.put("node_disk_info", &labels, 1.0);
    if !get("ID_FS_TYPE").is_empty() {
        let labels = [
            ("device", device),
            ("type", get("ID_FS_TYPE")),
            ("usage", get("ID_FS_USAGE")),
            ("uuid", get("ID_FS_UUID")),
            ("version", get("ID_FS_VERSION")),
        ];
        out.put("node_disk_filesystem_info", &labels, 1.0);
    }
    if !get("DM_NAME").is_empty() {
        let labels = [
            ("device", device),
            ("name", get("DM_NAME")),
            ("uuid", get("DM_UUID")),
            ("vg_name", get("DM_VG_NAME")),
            ("lv_name", get("DM_LV_NAME")),
            ("lv_layer", get("DM_LV_LAYER")),
        ];
        out.put("node_disk_device_mapper_info", &labels, 1.0);
    }
    for (key, metric) in [
        ("ID_ATA_WRITE_CACHE", "node_disk_ata_write_cache"),
        ("ID_ATA_WRITE_CACHE_ENABLED", "node_disk_ata_write_cache_enabled"),
        ("ID_ATA_ROTATION_RATE_RPM", "node_disk_ata_rotation_rate_rpm"),
    ] {
        if let Some(value) = udev.get(key).and_then(|value| value.parse().ok()) {
            out.put(metric, &[("device", device)], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_and_toys_are_left_out() {
        for device in [
            "sda1",
            "xvdb2",
            "vda12",
            "nvme0n1p3",
            "loop7",
            "ram0",
            "zram1",
            "fd0",
            "hdc3",
        ] {
            assert!(is_ignored(device), "{device}");
        }
        for device in [
            "sda",
            "nvme0n1",
            "dm-0",
            "md127",
            "mmcblk0p1",
            "sr0",
            "sdaa",
            "vda",
        ] {
            assert!(!is_ignored(device), "{device}");
        }
    }
}
