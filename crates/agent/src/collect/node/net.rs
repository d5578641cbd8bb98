//! Network counters of `/proc/net`: interfaces, protocols, sockets, soft interrupts, neighbours.

use std::collections::BTreeMap;

use crate::collect::{CollectError, Collector, Every, KeptFile, Roots, Sink, read_number};

const RECEIVE: [&str; 8] = [
    "bytes",
    "packets",
    "errs",
    "drop",
    "fifo",
    "frame",
    "compressed",
    "multicast",
];
const TRANSMIT: [&str; 8] = [
    "bytes",
    "packets",
    "errs",
    "drop",
    "fifo",
    "colls",
    "carrier",
    "compressed",
];

/// `node_network_receive_*` and `node_network_transmit_*`.
pub(crate) struct Netdev {
    file: KeptFile,
    roots: Roots,
    wanted: fn(&str) -> bool,
}

impl Netdev {
    pub(crate) fn new(roots: &Roots, wanted: fn(&str) -> bool) -> Self {
        Self {
            file: KeptFile::new(roots.proc("net/dev")),
            roots: roots.clone(),
            wanted,
        }
    }
}

impl Collector for Netdev {
    fn name(&self) -> &'static str {
        "netdev"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        for line in self.file.read()?.lines().skip(2) {
            let Some((device, rest)) = line.split_once(':') else {
                continue;
            };
            let device = device.trim();
            if !(self.wanted)(device) {
                continue;
            }
            let labels = [("device", device)];
            let mut values = rest
                .split_ascii_whitespace()
                .map(|word| word.parse::<f64>().unwrap_or(0.0));
            for name in RECEIVE {
                out.put_parts(
                    &["node_network_receive_", name, "_total"],
                    &labels,
                    values.next().unwrap_or(0.0),
                );
            }
            for name in TRANSMIT {
                out.put_parts(
                    &["node_network_transmit_", name, "_total"],
                    &labels,
                    values.next().unwrap_or(0.0),
                );
            }
            let path = self
                .roots
                .sys("class/net")
                .join(device)
                .join("statistics/rx_nohandler");
            if let Some(value) = read_number(&path) {
                out.put("node_network_receive_nohandler_total", &labels, value);
            }
        }
        Ok(())
    }
}

/// `node_netstat_*`: the counters of `/proc/net/{netstat,snmp,snmp6}` that operators look at.
pub(crate) struct Netstat {
    netstat: KeptFile,
    snmp: KeptFile,
    snmp6: KeptFile,
}

impl Netstat {
    pub(crate) fn new(roots: &Roots) -> Self {
        let file = |path| KeptFile::new(roots.proc(path));
        Self {
            netstat: file("net/netstat"),
            snmp: file("net/snmp"),
            snmp6: file("net/snmp6"),
        }
    }
}

impl Collector for Netstat {
    fn name(&self) -> &'static str {
        "netstat"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        put_paired_lines(self.netstat.read()?, out);
        put_paired_lines(self.snmp.read()?, out);
        // A host without IPv6 has no such file.
        let Ok(text) = self.snmp6.read() else {
            return Ok(());
        };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(key), Some(value)) = (words.next(), words.next()) else {
                continue;
            };
            let Some(split) = key.find('6').map(|at| at + 1) else {
                continue;
            };
            let (protocol, name) = key.split_at(split);
            put_counter(out, protocol, name, value);
        }
        Ok(())
    }
}

/// Lines in pairs: names, then values, both led by `Protocol:`.
fn put_paired_lines(text: &str, out: &mut Sink) {
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let Some((protocol, names)) = names.split_once(':') else {
            continue;
        };
        let Some((_, values)) = values.split_once(':') else {
            continue;
        };
        for (name, value) in names
            .split_ascii_whitespace()
            .zip(values.split_ascii_whitespace())
        {
            put_counter(out, protocol, name, value);
        }
    }
}

fn put_counter(out: &mut Sink, protocol: &str, name: &str, value: &str) {
    if !is_wanted(protocol, name) {
        return;
    }
    if let Ok(value) = value.parse() {
        out.put_parts(&["node_netstat_", protocol, "_", name], &[], value);
    }
}

fn is_wanted(protocol: &str, name: &str) -> bool {
    match (protocol, name) {
        (_, "InErrors" | "InErrs") => true,
        ("Ip", "Forwarding") => true,
        ("Ip6" | "IpExt", "InOctets" | "OutOctets") => true,
        ("Icmp" | "Icmp6", "InMsgs" | "OutMsgs") => true,
        ("TcpExt", "TCPSynRetrans" | "TCPTimeouts" | "TCPOFOQueue" | "TCPRcvQDrop") => true,
        ("TcpExt", name) => name.starts_with("Listen") || name.starts_with("Syncookies"),
        ("Tcp", name) => matches!(
            name,
            "ActiveOpens" | "InSegs" | "OutSegs" | "OutRsts" | "PassiveOpens" | "RetransSegs" | "CurrEstab"
        ),
        ("Udp" | "Udp6", name) => {
            matches!(
                name,
                "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors"
            )
        }
        _ => false,
    }
}

