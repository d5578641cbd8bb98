//! Counters and sizes of a store, and the notices it leaves for people.
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

/// Something that happened to the files and that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The file or folder.
    pub path: PathBuf,
    /// What happened.
    pub message: String,
}

/// A picture of the store. The totals count since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lines that can be found.
    pub records: u64,
    /// Sealed files.
    pub segments: u64,
    /// Lines that are not sealed yet.
    pub head_records: u64,
    /// Memory that they take, about.
    pub head_bytes: u64,
    /// Streams (distinct label sets) among them.
    pub head_streams: u64,
    /// Frozen heads that wait to be sealed.
    pub waiting_to_seal: u64,
    /// Sealed bytes on disk.
    pub segment_bytes: u64,
    /// Write-ahead log bytes on disk.
    pub wal_bytes: u64,
    /// Time of the oldest line.
    pub oldest_ms: Option<i64>,
    /// Time of the newest line.
    pub newest_ms: Option<i64>,
    /// Live subscriptions.
    pub subscribers: u64,
    /// Lines taken in.
    pub appended_total: u64,
    /// Lines refused because of their form.
    pub refused_total: u64,
    /// Lines cut to the longest length.
    pub shortened_total: u64,
    /// Appends that had been taken in before and were not stored again.
    pub repeated_total: u64,
    /// Disk writes that made lines durable; each may serve many appends.
    pub commits_total: u64,
    /// Lines removed because they were too old.
    pub expired_by_age_total: u64,
    /// Lines removed because the store was too large.
    pub expired_by_size_total: u64,
    /// Segments set aside because they could not be read.
    pub quarantined_total: u64,
    /// Notices that were pushed out of the bounded list.
    pub notices_lost_total: u64,
    /// Appends that failed because of the disk or of too much that waits; their senders try again.
    pub append_failures_total: u64,
    /// Rounds of duties in which some duty failed.
    pub maintain_failures_total: u64,
    /// Blocks that searches could not read.
    pub read_failures_total: u64,
    /// Sources whose marks were forgotten because there were too many.
    pub sources_forgotten_total: u64,
    /// Lines that live subscriptions were too slow for.
    pub tail_dropped_total: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub appended: AtomicU64,
    pub refused: AtomicU64,
    pub shortened: AtomicU64,
    pub repeated: AtomicU64,
    pub commits: AtomicU64,
    pub expired_by_age: AtomicU64,
    pub expired_by_size: AtomicU64,
    pub quarantined: AtomicU64,
    pub notices_lost: AtomicU64,
    pub append_failures: AtomicU64,
    pub maintain_failures: AtomicU64,
    pub read_failures: AtomicU64,
    pub sources_forgotten: AtomicU64,
    pub notices: Mutex<VecDeque<Notice>>,
}
