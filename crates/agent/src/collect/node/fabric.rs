//! What connects a host to others and to storage beyond Ethernet: Fibre Channel and InfiniBand.

use std::path::Path;

use crate::collect::{CollectError, Collector, Every, Roots, Sink, read_dir_names, read_number, read_text};

const SLOW: Every = Every::Millis(5_000);

/// `node_fibrechannel_*`.
pub(crate) struct FibreChannel(Roots);

impl FibreChannel {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

const FC_COUNTERS: [(&str, &str); 14] = [
    ("dumped_frames", "dumped_frames"),
    ("error_frames", "error_frames"),
    ("fcp_packet_aborts", "fcp_packet_aborts"),
    ("invalid_crc_count", "invalid_crc"),
    ("invalid_tx_word_count", "invalid_tx_words"),
    ("link_failure_count", "link_failure"),
    ("loss_of_signal_count", "loss_of_signal"),
    ("loss_of_sync_count", "loss_of_sync"),
    ("nos_count", "nos"),
    ("rx_frames", "rx_frames"),
    ("rx_words", "rx_words"),
    ("seconds_since_last_reset", "seconds_since_last_reset"),
    ("tx_frames", "tx_frames"),
    ("tx_words", "tx_words"),
];
const FC_INFO: [&str; 10] = [
    "dev_loss_tmo",
    "fabric_name",
    "port_id",
    "port_name",
    "port_state",
    "port_type",
    "speed",
    "supported_classes",
    "supported_speeds",
    "symbolic_name",
];

impl Collector for FibreChannel {
    fn name(&self) -> &'static str {
        "fibrechannel"
    }

    fn every(&self) -> Every {
        SLOW
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("class/fc_host");
        let hosts = read_dir_names(&folder);
        if hosts.is_empty() {
            return Err(CollectError::Absent);
        }
        for host in hosts {
            let path = folder.join(&host);
            let texts = FC_INFO.map(|name| {
                let text = read_text(&path.join(name)).unwrap_or_default();
                text.strip_prefix("0x").map(str::to_owned).unwrap_or(text)
            });
            let mut labels = vec![("fc_host", host.as_str())];
            labels.extend(
                FC_INFO
                    .iter()
                    .zip(&texts)
                    .map(|(name, text)| (*name, text.as_str())),
            );
            out.put("node_fibrechannel_info", &labels, 1.0);
            for (file, name) in FC_COUNTERS {
                let text = read_text(&path.join("statistics").join(file)).unwrap_or_default();
                let value = text
                    .strip_prefix("0x")
                    .and_then(|hex| u64::from_str_radix(hex, 16).ok());
                // All ones: the adapter does not count this.
                if let Some(value) = value.filter(|value| *value != u64::MAX) {
                    let parts = ["node_fibrechannel_", name, "_total"];
                    out.put_parts(&parts, &[("fc_host", &host)], value as f64);
                }
            }
        }
        Ok(())
    }
}

/// `node_infiniband_*`.
pub(crate) struct Infiniband(Roots);

