//! Interfaces, listening ports and conversations.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;

use protocol::{InterfaceFact, ListenFact, PeerFact};

use crate::collect::{Roots, read_dir_names, read_number, read_text};
use crate::host::addresses;
use crate::host::names;
use crate::host::processes::{Processes, display_name};
use crate::host::sockets::{self, Socket};
use crate::services::Service;
use crate::services::systemd::short;

/// Conversations that are told of at most.
pub(crate) const MOST_PEERS: usize = 2000;

pub(crate) fn interfaces(roots: &Roots) -> Vec<InterfaceFact> {
    let addresses = addresses::by_interface();
    let folder = roots.sys("class/net");
    let found = read_dir_names(&folder)
        .into_iter()
        .filter(|name| names::path(&folder.join(name).join("ifindex")).exists());
    found
        .map(|name| {
            let path = folder.join(&name);
            let number = |file: &str| read_number(&path.join(file));
            let index = number("ifindex").unwrap_or(0.0) as u32;
            let mac =
                read_text(&path.join("address")).filter(|mac| mac.len() == 17 && mac != "00:00:00:00:00:00");
            let flags = read_text(&path.join("flags"))
                .and_then(|text| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok());
            let mut own = addresses.get(&index).cloned().unwrap_or_default();
            own.sort_unstable();
            InterfaceFact {
                mac,
                addresses: own,
                mtu: number("mtu").unwrap_or(0.0) as u32,
                speed_mbit: number("speed")
                    .filter(|speed| *speed > 0.0)
                    .map(|speed| speed as u32),
                up: flags.is_some_and(|flags| flags & 1 == 1),
                name: names::shown(&name).into_owned(),
            }
        })
        .collect()
}

/// Who a process is: its number, the name of its program, its service.
#[derive(Clone, Debug, Default)]
struct Owner {
    pid: Option<u32>,
    process: Option<String>,
    service: Option<String>,
}

/// Looks at the sockets and at who holds them.
pub(crate) fn sockets(roots: &Roots, services: &[Service]) -> (Vec<ListenFact>, Vec<PeerFact>) {
    let procfs = &roots.procfs;
    let (tcp, udp, open) = (
        sockets::listening(procfs),
        sockets::bound_udp(procfs),
        sockets::established(procfs),
    );
    let all = || tcp.iter().chain(&udp).chain(&open);
    let wanted: HashSet<u64> = all()
        .map(|socket| socket.inode)
        .filter(|inode| *inode != 0)
        .collect();
    let processes = Processes::new(procfs);
    let owners: HashMap<u64, Owner> = processes
        .socket_owners(&wanted)
        .into_iter()
        .filter_map(|(inode, pids)| Some((inode, owner(&processes, services, *pids.first()?))))
        .collect();
    let mut listening: Vec<ListenFact> = Vec::new();
    for (protocol, sockets) in [("tcp", &tcp), ("udp", &udp)] {
        listening.extend(
            sockets
                .iter()
                .map(|socket| listen_fact(protocol, socket, &owners)),
        );
    }
    listening.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    listening.dedup_by(|a, b| key(a) == key(b));
    (listening, peers(&tcp, &open, &owners))
}

fn key(fact: &ListenFact) -> (&str, u16, &str) {
    (&fact.protocol, fact.port, &fact.address)
}

fn listen_fact(protocol: &str, socket: &Socket, owners: &HashMap<u64, Owner>) -> ListenFact {
    let owner = owners.get(&socket.inode).cloned().unwrap_or_default();
    ListenFact {
        protocol: protocol.to_owned(),
        address: socket.local.ip().to_string(),
        port: socket.local.port(),
        pid: owner.pid,
        process: owner.process,
        service: owner.service,
    }
}

