//! Walks head and segments block by block for pages, histograms and label listings.
//!
//! A snapshot is taken first, so a query sees one moment and blocks nobody. Blocks are visited in the order of
//! their edge towards the reader; a page stops as soon as no later block can hold a line that belongs on it.
use crate::columns::{Columns, NO_SEVERITY};
use crate::error::{Error, Result};
use crate::expr::{Line, Verdict};
use crate::head::{Chunk, Frozen};
use crate::labels::Labels;
use crate::query::{Bucket, Direction, Histogram, Page, Query, Selection};
use crate::record::{Found, Position, Record};
use crate::segment::{BlockMeta, OpenSegment, Segment};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// One moment of a store.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub heads: Vec<Frozen>,
    pub segments: Vec<Arc<Segment>>,
}

enum Blocks<'a> {
    Memory(&'a [Arc<Chunk>]),
    Disk(&'a Segment),
}

struct Source<'a> {
    streams: &'a [Labels],
    verdicts: Vec<Verdict>,
    blocks: Blocks<'a>,
}

#[derive(Clone, Copy)]
struct Task {
    source: usize,
    block: usize,
    first: Position,
    last: Position,
}

struct Row<'a> {
    position: Position,
    labels: &'a Labels,
    severity: u8,
    text: &'a str,
}

/// What a walk costs and meets.
#[derive(Default)]
struct Tally {
    scanned: u64,
    read: u64,
    skipped: u64,
    damaged: u64,
}

struct Walk<'a> {
    sources: Vec<Source<'a>>,
    tasks: Vec<Task>,
    low: Position,
    high: Position,
    /// Texts are needed even where the verdict does not ask for them.
    wants_text: bool,
    open: Option<(usize, OpenSegment<'a>)>,
    scratch: String,
    tally: Tally,
}

pub(crate) fn page(snapshot: &Snapshot, query: &Query) -> Result<Page> {
    if query.limit == 0 || query.limit > Query::MAX_LIMIT {
        return Err(Error::BadQuery(format!(
            "limit {} is not between 1 and {}",
            query.limit,
            Query::MAX_LIMIT
        )));
    }
    let (low, high) = query.bounds();
    let mut walk = Walk::new(snapshot, &query.selection, low, high, true);
    let newest = query.direction == Direction::NewestFirst;
    if newest {
        walk.tasks
            .sort_unstable_by_key(|task| std::cmp::Reverse(task.last));
    } else {
        walk.tasks.sort_unstable_by_key(|task| task.first);
    }
    let mut best: BTreeMap<Position, Record> = BTreeMap::new();
    // One line more than asked for tells whether there is a next page.
    let keep = query.limit + 1;
    let mut cut = None;
    for index in 0..walk.tasks.len() {
        let task = walk.tasks[index];
        if best.len() == keep && beyond(&best, task, newest) {
            break;
        }
        // Only where the cursor moves: a block that reaches to the edge must be read, or the next page would
        // meet the same blocks again.
        let moves = if newest {
            task.last.successor() < high
        } else {
            task.first > low
        };
        if index > 0 && moves && is_over(query.deadline) {
            cut = Some(if newest {
                task.last.successor()
            } else {
                task.first.predecessor()
            });
            break;
        }
        walk.visit(task, |row| keep_best(&mut best, row, keep, newest))?;
    }
    Ok(finish_page(best, query.limit, cut, newest, &walk.tally))
}

/// True when no line of the block can come before the worst line that is kept.
fn beyond(best: &BTreeMap<Position, Record>, task: Task, newest: bool) -> bool {
    if newest {
        best.first_key_value()
            .is_some_and(|(worst, _)| *worst > task.last)
    } else {
        best.last_key_value()
            .is_some_and(|(worst, _)| *worst < task.first)
    }
}

fn keep_best(best: &mut BTreeMap<Position, Record>, row: &Row<'_>, keep: usize, newest: bool) {
    if best.len() == keep {
        let worst = if newest {
            best.first_entry()
        } else {
            best.last_entry()
        };
        let Some(worst) = worst else { return };
        if (*worst.key() > row.position) == newest {
            return;
        }
        worst.remove();
    }
    let record = Record {
        at_ms: row.position.at_ms,
        labels: row.labels.clone(),
        severity: (row.severity < NO_SEVERITY).then_some(row.severity),
        text: row.text.to_string(),
    };
    best.insert(row.position, record);
}