impl Infiniband {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

/// File, metric, bytes per count.
const IB_COUNTERS: [(&str, &str, f64); 31] = [
    ("counters/VL15_dropped", "vl15_dropped", 1.0),
    (
        "counters/excessive_buffer_overrun_errors",
        "excessive_buffer_overrun_errors",
        1.0,
    ),
    ("counters/link_downed", "link_downed", 1.0),
    ("counters/link_error_recovery", "link_error_recovery", 1.0),
    (
        "counters/local_link_integrity_errors",
        "local_link_integrity_errors",
        1.0,
    ),
    (
        "counters/multicast_rcv_packets",
        "multicast_packets_received",
        1.0,
    ),
    (
        "counters/multicast_xmit_packets",
        "multicast_packets_transmitted",
        1.0,
    ),
    (
        "counters/port_rcv_constraint_errors",
        "port_constraint_errors_received",
        1.0,
    ),
    (
        "counters/port_xmit_constraint_errors",
        "port_constraint_errors_transmitted",
        1.0,
    ),
    ("counters/port_rcv_data", "port_data_received_bytes", 4.0),
    ("counters/port_xmit_data", "port_data_transmitted_bytes", 4.0),
    ("counters/port_rcv_discards", "port_discards_received", 1.0),
    ("counters/port_xmit_discards", "port_discards_transmitted", 1.0),
    ("counters/port_rcv_errors", "port_errors_received", 1.0),
    ("counters/port_rcv_packets", "port_packets_received", 1.0),
    ("counters/port_xmit_packets", "port_packets_transmitted", 1.0),
    (
        "counters/port_rcv_remote_physical_errors",
        "port_receive_remote_physical_errors",
        1.0,
    ),
    (
        "counters/port_rcv_switch_relay_errors",
        "port_receive_switch_relay_errors",
        1.0,
    ),
    ("counters/port_xmit_wait", "port_transmit_wait", 1.0),
    ("counters/symbol_error", "symbol_error", 1.0),
    ("counters/unicast_rcv_packets", "unicast_packets_received", 1.0),
    (
        "counters/unicast_xmit_packets",
        "unicast_packets_transmitted",
        1.0,
    ),
    (
        "counters_ext/port_multicast_rcv_packets",
        "legacy_multicast_packets_received",
        1.0,
    ),
    (
        "counters_ext/port_multicast_xmit_packets",
        "legacy_multicast_packets_transmitted",
        1.0,
    ),
    ("counters_ext/port_rcv_data_64", "legacy_data_received_bytes", 4.0),
    ("counters_ext/port_rcv_packets_64", "legacy_packets_received", 1.0),
    (
        "counters_ext/port_unicast_rcv_packets",
        "legacy_unicast_packets_received",
        1.0,
    ),
    (
        "counters_ext/port_unicast_xmit_packets",
        "legacy_unicast_packets_transmitted",
        1.0,
    ),
    (
        "counters_ext/port_xmit_data_64",
        "legacy_data_transmitted_bytes",
        4.0,
    ),
    (
        "counters_ext/port_xmit_packets_64",
        "legacy_packets_transmitted",
        1.0,
    ),
    (
        "counters/port_rcv_switch_errors",
        "port_receive_switch_errors",
        1.0,
    ),
];

impl Collector for Infiniband {
    fn name(&self) -> &'static str {
        "infiniband"
    }

    fn every(&self) -> Every {
        SLOW
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("class/infiniband");
        let devices = read_dir_names(&folder);
        if devices.is_empty() {
            return Err(CollectError::Absent);
        }
        for device in devices {
            let path = folder.join(&device);
            let text = |name| read_text(&path.join(name)).unwrap_or_default();
            let (board, firmware, kind) = (text("board_id"), text("fw_ver"), text("hca_type"));
            let labels = [
                ("device", device.as_str()),
                ("board_id", &board),
                ("firmware_version", &firmware),
                ("hca_type", &kind),
            ];
            out.put("node_infiniband_info", &labels, 1.0);
            let ports = path.join("ports");
            for port in read_dir_names(&ports) {
                put_port(&ports.join(&port), [("device", &device), ("port", &port)], out);
            }
        }
        Ok(())
    }
}

fn put_port(path: &Path, labels: [(&str, &str); 2], out: &mut Sink) {
    for (file, metric) in [
        ("state", "node_infiniband_state_id"),
        ("phys_state", "node_infiniband_physical_state_id"),
    ] {
        let text = read_text(&path.join(file)).unwrap_or_default();
        if let Some(id) = text.split(':').next().and_then(|id| id.trim().parse().ok()) {
            out.put(metric, &labels, id);
        }
    }
    let rate = read_text(&path.join("rate")).unwrap_or_default();
    if let Some(gigabits) = rate.split(' ').next().and_then(|rate| rate.parse::<f64>().ok()) {
        out.put(
            "node_infiniband_rate_bytes_per_second",
            &labels,
            gigabits * 1e9 / 8.0,
        );
    }
    for (file, name, scale) in IB_COUNTERS {
        if let Some(value) = read_number(&path.join(file)) {
            out.put_parts(&["node_infiniband_", name, "_total"], &labels, value * scale);
        }
    }
}
