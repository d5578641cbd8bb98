//! Reading: what passes the matchers, in a time range (both ends included), from blocks and head.
//!
//! A reader enters the head's epoch before it takes the list of blocks, so a window that is cut
//! meanwhile stays in the head for it. It decodes one series at a time when asked for it. Parts are merged oldest source first, so of two values for one instant the one
//! that was stored first wins.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Tsdb;
use crate::block::{Block, Index};
use crate::error::{Error, Result};
use crate::head::{Epoch, FastMap, MemSeries};
use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::options::Limits;
use crate::postings::{self, LabelIndex};
use crate::sample::{Sample, SeriesData};
use crate::stats::Counters;

/// Series of a query, decoded one at a time in the order of their labels. It reads what was there when
/// it was made; samples appended meanwhile may or may not show.
#[derive(Debug)]
pub struct SeriesStream {
    series: std::vec::IntoIter<(Labels, Vec<Part>)>,
    blocks: Vec<OpenBlock>,
    start_ms: i64,
    end_ms: i64,
    limits: Limits,
    samples: u64,
    /// Damage is an error instead of a gap.
    strict: bool,
    counters: Arc<Counters>,
    warnings: Vec<String>,
    _epoch: Option<Epoch>,
}

/// Blocks that were opened for a reader, and what is to be said of those that could not be.
#[derive(Debug, Default)]
struct Opened {
    blocks: Vec<OpenBlock>,
    warnings: Vec<String>,
}

/// Warnings that one stream collects; a failing disk repeats itself.
const MAX_WARNINGS: usize = 10;

#[derive(Debug, Clone)]
struct OpenBlock {
    block: Arc<Block>,
    index: Arc<Index>,
}

/// Where samples of a series lie.
#[derive(Debug, Clone)]
enum Part {
    /// Position in the list of open blocks, and the series' number there.
    Block(u32, u64),
    Head(Arc<MemSeries>),
}

/// A block may be replaced between the look at the list and the look into it; then look again.
const ATTEMPTS: usize = 5;

impl Tsdb {
    /// Series that pass all matchers with their samples in `start_ms..=end_ms`, sorted by labels; those
    /// without a sample there are left out. The options' limits apply. Damaged chunks are left out,
    /// counted and reported in the notices.
    pub fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>> {
        self.stream(matchers, start_ms, end_ms, self.options.limits)?
            .collect()
    }

    /// As [`Tsdb::select`], one series at a time and with own limits.
    pub fn stream(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        limits: Limits,
    ) -> Result<SeriesStream> {
        let (epoch, Opened { blocks, warnings }) = self.pin(start_ms, end_ms)?;
        let mut found: FastMap<Labels, Vec<Part>> = FastMap::default();
        for (at, open) in (0u32..).zip(&blocks) {
            for id in postings::find(&*open.index, matchers) {
                if open.index.overlaps(id, start_ms, end_ms) {
                    found
                        .entry(open.index.labels(id))
                        .or_default()
                        .push(Part::Block(at, id));
                }
            }
        }
        for series in self.head.select(matchers) {
            if series.state().overlaps(start_ms, end_ms) {
                found
                    .entry(series.labels.clone())
                    .or_default()
                    .push(Part::Head(series));
            }
        }
        if found.len() as u64 > limits.max_series {
            return Err(Error::QueryLimit {
                unit: "series",
                limit: limits.max_series,
            });
        }
        let mut stream = self.new_stream(found, blocks, (start_ms, end_ms));
        stream.limits = limits;
        stream.warnings = warnings;
        stream._epoch = Some(epoch);
        Ok(stream)
    }

    /// All samples of the given blocks; damage is an error.
    pub(super) fn stream_blocks(&self, group: &[Arc<Block>]) -> Result<SeriesStream> {
        let mut blocks = Vec::new();
        let mut found: FastMap<Labels, Vec<Part>> = FastMap::default();
        for (at, block) in (0u32..).zip(group) {
            // Past the cache: a merge should not push out what queries use.
            let index = Arc::new(block.load_index()?);
            for id in 0..index.series_count() {
                found
                    .entry(index.labels(id))
                    .or_default()
                    .push(Part::Block(at, id));
            }
            blocks.push(OpenBlock {
                block: Arc::clone(block),
                index,
            });
        }
        let mut stream = self.new_stream(found, blocks, (i64::MIN, i64::MAX));
        stream.limits = Limits {
            max_samples: u64::MAX,
            max_series: u64::MAX,
        };
        stream.strict = true;
        Ok(stream)
    }

