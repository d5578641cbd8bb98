//! One series in memory: its samples by time window, the newest ones raw, the rest in chunks.
//!
//! Invariant: within the windows of one key no two samples share a time ([`State::insert`] looks
//! before it stores), so that merging them never has to choose.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard};

use crate::chunk::Chunk;
use crate::labels::Labels;
use crate::sample::Sample;
use crate::stats::lock;

/// Raw samples are sealed into a chunk when there are this many.
pub(crate) const SEAL_AT: usize = 120;

/// A series of the head.
#[derive(Debug)]
pub(crate) struct MemSeries {
    pub(crate) id: u64,
    pub(crate) labels: Labels,
    /// The log segment that holds this series' labels; another segment needs them again.
    pub(crate) logged_in: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    windows: Vec<Window>,
    last: Option<Sample>,
}

/// The samples of one stretch of time.
#[derive(Debug)]
struct Window {
    key: i64,
    /// 0 while it takes samples, else the number of the cut that is writing it to disk.
    cut: u64,
    chunks: Vec<Chunk>,
    open: Vec<Sample>,
    max_t: i64,
}

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    New,
    Duplicate,
    Conflict,
}

impl MemSeries {
    pub(crate) fn new(id: u64, labels: Labels) -> Self {
        MemSeries {
            id,
            labels,
            logged_in: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Stores a sample in the open window `key`, unless its time is taken.
    pub(crate) fn insert(&mut self, key: i64, s: Sample) -> Inserted {
        let newer = self.windows.iter().all(|w| w.key != key || s.t_ms > w.max_t);
        if !newer && let Some(v) = self.value_at(key, s.t_ms) {
            return if v == s.v.to_bits() {
                Inserted::Duplicate
            } else {
                Inserted::Conflict
            };
        }
        let window = self.open_window(key);
        if window.open.last().is_none_or(|last| last.t_ms < s.t_ms) {
            window.open.push(s);
        } else {
            let at = window.open.partition_point(|o| o.t_ms < s.t_ms);
            window.open.insert(at, s);
        }
        window.max_t = window.max_t.max(s.t_ms);
        if window.open.len() >= SEAL_AT {
            window.seal();
        }
        if self.last.is_none_or(|last| last.t_ms <= s.t_ms) {
            self.last = Some(s);
        }
        Inserted::New
    }

    /// Appends the samples in `start..=end`, unsorted when late ones are among them.
    pub(crate) fn read(&self, start: i64, end: i64, out: &mut Vec<(i64, f64)>) {
        for window in self.windows.iter().filter(|w| w.max_t >= start) {
            window.read(start, end, out);
        }
    }

    /// Whether a sample lies in `start..=end` (or nearly: chunks are judged by their borders).
    pub(crate) fn overlaps(&self, start: i64, end: i64) -> bool {
        self.windows.iter().any(|w| {
            w.chunks.iter().any(|c| c.overlaps(start, end))
                || w.open
                    .get(w.open.partition_point(|s| s.t_ms < start))
                    .is_some_and(|s| s.t_ms <= end)
        })
    }

    /// The newest sample that is not after `ceiling`: a clock that was ahead may have left later ones.
    pub(crate) fn last_until(&self, ceiling: i64) -> Option<Sample> {
        if self.last.is_none_or(|last| last.t_ms <= ceiling) {
            return self.last;
        }
        let mut found = Vec::new();
        for window in &self.windows {
            window.read(i64::MIN, ceiling, &mut found);
        }
        let newest = found.into_iter().max_by_key(|sample| sample.0);
        newest.map(|(t_ms, v)| Sample { t_ms, v })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Closes the open windows of `keys`; later samples for those times begin new windows.
    pub(crate) fn freeze(&mut self, keys: &[i64], cut: u64) {
        for window in self
            .windows
            .iter_mut()
            .filter(|w| w.cut == 0 && keys.contains(&w.key))
        {
            window.cut = cut;
        }
    }

    /// The samples of a frozen window as chunks in order of time; none if it has no such window.
    pub(crate) fn frozen_chunks(&self, key: i64, cut: u64) -> Vec<Chunk> {
        let Some(window) = self.windows.iter().find(|w| w.key == key && w.cut == cut) else {
            return Vec::new();
        };
        let mut chunks = window.chunks.clone();
        chunks.extend(Chunk::encode(&window.open));
        if chunks.is_sorted_by(|a, b| a.max_t < b.min_t) {
            return chunks;
        }
        let mut samples = Vec::new();
        window.read(i64::MIN, i64::MAX, &mut samples);
        samples.sort_by_key(|s| s.0);
        encode_all(&samples)
    }

    /// Forgets a frozen window; returns how many samples it held.
    pub(crate) fn drop_frozen(&mut self, key: i64, cut: u64) -> u64 {
        let mut dropped = 0;
        self.windows.retain(|w| {
            let go = w.key == key && w.cut == cut;
            if go {
                dropped += w.len();
            }
            !go
        });
        dropped
    }

    fn value_at(&self, key: i64, t: i64) -> Option<u64> {
        for w in self.windows.iter().filter(|w| w.key == key) {
            if let Ok(at) = w.open.binary_search_by_key(&t, |s| s.t_ms) {
                return w.open.get(at).map(|s| s.v.to_bits());
            }
            let mut found = Vec::new();
            for chunk in w.chunks.iter().filter(|c| c.overlaps(t, t)) {
                // Chunks in memory were encoded here: decoding them cannot fail.
                let _ = chunk.decode_range(t, t, &mut found);
                if let Some((_, v)) = found.first() {
                    return Some(v.to_bits());
                }
            }
        }
        None
    }

    fn open_window(&mut self, key: i64) -> &mut Window {
        let at = match self.windows.iter().position(|w| w.key == key && w.cut == 0) {
            Some(at) => at,
            None => {
                let at = self.windows.partition_point(|w| w.key <= key);
                self.windows.insert(at, Window::new(key));
                at
            }
        };
        &mut self.windows[at]
    }
}

impl Window {
    fn new(key: i64) -> Self {
        Window {
            key,
            cut: 0,
            chunks: Vec::new(),
            open: Vec::new(),
            max_t: i64::MIN,
        }
    }

    fn seal(&mut self) {
        self.chunks.extend(Chunk::encode(&self.open));
        self.open.clear();
    }

    fn len(&self) -> u64 {
        self.chunks.iter().map(|c| u64::from(c.count)).sum::<u64>() + self.open.len() as u64
    }

    fn read(&self, start: i64, end: i64, out: &mut Vec<(i64, f64)>) {
        for chunk in self.chunks.iter().filter(|c| c.overlaps(start, end)) {
            // As above: cannot fail for chunks of this process.
            let _ = chunk.decode_range(start, end, out);
        }
        let from = self.open.partition_point(|s| s.t_ms < start);
        let fresh = self.open.iter().skip(from).take_while(|s| s.t_ms <= end);
        out.extend(fresh.map(|s| (s.t_ms, s.v)));
    }
}

/// Encodes samples in order of time into chunks of the usual length.
pub(crate) fn encode_all(samples: &[(i64, f64)]) -> Vec<Chunk> {
    let mut run = Vec::with_capacity(SEAL_AT);
    let mut chunks = Vec::new();
    for part in samples.chunks(SEAL_AT) {
        run.clear();
        run.extend(part.iter().map(|(t_ms, v)| Sample { t_ms: *t_ms, v: *v }));
        chunks.extend(Chunk::encode(&run));
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(t_ms: i64, v: f64) -> Sample {
        Sample { t_ms, v }
    }

    #[test]
    fn late_samples_duplicates_and_conflicts_across_sealed_chunks() {
        let mut state = State::default();
        for t in (0..600).step_by(2) {
            assert_eq!(state.insert(0, s(t, t as f64)), Inserted::New);
        }
        for t in 0..600 {
            let want = if t % 2 == 0 {
                Inserted::Duplicate
            } else {
                Inserted::New
            };
            assert_eq!(state.insert(0, s(t, t as f64)), want, "{t}");
            assert_eq!(state.insert(0, s(t, -1.0)), Inserted::Conflict, "{t}");
        }
        state.freeze(&[0], 7);
        assert_eq!(state.insert(0, s(5, 5.0)), Inserted::Duplicate);
        assert_eq!(state.insert(0, s(1000, 1.0)), Inserted::New);
        let mut out = Vec::new();
        for c in state.frozen_chunks(0, 7) {
            c.decode_range(i64::MIN, i64::MAX, &mut out).unwrap();
        }
        let want: Vec<_> = (0..600).map(|t| (t, t as f64)).collect();
        assert_eq!(out, want);
        assert_eq!(state.drop_frozen(0, 7), 600);
        assert!(state.overlaps(1000, 1000) && !state.overlaps(0, 999));
        assert_eq!(state.last_until(i64::MAX).map(|l| l.t_ms), Some(1000));
    }
}
