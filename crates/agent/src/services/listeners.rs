//! Services that nobody manages: programs that listen on a port below the ephemeral range, and programs that somebody
//! watches by name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use super::table::{Manager, Service};
use crate::collect::{Roots, read_text};
use crate::host::processes::{Processes, Stat, TICKS, display_name};
use crate::host::sockets;

/// A program is a service once it has lived this long: tests and builds listen too, for seconds.
const GROWN_UP_TICKS: u64 = 10 * TICKS;

/// Ports from here on are given out by the kernel when nothing else is known.
const EPHEMERAL: u16 = 32_768;

pub(crate) struct Listeners {
    roots: Roots,
    processes: Processes,
    ephemeral_from: u16,
    boot_ms: i64,
    /// Owners of the sockets seen in the last look, so that only new sockets cost a search.
    owners: HashMap<u64, Vec<u32>>,
    /// Sockets whose owner could not be found (another container's).
    strangers: HashSet<u64>,
}

/// A process that may be a service.
struct Candidate {
    pid: u32,
    stat: Stat,
    program: PathBuf,
    name: String,
}

impl Listeners {
    pub(crate) fn new(roots: &Roots) -> Self {
        let processes = Processes::new(&roots.procfs);
        let range = read_text(&roots.proc("sys/net/ipv4/ip_local_port_range")).unwrap_or_default();
        let first = range
            .split_ascii_whitespace()
            .next()
            .and_then(|word| word.parse().ok());
        Self {
            roots: roots.clone(),
            boot_ms: processes.boot_ms().unwrap_or(0),
            processes,
            ephemeral_from: first.unwrap_or(EPHEMERAL),
            owners: HashMap::new(),
            strangers: HashSet::new(),
        }
    }

    /// The services of now. `is_known` says which names need not grow up again, `is_watched` which count without a port.
    pub(crate) fn look(
        &mut self,
        is_known: impl Fn(&str) -> bool,
        watched: &[String],
        managed: &HashSet<u32>,
    ) -> Vec<Service> {
        let uptime = self.processes.uptime_ticks().unwrap_or(u64::MAX);
        let mut pids: HashSet<u32> = self.listening_pids();
        if !watched.is_empty() {
            pids.extend(self.watched_pids(watched));
        }
        let mut by_name: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
        for pid in pids {
            let Some(candidate) = self.candidate(pid) else {
                continue;
            };
            let is_watched = watched.contains(&candidate.name) || watched.contains(&candidate.stat.name);
            let is_grown_up = uptime.saturating_sub(candidate.stat.started_ticks) >= GROWN_UP_TICKS;
            if is_watched || is_grown_up || is_known(&candidate.name) {
                by_name.entry(candidate.name.clone()).or_default().push(candidate);
            }
        }
        let services = by_name
            .into_iter()
            .filter_map(|(name, candidates)| self.service(name, &candidates));
        services
            .filter(|service| service.main_pid.is_none_or(|pid| !managed.contains(&pid)))
            .collect()
    }

    fn listening_pids(&mut self) -> HashSet<u32> {
        let sockets = sockets::listening(&self.roots.procfs);
        let wanted = sockets
            .iter()
            .filter(|socket| socket.local.port() < self.ephemeral_from);
        let inodes: HashSet<u64> = wanted
            .map(|socket| socket.inode)
            .filter(|inode| *inode != 0)
            .collect();
        let alive = |pid: &u32| self.processes.stat(*pid).is_some_and(|stat| stat.state != 'Z');
        // A socket may outlive one of its owners (a worker that was handed it).
        self.owners
            .retain(|inode, pids| inodes.contains(inode) && pids.iter().all(alive));
        self.strangers.retain(|inode| inodes.contains(inode));
        let fresh: HashSet<u64> = inodes
            .iter()
            .filter(|inode| !self.owners.contains_key(inode) && !self.strangers.contains(inode))
            .copied()
            .collect();
        let found = self.processes.socket_owners(&fresh);
        self.strangers
            .extend(fresh.iter().filter(|inode| !found.contains_key(inode)));
        self.owners.extend(found);
        self.owners.values().flatten().copied().collect()
    }

    fn watched_pids(&self, watched: &[String]) -> Vec<u32> {
        let is_watched = |pid: &u32| {
            // The kernel cuts names at 15 bytes.
            let stat = self.processes.stat(*pid);
            let by_name = stat.is_some_and(|stat| {
                stat.state != 'Z'
                    && watched
                        .iter()
                        .any(|name| name.get(..15).unwrap_or(name) == stat.name)
            });
            by_name
                || self
                    .candidate(*pid)
                    .is_some_and(|candidate| watched.contains(&candidate.name))
        };
        self.processes.pids().into_iter().filter(is_watched).collect()
    }

    fn candidate(&self, pid: u32) -> Option<Candidate> {
        let stat = self.processes.stat(pid).filter(|stat| stat.state != 'Z')?;
        let program = self.processes.program(pid)?;
        let name = display_name(&program, &self.processes.arguments(pid))?;
        Some(Candidate {
            pid,
            stat,
            program,
            name,
        })
    }

    /// The main process is the one whose parent is not of the same service; the oldest if there are several.
    fn service(&self, name: String, candidates: &[Candidate]) -> Option<Service> {
        let is_child =
            |candidate: &&Candidate| candidates.iter().any(|other| other.pid == candidate.stat.parent);
        let tops = candidates.iter().filter(|candidate| !is_child(candidate));
        let main = tops.min_by_key(|candidate| (candidate.stat.started_ticks, candidate.pid))?;
        let started = i64::try_from(main.stat.started_ticks.saturating_mul(1000 / TICKS)).ok()?;
        Some(Service {
            main_pid: Some(main.pid),
            started_at_ms: Some(self.boot_ms + started),
            description: Some(main.program.display().to_string()),
            expected: true,
            ..Service::new(name, Manager::Process, "active")
        })
    }
}

/// Whether the program of a plain process is still installed: its path is kept as the description.
pub(crate) fn exists(roots: &Roots, service: &Service) -> Option<bool> {
    let path = service
        .description
        .as_deref()
        .filter(|path| path.starts_with('/'))?;
    // There: it may be a while. Gone: it is uninstalled.
    if roots.root(path).exists() {
        None
    } else {
        Some(false)
    }
}
