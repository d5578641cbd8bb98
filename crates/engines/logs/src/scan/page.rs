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
