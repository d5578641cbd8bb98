//! Hardware sensors of `/sys/class/hwmon`: temperatures, fans, voltages, currents, power.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::collect::{CollectError, Collector, Every, Roots, Sink, read_dir_names, read_number, read_text};

/// `node_hwmon_*`.
pub(crate) struct Hwmon(Roots);

impl Hwmon {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

const KINDS: [&str; 14] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];

impl Collector for Hwmon {
    fn name(&self) -> &'static str {
        "hwmon"
    }

    fn every(&self) -> Every {
        Every::Millis(10_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("class/hwmon");
        let chips = read_dir_names(&folder);
        for name in &chips {
            put_chip(out, &folder.join(name));
        }
        if chips.is_empty() {
            Err(CollectError::Absent)
        } else {
            Ok(())
        }
    }
}

/// Element name (`input`, `max`, …; empty for none) to value text, per sensor.
type Sensors = BTreeMap<String, (String, BTreeMap<String, String>)>;

fn put_chip(out: &mut Sink, folder: &Path) {
    let mut sensors = Sensors::new();
    gather(folder, &mut sensors);
    let device = folder.join("device");
    if device.is_dir() {
        gather(&device, &mut sensors);
    }
    let chip = chip_name(folder);
    let readable = read_text(&folder.join("name"))
        .map(|name| clean(&name))
        .filter(|name| !name.is_empty());
    if let Some(name) = &readable {
        out.put(
            "node_hwmon_chip_names",
            &[("chip", &chip), ("chip_name", name)],
            1.0,
        );
    }
    for (sensor, (kind, elements)) in &sensors {
        if let Some(label) = elements.get("label").filter(|label| !label.is_empty()) {
            let labels = [("chip", chip.as_str()), ("sensor", sensor), ("label", label)];
            out.put("node_hwmon_sensor_label", &labels, 1.0);
        }
        // GPUs name their clocks; the label is what people know.
        let shown = match (kind.as_str(), elements.get("label")) {
            ("freq", Some(label)) => clean(label),
            _ => sensor.clone(),
        };
        for (element, text) in elements.iter().filter(|(element, _)| *element != "label") {
            let Ok(value) = text.parse::<f64>() else { continue };
            let (name, factor) = metric(kind, element);
            let labels = [("chip", chip.as_str()), ("sensor", shown.as_str())];
            out.put_parts(&["node_hwmon_", &name], &labels, value * factor);
        }
    }
}

/// Metric name without prefix, and the factor to its unit.
fn metric(kind: &str, element: &str) -> (String, f64) {
    let of = |kind: &str| {
        if element.is_empty() || element == "input" {
            kind.to_owned()
        } else {
            format!("{kind}_{element}")
        }
    };
    match (kind, element) {
        ("fan", "input" | "max" | "min" | "target") => (format!("{}_rpm", of(kind)), 1.0),
        (_, "beep") => (format!("{kind}_beep_enabled"), 1.0),
        (_, "alarm") => (format!("{kind}_alarm"), 1.0),
        (_, "fault") => (format!("{kind}_fault"), 1.0),
        ("vrm" | "beep_enable" | "pwm" | "fan" | "intrusion", _) => (of(kind), 1.0),
        ("update_interval", _) => ("update_interval_seconds".to_owned(), 0.001),
        ("in" | "cpu", _) => (format!("{}_volts", of(kind)), 0.001),
        ("temp", "type") => ("temp_type".to_owned(), 1.0),
        ("temp", _) => (format!("{}_celsius", of(kind)), 0.001),
        ("curr", _) => (format!("{}_amps", of(kind)), 0.001),
        ("energy", _) => (format!("{}_joule_total", of(kind)), 1e-6),
        ("power", "accuracy") => ("power_accuracy".to_owned(), 1e-6),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            (format!("{}_seconds", of(kind)), 0.001)
        }
        ("power", _) => (format!("{}_watt", of(kind)), 1e-6),
        ("humidity", _) => (of(kind), 1e-6),
        ("freq", _) => (format!("{}_freq_mhz", of(kind)), 1e-6),
        _ => (of(kind), 1.0),
    }
}

fn gather(folder: &Path, sensors: &mut Sensors) {
    for file in read_dir_names(folder) {
        let Some((kind, number, element)) = split(&file) else {
            continue;
        };
        let path = folder.join(&file);
        let value = match path.is_file() {
            true if element == "label" => read_text(&path),
            true => read_number(&path).map(|value| value.to_string()),
            false => None,
        };
        if let Some(value) = value {
            let sensor = sensors
                .entry(format!("{kind}{number}"))
                .or_insert_with(|| (kind.to_owned(), BTreeMap::new()));
            sensor.1.insert(element.to_owned(), value);
        }
    }
}

/// `temp1_crit_alarm` → (`temp`, `1`, `crit_alarm`). `None` for files that are no sensor.
fn split(file: &str) -> Option<(&str, &str, &str)> {
    let (stem, element) = match file.find(|c: char| c.is_ascii_digit()) {
        Some(at) => {
            let (kind, rest) = file.split_at(at);
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, rest) = rest.split_at(end);
            return KINDS
                .contains(&kind)
                .then_some((kind, number, rest.strip_prefix('_').unwrap_or(rest)));
        }
        None => (file, ""),
    };
    KINDS.contains(&stem).then_some((stem, "", element))
}

/// A name that stays the same over reboots: the device's place, else the driver's name, else the number.
fn chip_name(folder: &Path) -> String {
    if let Some(device) = resolved(&folder.join("device")) {
        let kind = device
            .parent()
            .and_then(Path::file_name)
            .map(|name| clean(&name.to_string_lossy()));
        let name = device.file_name().map(|name| clean(&name.to_string_lossy()));
        if let (Some(kind), Some(name)) = (kind, name)
            && !name.is_empty()
        {
            let base = if kind.is_empty() {
                name
            } else {
                format!("{kind}_{name}")
            };
            return qualify(folder, &device, base);
        }
    }
    if let Some(name) = read_text(&folder.join("name"))
        .map(|name| clean(&name))
        .filter(|name| !name.is_empty())
    {
        return name;
    }
    let real = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    real.file_name()
        .map(|name| clean(&name.to_string_lossy()))
        .unwrap_or_default()
}

/// Several chips of one device are told apart by their names.
fn qualify(folder: &Path, device: &Path, base: String) -> String {
    let siblings = read_dir_names(&device.join("hwmon")).len();
    match read_text(&folder.join("name")).map(|name| clean(&name)) {
        Some(name) if siblings > 1 && !name.is_empty() => format!("{base}_{name}"),
        _ => base,
    }
}

fn resolved(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}

/// Only what a label value of ours may hold: letters, digits, `_` and `:`.
fn clean(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    let mapped: String = lower
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == ':' {
                c
            } else {
                '_'
            }
        })
        .collect();
    mapped.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_of_sensors() {
        assert_eq!(split("temp1_crit_alarm"), Some(("temp", "1", "crit_alarm")));
        assert_eq!(split("pwm1"), Some(("pwm", "1", "")));
        assert_eq!(split("in0_input"), Some(("in", "0", "input")));
        assert_eq!(split("bogus1_input"), None);
        assert_eq!(split("name"), None);
    }
}
