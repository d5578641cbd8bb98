//! Walks head and segments block by block for pages, histograms and label listings.
//!
//! A snapshot is taken first, so a query sees one moment and blocks nobody. Blocks are visited in the order of
//! their edge towards the reader; a page stops as soon as no later block can hold a line that belongs on it.
mod count;
mod page;

pub(crate) use count::{histogram, streams};
pub(crate) use page::page;

use crate::columns::Columns;
use crate::error::Result;
use crate::expr::{Line, Verdict};
use crate::head::{Chunk, Frozen};
use crate::labels::Labels;
use crate::query::Selection;
use crate::record::Position;
use crate::segment::{BlockMeta, OpenSegment, Segment};
use crate::within::Within;
use std::borrow::Cow;
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
    warnings: Vec<String>,
}

impl Tally {
    /// Notes a block that is missing from the answer.
    fn miss(&mut self, error: &crate::Error) {
        self.damaged += 1;
        let text = format!("lines are missing: {error}");
        // A few are enough: a failing disk repeats itself.
        if self.warnings.len() < MAX_WARNINGS && !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }
}

const MAX_WARNINGS: usize = 10;

struct Walk<'a> {
    sources: Vec<Source<'a>>,
    tasks: Vec<Task>,
    low: Position,
    high: Position,
    /// Which times of a stream count.
    within: Option<Within>,
    /// Texts are needed even where the verdict does not ask for them.
    wants_text: bool,
    open: Option<(usize, OpenSegment<'a>)>,
    scratch: String,
    tally: Tally,
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
            within: selection.within.clone(),
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
            Err(error) => {
                self.tally.miss(&error);
                return Ok(());
            }
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
            let is_within = |within: &Within| within.holds(&source.streams[stream], position.at_ms);
            if selected && self.within.as_ref().is_none_or(is_within) {
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
