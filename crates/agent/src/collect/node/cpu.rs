//! CPU time per core and mode from `/proc/stat`, and the kernel's other totals there.

use std::collections::HashMap;

use crate::collect::{
    CollectError, Collector, Every, KeptFile, Roots, Sink, read_dir_names, read_number, read_text,
};

/// `USER_HZ`: the unit of `/proc/stat` on every Linux architecture that the agent is built for.
const TICKS_PER_SECOND: f64 = 100.0;

const MODES: [&str; 8] = [
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
];

/// `node_cpu_*`: seconds per mode.
pub(crate) struct Cpu {
    stat: KeptFile,
    /// The largest idle and iowait seen per CPU: the kernel may step them back a little.
    highest: HashMap<String, [f64; 2]>,
}

impl Cpu {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            stat: KeptFile::new(roots.proc("stat")),
            highest: HashMap::new(),
        }
    }
}

impl Collector for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let text = self.stat.read()?;
        for line in text.lines().take_while(|line| line.starts_with("cpu")) {
            let mut words = line.split_ascii_whitespace();
            let Some(cpu) = words
                .next()
                .and_then(|word| word.strip_prefix("cpu"))
                .filter(|cpu| !cpu.is_empty())
            else {
                continue;
            };
            let mut seconds = words.map(|word| word.parse::<f64>().unwrap_or(0.0) / TICKS_PER_SECOND);
            let mut values = [0.0; 8];
            for value in &mut values {
                *value = seconds.next().unwrap_or(0.0);
            }
            if !self.highest.contains_key(cpu) {
                self.highest.insert(cpu.to_owned(), [0.0; 2]);
            }
            if let (Some(highest), [_, _, _, idle, iowait, ..]) = (self.highest.get_mut(cpu), &mut values) {
                hold(&mut highest[0], idle);
                hold(&mut highest[1], iowait);
            }
            for (mode, value) in MODES.iter().zip(values) {
                out.put("node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)], value);
            }
            for (mode, value) in ["user", "nice"].iter().zip(seconds) {
                out.put(
                    "node_cpu_guest_seconds_total",
                    &[("cpu", cpu), ("mode", mode)],
                    value,
                );
            }
        }
        Ok(())
    }
}

/// Keeps a counter from stepping back by less than 3 seconds; a larger step is a CPU that was taken out and put back.
fn hold(highest: &mut f64, value: &mut f64) {
    if *value < *highest && *highest - *value < 3.0 {
        *value = *highest;
    }
    *highest = *value;
}

/// The totals of `/proc/stat` that belong to no CPU.
pub(crate) struct Stat(KeptFile);

impl Stat {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(KeptFile::new(roots.proc("stat")))
    }
}

const VECTORS: [&str; 10] = [
    "hi",
    "timer",
    "net_tx",
    "net_rx",
    "block",
    "block_iopoll",
    "tasklet",
    "sched",
    "hrtimer",
    "rcu",
];

impl Collector for Stat {
    fn name(&self) -> &'static str {
        "stat"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        for line in self.0.read()?.lines() {
            let mut words = line.split_ascii_whitespace();
            let Some(key) = words.next() else { continue };
            let metric = match key {
                "intr" => "node_intr_total",
                "ctxt" => "node_context_switches_total",
                "btime" => "node_boot_time_seconds",
                "processes" => "node_forks_total",
                "procs_running" => "node_procs_running",
                "procs_blocked" => "node_procs_blocked",
                "softirq" => {
                    for (vector, count) in VECTORS.iter().zip(words.skip(1)) {
                        out.put(
                            "node_softirqs_total",
                            &[("vector", vector)],
                            count.parse().unwrap_or(0.0),
                        );
                    }
                    continue;
                }
                _ => continue,
            };
            if let Some(value) = words.next().and_then(|word| word.parse().ok()) {
                out.put(metric, &[], value);
            }
        }
        Ok(())
    }
}

/// Throttling, isolation and online state from sysfs.
pub(crate) struct CpuState(Roots);

impl CpuState {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for CpuState {
    fn name(&self) -> &'static str {
        "cpu_state"
    }

    fn every(&self) -> Every {
        Every::Millis(15_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let folder = self.0.sys("devices/system/cpu");
        let mut cores = Vec::new();
        let mut packages = Vec::new();
        for name in read_dir_names(&folder) {
            let Some(cpu) = name.strip_prefix("cpu").filter(|n| n.parse::<u32>().is_ok()) else {
                continue;
            };
            let path = folder.join(&name);
            if let Some(online) = read_number(&path.join("online")) {
                out.put("node_cpu_online", &[("cpu", cpu)], online);
            }
            let Some(package) = read_text(&path.join("topology/physical_package_id")) else {
                continue;
            };
            let core = read_text(&path.join("topology/core_id")).unwrap_or_default();
            let core_count = read_number(&path.join("thermal_throttle/core_throttle_count"));
            if let Some(count) = core_count.filter(|_| !cores.contains(&(package.clone(), core.clone()))) {
                let labels = [("package", package.as_str()), ("core", core.as_str())];
                out.put("node_cpu_core_throttles_total", &labels, count);
                cores.push((package.clone(), core));
            }
            let package_count = read_number(&path.join("thermal_throttle/package_throttle_count"));
            if let Some(count) = package_count.filter(|_| !packages.contains(&package)) {
                out.put(
                    "node_cpu_package_throttles_total",
                    &[("package", &package)],
                    count,
                );
                packages.push(package);
            }
        }
        for cpu in parse_list(&read_text(&folder.join("isolated")).unwrap_or_default()) {
            out.put("node_cpu_isolated", &[("cpu", &cpu.to_string())], 1.0);
        }
        Ok(())
    }
}

/// The numbers of a kernel list such as `1,3-5,9`.
pub(crate) fn parse_list(text: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            numbers.extend((first..=last).take(8192));
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(parse_list("1,3-5,9\n"), vec![1, 3, 4, 5, 9]);
        assert_eq!(parse_list(""), Vec::<u32>::new());
        assert_eq!(parse_list("x,2"), vec![2]);
    }

    #[test]
    fn a_small_step_back_is_held_and_a_large_one_is_not() {
        let (mut highest, mut value) = (100.0, 99.0);
        hold(&mut highest, &mut value);
        assert_eq!(value.to_bits(), 100f64.to_bits());
        value = 3.0;
        hold(&mut highest, &mut value);
        assert_eq!((highest, value), (3.0, 3.0));
    }
}
