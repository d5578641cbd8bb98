//! `mainstay_process_*`: CPU, memory and files of the programs that use most, summed over processes of one name.

use std::collections::{BTreeMap, HashMap};

use crate::collect::{CollectError, Collector, Every, Roots, Sink};
use crate::host::processes::{Processes, Stat, TICKS};

/// Programs that are told of.
const TOP: usize = 20;
/// Rounds that a program stays told of after it was among the top, so that series do not flicker.
const LINGER: u32 = 60;

#[derive(Default)]
struct Group {
    /// CPU ticks since the agent began to look; processes that end take nothing away.
    cpu_ticks: u64,
    recent_ticks: u64,
    resident_pages: u64,
    threads: u64,
    pids: Vec<u32>,
    linger: u32,
}

pub(crate) struct ProcessGroups {
    processes: Processes,
    groups: BTreeMap<String, Group>,
    /// CPU ticks and start of each process at the last look.
    before: HashMap<u32, (u64, u64)>,
}

impl ProcessGroups {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            processes: Processes::new(&roots.procfs),
            groups: BTreeMap::new(),
            before: HashMap::new(),
        }
    }

    fn look(&mut self) {
        for group in self.groups.values_mut() {
            (group.recent_ticks, group.resident_pages, group.threads) = (0, 0, 0);
            group.pids.clear();
        }
        let mut now = HashMap::with_capacity(self.before.len());
        for pid in self.processes.pids() {
            let Some(stat) = self.processes.stat(pid) else {
                continue;
            };
            // Kernel threads have no memory of their own.
            if stat.resident_pages == 0 && stat.parent <= 2 {
                continue;
            }
            now.insert(pid, (stat.cpu_ticks, stat.started_ticks));
            self.add(pid, stat);
        }
        self.before = now;
        self.groups
            .retain(|_, group| !group.pids.is_empty() || group.linger > 0);
    }

    fn add(&mut self, pid: u32, stat: Stat) {
        let before = self
            .before
            .get(&pid)
            .filter(|(_, started)| *started == stat.started_ticks);
        let used = stat
            .cpu_ticks
            .saturating_sub(before.map_or(0, |(ticks, _)| *ticks));
        let group = self.groups.entry(stat.name).or_default();
        group.cpu_ticks += used;
        group.recent_ticks += used;
        group.resident_pages += stat.resident_pages;
        group.threads += stat.threads;
        group.pids.push(pid);
    }

    /// Half of the places go to CPU, half to memory.
    fn choose(&mut self) {
        let mut by_cpu: Vec<(u64, String)> = Vec::new();
        let mut by_memory: Vec<(u64, String)> = Vec::new();
        for (name, group) in &self.groups {
            by_cpu.push((group.recent_ticks, name.clone()));
            by_memory.push((group.resident_pages, name.clone()));
        }
        for mut list in [by_cpu, by_memory] {
            list.sort_unstable_by(|a, b| b.cmp(a));
            for (_, name) in list.into_iter().take(TOP / 2).filter(|(amount, _)| *amount > 0) {
                if let Some(group) = self.groups.get_mut(&name) {
                    group.linger = LINGER;
                }
            }
        }
    }
}

impl Collector for ProcessGroups {
    fn name(&self) -> &'static str {
        "process_groups"
    }

    fn every(&self) -> Every {
        Every::Millis(5_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        self.look();
        self.choose();
        let page = rustix::param::page_size() as f64;
        for (name, group) in self.groups.iter_mut().filter(|(_, group)| group.linger > 0) {
            group.linger -= 1;
            let labels = [("name", name.as_str())];
            let files: usize = group
                .pids
                .iter()
                .take(64)
                .map(|pid| self.processes.open_files(*pid))
                .sum();
            out.put(
                "mainstay_process_cpu_seconds_total",
                &labels,
                group.cpu_ticks as f64 / TICKS as f64,
            );
            out.put(
                "mainstay_process_resident_memory_bytes",
                &labels,
                group.resident_pages as f64 * page,
            );
            out.put("mainstay_process_open_fds", &labels, files as f64);
            out.put("mainstay_process_threads", &labels, group.threads as f64);
            out.put("mainstay_process_count", &labels, group.pids.len() as f64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::series::Series;

    #[test]
    fn this_test_is_among_the_processes() {
        let mut collector = ProcessGroups::new(&Roots::default());
        let mut sink = Sink::new(Series::default());
        collector.collect(&mut sink).unwrap();
        let samples = sink.drain_named();
        let total: f64 = samples
            .iter()
            .filter(|(labels, _)| labels.iter().any(|(_, name)| name == "mainstay_process_count"))
            .map(|(_, value)| value)
            .sum();
        assert!(total >= 1.0);
    }

    #[test]
    fn cpu_of_ended_processes_is_not_taken_back() {
        let mut collector = ProcessGroups::new(&Roots::default());
        let stat = |ticks| Stat {
            name: "x".into(),
            state: 'S',
            parent: 7,
            cpu_ticks: ticks,
            threads: 1,
            started_ticks: 1,
            resident_pages: 1,
        };
        collector.add(1, stat(100));
        collector.before.insert(1, (100, 1));
        collector.add(1, stat(130));
        collector.add(2, stat(5));
        assert_eq!(collector.groups["x"].cpu_ticks, 135);
    }
}
