//! Pages of lines: the best lines at the reader's edge, in order.
use super::{Row, Snapshot, Tally, Task, Walk, is_over};
use crate::columns::NO_SEVERITY;
use crate::error::{Error, Result};
use crate::query::{Direction, Page, Query};
use crate::record::{Found, Position, Record};
use std::collections::BTreeMap;

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
    let mut best = Best::new(query.limit, newest);
    let mut cut = None;
    for index in 0..walk.tasks.len() {
        let task = walk.tasks[index];
        if best.is_settled(task) {
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
        walk.visit(task, |row| best.offer(row))?;
    }
    Ok(finish_page(best, query.limit, cut, walk.tally))
}

/// The lines closest to the reader's edge, bounded in number and in bytes.
struct Best {
    lines: BTreeMap<Position, Record>,
    bytes: usize,
    /// One line more than asked for tells whether there is a next page.
    keep: usize,
    newest: bool,
    /// Lines were left out because of their bytes: the page ends where they would have been.
    is_cut: bool,
}

impl Best {
    fn new(limit: usize, newest: bool) -> Self {
        Best {
            lines: BTreeMap::new(),
            bytes: 0,
            keep: limit + 1,
            newest,
            is_cut: false,
        }
    }

    fn is_full(&self) -> bool {
        self.is_cut || self.lines.len() == self.keep
    }

    fn worst(&self) -> Option<Position> {
        let entry = if self.newest {
            self.lines.first_key_value()
        } else {
            self.lines.last_key_value()
        };
        entry.map(|(position, _)| *position)
    }

    /// True when no line of the block can come before the worst line that is kept.
    fn is_settled(&self, task: Task) -> bool {
        let beyond = |worst| {
            if self.newest {
                worst > task.last
            } else {
                worst < task.first
            }
        };
        self.is_full() && self.worst().is_some_and(beyond)
    }

    fn offer(&mut self, row: &Row<'_>) {
        if self.is_full()
            && self
                .worst()
                .is_none_or(|worst| (worst > row.position) == self.newest)
        {
            return;
        }
        let record = Record {
            at_ms: row.position.at_ms,
            labels: row.labels.clone(),
            severity: (row.severity < NO_SEVERITY).then_some(row.severity),
            text: row.text.to_string(),
        };
        self.bytes += weight(&record);
        self.lines.insert(row.position, record);
        while self.lines.len() > self.keep || (self.bytes > Query::MAX_BYTES && self.lines.len() > 1) {
            self.is_cut |= self.lines.len() <= self.keep;
            let gone = if self.newest {
                self.lines.pop_first()
            } else {
                self.lines.pop_last()
            };
            self.bytes -= gone.map_or(0, |(_, record)| weight(&record));
        }
    }
}

fn weight(record: &Record) -> usize {
    let labels = record.labels.iter().map(|(name, value)| name.len() + value.len());
    record.text.len() + labels.sum::<usize>()
}

/// `cut` is the cursor at which a search that ran out of time goes on: lines behind it are not final.
fn finish_page(best: Best, limit: usize, cut: Option<Position>, tally: Tally) -> Page {
    let (newest, is_cut, best) = (best.newest, best.is_cut, best.lines);
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
    let full = records.len() > limit || (is_cut && !records.is_empty());
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
        warnings: tally.warnings,
        scanned_records: tally.scanned,
        read_blocks: tally.read,
        skipped_blocks: tally.skipped,
    }
}