/// `cut` is the cursor at which a search that ran out of time goes on: lines behind it are not final.
fn finish_page(
    best: BTreeMap<Position, Record>,
    limit: usize,
    cut: Option<Position>,
    newest: bool,
    tally: &Tally,
) -> Page {
    let is_final = |position: Position| match cut {
        None => true,
        Some(cut) if newest => position >= cut,
        Some(cut) => position <= cut,
    };
    let found = |(position, record)| Found { position, record };
    let mut records: Vec<Found> = if newest {
        best.into_iter().rev().map(found).collect()
    } else {
        best.into_iter().map(found).collect()
    };
    records.retain(|found| is_final(found.position));
    let full = records.len() > limit;
    records.truncate(limit);
    let next = if full {
        records.last().map(|found| found.position)
    } else {
        cut
    };
    Page {
        complete: full || cut.is_none(),
        records,
        next,
        damaged_blocks: tally.damaged,
        scanned_records: tally.scanned,
        read_blocks: tally.read,
        skipped_blocks: tally.skipped,
    }
}

pub(crate) fn histogram(snapshot: &Snapshot, query: &Query, step_ms: i64) -> Result<Histogram> {
    let (low, high) = (Position::new(query.from_ms, 0), Position::new(query.to_ms, 0));
    let mut buckets = empty_buckets(query.from_ms, query.to_ms, step_ms)?;
    let origin = buckets.first().map_or(0, |bucket| bucket.start_ms);
    let mut walk = Walk::new(snapshot, &query.selection, low, high, false);
    let mut complete = true;
    for index in 0..walk.tasks.len() {
        if index > 0 && is_over(query.deadline) {
            complete = false;
            break;
        }
        walk.visit(walk.tasks[index], |row| {
            let bucket = (row.position.at_ms - origin) / step_ms;
            buckets[bucket as usize].by_severity[usize::from(row.severity)] += 1;
        })?;
    }
    Ok(Histogram {
        buckets,
        complete,
        damaged_blocks: walk.tally.damaged,
    })
}

fn empty_buckets(from_ms: i64, to_ms: i64, step_ms: i64) -> Result<Vec<Bucket>> {
    if step_ms <= 0 {
        return Err(Error::BadQuery(format!(
            "step of {step_ms} ms: use a positive step"
        )));
    }
    if to_ms <= from_ms {
        return Ok(Vec::new());
    }
    let (first, last) = (from_ms.div_euclid(step_ms), (to_ms - 1).div_euclid(step_ms));
    let count = last.saturating_sub(first).saturating_add(1);
    let Some(origin) = first.checked_mul(step_ms) else {
        return Err(Error::BadQuery(format!("the start {from_ms} is out of range")));
    };
    if count > Histogram::MAX_BUCKETS {
        let most = Histogram::MAX_BUCKETS;
        return Err(Error::BadQuery(format!(
            "{count} buckets, at most {most}: use a larger step or a shorter time"
        )));
    }
    Ok((0..count)
        .map(|index| Bucket {
            start_ms: origin + index * step_ms,
            by_severity: [0; 9],
        })
        .collect())
}

/// Streams that the selection's label conditions allow and that may have lines in the span of time.
pub(crate) fn streams(
    snapshot: &Snapshot,
    selection: &Selection,
    from_ms: i64,
    to_ms: i64,
) -> BTreeSet<Labels> {
    let (low, high) = (Position::new(from_ms, 0), Position::new(to_ms, 0));
    let walk = Walk::new(snapshot, selection, low, high, false);
    let mut found = BTreeSet::new();
    for source in 0..walk.sources.len() {
        let source_ref = &walk.sources[source];
        let mut seen = vec![false; source_ref.streams.len()];
        for task in walk.tasks.iter().filter(|task| task.source == source) {
            match source_ref.blocks {
                Blocks::Memory(chunks) => {
                    chunks[task.block]
                        .columns
                        .stream
                        .iter()
                        .for_each(|id| seen[*id as usize] = true);
                }
                Blocks::Disk(segment) => {
                    segment.blocks[task.block]
                        .streams
                        .iter()
                        .for_each(|id| seen[*id as usize] = true);
                }
            }
        }
        let allowed = |id: &usize| seen[*id] && !matches!(source_ref.verdicts[*id], Verdict::Never);
        found.extend(
            (0..seen.len())
                .filter(allowed)
                .map(|id| source_ref.streams[id].clone()),
        );
    }
    found
}

fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

impl<'a> Walk<'a> {
    fn new(
        snapshot: &'a Snapshot,
        selection: &Selection,
        low: Position,
        high: Position,
        wants_text: bool,
    ) -> Self {
        let mut walk = Walk {
            sources: Vec::new(),
            tasks: Vec::new(),
            low,
            high,
            wants_text,
            open: None,
            scratch: String::new(),
            tally: Tally::default(),
        };
        for head in &snapshot.heads {
            walk.add(&head.streams, Blocks::Memory(&head.chunks), selection);
        }
        for segment in &snapshot.segments {
            walk.add(&segment.streams, Blocks::Disk(segment), selection);
        }
        walk
    }

