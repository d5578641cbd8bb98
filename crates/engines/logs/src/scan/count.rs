//! Histograms, and the streams of a span of time.
use super::{Blocks, Snapshot, Walk, is_over};
use crate::error::{Error, Result};
use crate::expr::Verdict;
use crate::labels::Labels;
use crate::query::{Bucket, Histogram, Query, Selection};
use crate::record::Position;
use crate::within::Coverage;
use std::collections::BTreeSet;

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
        warnings: walk.tally.warnings,
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
    let mut walk = Walk::new(snapshot, selection, low, high, false);
    let mut found = BTreeSet::new();
    // Blocks of which only some times count: they are read.
    let mut doubtful = Vec::new();
    for source in 0..walk.sources.len() {
        let source_ref = &walk.sources[source];
        let mut seen = vec![false; source_ref.streams.len()];
        for task in walk.tasks.iter().filter(|task| task.source == source) {
            let mut is_doubtful = false;
            let mut holds = |id: usize| {
                let Some(within) = &selection.within else {
                    return true;
                };
                let coverage = within.coverage(&source_ref.streams[id], task.first.at_ms, task.last.at_ms);
                is_doubtful |= coverage == Coverage::Part;
                coverage == Coverage::Whole
            };
            match source_ref.blocks {
                Blocks::Memory(chunks) => {
                    chunks[task.block]
                        .columns
                        .stream
                        .iter()
                        .for_each(|id| seen[*id as usize] |= holds(*id as usize));
                }
                Blocks::Disk(segment) => {
                    segment.blocks[task.block]
                        .streams
                        .iter()
                        .for_each(|id| seen[*id as usize] |= holds(*id as usize));
                }
            }
            if is_doubtful {
                doubtful.push(*task);
            }
        }
        let allowed = |id: &usize| seen[*id] && !matches!(source_ref.verdicts[*id], Verdict::Never);
        found.extend(
            (0..seen.len())
                .filter(allowed)
                .map(|id| source_ref.streams[id].clone()),
        );
    }
    for task in doubtful {
        // What cannot be read shows nothing.
        let _ = walk.visit(task, |row| {
            found.insert(row.labels.clone());
        });
    }
    found
}
