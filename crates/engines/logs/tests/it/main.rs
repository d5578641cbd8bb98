//! The log store as its callers see it, on real files.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod crash;
mod damage;
mod disk;
mod duties;
mod model;
mod repeat;
mod tail;

use logs::{Found, Labels, Logs, Options, Query, Record, Selection, TextQuery};
use std::path::Path;

fn record(at_ms: i64, host: &str, text: &str) -> Record {
    Record {
        at_ms,
        labels: Labels::new([("host", host)]),
        severity: None,
        text: text.to_string(),
    }
}

/// Small limits, so that a few lines make several segments and blocks.
fn small() -> Options {
    Options {
        segment_bytes: 2_000,
        block_bytes: 200,
        ..Options::default()
    }
}

fn open(dir: &Path, options: Options) -> Logs {
    Logs::open(dir, options).unwrap()
}

fn everything() -> Query {
    Query {
        limit: 10_000,
        ..Query::new(i64::MIN, i64::MAX)
    }
}

fn search(text: &str) -> Selection {
    Selection::text(TextQuery::parse(text).unwrap())
}

fn texts(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.record.text.as_str()).collect()
}
