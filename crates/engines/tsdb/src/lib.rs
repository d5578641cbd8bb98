//! Embedded metric store: samples of labelled series, kept on one disk.
//!
//! The flow: [`Tsdb::append`] logs a batch in the write-ahead log, makes it durable (many callers share
//! one `fdatasync`), then applies it to the head in memory. [`Tsdb::maintain`] cuts full time windows
//! of the head into immutable blocks, drops the log segments that they replace, merges blocks and
//! deletes those past retention. Reads merge blocks and head.
//!
//! The library is synchronous, starts no thread and reads no clock: callers hand the time in.
//!
//! Invariants:
//! - a sample that was acknowledged under [`Durability::Sync`] survives `kill -9` and power loss;
//! - values come back bit for bit, stale markers and NaN payloads included;
//! - of two values for one series and instant the first one stays, everywhere (log, head, blocks);
//! - a damaged block or log record is fenced and counted; it never stops the start or other queries.

mod bits;
mod block;

mod chunk;
mod db;
mod disk;
mod error;
mod head;
mod labels;
mod matcher;
mod options;
mod postings;
mod re2;
mod sample;
mod stats;
mod varint;
mod wal;

pub use chunk::{Chunk, CodecError};
pub use db::{Maintained, SeriesStream, Snapshot, Tsdb};
pub use disk::FaultHook;
pub use error::{Error, Result};
pub use labels::Labels;
pub use matcher::{MatchOp, Matcher};
pub use options::{Durability, Limits, Options};
pub use sample::{
    Batch, Outcome, Reason, Rejection, STALE_NAN_BITS, Sample, SeriesData, SeriesRef, is_stale, stale_nan,
};
pub use stats::{Notice, Stats};
