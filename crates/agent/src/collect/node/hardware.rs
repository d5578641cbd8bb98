//! Sensors and hardware state under `/sys/class`: thermal zones, memory errors, NVMe, power supplies, watchdogs.

use std::path::Path;

use crate::collect::{CollectError, Collector, Every, Roots, Sink, read_dir_names, read_number, read_text};

const PERIOD: Every = Every::Millis(15_000);

/// `node_thermal_zone_temp`, `node_cooling_device_*`.
pub(crate) struct Thermal(Roots);

impl Thermal {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for Thermal {
    fn name(&self) -> &'static str {
        "thermal_zone"
    }

    fn every(&self) -> Every {
        PERIOD
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("class/thermal");
        let names = read_dir_names(&folder);
        for name in &names {
            let path = folder.join(name);
            let kind = read_text(&path.join("type")).unwrap_or_default();
            if let Some(zone) = name.strip_prefix("thermal_zone") {
                if let Some(millidegrees) = read_number(&path.join("temp")) {
                    out.put(
                        "node_thermal_zone_temp",
                        &[("zone", zone), ("type", &kind)],
                        millidegrees / 1000.0,
                    );
                }
            } else if let Some(number) = name.strip_prefix("cooling_device") {
                let labels = [("name", number), ("type", kind.as_str())];
                if let Some(state) = read_number(&path.join("cur_state")) {
                    out.put("node_cooling_device_cur_state", &labels, state);
                }
                if let Some(state) = read_number(&path.join("max_state")) {
                    out.put("node_cooling_device_max_state", &labels, state);
                }
            }
        }
        if names.is_empty() {
            Err(CollectError::Absent)
        } else {
            Ok(())
        }
    }
}

/// `node_edac_*`: memory errors that ECC corrected or could not.
pub(crate) struct Edac(Roots);

impl Edac {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for Edac {
    fn name(&self) -> &'static str {
        "edac"
    }

    fn every(&self) -> Every {
        PERIOD
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("devices/system/edac/mc");
        let mut found = false;
        for name in read_dir_names(&folder) {
            let Some(controller) = name.strip_prefix("mc").filter(|n| n.parse::<u32>().is_ok()) else {
                continue;
            };
            found = true;
            let path = folder.join(&name);
            let put = |out: &mut Sink, file: &str, metric: &str, labels: &[(&str, &str)]| {
                if let Some(count) = read_number(&path.join(file)) {
                    out.put(metric, labels, count);
                }
            };
            let labels = [("controller", controller)];
            put(out, "ce_count", "node_edac_correctable_errors_total", &labels);
            put(out, "ue_count", "node_edac_uncorrectable_errors_total", &labels);
            let unknown = [("controller", controller), ("csrow", "unknown")];
            put(
                out,
                "ce_noinfo_count",
                "node_edac_csrow_correctable_errors_total",
                &unknown,
            );
            put(
                out,
                "ue_noinfo_count",
                "node_edac_csrow_uncorrectable_errors_total",
                &unknown,
            );
            for row in read_dir_names(&path) {
                if let Some(number) = row.strip_prefix("csrow") {
                    put_row(out, &path.join(&row), controller, number);
                }
            }
        }
        if found { Ok(()) } else { Err(CollectError::Absent) }
    }
}

fn put_row(out: &mut Sink, path: &Path, controller: &str, row: &str) {
    let labels = [("controller", controller), ("csrow", row)];
    for (file, metric) in [
        ("ce_count", "node_edac_csrow_correctable_errors_total"),
        ("ue_count", "node_edac_csrow_uncorrectable_errors_total"),
    ] {
        if let Some(count) = read_number(&path.join(file)) {
            out.put(metric, &labels, count);
        }
    }
    for name in read_dir_names(path) {
        let Some((channel, metric)) =
            name.strip_prefix("ch")
                .and_then(|rest| match rest.split_once('_')? {
                    (channel, "ce_count") => Some((channel, "node_edac_channel_correctable_errors_total")),
                    (channel, "ue_count") => Some((channel, "node_edac_channel_uncorrectable_errors_total")),
                    _ => None,
                })
        else {
            continue;
        };
        let label = read_text(&path.join(format!("ch{channel}_dimm_label"))).unwrap_or_default();
        // Drivers without names write `mc#0csrow#0channel#0`.
        let label = label
            .replace('#', "")
            .replace("csrow", "_csrow")
            .replace("channel", "_channel");
        let labels = [
            ("controller", controller),
            ("csrow", row),
            ("channel", channel),
            ("dimm_label", label.as_str()),
        ];
        if let Some(count) = read_number(&path.join(&name)) {
            out.put(metric, &labels, count);
        }
    }
}

/// `node_nvme_*`.
pub(crate) struct Nvme(Roots);

impl Nvme {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for Nvme {
    fn name(&self) -> &'static str {
        "nvme"
    }

    fn every(&self) -> Every {
        PERIOD
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("class/nvme");
        let devices = read_dir_names(&folder);
        for device in &devices {
            let path = folder.join(device);
            let get = |file: &str| read_text(&path.join(file)).unwrap_or_default();
            let (firmware, model, serial) = (get("firmware_rev"), get("model"), get("serial"));
            let (state, controller) = (get("state"), get("cntlid"));
            let labels = [
                ("device", device.as_str()),
                ("firmware_revision", &firmware),
                ("model", &model),
                ("serial", &serial),
                ("state", &state),
                ("cntlid", &controller),
            ];
            out.put("node_nvme_info", &labels, 1.0);
            for name in read_dir_names(&path) {
                put_namespace(out, &path.join(&name), device, &name);
            }
        }
        if devices.is_empty() {
            Err(CollectError::Absent)
        } else {
            Ok(())
        }
    }
}

