//! Properties of network interfaces from `/sys/class/net`, and bonds.

use crate::collect::{CollectError, Collector, Every, Roots, Sink, read_dir_names, read_number, read_text};
use crate::host::names;

/// File and metric of the plain numbers. The kernel refuses some of them while a device is down.
const NUMBERS: [(&str, &str); 14] = [
    ("addr_assign_type", "node_network_address_assign_type"),
    ("carrier", "node_network_carrier"),
    ("carrier_changes", "node_network_carrier_changes_total"),
    ("carrier_up_count", "node_network_carrier_up_changes_total"),
    ("carrier_down_count", "node_network_carrier_down_changes_total"),
    ("dormant", "node_network_dormant"),
    ("ifindex", "node_network_iface_id"),
    ("iflink", "node_network_iface_link"),
    ("link_mode", "node_network_iface_link_mode"),
    ("mtu", "node_network_mtu_bytes"),
    ("name_assign_type", "node_network_name_assign_type"),
    ("netdev_group", "node_network_net_dev_group"),
    ("tx_queue_len", "node_network_transmit_queue_length"),
    ("type", "node_network_protocol_type"),
];

/// `node_network_info`, `node_network_up` and the numbers beside them.
pub(crate) struct Netclass {
    roots: Roots,
    wanted: fn(&str) -> bool,
}

impl Netclass {
    pub(crate) fn new(roots: &Roots, wanted: fn(&str) -> bool) -> Self {
        Self {
            roots: roots.clone(),
            wanted,
        }
    }
}

impl Collector for Netclass {
    fn name(&self) -> &'static str {
        "netclass"
    }

    fn every(&self) -> Every {
        Every::Millis(5_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.roots.sys("class/net");
        for device in read_dir_names(&folder) {
            let path = folder.join(&device);
            if !(self.wanted)(&device) || !names::path(&path).is_dir() {
                continue;
            }
            let labels = [("device", device.as_str())];
            for (file, metric) in NUMBERS {
                if let Some(value) = read_number(&path.join(file)) {
                    out.put(metric, &labels, value);
                }
            }
            for (file, metric) in [
                ("dev_id", "node_network_device_id"),
                ("flags", "node_network_flags"),
            ] {
                if let Some(value) = read_text(&path.join(file)).and_then(|text| parse_hex(&text)) {
                    out.put(metric, &labels, value);
                }
            }
            let speed = read_number(&path.join("speed")).filter(|megabits| *megabits >= 0.0);
            if let Some(megabits) = speed {
                out.put("node_network_speed_bytes", &labels, megabits * 1_000_000.0 / 8.0);
            }
            put_info(out, &path, &device);
        }
        Ok(())
    }
}

fn put_info(out: &mut Sink, path: &std::path::Path, device: &str) {
    let get = |file: &str| read_text(&path.join(file)).unwrap_or_default();
    let state = get("operstate");
    out.put(
        "node_network_up",
        &[("device", device)],
        f64::from(u8::from(state == "up")),
    );
    let flags = parse_hex(&get("flags")).unwrap_or(0.0) as u32;
    let admin = if flags & 1 == 1 { "up" } else { "down" };
    let (address, broadcast, duplex, alias) =
        (get("address"), get("broadcast"), get("duplex"), get("ifalias"));
    let labels = [
        ("device", device),
        ("address", &address),
        ("broadcast", &broadcast),
        ("duplex", &duplex),
        ("operstate", &state),
        ("adminstate", admin),
        ("ifalias", &alias),
    ];
    out.put("node_network_info", &labels, 1.0);
}

fn parse_hex(text: &str) -> Option<f64> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16)
        .ok()
        .map(|value| value as f64)
}

/// `node_bonding_*`.
pub(crate) struct Bonding(Roots);

impl Bonding {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for Bonding {
    fn name(&self) -> &'static str {
        "bonding"
    }

    fn every(&self) -> Every {
        Every::Millis(5_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("class/net");
        let masters = read_text(&folder.join("bonding_masters")).ok_or(CollectError::Absent)?;
        for master in masters.split_ascii_whitespace() {
            let slaves = read_text(&folder.join(master).join("bonding/slaves")).unwrap_or_default();
            let (mut count, mut active) = (0.0, 0.0);
            for slave in slaves.split_ascii_whitespace() {
                // Newer kernels call the link `lower_`, older ones `slave_`.
                let state = ["lower_", "slave_"].iter().find_map(|prefix| {
                    let path = folder.join(master).join(format!("{prefix}{slave}"));
                    read_text(&path.join("bonding_slave/mii_status"))
                        .or_else(|| read_text(&path.join("operstate")))
                });
                count += 1.0;
                active += f64::from(u8::from(state.as_deref() == Some("up")));
            }
            out.put("node_bonding_slaves", &[("master", master)], count);
            out.put("node_bonding_active", &[("master", master)], active);
        }
        Ok(())
    }
}
