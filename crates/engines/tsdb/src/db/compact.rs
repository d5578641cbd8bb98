//! Merges blocks: those of one finished `max_block_ms` stretch into one, and those of one and the same
//! window (late samples made a second one) at once. The merged block names its parents, so that a
//! crash before their deletion is settled at the next start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Tsdb;
use super::maintain::{Maintained, Maintenance};
use crate::block::{Block, BlockWriter, Cut};
use crate::error::{Error, Result};
use crate::head::encode_all;
use crate::stats::lock;

/// Merges per call of `maintain`, so that a long backlog does not hold up cuts.
const MERGES_PER_CALL: usize = 4;

#[derive(Debug, Default)]
pub(super) struct State {
    /// Blocks with damaged chunks: merging them would lose what a repair might save.
    damaged: BTreeSet<u64>,
}

impl Tsdb {
    pub(super) fn compact(&self, state: &mut Maintenance, now_ms: i64, done: &mut Maintained) -> Result<()> {
        let mut failed = None;
        // A group that fails now is left for the next call and does not keep the others from theirs.
        let mut skipped = state.compaction.damaged.clone();
        for _ in 0..MERGES_PER_CALL {
            let Some(group) = self.next_group(&skipped, now_ms) else {
                break;
            };
            match self.merge(state.take_block_number(), &group) {
                Ok(()) => {
                    done.compacted += 1;
                    self.counters.compactions.add(1);
                    state.doomed.extend(group);
                }
                Err(e @ Error::Corrupt { .. }) => {
                    skipped.extend(group.iter().map(|b| b.meta.seq));
                    state.compaction.damaged.extend(group.iter().map(|b| b.meta.seq));
                    self.counters
                        .notice(format!("blocks were not merged because one is damaged: {e}"));
                }
                Err(e) => {
                    skipped.extend(group.iter().map(|b| b.meta.seq));
                    failed = failed.or(Some(e));
                }
            }
        }
        let deleted = self.delete_doomed(state);
        failed.map_or(deleted, Err)
    }

    /// Blocks that should become one, if there are any.
    fn next_group(&self, skipped: &BTreeSet<u64>, now_ms: i64) -> Option<Vec<Arc<Block>>> {
        let horizon = self.horizon(now_ms).saturating_sub(self.options.cut_delay_ms());
        let length = self.options.max_block_ms;
        let mut stretches: BTreeMap<i64, Vec<Arc<Block>>> = BTreeMap::new();
        let mut windows: BTreeMap<(i64, i64), Vec<Arc<Block>>> = BTreeMap::new();
        for block in self.blocks().iter().filter(|b| !skipped.contains(&b.meta.seq)) {
            let (start, end) = block.meta.span;
            windows.entry((start, end)).or_default().push(Arc::clone(block));
            let stretch = start.div_euclid(length);
            let limit = stretch.saturating_add(1).saturating_mul(length);
            if end <= limit && limit <= horizon {
                stretches.entry(stretch).or_default().push(Arc::clone(block));
            }
        }
        let groups = stretches.into_values().chain(windows.into_values());
        groups.into_iter().find(|group| group.len() > 1)
    }

    fn merge(&self, seq: u64, group: &[Arc<Block>]) -> Result<()> {
        let start = group.iter().map(|b| b.meta.span.0).min().unwrap_or(0);
        let end = group.iter().map(|b| b.meta.span.1).max().unwrap_or(0);
        let mut writer = BlockWriter::create(&self.blocks_dir(), seq, (start, end), &self.options.faults)?;
        if let Err(e) = self.copy_samples(group, &mut writer) {
            writer.discard();
            return Err(e);
        }
        let cuts = self.live_cuts(group);
        let dir = writer.finish(|meta| {
            meta.rank = group.iter().map(|b| b.meta.rank).min().unwrap_or(seq);
            meta.cuts = cuts;
            meta.parents = group.iter().map(|b| b.meta.seq).collect();
        })?;
        let merged = Arc::new(Block::open(&dir)?);
        let replaced: BTreeSet<u64> = merged.meta.parents.iter().copied().collect();
        self.change_blocks(|list| {
            list.retain(|b| !replaced.contains(&b.meta.seq));
            list.push(merged);
        });
        Ok(())
    }

    fn copy_samples(&self, group: &[Arc<Block>], writer: &mut BlockWriter) -> Result<()> {
        let mut stream = self.stream_blocks(group)?;
        let mut samples = Vec::new();
        while let Some(labels) = stream.next_into(&mut samples)? {
            writer.add(&labels, &encode_all(&samples))?;
        }
        Ok(())
    }

    /// The cuts of the group that still keep a log segment from being replayed twice.
    fn live_cuts(&self, group: &[Arc<Block>]) -> Vec<Cut> {
        let oldest = lock(&self.writer).wal.oldest();
        let cuts = group.iter().flat_map(|b| b.meta.cuts.iter().copied());
        cuts.filter(|c| oldest.is_some_and(|seq| seq < c.below)).collect()
    }
}