/// Connections summed up: the port that the caller was given by chance is 0, so that a conversation is one fact.
fn peers(tcp: &[Socket], open: &[Socket], owners: &HashMap<u64, Owner>) -> Vec<PeerFact> {
    let listens = |local: &SocketAddr| {
        tcp.iter().any(|one| {
            one.local.port() == local.port()
                && (one.local.ip().is_unspecified() || one.local.ip() == local.ip())
        })
    };
    let mut sums: BTreeMap<Conversation, (Owner, u32)> = BTreeMap::new();
    for socket in open {
        let inbound = listens(&socket.local);
        let owner = owners.get(&socket.inode).cloned().unwrap_or_default();
        let conversation = Conversation {
            local_address: socket.local.ip().to_string(),
            local_port: if inbound { socket.local.port() } else { 0 },
            remote_address: socket.remote.ip().to_string(),
            remote_port: if inbound { 0 } else { socket.remote.port() },
            process: owner.process.clone(),
            inbound,
        };
        sums.entry(conversation).or_insert((owner, 0)).1 += 1;
    }
    let fact = |(conversation, (owner, connections)): (Conversation, (Owner, u32))| PeerFact {
        service: owner.service,
        process: conversation.process,
        local_address: conversation.local_address,
        local_port: conversation.local_port,
        remote_address: conversation.remote_address,
        remote_port: conversation.remote_port,
        inbound: conversation.inbound,
        connections,
    };
    sums.into_iter().map(fact).collect()
}

/// What connections are summed over.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Conversation {
    local_address: String,
    local_port: u16,
    remote_address: String,
    remote_port: u16,
    process: Option<String>,
    inbound: bool,
}

/// The service is that of the process or of its nearest ancestor that has one.
fn owner(processes: &Processes, services: &[Service], pid: u32) -> Owner {
    let program = processes.program(pid);
    let process = program.and_then(|program| display_name(&program, &processes.arguments(pid)));
    let unit = processes.unit(pid).map(|unit| short(&unit).to_owned());
    let mut service = unit.filter(|unit| services.iter().any(|service| service.name == *unit));
    let mut ancestor = pid;
    for _ in 0..8 {
        if service.is_some() || ancestor <= 1 {
            break;
        }
        let of_pid = services.iter().find(|service| service.main_pid == Some(ancestor));
        service = of_pid.map(|service| service.name.clone());
        ancestor = processes.stat(ancestor).map_or(0, |stat| stat.parent);
    }
    Owner {
        pid: Some(pid),
        process,
        service,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::services::table::Manager;

    #[test]
    fn a_listener_and_its_callers_are_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _callers = [
            TcpStream::connect(address).unwrap(),
            TcpStream::connect(address).unwrap(),
        ];
        let _accepted = [listener.accept().unwrap(), listener.accept().unwrap()];
        let own = Service {
            main_pid: Some(std::process::id()),
            ..Service::new("test", Manager::Process, "active")
        };
        let (listening, peers) = sockets(&Roots::default(), &[own]);
        let fact = listening.iter().find(|fact| fact.port == address.port()).unwrap();
        assert_eq!(
            (fact.pid, fact.service.as_deref()),
            (Some(std::process::id()), Some("test"))
        );
        let inbound = peers
            .iter()
            .find(|peer| peer.inbound && peer.local_port == address.port())
            .unwrap();
        assert_eq!((inbound.connections, inbound.remote_port), (2, 0));
        let outbound = peers
            .iter()
            .find(|peer| !peer.inbound && peer.remote_port == address.port())
            .unwrap();
        assert_eq!(
            (
                outbound.connections,
                outbound.local_port,
                outbound.service.as_deref()
            ),
            (2, 0, Some("test"))
        );
    }

    #[test]
    fn this_host_has_a_loopback() {
        let interfaces = interfaces(&Roots::default());
        let lo = interfaces
            .iter()
            .find(|interface| interface.name == "lo")
            .unwrap();
        assert!(lo.mtu > 0 && lo.addresses.iter().any(|address| address.starts_with("127.")));
    }
}
