//! Puts what the log holds back into the head, except for samples that a block holds already.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::NEVER;
use crate::block::{Block, Cut};
use crate::head::{FastMap, Head, Inserted, MemSeries};
use crate::labels::Labels;
use crate::sample::Sample;
use crate::wal;

pub(super) struct Replay<'a> {
    head: &'a Head,
    block_ms: i64,
    cuts: Vec<Cut>,
    /// The cuts that concern the segment being read.
    here: Vec<Cut>,
    refs: FastMap<u64, Arc<MemSeries>>,
    /// Samples per window put into the head.
    pub(super) windows: BTreeMap<i64, u64>,
    /// Newest time in log and blocks.
    pub(super) newest: i64,
}

impl<'a> Replay<'a> {
    pub(super) fn new(head: &'a Head, block_ms: i64, blocks: &[Arc<Block>]) -> Self {
        Replay {
            head,
            block_ms,
            cuts: blocks.iter().flat_map(|b| b.meta.cuts.iter().copied()).collect(),
            here: Vec::new(),
            refs: FastMap::default(),
            windows: BTreeMap::new(),
            newest: blocks.iter().map(|b| b.meta.max_t).max().unwrap_or(NEVER),
        }
    }
}

impl wal::Sink for Replay<'_> {
    fn segment(&mut self, seq: u64) {
        self.refs.clear();
        self.here = self.cuts.iter().filter(|c| seq < c.below).copied().collect();
    }

    fn define(&mut self, id: u64, labels: Labels) {
        // No limit here: what was acknowledged comes back.
        if let Some((series, _)) = self.head.get_or_create(&labels, usize::MAX) {
            self.refs.insert(id, series);
        }
    }

    fn sample(&mut self, id: u64, s: Sample) -> Result<Option<i64>, ()> {
        let series = self.refs.get(&id).ok_or(())?;
        self.newest = self.newest.max(s.t_ms);
        if self.here.iter().any(|c| c.start <= s.t_ms && s.t_ms < c.end) {
            return Ok(None);
        }
        let key = s.t_ms.div_euclid(self.block_ms);
        if series.state().insert(key, s) == Inserted::New {
            self.head.samples.add(1);
            *self.windows.entry(key).or_default() += 1;
        }
        Ok(Some(key))
    }
}
