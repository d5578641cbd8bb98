//! Samples, batches of them on the way in, and series on the way out.

use crate::labels::Labels;

/// Bits of the value that marks the end of a series (Prometheus' staleness marker).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Whether `v` is the staleness marker; other NaNs are ordinary values.
pub fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// The staleness marker as a value.
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// A series of the head, valid while the store is open and the series is not idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub u64);

/// One measured value; time in milliseconds since 1970 UTC.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub t_ms: i64,
    /// The value, kept bit for bit.
    pub v: f64,
}

/// One series with its samples in a queried range, times strictly increasing.
#[derive(Debug, Clone)]
pub struct SeriesData {
    /// The labels, `__name__` included.
    pub labels: Labels,
    /// `(t_ms, value)`.
    pub samples: Vec<(i64, f64)>,
}

#[derive(Debug, Clone)]
pub(crate) enum Target {
    Labels(Labels),
    Ref(SeriesRef),
}

/// Samples to append together. Rows of one series that follow each other share one lookup.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(crate) targets: Vec<Target>,
    pub(crate) rows: Vec<(u32, Sample)>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for `rows` samples.
    pub fn with_capacity(rows: usize) -> Self {
        Batch {
            targets: Vec::with_capacity(rows),
            rows: Vec::with_capacity(rows),
        }
    }

    /// Adds one sample of the series `labels`.
    pub fn push(&mut self, labels: &Labels, t_ms: i64, v: f64) {
        if !matches!(self.targets.last(), Some(Target::Labels(last)) if last.ptr_eq(labels)) {
            self.targets.push(Target::Labels(labels.clone()));
        }
        self.push_row(t_ms, v);
    }

    /// Adds one sample of a series that [`crate::Tsdb::resolve`] returned: no label lookup.
    pub fn push_ref(&mut self, series: SeriesRef, t_ms: i64, v: f64) {
        if !matches!(self.targets.last(), Some(Target::Ref(last)) if *last == series) {
            self.targets.push(Target::Ref(series));
        }
        self.push_row(t_ms, v);
    }

    /// How many samples it holds.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds no sample.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn push_row(&mut self, t_ms: i64, v: f64) {
        let target = u32::try_from(self.targets.len().saturating_sub(1)).unwrap_or(u32::MAX);
        self.rows.push((target, Sample { t_ms, v }));
    }
}

/// Why a sample was not stored. Repeating the append does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Older than the out-of-order window or than retention.
    TooOld,
    /// Further ahead of the clock than allowed.
    TooNew,
    /// Another value is stored for this series and instant; the first one stays.
    Conflicting,
    /// The head holds as many series as it may.
    SeriesLimit,
    /// The reference names no series of the head (any more): resolve the labels again.
    UnknownSeries,
    /// No labels at all, or more than 64 KiB of them.
    InvalidLabels,
}

impl Reason {
    /// All reasons, in the order of [`Reason::index`].
    pub const ALL: [Reason; 6] = [
        Reason::TooOld,
        Reason::TooNew,
        Reason::Conflicting,
        Reason::SeriesLimit,
        Reason::UnknownSeries,
        Reason::InvalidLabels,
    ];

    /// Name for metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::TooOld => "too_old",
            Reason::TooNew => "too_new",
            Reason::Conflicting => "conflicting",
            Reason::SeriesLimit => "series_limit",
            Reason::UnknownSeries => "unknown_series",
            Reason::InvalidLabels => "invalid_labels",
        }
    }

    /// Position in [`Reason::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// One sample that was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    /// Position in the batch.
    pub row: usize,
    /// Why.
    pub reason: Reason,
}

/// What became of a batch. The counts add up to the batch's length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Stored.
    pub accepted: u64,
    /// Already there with the same value: nothing to do.
    pub duplicates: u64,
    /// Not stored, by [`Reason::index`].
    pub rejected: [u64; Reason::ALL.len()],
    /// The first few rejections, for messages.
    pub examples: Vec<Rejection>,
    /// Time of the newest sample that is in the store now, whether it came with this batch or was there already.
    pub newest_ms: Option<i64>,
}

impl Outcome {
    const EXAMPLES: usize = 16;

    /// All rejected samples.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// Samples rejected for `reason`.
    pub fn rejected_for(&self, reason: Reason) -> u64 {
        self.rejected.get(reason.index()).copied().unwrap_or(0)
    }

    pub(crate) fn reject(&mut self, row: usize, reason: Reason) {
        if let Some(count) = self.rejected.get_mut(reason.index()) {
            *count += 1;
        }
        if self.examples.len() < Self::EXAMPLES {
            self.examples.push(Rejection { row, reason });
        }
    }
}
