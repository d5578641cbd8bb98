//! The kernel's load balancer, from `/proc/net/ip_vs*`.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::collect::{CollectError, Collector, Every, KeptFile, Roots, Sink};

/// `node_ipvs_*`.
pub(crate) struct Ipvs {
    stats: KeptFile,
    table: KeptFile,
}

impl Ipvs {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            stats: KeptFile::new(roots.proc("net/ip_vs_stats")),
            table: KeptFile::new(roots.proc("net/ip_vs")),
        }
    }
}

const IPVS: [&str; 5] = [
    "node_ipvs_connections_total",
    "node_ipvs_incoming_packets_total",
    "node_ipvs_outgoing_packets_total",
    "node_ipvs_incoming_bytes_total",
    "node_ipvs_outgoing_bytes_total",
];

impl Collector for Ipvs {
    fn name(&self) -> &'static str {
        "ipvs"
    }

    fn every(&self) -> Every {
        Every::Millis(5_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let totals = self.stats.read()?.lines().nth(2).unwrap_or_default();
        for (metric, hex) in IPVS.iter().zip(totals.split_ascii_whitespace()) {
            if let Ok(value) = u64::from_str_radix(hex, 16) {
                out.put(metric, &[], value as f64);
            }
        }
        let mut service = (String::new(), String::new(), String::new(), String::new());
        for line in self.table.read()?.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words.as_slice() {
                [proto @ ("TCP" | "UDP" | "SCTP"), local, ..] => {
                    let (address, port) = endpoint(local).unwrap_or_default();
                    service = ((*proto).to_owned(), address, port, String::new());
                }
                ["FWM", mark, ..] => {
                    service = (
                        "FWM".to_owned(),
                        String::new(),
                        "0".to_owned(),
                        (*mark).to_owned(),
                    );
                }
                ["->", remote, _, weight, active, inactive, ..] => {
                    let Some((address, port)) = endpoint(remote) else {
                        continue;
                    };
                    let labels = [
                        ("proto", service.0.as_str()),
                        ("local_address", &service.1),
                        ("local_port", &service.2),
                        ("local_mark", &service.3),
                        ("remote_address", &address),
                        ("remote_port", &port),
                    ];
                    for (metric, value) in [
                        ("node_ipvs_backend_weight", weight),
                        ("node_ipvs_backend_connections_active", active),
                        ("node_ipvs_backend_connections_inactive", inactive),
                    ] {
                        out.put(metric, &labels, value.parse().unwrap_or(0.0));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// `C0A80016:0CEA` or `[2001:0db8:…]:0050`.
fn endpoint(text: &str) -> Option<(String, String)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?.to_string();
    let address = match address.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.to_string(),
        None => Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?).to_string(),
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_both_families() {
        let both = |address: &str, port: &str| Some((address.to_owned(), port.to_owned()));
        assert_eq!(endpoint("C0A80016:0CEA"), both("192.168.0.22", "3306"));
        assert_eq!(
            endpoint("[2001:0db8:0000:0000:0000:0000:0000:0001]:0050"),
            both("2001:db8::1", "80")
        );
        assert_eq!(endpoint("RemoteAddress:Port"), None);
    }
}
