//! Small kernel files with one or a few numbers: load, file handles, entropy, hung tasks, pressure, scheduler, conntrack.

use crate::collect::{CollectError, Collector, KeptFile, Roots, Sink, read_number};

fn number(words: &mut std::str::SplitAsciiWhitespace<'_>) -> Option<f64> {
    words.next()?.parse().ok()
}

/// `node_load1`, `node_load5`, `node_load15`.
pub(crate) struct Load(KeptFile);

impl Load {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(KeptFile::new(roots.proc("loadavg")))
    }
}

impl Collector for Load {
    fn name(&self) -> &'static str {
        "loadavg"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let mut words = self.0.read()?.split_ascii_whitespace();
        for metric in ["node_load1", "node_load5", "node_load15"] {
            if let Some(value) = number(&mut words) {
                out.put(metric, &[], value);
            }
        }
        Ok(())
    }
}

/// `node_filefd_*`.
pub(crate) struct FileHandles(KeptFile);

impl FileHandles {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(KeptFile::new(roots.proc("sys/fs/file-nr")))
    }
}

impl Collector for FileHandles {
    fn name(&self) -> &'static str {
        "filefd"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let mut words = self.0.read()?.split_ascii_whitespace();
        if let (Some(allocated), Some(_), Some(maximum)) =
            (number(&mut words), number(&mut words), number(&mut words))
        {
            out.put("node_filefd_allocated", &[], allocated);
            out.put("node_filefd_maximum", &[], maximum);
        }
        Ok(())
    }
}

/// Files that hold one number each.
pub(crate) struct Numbers {
    name: &'static str,
    files: Vec<(KeptFile, &'static str)>,
}

impl Numbers {
    pub(crate) fn entropy(roots: &Roots) -> Self {
        let file = |path, metric| (KeptFile::new(roots.proc(path)), metric);
        let files = vec![
            file("sys/kernel/random/entropy_avail", "node_entropy_available_bits"),
            file("sys/kernel/random/poolsize", "node_entropy_pool_size_bits"),
        ];
        Self {
            name: "entropy",
            files,
        }
    }

    pub(crate) fn hung_tasks(roots: &Roots) -> Self {
        let path = roots.proc("sys/kernel/hung_task_detect_count");
        Self {
            name: "kernel_hung",
            files: vec![(KeptFile::new(path), "node_kernel_hung_tasks_total")],
        }
    }
}

impl Collector for Numbers {
    fn name(&self) -> &'static str {
        self.name
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        for (file, metric) in &mut self.files {
            if let Ok(value) = file.read()?.trim().parse() {
                out.put(metric, &[], value);
            }
        }
        Ok(())
    }
}

/// `node_pressure_*`: seconds that tasks waited for a resource.
pub(crate) struct Pressure(Vec<(&'static str, KeptFile)>);

impl Pressure {
    pub(crate) fn new(roots: &Roots) -> Self {
        let file = |resource| (resource, KeptFile::new(roots.proc("pressure").join(resource)));
        Self(["cpu", "io", "memory", "irq"].map(file).into())
    }
}

impl Collector for Pressure {
    fn name(&self) -> &'static str {
        "pressure"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let mut found = false;
        for (resource, file) in &mut self.0 {
            // Kernels have a subset; with PSI switched off the files are there but refuse to be read.
            let Ok(text) = file.read() else { continue };
            for line in text.lines() {
                let kind = match line.split_once(' ').map(|(kind, _)| kind) {
                    Some("some") => "_waiting_seconds_total",
                    // For the CPU as a whole "full" is not defined.
                    Some("full") if *resource != "cpu" => "_stalled_seconds_total",
                    _ => continue,
                };
                let total = line
                    .rsplit_once("total=")
                    .and_then(|(_, total)| total.trim().parse::<f64>().ok());
                if let Some(micros) = total {
                    out.put_parts(&["node_pressure_", resource, kind], &[], micros / 1e6);
                    found = true;
                }
            }
        }
        if found { Ok(()) } else { Err(CollectError::Absent) }
    }
}

/// `node_schedstat_*`.
pub(crate) struct Schedstat(KeptFile);

impl Schedstat {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(KeptFile::new(roots.proc("schedstat")))
    }
}

impl Collector for Schedstat {
    fn name(&self) -> &'static str {
        "schedstat"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        for line in self.0.read()?.lines() {
            let mut words = line.split_ascii_whitespace();
            let Some(cpu) = words.next().and_then(|word| word.strip_prefix("cpu")) else {
                continue;
            };
            let labels = [("cpu", cpu)];
            let mut values = words.skip(6).map(|word| word.parse::<f64>().unwrap_or(0.0));
            if let (Some(running), Some(waiting), Some(slices)) =
                (values.next(), values.next(), values.next())
            {
                out.put("node_schedstat_running_seconds_total", &labels, running / 1e9);
                out.put("node_schedstat_waiting_seconds_total", &labels, waiting / 1e9);
                out.put("node_schedstat_timeslices_total", &labels, slices);
            }
        }
        Ok(())
    }
}

/// `node_nf_conntrack_*`.
pub(crate) struct Conntrack {
    count: KeptFile,
    limit: KeptFile,
    stat: KeptFile,
}

impl Conntrack {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self {
            count: KeptFile::new(roots.proc("sys/net/netfilter/nf_conntrack_count")),
            limit: KeptFile::new(roots.proc("sys/net/netfilter/nf_conntrack_max")),
            stat: KeptFile::new(roots.proc("net/stat/nf_conntrack")),
        }
    }
}

const CONNTRACK: [&str; 8] = [
    "found",
    "invalid",
    "ignore",
    "insert",
    "insert_failed",
    "drop",
    "early_drop",
    "search_restart",
];

impl Collector for Conntrack {
    fn name(&self) -> &'static str {
        "conntrack"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let number = |file: &mut KeptFile| file.read().map(|text| text.trim().parse::<f64>().unwrap_or(0.0));
        out.put("node_nf_conntrack_entries", &[], number(&mut self.count)?);
        out.put("node_nf_conntrack_entries_limit", &[], number(&mut self.limit)?);
        let Ok(text) = self.stat.read() else { return Ok(()) };
        let mut lines = text.lines();
        let header: Vec<&str> = lines
            .next()
            .unwrap_or_default()
            .split_ascii_whitespace()
            .collect();
        let rows: Vec<Vec<&str>> = lines
            .map(|line| line.split_ascii_whitespace().collect())
            .collect();
        for name in CONNTRACK {
            let Some(column) = header.iter().position(|head| *head == name) else {
                continue;
            };
            let cells = rows
                .iter()
                .filter_map(|row| u64::from_str_radix(row.get(column)?, 16).ok());
            out.put_parts(&["node_nf_conntrack_stat_", name], &[], cells.sum::<u64>() as f64);
        }
        Ok(())
    }
}

/// `node_processes_*` limits are read with the process table; see `processes`.
pub(crate) fn limit(roots: &Roots, path: &str) -> Option<f64> {
    read_number(&roots.proc(path))
}
