//! What a made-up host is made of, as its agent tells it.

use protocol::{
    CertificateFact, DatabaseFact, DiskFact, Facts, Identity, InterfaceFact, ListenFact, PackageFact,
    PeerFact, ServiceFact,
};

use super::host::{Host, State};
use super::read::{CERTIFICATE, DISKS, KERNEL};
use super::world::{HostSpec, matching};

const COMMON_PACKAGES: [(&str, &str); 14] = [
    ("base-files", "12.4+deb12u8"),
    ("bash", "5.2.15-2+b7"),
    ("ca-certificates", "20230311"),
    ("chrony", "4.3-2+deb12u1"),
    ("coreutils", "9.1-1"),
    ("cron", "3.0pl1-162"),
    ("curl", "7.88.1-10+deb12u8"),
    ("libc6", "2.36-9+deb12u9"),
    ("libssl3", "3.0.15-1~deb12u1"),
    ("linux-image-6.1.0-25-amd64", "6.1.106-3"),
    ("logrotate", "3.21.0-1"),
    ("openssh-server", "1:9.2p1-2+deb12u3"),
    ("openssl", "3.0.15-1~deb12u1"),
    ("systemd", "252.31-1~deb12u1"),
];

/// What tells a made-up host from any other.
pub fn identity(spec: &HostSpec) -> Identity {
    let number = spec.index + 1;
    Identity {
        machine_id: Some(format!("de30{number:028x}")),
        boot_id: Some(format!("de30b007-0000-4000-8000-{number:012x}")),
        dmi_uuid: Some(format!("de30d811-0000-4000-8000-{number:012x}")),
        serial: Some(format!("DEMO-{number:04}")),
        host_key: Some(format!("demo/{number:040}")),
        macs: vec![mac(spec)],
    }
}

fn mac(spec: &HostSpec) -> String {
    format!("52:54:00:de:30:{:02x}", spec.index)
}

pub fn facts(host: &Host, state: &State, all: &[HostSpec], boot_ms: i64) -> Facts {
    let (spec, role) = (&host.spec, host.spec.role);
    let listening = state
        .services
        .iter()
        .filter(|service| service.is_up)
        .filter_map(|service| {
            let port = match service.name {
                "ssh" => 22,
                name if name == role.unit => role.port,
                _ => return None,
            };
            Some(ListenFact {
                protocol: "tcp".into(),
                address: "0.0.0.0".into(),
                port,
                pid: Some(service.pid),
                process: Some(service.name.to_owned()),
                service: Some(service.name.to_owned()),
            })
        });
    Facts {
        hostname: spec.name.clone(),
        os_name: "Debian GNU/Linux".into(),
        os_version: "12".into(),
        kernel: KERNEL.into(),
        architecture: "x86_64".into(),
        cpu_model: "AMD EPYC 7313P 16-Core Processor".into(),
        cpu_count: role.cpus,
        memory_bytes: role.memory_gib << 30,
        vendor: Some("QEMU".into()),
        model: Some("Standard PC (Q35 + ICH9, 2009)".into()),
        virtualization: Some("kvm".into()),
        init: "systemd".into(),
        boot_at_ms: boot_ms,
        time_zone: Some("Etc/UTC".into()),
        disks: disks(),
        interfaces: vec![InterfaceFact {
            name: "eth0".into(),
            mac: Some(mac(spec)),
            addresses: vec![format!("{}/24", spec.address)],
            mtu: 1500,
            speed_mbit: Some(10_000),
            up: true,
        }],
        services: services(state),
        listening: listening.collect(),
        peers: peers(host, state, all),
        packages: packages(state, role.package),
        certificates: certificates(host, state, boot_ms),
        containers: Vec::new(),
        databases: databases(host, state),
    }
}

fn disks() -> Vec<DiskFact> {
    let gib = 1_u64 << 30;
    let disk = |(mount, device, size): &(&str, &str, f64)| DiskFact {
        device: (*device).to_owned(),
        mount_point: (*mount).to_owned(),
        fs_type: "ext4".into(),
        size_bytes: *size as u64 * gib,
    };
    DISKS.iter().map(disk).collect()
}

fn services(state: &State) -> Vec<ServiceFact> {
    let fact = |service: &super::host::Service| ServiceFact {
        name: service.name.to_owned(),
        manager: "systemd".into(),
        state: if service.is_up { "active" } else { "failed" }.into(),
        enabled: Some(true),
        supervision: "enabled".into(),
        description: Some(service.about.to_owned()),
        main_pid: service.is_up.then_some(service.pid),
        started_at_ms: Some(service.started_at_ms),
    };
    state.services.iter().map(fact).collect()
}

/// Conversations that the host's own service has opened. They are remembered while it is down, as a real host's would be.
fn peers(host: &Host, state: &State, all: &[HostSpec]) -> Vec<PeerFact> {
    let role = host.spec.role;
    let is_up = state.services.first().is_some_and(|own| own.is_up);
    let mut peers = Vec::new();
    for pattern in role.talks_to {
        for other in matching(all, pattern).filter(|other| other.index != host.spec.index) {
            peers.push(PeerFact {
                service: Some(role.unit.to_owned()),
                process: Some(role.unit.to_owned()),
                local_address: host.spec.address.to_string(),
                local_port: 33_000 + (other.index as u16) * 16,
                remote_address: other.address.to_string(),
                remote_port: other.role.port,
                inbound: false,
                connections: if is_up { 2 + other.index % 9 } else { 0 },
            });
        }
    }
    peers
}

fn packages(state: &State, own: &str) -> Vec<PackageFact> {
    let all = COMMON_PACKAGES.iter().copied().chain([(own, state.version)]);
    let fact = |(name, version): (&str, &str)| PackageFact {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: "amd64".into(),
    };
    all.map(fact).collect()
}

fn databases(host: &Host, state: &State) -> Vec<DatabaseFact> {
    let role = host.spec.role;
    let own = state.services.first().filter(|own| own.is_up);
    let (engine, version, folder) = match role.unit {
        "postgresql" => ("postgresql", Some("15"), "/var/lib/postgresql/15/main"),
        "redis-server" => ("redis", None, "/var/lib/redis"),
        _ => return Vec::new(),
    };
    let fact = |own: &super::host::Service| DatabaseFact {
        name: format!("{engine}:{}", role.port),
        engine: engine.into(),
        version: version.map(str::to_owned),
        port: role.port,
        data_directory: Some(folder.into()),
        service: Some(role.unit.into()),
        main_pid: Some(own.pid),
    };
    own.map(fact).into_iter().collect()
}

fn certificates(host: &Host, state: &State, boot_ms: i64) -> Vec<CertificateFact> {
    if !host.spec.role.has_certificate {
        return Vec::new();
    }
    let until_ms = (state.certificate_until_s * 1000.0) as i64;
    vec![CertificateFact {
        path: CERTIFICATE.into(),
        subject: "CN=shop.example.org".into(),
        issuer: "C=US, O=Example Trust Services, CN=Example Issuing CA 3".into(),
        names: vec!["shop.example.org".into(), "www.shop.example.org".into()],
        not_before_ms: boot_ms.min(state.certificate_issued_ms),
        not_after_ms: until_ms,
        fingerprint: format!("{:032x}{:032x}", host.spec.index, state.certificate_issued_ms),
    }]
}