    fn new_stream(
        &self,
        found: FastMap<Labels, Vec<Part>>,
        blocks: Vec<OpenBlock>,
        (start_ms, end_ms): (i64, i64),
    ) -> SeriesStream {
        let mut series: Vec<_> = found.into_iter().collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        SeriesStream {
            series: series.into_iter(),
            blocks,
            start_ms,
            end_ms,
            limits: Limits::default(),
            samples: 0,
            strict: false,
            counters: Arc::clone(&self.counters),
            warnings: Vec::new(),
            _epoch: None,
        }
    }

    /// The blocks of a time range, and a token that keeps in the head what is in none of them.
    fn pin(&self, start_ms: i64, end_ms: i64) -> Result<(Epoch, Opened)> {
        let epoch = self.head.enter();
        Ok((epoch, self.open_blocks(start_ms, end_ms)))
    }

    /// What is to be said of blocks of a time range that cannot be read: answers about it are incomplete.
    pub fn unreadable(&self, start_ms: i64, end_ms: i64) -> Vec<String> {
        self.open_blocks(start_ms, end_ms).warnings
    }

    /// The blocks of a time range with their indexes. Those that are damaged or that the disk does not give are
    /// left out, counted and told: one of them never costs the others.
    fn open_blocks(&self, start_ms: i64, end_ms: i64) -> Opened {
        let mut attempt = 0;
        loop {
            attempt += 1;
            if let Some(opened) = self.try_open_blocks(start_ms, end_ms, attempt < ATTEMPTS) {
                return opened;
            }
        }
    }

    /// `None` when a block has gone meanwhile and it is worth to look at the list again.
    fn try_open_blocks(&self, start_ms: i64, end_ms: i64, again: bool) -> Option<Opened> {
        let mut opened = Opened::default();
        for block in self.blocks().iter().filter(|b| b.overlaps(start_ms, end_ms)) {
            match block.index(&self.cache) {
                Ok(index) => opened.blocks.push(OpenBlock {
                    block: Arc::clone(block),
                    index,
                }),
                Err(e) if e.is_missing() && again => return None,
                Err(e) => {
                    if !e.is_damage() {
                        self.counters.block_read_failures.add(1);
                    }
                    if block.mark_broken() {
                        self.counters.block_corruptions.add(u64::from(e.is_damage()));
                        self.counters
                            .notice(format!("the samples of a block are missing from queries: {e}"));
                    }
                    let (from, to) = (block.meta.min_t, block.meta.max_t);
                    push_warning(
                        &mut opened.warnings,
                        format!("samples from {from} to {to} ms are missing: {e}"),
                    );
                }
            }
        }
        Some(opened)
    }

    /// Names of all labels of the series that pass the matchers and have samples about the range.
    /// Without matchers whole blocks are looked at, so names from just outside the range may show.
    pub fn labels(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<String>> {
        let mut names = BTreeSet::new();
        let (_epoch, Opened { blocks, .. }) = self.pin(start_ms, end_ms)?;
        if matchers.is_empty() {
            self.head
                .each_name(start_ms, end_ms, &mut |name| insert(&mut names, name));
            blocks
                .iter()
                .for_each(|b| b.index.each_name(&mut |name| insert(&mut names, name)));
        } else {
            self.each_match(&blocks, matchers, start_ms, end_ms, &mut |labels| {
                labels.iter().for_each(|(name, _)| insert(&mut names, name));
            });
        }
        Ok(names.into_iter().collect())
    }

    /// Values of one label, likewise.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>> {
        let mut values = BTreeSet::new();
        let (_epoch, Opened { blocks, .. }) = self.pin(start_ms, end_ms)?;
        if matchers.is_empty() {
            self.head
                .each_value(name, start_ms, end_ms, &mut |value| insert(&mut values, value));
            blocks
                .iter()
                .for_each(|b| b.index.each_value(name, &mut |value| insert(&mut values, value)));
        } else {
            self.each_match(&blocks, matchers, start_ms, end_ms, &mut |labels| {
                insert(&mut values, labels.value(name));
            });
        }
        values.remove("");
        Ok(values.into_iter().collect())
    }