/// `name` is `nvme0n1` or, with several paths to it, `nvme0c1n1`.
fn put_namespace(out: &mut Sink, path: &Path, device: &str, name: &str) {
    let is_namespace = name.starts_with("nvme") && path.join("size").exists();
    let Some((_, id)) = name
        .rsplit_once('n')
        .filter(|(_, id)| is_namespace && id.parse::<u32>().is_ok())
    else {
        return;
    };
    let labels = [("device", device), ("nsid", id)];
    let block = read_number(&path.join("queue/logical_block_size")).unwrap_or(512.0);
    let size = read_number(&path.join("size")).unwrap_or(0.0);
    let used = read_number(&path.join("nuse")).unwrap_or(0.0);
    let state = read_text(&path.join("ana_state")).unwrap_or_else(|| "unknown".to_owned());
    let info = [("device", device), ("nsid", id), ("ana_state", state.as_str())];
    out.put("node_nvme_namespace_info", &info, 1.0);
    out.put("node_nvme_namespace_capacity_bytes", &labels, size * block);
    out.put("node_nvme_namespace_size_bytes", &labels, size * block);
    out.put("node_nvme_namespace_used_bytes", &labels, used * block);
    out.put("node_nvme_namespace_logical_block_size_bytes", &labels, block);
}

/// File, metric and factor of the numbers of a power supply.
const POWER: [(&str, &str, f64); 22] = [
    ("authentic", "authentic", 1.0),
    ("calibrate", "calibrate", 1.0),
    ("capacity", "capacity", 1.0),
    ("charge_full", "charge_full", 1e-6),
    ("charge_full_design", "charge_full_design", 1e-6),
    ("charge_now", "charge_ampere", 1e-6),
    ("charge_counter", "charge_counter", 1e-6),
    ("current_max", "current_max", 1e-6),
    ("current_now", "current_ampere", 1e-6),
    ("cycle_count", "cyclecount", 1.0),
    ("energy_full", "energy_full", 1e-6),
    ("energy_full_design", "energy_full_design", 1e-6),
    ("energy_now", "energy_watthour", 1e-6),
    ("online", "online", 1.0),
    ("power_now", "power_watt", 1e-6),
    ("present", "present", 1.0),
    ("temp", "temp_celsius", 0.1),
    ("time_to_empty_now", "time_to_empty_seconds", 1.0),
    ("time_to_full_now", "time_to_full_seconds", 1.0),
    ("voltage_max_design", "voltage_max_design", 1e-6),
    ("voltage_min_design", "voltage_min_design", 1e-6),
    ("voltage_now", "voltage_volt", 1e-6),
];

const POWER_TEXT: [&str; 10] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];

/// `node_power_supply_*`.
pub(crate) struct PowerSupply(Roots);

impl PowerSupply {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for PowerSupply {
    fn name(&self) -> &'static str {
        "powersupplyclass"
    }

    fn every(&self) -> Every {
        PERIOD
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("class/power_supply");
        let supplies = read_dir_names(&folder);
        for supply in &supplies {
            let path = folder.join(supply);
            for (file, metric, factor) in POWER {
                if let Some(value) = read_number(&path.join(file)) {
                    let name = ["node_power_supply_", metric];
                    out.put_parts(&name, &[("power_supply", supply)], value * factor);
                }
            }
            let texts: Vec<(&str, String)> = POWER_TEXT
                .iter()
                .filter_map(|file| Some((*file, read_text(&path.join(file))?)))
                .collect();
            let mut labels = vec![("power_supply", supply.as_str())];
            labels.extend(texts.iter().map(|(name, text)| (*name, text.as_str())));
            out.put("node_power_supply_info", &labels, 1.0);
        }
        if supplies.is_empty() {
            Err(CollectError::Absent)
        } else {
            Ok(())
        }
    }
}

const WATCHDOG: [(&str, &str); 7] = [
    ("access_cs0", "node_watchdog_access_cs0"),
    ("bootstatus", "node_watchdog_bootstatus"),
    ("fw_version", "node_watchdog_fw_version"),
    ("nowayout", "node_watchdog_nowayout"),
    ("pretimeout", "node_watchdog_pretimeout_seconds"),
    ("timeleft", "node_watchdog_timeleft_seconds"),
    ("timeout", "node_watchdog_timeout_seconds"),
];

/// `node_watchdog_*`.
pub(crate) struct Watchdog(Roots);

impl Watchdog {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for Watchdog {
    fn name(&self) -> &'static str {
        "watchdog"
    }

    fn every(&self) -> Every {
        PERIOD
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("class/watchdog");
        let names = read_dir_names(&folder);
        for name in &names {
            let path = folder.join(name);
            for (file, metric) in WATCHDOG {
                if let Some(value) = read_number(&path.join(file)) {
                    out.put(metric, &[("name", name)], value);
                }
            }
            let get = |file: &str| read_text(&path.join(file)).unwrap_or_default();
            let (options, identity, state) = (get("options"), get("identity"), get("state"));
            let (status, governor) = (get("status"), get("pretimeout_governor"));
            let labels = [
                ("name", name.as_str()),
                ("options", &options),
                ("identity", &identity),
                ("state", &state),
                ("status", &status),
                ("pretimeout_governor", &governor),
            ];
            out.put("node_watchdog_info", &labels, 1.0);
        }
        if names.is_empty() {
            Err(CollectError::Absent)
        } else {
            Ok(())
        }
    }
}
