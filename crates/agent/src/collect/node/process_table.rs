//! Counts over the process table.

use std::collections::BTreeMap;

use super::kernel::limit;
use crate::collect::{CollectError, Collector, Every, Roots, Sink, read_text};

/// `node_processes_*`.
pub(crate) struct ProcessTable(Roots);

impl ProcessTable {
    pub(crate) fn new(roots: &Roots) -> Self {
        Self(roots.clone())
    }
}

impl Collector for ProcessTable {
    fn name(&self) -> &'static str {
        "processes"
    }

    fn every(&self) -> Every {
        Every::Millis(5_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let entries =
            std::fs::read_dir(&self.0.procfs).map_err(|error| CollectError::read(&self.0.procfs, error))?;
        let mut states: BTreeMap<char, f64> = BTreeMap::new();
        let (mut pids, mut threads) = (0.0, 0.0);
        for entry in entries.filter_map(Result::ok) {
            if entry
                .file_name()
                .to_str()
                .is_none_or(|name| name.parse::<u32>().is_err())
            {
                continue;
            }
            // A process may end between the listing and the reading.
            let Some(text) = read_text(&entry.path().join("stat")) else {
                continue;
            };
            let Some((_, rest)) = text.rsplit_once(") ") else {
                continue;
            };
            let mut words = rest.split_ascii_whitespace();
            if let Some(state) = words.next().and_then(|word| word.chars().next()) {
                *states.entry(state).or_default() += 1.0;
            }
            threads += words
                .nth(16)
                .and_then(|word| word.parse::<f64>().ok())
                .unwrap_or(0.0);
            pids += 1.0;
        }
        out.put("node_processes_pids", &[], pids);
        out.put("node_processes_threads", &[], threads);
        for (state, count) in states {
            out.put(
                "node_processes_state",
                &[("state", state.encode_utf8(&mut [0; 4]))],
                count,
            );
        }
        if let Some(value) = limit(&self.0, "sys/kernel/pid_max") {
            out.put("node_processes_max_processes", &[], value);
        }
        if let Some(value) = limit(&self.0, "sys/kernel/threads-max") {
            out.put("node_processes_max_threads", &[], value);
        }
        Ok(())
    }
}
