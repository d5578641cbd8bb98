//! An embedded store for log lines: durable appends, full-text and label search, live tail.
//!
//! The flow: [`Logs::append`] writes a batch to the write-ahead log (`wal`), then makes it visible in the
//! in-memory `head`. A full head is frozen and sealed into an immutable file (`segment`), after which its
//! write-ahead log is removed. [`Logs::query`] and [`Logs::histogram`] walk head and segments block by block
//! (`scan`), skipping blocks by time, by stream and by a trigram filter.
//!
//! What it does not do: it has no threads, no clock and no network. The caller gives the time to
//! [`Logs::maintain`] and calls it every few seconds; queries run on the caller's thread.

mod codec;
mod columns;
mod disk;
mod error;
mod expr;
mod head;
mod labels;
mod mark;
mod query;
mod record;
mod scan;
mod segment;
mod stats;
mod store;
mod tail;
mod trigram;
mod wal;
mod within;

pub use disk::FaultHook;
pub use error::{Error, Result};
pub use expr::{ParseError, TextQuery};
pub use labels::Labels;
pub use mark::Origin;
pub use query::{Bucket, Direction, Histogram, MatchOp, Matcher, Page, Query, Selection};
pub use record::{Found, Position, Record, severity_name, severity_number};
pub use stats::{Notice, Stats};
pub use store::{AppendOutcome, Logs, Maintained, Options, Refusal};
pub use tail::{Delivery, Tail};
pub use within::{Spans, Within};