/// `node_sockstat_*`, IPv4 and IPv6.
pub(crate) struct Sockstat(Vec<KeptFile>);

impl Sockstat {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(
            ["net/sockstat", "net/sockstat6"]
                .map(|path| KeptFile::new(roots.proc(path)))
                .into(),
        )
    }
}

impl Collector for Sockstat {
    fn name(&self) -> &'static str {
        "sockstat"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let page = rustix::param::page_size() as f64;
        for file in &mut self.0 {
            let Ok(text) = file.read() else { continue };
            for line in text.lines() {
                let Some((protocol, rest)) = line.split_once(':') else {
                    continue;
                };
                let mut words = rest.split_ascii_whitespace();
                while let (Some(name), Some(value)) = (words.next(), words.next()) {
                    let Ok(value) = value.parse::<f64>() else { continue };
                    out.put_parts(&["node_sockstat_", protocol, "_", name], &[], value);
                    if name == "mem" {
                        out.put_parts(&["node_sockstat_", protocol, "_mem_bytes"], &[], value * page);
                    }
                }
            }
        }
        Ok(())
    }
}

/// `node_softnet_*`.
pub(crate) struct Softnet(KeptFile);

impl Softnet {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(KeptFile::new(roots.proc("net/softnet_stat")))
    }
}

const SOFTNET: [(usize, &str); 7] = [
    (0, "node_softnet_processed_total"),
    (1, "node_softnet_dropped_total"),
    (2, "node_softnet_times_squeezed_total"),
    (8, "node_softnet_cpu_collision_total"),
    (9, "node_softnet_received_rps_total"),
    (10, "node_softnet_flow_limit_count_total"),
    (11, "node_softnet_backlog_len"),
];

impl Collector for Softnet {
    fn name(&self) -> &'static str {
        "softnet"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        for (row, line) in self.0.read()?.lines().enumerate() {
            let mut fields = [0u32; 13];
            let mut count = 0;
            for (field, word) in fields.iter_mut().zip(line.split_ascii_whitespace()) {
                *field = u32::from_str_radix(word, 16).unwrap_or(0);
                count += 1;
            }
            // Older kernels do not say which CPU a row is about.
            let cpu = if count > 12 { fields[12] as usize } else { row };
            let cpu = cpu.to_string();
            for (column, metric) in SOFTNET {
                out.put(
                    metric,
                    &[("cpu", &cpu)],
                    f64::from(fields.get(column).copied().unwrap_or(0)),
                );
            }
        }
        Ok(())
    }
}

/// `node_udp_queues`.
pub(crate) struct UdpQueues(Vec<(&'static str, KeptFile)>);

impl UdpQueues {
    pub(crate) fn new(roots: &Roots) -> Self {
        let file = |ip, path| (ip, KeptFile::new(roots.proc(path)));
        Self(vec![file("v4", "net/udp"), file("v6", "net/udp6")])
    }
}

impl Collector for UdpQueues {
    fn name(&self) -> &'static str {
        "udp_queues"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        for (ip, file) in &mut self.0 {
            let Ok(text) = file.read() else { continue };
            let (mut sent, mut received) = (0u64, 0u64);
            for line in text.lines().skip(1) {
                let Some((tx, rx)) = line
                    .split_ascii_whitespace()
                    .nth(4)
                    .and_then(|q| q.split_once(':'))
                else {
                    continue;
                };
                sent += u64::from_str_radix(tx, 16).unwrap_or(0);
                received += u64::from_str_radix(rx, 16).unwrap_or(0);
            }
            out.put("node_udp_queues", &[("ip", ip), ("queue", "tx")], sent as f64);
            out.put("node_udp_queues", &[("ip", ip), ("queue", "rx")], received as f64);
        }
        Ok(())
    }
}

/// `node_arp_entries`.
pub(crate) struct Arp {
    file: KeptFile,
    wanted: fn(&str) -> bool,
}

impl Arp {
    pub(crate) fn new(roots: &Roots, wanted: fn(&str) -> bool) -> Self {
        Self {
            file: KeptFile::new(roots.proc("net/arp")),
            wanted,
        }
    }
}

impl Collector for Arp {
    fn name(&self) -> &'static str {
        "arp"
    }

    fn every(&self) -> Every {
        Every::Millis(5_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let mut entries: BTreeMap<&str, f64> = BTreeMap::new();
        for device in self
            .file
            .read()?
            .lines()
            .skip(1)
            .filter_map(|line| line.split_ascii_whitespace().nth(5))
        {
            if (self.wanted)(device) {
                *entries.entry(device).or_default() += 1.0;
            }
        }
        for (device, count) in entries {
            out.put("node_arp_entries", &[("device", device)], count);
        }
        Ok(())
    }
}
