//! What the tests share.

use std::collections::BTreeMap;

use inventory::{Item, ItemId};
use kernel::event::Event;
use kernel::event::store::after;
use kernel::{Actor, Kernel, Tx};
use protocol::{Facts, Identity, InterfaceFact, ListenFact, PackageFact, PeerFact, ServiceFact};
use testkit::Bed;

pub const SCHEMA: &[(&str, &[kernel::Migration])] = &[("inventory", inventory::MIGRATIONS)];

pub async fn beds() -> Vec<Bed> {
    Bed::both(SCHEMA).await
}

pub fn agent() -> Actor {
    Actor::system("test")
}

pub async fn topics(kernel: &Kernel) -> Vec<String> {
    events(kernel)
        .await
        .into_iter()
        .map(|event| event.topic)
        .collect()
}

pub async fn events(kernel: &Kernel) -> Vec<Event> {
    let mut reader = kernel.db.read().await.unwrap();
    after(&mut reader, 0, 10_000).await.unwrap()
}

pub fn identity(n: u32) -> Identity {
    Identity {
        machine_id: Some(format!("machine{n}")),
        dmi_uuid: Some(format!("dmi{n}")),
        macs: vec![format!("52:54:00:00:00:{n:02x}")],
        ..Identity::default()
    }
}

/// A host `name` at `address` with an SSH service.
pub fn facts(name: &str, address: &str) -> Facts {
    Facts {
        hostname: name.into(),
        os_name: "Debian GNU/Linux".into(),
        memory_bytes: 1 << 30,
        boot_at_ms: 1_700_000_000_000,
        interfaces: vec![InterfaceFact {
            name: "eth0".into(),
            addresses: vec![format!("{address}/24")],
            up: true,
            ..InterfaceFact::default()
        }],
        services: vec![service("ssh.service")],
        packages: vec![package("openssh", "1.0"), package("vim", "9")],
        ..Facts::default()
    }
}

pub fn service(name: &str) -> ServiceFact {
    ServiceFact {
        name: name.into(),
        manager: "systemd".into(),
        state: "active".into(),
        ..ServiceFact::default()
    }
}

pub fn package(name: &str, version: &str) -> PackageFact {
    PackageFact {
        name: name.into(),
        version: version.into(),
        architecture: "amd64".into(),
    }
}

pub fn listens(service: &str, port: u16) -> ListenFact {
    ListenFact {
        protocol: "tcp".into(),
        address: "0.0.0.0".into(),
        port,
        service: Some(service.into()),
        ..ListenFact::default()
    }
}

pub fn talks(service: &str, address: &str, port: u16) -> PeerFact {
    PeerFact {
        service: Some(service.into()),
        remote_address: address.into(),
        remote_port: port,
        connections: 1,
        ..PeerFact::default()
    }
}

pub async fn observe(kernel: &Kernel, n: u32, facts: &Facts) -> ItemId {
    let mut tx = kernel.db.write().await.unwrap();
    let id = observe_in(&mut tx, n, facts).await;
    tx.commit().await.unwrap();
    id
}

async fn observe_in(tx: &mut Tx, n: u32, facts: &Facts) -> ItemId {
    let source = format!("agent:{n}");
    inventory::observe_facts(tx, &agent(), &source, facts, &identity(n), None)
        .await
        .unwrap()
}

pub async fn item(kernel: &Kernel, id: &ItemId) -> Item {
    let mut reader = kernel.db.read().await.unwrap();
    inventory::store::item(&mut reader, id).await.unwrap().unwrap()
}

pub async fn named(kernel: &Kernel, kind: &str, name: &str) -> Item {
    let mut reader = kernel.db.read().await.unwrap();
    inventory::store::item_by_name(&mut reader, kind, name)
        .await
        .unwrap()
        .unwrap()
}

pub async fn resolve(kernel: &Kernel, labels: &[(&str, &str)]) -> Option<ItemId> {
    let labels: BTreeMap<String, String> = labels
        .iter()
        .map(|(n, v)| (n.to_string(), v.to_string()))
        .collect();
    let mut reader = kernel.db.read().await.unwrap();
    inventory::resolve_labels(&mut reader, &labels).await.unwrap()
}
