//! What an agent finds out about its host.

use serde::{Deserialize, Serialize};

/// What tells one host from another, strongest first: machine id with DMI, serial, SSH host key, MAC set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    pub machine_id: Option<String>,
    pub boot_id: Option<String>,
    pub dmi_uuid: Option<String>,
    pub serial: Option<String>,
    /// SHA-256 of the SSH host key, base64 as `ssh-keygen -l` prints it.
    pub host_key: Option<String>,
    pub macs: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    pub hostname: String,
    pub os_name: String,
    pub os_version: String,
    pub kernel: String,
    pub architecture: String,
    pub cpu_model: String,
    pub cpu_count: u32,
    pub memory_bytes: u64,
    pub vendor: Option<String>,
    pub model: Option<String>,
    /// `kvm`, `docker`, `none`, …
    pub virtualization: Option<String>,
    pub init: String,
    pub boot_at_ms: i64,
    pub time_zone: Option<String>,
    pub disks: Vec<DiskFact>,
    pub interfaces: Vec<InterfaceFact>,
    pub services: Vec<ServiceFact>,
    pub listening: Vec<ListenFact>,
    /// Established connections between this host's services and others.
    pub peers: Vec<PeerFact>,
    pub packages: Vec<PackageFact>,
    pub certificates: Vec<CertificateFact>,
    /// Those that run.
    pub containers: Vec<ContainerFact>,
    /// Those that listen.
    pub databases: Vec<DatabaseFact>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskFact {
    pub device: String,
    pub mount_point: String,
    pub fs_type: String,
    pub size_bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InterfaceFact {
    pub name: String,
    pub mac: Option<String>,
    pub addresses: Vec<String>,
    pub mtu: u32,
    pub speed_mbit: Option<u32>,
    pub up: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceFact {
    pub name: String,
    /// `systemd`, `init` or `process`.
    pub manager: String,
    pub state: String,
    pub enabled: Option<bool>,
    /// Who sees to it that it runs: `enabled` (it starts at boot), `managed` (by systemd or an init script, not at boot),
    /// `watched` (by name), or `none` (a program that was found because it listens). Empty from agents that do not say.
    pub supervision: String,
    pub description: Option<String>,
    pub main_pid: Option<u32>,
    pub started_at_ms: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListenFact {
    /// `tcp` or `udp`.
    pub protocol: String,
    pub address: String,
    pub port: u16,
    pub pid: Option<u32>,
    pub process: Option<String>,
    /// The service that the process belongs to.
    pub service: Option<String>,
}

/// A conversation: a local service and the far end that it talks to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerFact {
    pub service: Option<String>,
    pub process: Option<String>,
    pub local_address: String,
    pub local_port: u16,
    pub remote_address: String,
    pub remote_port: u16,
    /// True when the far end opened the connection to a port that we listen on.
    pub inbound: bool,
    pub connections: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PackageFact {
    pub name: String,
    pub version: String,
    pub architecture: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerFact {
    pub name: String,
    pub id: String,
    /// `docker`, `podman`, `containerd`, `lxc`, …
    pub runtime: String,
    pub image: Option<String>,
    pub main_pid: Option<u32>,
    pub started_at_ms: Option<i64>,
}

/// A database server, not the databases in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DatabaseFact {
    /// Engine and lowest port.
    pub name: String,
    /// `postgresql`, `mysql`, `redis`, …
    pub engine: String,
    pub version: Option<String>,
    pub port: u16,
    pub data_directory: Option<String>,
    /// The service that runs it.
    pub service: Option<String>,
    pub main_pid: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateFact {
    pub path: String,
    pub subject: String,
    pub issuer: String,
    pub names: Vec<String>,
    pub not_before_ms: i64,
    pub not_after_ms: i64,
    /// SHA-256 of the DER, lower-case hex.
    pub fingerprint: String,
}