    fn add(&mut self, streams: &'a [Labels], blocks: Blocks<'a>, selection: &Selection) {
        let verdicts: Vec<Verdict> = streams.iter().map(|labels| selection.bind(labels)).collect();
        let source = self.sources.len();
        let (low, high) = (self.low, self.high);
        let mut offer = |block: usize, first: Position, last: Position, possible: bool| {
            if possible && last >= low && first < high {
                self.tasks.push(Task {
                    source,
                    block,
                    first,
                    last,
                });
            } else {
                self.tally.skipped += 1;
            }
        };
        let any = verdicts.iter().any(|verdict| !matches!(verdict, Verdict::Never));
        match &blocks {
            Blocks::Memory(chunks) => {
                chunks
                    .iter()
                    .enumerate()
                    .for_each(|(index, chunk)| offer(index, chunk.first, chunk.last, any));
            }
            Blocks::Disk(segment) => {
                for (index, block) in segment.blocks.iter().enumerate() {
                    offer(
                        index,
                        block.first,
                        block.last,
                        any && may_match(&verdicts, block, None),
                    );
                }
            }
        }
        self.sources.push(Source {
            streams,
            verdicts,
            blocks,
        });
    }

    /// Shows every line of the block that is selected and within bounds.
    fn visit(&mut self, task: Task, mut show: impl FnMut(&Row<'_>)) -> Result<()> {
        let columns = match self.read(task) {
            Ok(Some(columns)) => columns,
            Ok(None) => {
                self.tally.skipped += 1;
                return Ok(());
            }
            Err(error) if error.is_damage() => {
                self.tally.damaged += 1;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let source = &self.sources[task.source];
        self.tally.read += 1;
        self.tally.scanned += columns.len() as u64;
        let has_text = columns.text_bytes() > 0;
        for row in 0..columns.len() {
            let position = columns.position(row);
            if position < self.low || position >= self.high {
                continue;
            }
            let stream = columns.stream[row] as usize;
            let (text, severity) = (
                if has_text { columns.text(row) } else { "" },
                columns.severity[row],
            );
            let selected = match &source.verdicts[stream] {
                Verdict::Never => false,
                Verdict::Always => true,
                Verdict::Test(node) => node.matches(&mut Line::new(text, severity, &mut self.scratch)),
            };
            if selected {
                show(&Row {
                    position,
                    labels: &source.streams[stream],
                    severity,
                    text,
                });
            }
        }
        Ok(())
    }

    /// The rows of a block; None when its filter rules it out or retention removed it meanwhile.
    fn read(&mut self, task: Task) -> Result<Option<Cow<'a, Columns>>> {
        let source = &self.sources[task.source];
        let segment = match source.blocks {
            Blocks::Memory(chunks) => return Ok(Some(Cow::Borrowed(&chunks[task.block].columns))),
            Blocks::Disk(segment) => segment,
        };
        if self.open.as_ref().is_none_or(|(open, _)| *open != task.source) {
            self.open = match segment.open() {
                Err(error) if error.is_not_found() && segment.retired.load(Ordering::Acquire) => {
                    return Ok(None);
                }
                opened => Some((task.source, opened?)),
            };
        }
        let Some((_, open)) = &self.open else {
            return Ok(None);
        };
        let block = &segment.blocks[task.block];
        if reads_text(&source.verdicts, block) && !may_match(&source.verdicts, block, Some(open)) {
            return Ok(None);
        }
        let with_text = self.wants_text || reads_text(&source.verdicts, block);
        open.columns(block, with_text)
            .map(|columns| Some(Cow::Owned(columns)))
    }
}

fn reads_text(verdicts: &[Verdict], block: &BlockMeta) -> bool {
    let reads =
        |stream: &u32| matches!(&verdicts[*stream as usize], Verdict::Test(node) if node.reads_text());
    block.streams.iter().any(reads)
}

/// Whether a line of the block can be selected, as far as streams, severities and (with `open`) the text filter
/// tell. A filter that cannot be read rules nothing out.
fn may_match(verdicts: &[Verdict], block: &BlockMeta, open: Option<&OpenSegment<'_>>) -> bool {
    let of_block = || block.streams.iter().map(|stream| &verdicts[*stream as usize]);
    if of_block().any(|verdict| matches!(verdict, Verdict::Always)) {
        return true;
    }
    let filter = open.and_then(|open| open.filter(block).ok());
    of_block().any(
        |verdict| matches!(verdict, Verdict::Test(node) if node.may_match(filter.as_ref(), block.severities)),
    )
}