    /// Label sets of the series that pass the matchers and have samples in the range (chunks are judged
    /// by their first and last sample), sorted.
    pub fn series(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Labels>> {
        let mut found = BTreeSet::new();
        let (_epoch, Opened { blocks, .. }) = self.pin(start_ms, end_ms)?;
        self.each_match(&blocks, matchers, start_ms, end_ms, &mut |labels| {
            found.insert(labels.clone());
        });
        Ok(found.into_iter().collect())
    }

    /// The newest sample of each series of the head that passes the matchers, not further ahead of the clock than a
    /// sample may be; as a rule nothing is decoded. The
    /// head knows the series with samples in about the last one and a half `block_ms`.
    pub fn last(&self, matchers: &[Matcher]) -> Vec<(Labels, Sample)> {
        let ceiling = self.ceiling();
        let newest = |s: Arc<MemSeries>| s.state().last_until(ceiling).map(|last| (s.labels.clone(), last));
        let mut found: Vec<_> = self
            .head
            .select(matchers)
            .into_iter()
            .filter_map(newest)
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// Calls `visit` with the labels of the matching series of head and blocks.
    fn each_match(
        &self,
        blocks: &[OpenBlock],
        matchers: &[Matcher],
        start: i64,
        end: i64,
        visit: &mut dyn FnMut(&Labels),
    ) {
        for series in self.head.select(matchers) {
            if series.state().overlaps(start, end) {
                visit(&series.labels);
            }
        }
        for index in blocks.iter().map(|b| &b.index) {
            for id in postings::find(&**index, matchers) {
                if index.overlaps(id, start, end) {
                    visit(&index.labels(id));
                }
            }
        }
    }
}

impl SeriesStream {
    /// Replaces the content of `out` by the samples of the next series and returns its labels; `None`
    /// after the last one. Reusing `out` saves an allocation per series.
    pub fn next_into(&mut self, out: &mut Vec<(i64, f64)>) -> Result<Option<Labels>> {
        loop {
            let Some((labels, parts)) = self.series.next() else {
                return Ok(None);
            };
            out.clear();
            for part in &parts {
                self.read_part(part, out)?;
            }
            if !out.is_sorted_by(|a, b| a.0 < b.0) {
                out.sort_by_key(|s| s.0);
                out.dedup_by_key(|s| s.0);
            }
            if out.is_empty() {
                continue;
            }
            self.samples += out.len() as u64;
            if self.samples > self.limits.max_samples {
                return Err(Error::QueryLimit {
                    unit: "samples",
                    limit: self.limits.max_samples,
                });
            }
            return Ok(Some(labels));
        }
    }

    fn read_part(&mut self, part: &Part, out: &mut Vec<(i64, f64)>) -> Result<()> {
        let (at, id) = match part {
            Part::Head(series) => {
                series.state().read(self.start_ms, self.end_ms, out);
                return Ok(());
            }
            Part::Block(at, id) => (*at as usize, *id),
        };
        let Some(OpenBlock { block, index }) = self.blocks.get(at) else {
            return Ok(());
        };
        let chunks = index.chunks(id, self.start_ms, self.end_ms);
        let error = match block.read(&chunks, self.start_ms, self.end_ms, out) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                self.counters.block_corruptions.add(n);
                let what = format!("{n} chunks of {} have wrong checksums", index.labels(id));
                Error::corrupt(&block.dir, what)
            }
            Err(e) => {
                self.counters.block_read_failures.add(1);
                e
            }
        };
        if self.strict {
            return Err(error);
        }
        let text = format!("samples are missing: {error}");
        if block.mark_broken() {
            self.counters.notice(text.clone());
        }
        push_warning(&mut self.warnings, text);
        Ok(())
    }

    /// What is missing from the series read so far, and why.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// A few are enough: a failing disk repeats itself.
fn push_warning(warnings: &mut Vec<String>, text: String) {
    if warnings.len() < MAX_WARNINGS && !warnings.contains(&text) {
        warnings.push(text);
    }
}

impl Iterator for SeriesStream {
    type Item = Result<SeriesData>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut samples = Vec::new();
        let labels = self.next_into(&mut samples).transpose()?;
        if labels.is_err() {
            self.series = Vec::new().into_iter();
        }
        Some(labels.map(|labels| SeriesData { labels, samples }))
    }
}

fn insert(set: &mut BTreeSet<String>, text: &str) {
    if !set.contains(text) {
        set.insert(text.to_owned());
    }
}
