//! All facts together, and when they are sent: when something changed, and once an hour.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use protocol::{AgentConfig, DiskFact, Facts, PeerFact, ServiceFact};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::packages::Packages;
use super::{certificates, containers, databases, identity, network, packages};
use crate::collect::node::filesystem::{MAX_MOUNTS, parse_mounts};
use crate::collect::node::identity::{os_release, parse_os_release};
use crate::collect::own::certificate_paths;
use crate::collect::{Roots, read_number, read_text};
use crate::host::names;
use crate::host::processes::Processes;
use crate::observe::{Observation, Observations};
use crate::services::{Service, Services};
use crate::uplink::Figures;

/// The first facts wait until the first look at services is over.
const FIRST: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_secs(60);
const AT_LEAST: Duration = Duration::from_secs(3600);

/// File systems of other machines: asking them for their size may never end.
const REMOTE: [&str; 9] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "ceph",
    "9p",
    "glusterfs",
    "afs",
    "ncpfs",
];

/// What facts are gathered from, and where it is counted what is left out.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) roots: Roots,
    pub(crate) services: Services,
    pub(crate) figures: Arc<Figures>,
}

/// Looks and sends until stopped.
pub(crate) async fn follow(
    sources: Sources,
    config: watch::Receiver<AgentConfig>,
    observations: Observations,
    stop: CancellationToken,
) {
    let fresh = || Gatherer {
        packages: Packages::new(&sources.roots),
        sources: sources.clone(),
    };
    let mut gatherer = fresh();
    let mut sent: Option<(u64, tokio::time::Instant)> = None;
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = LOOK,
            () = stop.cancelled() => return,
        }
        let settings = config.borrow().clone();
        let gathered = tokio::task::spawn_blocking(move || {
            let facts = gatherer.gather(&settings);
            (gatherer, facts)
        });
        let Ok((back, facts)) = gathered.await else {
            tracing::error!("gathering facts panicked; it begins anew");
            gatherer = fresh();
            continue;
        };
        gatherer = back;
        let digest = digest(&facts);
        let is_news = sent.is_none_or(|(before, at)| before != digest || at.elapsed() >= AT_LEAST);
        if is_news {
            sent = Some((digest, tokio::time::Instant::now()));
            if observations
                .send(Observation::Facts(Box::new(facts)))
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

struct Gatherer {
    sources: Sources,
    packages: Packages,
}

impl Gatherer {
    /// The first of a list; what is left out is counted.
    fn bounded<T>(&self, what: &'static str, mut list: Vec<T>, most: usize) -> Vec<T> {
        self.sources
            .figures
            .left_out(what, list.len().saturating_sub(most) as u64);
        list.truncate(most);
        list
    }

    fn gather(&mut self, config: &AgentConfig) -> Facts {
        let roots = &self.sources.roots;
        let services = self.sources.services.all();
        let (listening, peers) = network::sockets(roots, &services);
        let peers = self.bounded("conversations", peers, network::MOST_PEERS);
        let containers = self.bounded("containers", containers::find(roots), containers::MOST);
        let packages = self.packages.look();
        let packages = self.bounded("packages", packages, packages::MOST);
        let databases = databases::find(roots, &listening);
        let release = os_release(roots).unwrap_or_default();
        let release = parse_os_release(&release);
        let of_release = |key: &str| {
            release
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, value)| value.clone())
        };
        let uname = rustix::system::uname();
        let dmi =
            |name: &str| read_text(&roots.sys("class/dmi/id").join(name)).filter(|text| !text.is_empty());
        let (cpu_model, cpu_count) = cpus(roots);
        Facts {
            hostname: identity::hostname(roots),
            os_name: of_release("NAME").unwrap_or_else(|| "Linux".to_owned()),
            os_version: of_release("VERSION_ID")
                .or_else(|| of_release("BUILD_ID"))
                .unwrap_or_default(),
            kernel: uname.release().to_string_lossy().into_owned(),
            architecture: uname.machine().to_string_lossy().into_owned(),
            cpu_model,
            cpu_count,
            memory_bytes: memory(roots),
            vendor: dmi("sys_vendor"),
            model: dmi("product_name"),
            virtualization: Some(virtualization(roots)),
            init: read_text(&roots.proc("1/comm")).unwrap_or_default(),
            boot_at_ms: Processes::new(&roots.procfs).boot_ms().unwrap_or(0),
            time_zone: time_zone(roots),
            disks: disks(roots),
            interfaces: network::interfaces(roots),
            services: services.into_iter().map(service_fact).collect(),
            listening,
            peers,
            packages,
            certificates: certificates::find(&roots.rootfs, &certificate_paths(roots, config)).certificates,
            containers,
            databases,
        }
    }
}

