//! What can be set when a store is opened, and per query.

use crate::disk::FaultHook;
use crate::error::{Error, Result};

/// When an append counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After `fdatasync`: survives power loss.
    Sync,
    /// After the write call: survives a crash of the process; power loss may take what came after the
    /// last [`crate::Tsdb::flush`].
    Async,
}

/// How a store behaves. `Options::default()` suits one server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Blocks whose newest sample is older than this are deleted. Default 15 days.
    pub retention_ms: i64,
    /// Length of the time windows that the head is cut into. Default 2 h.
    pub block_ms: i64,
    /// Blocks are merged until they span this; a multiple of `block_ms`. Default 24 h.
    pub max_block_ms: i64,
    /// How much older than the newest sample of the store a sample may be. Default 24 h.
    pub out_of_order_ms: i64,
    /// How far ahead of the clock (see [`crate::Tsdb::set_clock`]) a sample may be. Default 10 min.
    pub max_future_ms: i64,
    /// Series that the head may hold; samples of further ones are rejected and counted. Default 2 M.
    pub max_series: usize,
    /// A new log segment is begun after this many bytes. Default 64 MiB.
    pub wal_segment_bytes: u64,
    /// What [`crate::Tsdb::append`] waits for. Default [`Durability::Sync`].
    pub durability: Durability,
    /// Memory for the indexes of blocks that were read recently. Default 64 MiB.
    pub index_cache_bytes: usize,
    /// Limits of queries that bring none of their own.
    pub limits: Limits,
    /// A seam for tests; does nothing by default.
    pub faults: FaultHook,
}

/// What one query may touch at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Samples returned. Default 50 M.
    pub max_samples: u64,
    /// Series returned. Default 2 M.
    pub max_series: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_samples: 50_000_000,
            max_series: 2_000_000,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        const HOUR: i64 = 3_600_000;
        Options {
            retention_ms: 15 * 24 * HOUR,
            block_ms: 2 * HOUR,
            max_block_ms: 24 * HOUR,
            out_of_order_ms: 24 * HOUR,
            max_future_ms: HOUR / 6,
            max_series: 2_000_000,
            wal_segment_bytes: 64 << 20,
            durability: Durability::Sync,
            index_cache_bytes: 64 << 20,
            limits: Limits::default(),
            faults: FaultHook::default(),
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = if self.block_ms < 1_000 {
            "block_ms must be at least 1000 (one second)"
        } else if self.max_block_ms < self.block_ms || self.max_block_ms % self.block_ms != 0 {
            "max_block_ms must be a multiple of block_ms"
        } else if self.retention_ms < self.block_ms {
            "retention_ms must be at least block_ms"
        } else if self.out_of_order_ms < 0 || self.max_future_ms < 0 {
            "out_of_order_ms and max_future_ms must not be negative"
        } else if self.wal_segment_bytes < 4096 {
            "wal_segment_bytes must be at least 4096"
        } else {
            return Ok(());
        };
        Err(Error::Invalid {
            what: format!("the options of the metric store do not fit: {wrong}"),
        })
    }

    /// A window is cut once the newest sample (or the clock) is this far past its end.
    pub(crate) fn cut_delay_ms(&self) -> i64 {
        self.block_ms / 2
    }
}
