//! Memory: `/proc/meminfo` and the paging counters of `/proc/vmstat`.

use crate::collect::{CollectError, Collector, KeptFile, Roots, Sink};

/// `node_memory_*`.
pub(crate) struct Meminfo {
    file: KeptFile,
    name: String,
}

impl Meminfo {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            file: KeptFile::new(roots.proc("meminfo")),
            name: String::new(),
        }
    }
}

impl Collector for Meminfo {
    fn name(&self) -> &'static str {
        "meminfo"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        for line in self.file.read()?.lines() {
            let Some((key, rest)) = line.split_once(':') else {
                continue;
            };
            let mut words = rest.split_ascii_whitespace();
            let Some(value) = words.next().and_then(|word| word.parse::<f64>().ok()) else {
                continue;
            };
            self.name.clear();
            for c in key.chars().filter(|c| *c != ')') {
                self.name.push(if c == '(' { '_' } else { c });
            }
            match words.next() {
                Some(_) => out.put_parts(&["node_memory_", &self.name, "_bytes"], &[], value * 1024.0),
                None => out.put_parts(&["node_memory_", &self.name], &[], value),
            }
        }
        Ok(())
    }
}

/// `node_vmstat_*`: the few counters that tell of paging and of the out-of-memory killer.
pub(crate) struct Vmstat(KeptFile);

impl Vmstat {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(KeptFile::new(roots.proc("vmstat")))
    }
}

impl Collector for Vmstat {
    fn name(&self) -> &'static str {
        "vmstat"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        for line in self.0.read()?.lines() {
            let Some((key, value)) = line.split_once(' ') else {
                continue;
            };
            let wanted = key.starts_with("oom_kill")
                || ["pgpg", "pswp"].iter().any(|prefix| key.starts_with(prefix))
                || (key.starts_with("pg") && key.ends_with("fault"));
            if !wanted {
                continue;
            }
            if let Ok(value) = value.parse() {
                out.put_parts(&["node_vmstat_", key], &[], value);
            }
        }
        Ok(())
    }
}
