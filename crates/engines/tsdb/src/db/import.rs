//! Backfill: writes given series straight into blocks, past the log and its out-of-order window.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Tsdb, commit};
use crate::block::{Block, BlockWriter};
use crate::error::{Error, Result};
use crate::head::encode_all;
use crate::labels::Labels;
use crate::sample::SeriesData;
use crate::stats::lock;

type Windows<'a> = BTreeMap<i64, BTreeMap<&'a Labels, Vec<(i64, f64)>>>;

impl Tsdb {
    /// Stores samples of any age (history from another store, a demonstration's past); durable on
    /// return. Samples need no order; where a block has a value already, that one stays. Returns the
    /// number of samples written. The caller bounds the memory: import month by month, say.
    pub fn import(&self, series: &[SeriesData]) -> Result<u64> {
        if let Some(bad) = series.iter().find(|s| !commit::is_valid(&s.labels)) {
            return Err(Error::Invalid {
                what: format!(
                    "series {} cannot be imported: it has no labels or too long ones",
                    bad.labels
                ),
            });
        }
        let mut state = lock(&self.maintenance);
        let mut written = 0;
        let mut newest = i64::MIN;
        for (key, window) in self.by_window(series) {
            let block = self.write_import(state.take_block_number(), key, window)?;
            written += block.meta.samples;
            newest = newest.max(block.meta.max_t);
            self.change_blocks(|list| list.push(Arc::new(block)));
        }
        let mut writer = lock(&self.writer);
        writer.newest = writer.newest.max(newest);
        self.newest_ms.store(writer.newest, Ordering::Relaxed);
        Ok(written)
    }

    fn by_window<'a>(&self, series: &'a [SeriesData]) -> Windows<'a> {
        let mut windows = Windows::new();
        let window_of = |t: i64| t.div_euclid(self.options.max_block_ms);
        for s in series {
            // Neighbours mostly lie in one window; each run of them costs one look-up.
            for run in s.samples.chunk_by(|a, b| window_of(a.0) == window_of(b.0)) {
                let window = windows.entry(window_of(run[0].0)).or_default();
                window.entry(&s.labels).or_default().extend_from_slice(run);
            }
        }
        windows
    }

    fn write_import(&self, seq: u64, key: i64, window: BTreeMap<&Labels, Vec<(i64, f64)>>) -> Result<Block> {
        let start = key.saturating_mul(self.options.max_block_ms);
        let span = (start, start.saturating_add(self.options.max_block_ms));
        let mut writer = BlockWriter::create(&self.blocks_dir(), seq, span, &self.options.faults)?;
        for (labels, mut samples) in window {
            samples.sort_by_key(|s| s.0);
            samples.dedup_by_key(|s| s.0);
            if let Err(e) = writer.add(labels, &encode_all(&samples)) {
                writer.discard();
                return Err(e);
            }
        }
        Block::open(&writer.finish(|_| {})?)
    }
}
