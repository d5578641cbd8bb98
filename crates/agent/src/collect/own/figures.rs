//! `mainstay_agent_*`: what the agent itself costs, and how its uplink does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::collect::series::Series;
use crate::collect::{CollectError, Collector, KeptFile, Sink};
use crate::uplink::Figures;

pub(crate) struct OwnFigures {
    stat: KeptFile,
    memory: KeptFile,
    series: Series,
    figures: Arc<Figures>,
}

impl OwnFigures {
    pub(crate) fn new(series: Series, figures: Arc<Figures>) -> Self {
        // The agent's own files are always under the real /proc.
        Self {
            stat: KeptFile::new("/proc/self/stat".into()),
            memory: KeptFile::new("/proc/self/statm".into()),
            series,
            figures,
        }
    }
}

impl Collector for OwnFigures {
    fn name(&self) -> &'static str {
        "agent"
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let stat = self.stat.read()?;
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks: f64 = after_name
            .split_ascii_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|word| word.parse::<f64>().ok())
            .sum();
        out.put("mainstay_agent_cpu_seconds_total", &[], ticks / 100.0);
        let pages = self
            .memory
            .read()?
            .split_ascii_whitespace()
            .nth(1)
            .and_then(|word| word.parse::<f64>().ok());
        let page = rustix::param::page_size() as f64;
        out.put(
            "mainstay_agent_resident_memory_bytes",
            &[],
            pages.unwrap_or(0.0) * page,
        );
        out.put("mainstay_agent_series", &[], self.series.len() as f64);
        let figures = &self.figures;
        let get = |value: &std::sync::atomic::AtomicU64| value.load(Ordering::Relaxed) as f64;
        out.put("mainstay_agent_spool_bytes", &[], get(&figures.spool_bytes));
        out.put(
            "mainstay_agent_dropped_batches_total",
            &[],
            get(&figures.dropped_batches),
        );
        out.put("mainstay_agent_connections_total", &[], get(&figures.reconnects));
        out.put("mainstay_agent_log_lines_total", &[], get(&figures.log_lines));
        out.put(
            "mainstay_agent_log_cut_lines_total",
            &[],
            get(&figures.log_cut_lines),
        );
        out.put("mainstay_agent_connected", &[], get(&figures.connected));
        let offset = figures.clock_offset_ms.load(Ordering::Relaxed) as f64;
        out.put("mainstay_agent_clock_offset_seconds", &[], offset / 1000.0);
        let counts = figures.bounds.lock();
        for (what, count) in &counts.left_out {
            out.put("mainstay_agent_left_out", &[("what", what)], *count as f64);
        }
        for (what, count) in &counts.dropped {
            out.put("mainstay_agent_dropped_total", &[("what", what)], *count as f64);
        }
        Ok(())
    }
}
