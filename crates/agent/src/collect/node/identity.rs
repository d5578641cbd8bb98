//! What the host is and what time it has: operating system, firmware, kernel, clock sources.

use crate::collect::{CollectError, Collector, Every, Roots, Sink, read_dir_names, read_text};
use crate::rt;

/// `node_os_info`, `node_os_version`.
pub(crate) struct Os(Roots);

impl Os {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

/// The assignments of an `os-release` file, quotes taken off.
pub(crate) fn parse_os_release(text: &str) -> Vec<(&str, String)> {
    let pairs = text.lines().filter_map(|line| line.trim().split_once('='));
    pairs
        .map(|(key, value)| (key, value.trim_matches(['"', '\'']).to_owned()))
        .collect()
}

pub(crate) fn os_release(roots: &Roots) -> Option<String> {
    ["etc/os-release", "usr/lib/os-release"]
        .iter()
        .find_map(|path| read_text(&roots.root(path)))
}

impl Collector for Os {
    fn name(&self) -> &'static str {
        "os"
    }

    fn every(&self) -> Every {
        Every::Millis(60_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let text = os_release(&self.0).ok_or(CollectError::Absent)?;
        let pairs = parse_os_release(&text);
        let get = |key: &str| {
            pairs
                .iter()
                .find(|(k, _)| *k == key)
                .map_or("", |(_, value)| value.as_str())
        };
        let labels = [
            ("build_id", get("BUILD_ID")),
            ("id", get("ID")),
            ("id_like", get("ID_LIKE")),
            ("image_id", get("IMAGE_ID")),
            ("image_version", get("IMAGE_VERSION")),
            ("name", get("NAME")),
            ("pretty_name", get("PRETTY_NAME")),
            ("variant", get("VARIANT")),
            ("variant_id", get("VARIANT_ID")),
            ("version", get("VERSION")),
            ("version_codename", get("VERSION_CODENAME")),
            ("version_id", get("VERSION_ID")),
        ];
        out.put("node_os_info", &labels, 1.0);
        let digits: String = get("VERSION_ID")
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        let mut parts = digits.split('.');
        let version = match (parts.next(), parts.next()) {
            (Some(major), Some(minor)) => format!("{major}.{minor}").parse::<f64>().ok(),
            (Some(major), None) => major.parse().ok(),
            _ => None,
        };
        if let Some(version) = version {
            let labels = [
                ("id", get("ID")),
                ("id_like", get("ID_LIKE")),
                ("name", get("NAME")),
            ];
            out.put("node_os_version", &labels, version);
        }
        Ok(())
    }
}

const DMI: [&str; 18] = [
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
];

/// `node_dmi_info`.
pub(crate) struct Dmi(Roots);

impl Dmi {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for Dmi {
    fn name(&self) -> &'static str {
        "dmi"
    }

    fn every(&self) -> Every {
        Every::Millis(600_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("class/dmi/id");
        let names = DMI.iter().copied().chain(["product_version", "sys_vendor"]);
        let values: Vec<(&str, String)> = names
            .filter_map(|name| Some((name, read_text(&folder.join(name))?)))
            .collect();
        if values.is_empty() {
            return Err(CollectError::Absent);
        }
        let labels: Vec<(&str, &str)> = values
            .iter()
            .map(|(name, value)| {
                (
                    if *name == "sys_vendor" {
                        "system_vendor"
                    } else {
                        name
                    },
                    value.as_str(),
                )
            })
            .collect();
        out.put("node_dmi_info", &labels, 1.0);
        Ok(())
    }
}

/// `node_uname_info`.
pub(crate) struct Uname;

impl Collector for Uname {
    fn name(&self) -> &'static str {
        "uname"
    }

    fn every(&self) -> Every {
        Every::Millis(60_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        let (system, release, version) = (
            text(uname.sysname()),
            text(uname.release()),
            text(uname.version()),
        );
        let (machine, node) = (text(uname.machine()), text(uname.nodename()));
        let domain = read_text(std::path::Path::new("/proc/sys/kernel/domainname")).unwrap_or_default();
        let labels = [
            ("sysname", system.as_str()),
            ("release", &release),
            ("version", &version),
            ("machine", &machine),
            ("nodename", &node),
            ("domainname", &domain),
        ];
        out.put("node_uname_info", &labels, 1.0);
        Ok(())
    }
}

/// `node_time_*`: the clock, and the sources that the kernel may take it from.
pub(crate) struct Time {
    roots: Roots,
    sources: Vec<(String, String, bool)>,
    read: bool,
}

impl Time {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            roots: roots.clone(),
            sources: Vec::new(),
            read: false,
        }
    }

    fn read_sources(&mut self) {
        let folder = self.roots.sys("devices/system/clocksource");
        for name in read_dir_names(&folder) {
            let Some(device) = name.strip_prefix("clocksource") else {
                continue;
            };
            let path = folder.join(&name);
            let current = read_text(&path.join("current_clocksource")).unwrap_or_default();
            let available = read_text(&path.join("available_clocksource")).unwrap_or_default();
            for source in available.split_ascii_whitespace() {
                self.sources
                    .push((device.to_owned(), source.to_owned(), source == current));
            }
        }
    }
}

impl Collector for Time {
    fn name(&self) -> &'static str {
        "time"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        if !self.read {
            self.read = true;
            self.read_sources();
        }
        out.put("node_time_seconds", &[], rt::now_ms() as f64 / 1000.0);
        for (device, source, is_current) in &self.sources {
            let labels = [("device", device.as_str()), ("clocksource", source.as_str())];
            out.put("node_time_clocksource_available_info", &labels, 1.0);
            if *is_current {
                out.put("node_time_clocksource_current_info", &labels, 1.0);
            }
        }
        Ok(())
    }
}