/// Changes when something changed that is worth telling: not with each connection that comes or goes.
fn digest(facts: &Facts) -> u64 {
    let steady = Facts {
        peers: facts
            .peers
            .iter()
            .map(|peer| PeerFact {
                connections: 0,
                ..peer.clone()
            })
            .collect(),
        ..facts.clone()
    };
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(&steady).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

fn service_fact(service: Service) -> ServiceFact {
    ServiceFact {
        supervision: service.supervision().name().to_owned(),
        name: service.name,
        manager: service.manager.name().to_owned(),
        state: service.state,
        enabled: service.enabled,
        description: service.description,
        main_pid: service.main_pid,
        started_at_ms: service.started_at_ms,
    }
}

fn cpus(roots: &Roots) -> (String, u32) {
    let text = std::fs::read_to_string(roots.proc("cpuinfo")).unwrap_or_default();
    let value = |line: &str| line.split_once(':').map(|(_, value)| value.trim().to_owned());
    let model = text
        .lines()
        .find(|line| line.starts_with("model name") || line.starts_with("Hardware"));
    let count = text.lines().filter(|line| line.starts_with("processor")).count();
    (
        model.and_then(value).unwrap_or_default(),
        u32::try_from(count).unwrap_or(0),
    )
}

fn memory(roots: &Roots) -> u64 {
    let text = std::fs::read_to_string(roots.proc("meminfo")).unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

fn disks(roots: &Roots) -> Vec<DiskFact> {
    let text = ["1/mounts", "self/mounts"]
        .iter()
        .find_map(|path| std::fs::read(roots.proc(path)).ok());
    let mounts = parse_mounts(&names::text(&text.unwrap_or_default()));
    let is_local = |kind: &str| !REMOTE.contains(&kind) && !kind.starts_with("fuse");
    mounts
        .into_iter()
        .take(MAX_MOUNTS)
        .map(|mount| {
            let stat = is_local(&mount.fs_type)
                .then(|| rustix::fs::statvfs(&*names::path(&roots.root(&mount.point))).ok())
                .flatten();
            DiskFact {
                size_bytes: stat.map_or(0, |stat| stat.f_blocks.saturating_mul(stat.f_frsize)),
                device: names::shown(&mount.device).into_owned(),
                mount_point: names::shown(&mount.point).into_owned(),
                fs_type: mount.fs_type,
            }
        })
        .collect()
}

fn time_zone(roots: &Roots) -> Option<String> {
    let link = std::fs::read_link(roots.root("etc/localtime")).ok();
    let of_link = link.and_then(|path| Some(path.to_str()?.split_once("zoneinfo/")?.1.to_owned()));
    of_link.or_else(|| read_text(&roots.root("etc/timezone")).filter(|zone| !zone.is_empty()))
}

/// What the host runs in: container first, then what the firmware and the CPU say.
fn virtualization(roots: &Roots) -> String {
    if let Some(container) = read_text(&roots.root("run/systemd/container")).filter(|text| !text.is_empty()) {
        return container;
    }
    for (file, name) in [(".dockerenv", "docker"), ("run/.containerenv", "podman")] {
        if roots.root(file).exists() {
            return name.to_owned();
        }
    }
    let dmi = |name: &str| read_text(&roots.sys("class/dmi/id").join(name)).unwrap_or_default();
    let told = format!("{} {}", dmi("sys_vendor"), dmi("product_name"));
    let known = [
        ("QEMU", "kvm"),
        ("KVM", "kvm"),
        ("VMware", "vmware"),
        ("VirtualBox", "virtualbox"),
        ("Xen", "xen"),
        ("Amazon EC2", "amazon"),
        ("Google Compute", "google"),
        ("Virtual Machine", "hyper-v"),
    ];
    if let Some((_, name)) = known.iter().find(|(word, _)| told.contains(word)) {
        return (*name).to_owned();
    }
    let cpuinfo = std::fs::read_to_string(roots.proc("cpuinfo")).unwrap_or_default();
    let flags = cpuinfo
        .lines()
        .find(|line| line.starts_with("flags"))
        .unwrap_or_default();
    let is_guest = flags.split_ascii_whitespace().any(|flag| flag == "hypervisor")
        || read_number(&roots.sys("hypervisor/uuid")).is_some();
    if is_guest {
        "virtual machine".to_owned()
    } else {
        "none".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_is_described() {
        let roots = Roots::default();
        let mut gatherer = Gatherer {
            packages: Packages::new(&roots),
            sources: Sources {
                roots,
                services: Services::default(),
                figures: Arc::default(),
            },
        };
        let mut facts = gatherer.gather(&AgentConfig::default());
        assert!(
            !facts.hostname.is_empty()
                && facts.cpu_count > 0
                && facts.memory_bytes > 0
                && facts.boot_at_ms > 0
        );
        assert!(
            facts
                .disks
                .iter()
                .any(|disk| disk.mount_point == "/" && disk.size_bytes > 0)
        );
        let before = digest(&facts);
        for peer in &mut facts.peers {
            peer.connections += 1;
        }
        assert_eq!(digest(&facts), before);
        assert_eq!(gatherer.bounded("containers", vec![1, 2, 3], 2), [1, 2]);
        let left_out = gatherer.sources.figures.bounds.lock().left_out.clone();
        assert_eq!((left_out["containers"], left_out["packages"]), (1, 0));
        facts.hostname.push('x');
        assert_ne!(digest(&facts), before);
    }
}
