//! Storage behind several paths, tapes, and what processors draw: small folders of `/sys` with a number a file.

use crate::collect::{CollectError, Collector, Every, Roots, Sink, read_dir_names, read_number, read_text};

const SLOW: Every = Every::Millis(5_000);

/// `node_dmmultipath_*`.
pub(crate) struct Multipath(Roots);

impl Multipath {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for Multipath {
    fn name(&self) -> &'static str {
        "dmmultipath"
    }

    fn every(&self) -> Every {
        SLOW
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("block");
        let mut found = false;
        for disk in read_dir_names(&folder)
            .iter()
            .filter(|name| name.starts_with("dm-"))
        {
            let path = folder.join(disk);
            let Some(uuid) = read_text(&path.join("dm/uuid")).filter(|uuid| uuid.starts_with("mpath-"))
            else {
                continue;
            };
            found = true;
            let name = read_text(&path.join("dm/name")).unwrap_or_default();
            let labels = [("device", name.as_str()), ("sysfs_name", disk.as_str())];
            let [device, sysfs_name] = labels;
            out.put(
                "node_dmmultipath_device_info",
                &[device, sysfs_name, ("uuid", &uuid)],
                1.0,
            );
            let is_active = read_number(&path.join("dm/suspended")) == Some(0.0);
            out.put(
                "node_dmmultipath_device_active",
                &labels,
                f64::from(u8::from(is_active)),
            );
            let sectors = read_number(&path.join("size")).unwrap_or(0.0);
            out.put("node_dmmultipath_device_size_bytes", &labels, sectors * 512.0);
            let (mut paths, mut active) = (0.0, 0.0);
            for one in read_dir_names(&path.join("slaves")) {
                let state =
                    read_text(&folder.join(&one).join("device/state")).unwrap_or_else(|| "unknown".into());
                paths += 1.0;
                // A SCSI disk runs, an NVMe one lives.
                active += f64::from(u8::from(state == "running" || state == "live"));
                let labels = [device, ("path", one.as_str()), ("state", &state)];
                out.put("node_dmmultipath_path_state", &labels, 1.0);
            }
            out.put("node_dmmultipath_device_paths", &labels, paths);
            out.put("node_dmmultipath_device_paths_active", &labels, active);
            out.put("node_dmmultipath_device_paths_failed", &labels, paths - active);
        }
        if found { Ok(()) } else { Err(CollectError::Absent) }
    }
}

/// `node_tape_*`.
pub(crate) struct Tape(Roots);

impl Tape {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

const TAPE: [(&str, &str, f64); 10] = [
    ("in_flight", "io_now", 1.0),
    ("io_ns", "io_time_seconds_total", 1e9),
    ("other_cnt", "io_others_total", 1.0),
    ("read_byte_cnt", "read_bytes_total", 1.0),
    ("read_cnt", "reads_completed_total", 1.0),
    ("read_ns", "read_time_seconds_total", 1e9),
    ("resid_cnt", "residual_total", 1.0),
    ("write_byte_cnt", "written_bytes_total", 1.0),
    ("write_cnt", "writes_completed_total", 1.0),
    ("write_ns", "write_time_seconds_total", 1e9),
];

impl Collector for Tape {
    fn name(&self) -> &'static str {
        "tapestats"
    }

    fn every(&self) -> Every {
        SLOW
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("class/scsi_tape");
        let mut found = false;
        for device in read_dir_names(&folder) {
            // A drive has a name per mode (`nst0`, `st0l`, …); they all count the same.
            let is_drive = device
                .strip_prefix("st")
                .is_some_and(|rest| rest.bytes().all(|c| c.is_ascii_digit()));
            if !is_drive {
                continue;
            }
            found = true;
            for (file, name, scale) in TAPE {
                if let Some(value) = read_number(&folder.join(&device).join("stats").join(file)) {
                    out.put_parts(&["node_tape_", name], &[("device", &device)], value / scale);
                }
            }
        }
        if found { Ok(()) } else { Err(CollectError::Absent) }
    }
}

/// `node_rapl_*_joules_total`: energy of processors and their parts.
pub(crate) struct Rapl(Roots);

impl Rapl {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for Rapl {
    fn name(&self) -> &'static str {
        "rapl"
    }

    fn every(&self) -> Every {
        SLOW
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("class/powercap");
        let mut found = false;
        for zone in read_dir_names(&folder) {
            let path = folder.join(&zone);
            let (Some(name), Some(microjoules)) = (
                read_text(&path.join("name")),
                read_number(&path.join("energy_uj")),
            ) else {
                continue;
            };
            found = true;
            // `package-0`, or `core` below it.
            let (part, index) = match name.rsplit_once('-') {
                Some((part, index)) if index.bytes().all(|c| c.is_ascii_digit()) => (part, index),
                _ => (name.as_str(), "0"),
            };
            let shown = path.to_string_lossy();
            let labels = [("index", index), ("path", &*shown)];
            let part = part.replace('-', "_");
            out.put_parts(
                &["node_rapl_", &part, "_joules_total"],
                &labels,
                microjoules / 1e6,
            );
        }
        if found { Ok(()) } else { Err(CollectError::Absent) }
    }
}
