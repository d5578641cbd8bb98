//! Appends with group commit: whoever gets the writer commits for everybody who queued before.
use super::{Logs, Writer};
use crate::columns::{Batch, NO_SEVERITY};
use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::mark::{Marks, Origin};
use crate::record::{Position, Record};
use crate::wal;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// What became of the lines of one append.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppendOutcome {
    /// Lines that are durable now.
    pub appended: usize,
    /// Number of the first of them; the others follow in order.
    pub first_seq: Option<u64>,
    /// Lines that were refused because of their form; sending them again is of no use.
    pub refused: Vec<Refusal>,
    /// Lines that were cut to the longest length.
    pub shortened: usize,
    /// The append had been taken in before, so nothing was stored now.
    pub is_repeated: bool,
}

/// A refused line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its index in the call.
    pub index: usize,
    /// Why.
    pub reason: String,
}

const MAX_LABELS: usize = 64;
const MAX_LABEL_BYTES: usize = 4096;
/// Bound on `max_text_bytes`, so that no block outgrows its format.
const MAX_TEXT_BYTES: usize = 16 << 20;
/// Text bytes in one frame of the write-ahead log.
const FRAME_TEXT_BYTES: usize = 8 << 20;
/// Text bytes in one append with an origin, which is one frame so that its lines and its mark live or die together.
const MARKED_TEXT_BYTES: usize = 64 << 20;
/// Appends are refused when the unsealed lines reach this many times the size of a segment.
const MAX_UNSEALED_SEGMENTS: u64 = 8;
/// Above so many waiting heads, appends seal them themselves.
const MAX_WAITING: usize = 2;

/// A batch and its encoded form.
type Frame = (Batch, Vec<u8>);

/// An append that waits for its commit.
#[derive(Debug)]
pub(super) struct Pending {
    frames: Vec<Frame>,
    origin: Option<(String, u64, i64)>,
    result: Mutex<Option<Result<Taken>>>,
}

/// What became of an append.
#[derive(Debug, Clone, Copy)]
enum Taken {
    /// Its first line has this number.
    Now(u64),
    Before,
}

impl Pending {
    fn origin(&self) -> Option<Origin<'_>> {
        let (source, seq, at_ms) = self.origin.as_ref()?;
        Some(Origin {
            source,
            seq: *seq,
            at_ms: *at_ms,
        })
    }

    fn settle(&self, result: Result<Taken>) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }

    fn take(&self) -> Option<Result<Taken>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Logs {
    /// Stores lines; when it returns, all but the refused ones are durable and can be found. On an error none
    /// can be found, though after a failed disk sync they may reappear when the store is opened again.
    pub fn append(&self, records: &[Record]) -> Result<AppendOutcome> {
        self.append_as(None, records)
    }

    /// As [`Logs::append`], for a source that numbers what it sends and sends again what it got no answer to: an append
    /// that was taken in before is not stored again, whatever crashed in between. One source appends one at a time.
    pub fn append_from(&self, origin: Origin<'_>, records: &[Record]) -> Result<AppendOutcome> {
        let text_bytes: usize = records.iter().map(|record| record.text.len()).sum();
        if text_bytes > MARKED_TEXT_BYTES {
            return Err(Error::BadQuery(format!(
                "{text_bytes} bytes of lines in one append of {}, at most {MARKED_TEXT_BYTES} are taken; send less at once",
                origin.source
            )));
        }
        self.append_as(Some(origin), records)
    }

    fn append_as(&self, origin: Option<Origin<'_>>, records: &[Record]) -> Result<AppendOutcome> {
        let frame_bytes = origin.map_or(FRAME_TEXT_BYTES, |_| usize::MAX);
        let (frames, mut outcome) = self.prepare(records, frame_bytes)?;
        self.counters
            .refused
            .fetch_add(outcome.refused.len() as u64, Ordering::Relaxed);
        if frames.is_empty() {
            return Ok(outcome);
        }
        let taken = self.commit(Pending {
            frames,
            origin: origin.map(|of| (of.source.to_owned(), of.seq, of.at_ms)),
            result: Mutex::new(None),
        })?;
        let Taken::Now(first_seq) = taken else {
            self.counters.repeated.fetch_add(1, Ordering::Relaxed);
            return Ok(AppendOutcome {
                is_repeated: true,
                ..AppendOutcome::default()
            });
        };
        outcome.first_seq = Some(first_seq);
        self.counters
            .appended
            .fetch_add(outcome.appended as u64, Ordering::Relaxed);
        self.counters
            .shortened
            .fetch_add(outcome.shortened as u64, Ordering::Relaxed);
        self.relieve();
        Ok(outcome)
    }

    /// Checks and encodes outside of all locks.
    fn prepare(&self, records: &[Record], frame_bytes: usize) -> Result<(Vec<Frame>, AppendOutcome)> {
        let mut outcome = AppendOutcome::default();
        let mut frames = Vec::new();
        let mut batch = Batch::default();
        let mut ids: HashMap<&Labels, u32> = HashMap::new();
        for (index, record) in records.iter().enumerate() {
            if let Err(reason) = check(record) {
                outcome.refused.push(Refusal { index, reason });
                continue;
            }
            let text = shorten(&record.text, self.options.max_text_bytes.min(MAX_TEXT_BYTES));
            outcome.shortened += usize::from(text.len() < record.text.len());
            let id = *ids.entry(&record.labels).or_insert_with(|| {
                batch.streams.push(record.labels.clone());
                batch.streams.len() as u32 - 1
            });
            let at = Position::new(record.at_ms, batch.columns.len() as u64);
            batch
                .columns
                .push(at, id, record.severity.unwrap_or(NO_SEVERITY), text);
            outcome.appended += 1;
            if batch.columns.text_bytes() >= frame_bytes {
                frames.push(self.encode(std::mem::take(&mut batch))?);
                ids.clear();
            }
        }
        if batch.columns.len() > 0 {
            frames.push(self.encode(batch)?);
        }
        Ok((frames, outcome))
    }

    fn encode(&self, batch: Batch) -> Result<Frame> {
        let payload = batch
            .encode()
            .map_err(|error| Error::BadQuery(format!("the lines do not encode: {error}")))?;
        Ok((batch, payload))
    }

    fn commit(&self, pending: Pending) -> Result<Taken> {
        let mine = Arc::new(pending);
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&mine));
        let mut writer = self.lock_writer();
        if let Some(result) = mine.take() {
            return result;
        }
        let group = std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        self.commit_group(&mut writer, &group);
        let head_is_full = self.read_view().head.bytes() >= self.options.segment_bytes;
        if head_is_full && let Err(error) = self.rotate(&mut writer) {
            self.notice(&self.dir, format!("the head was not frozen: {error}"));
        }
        drop(writer);
        let abandoned = || Error::Abandoned {
            reason: "a commit was abandoned by a crashed thread".to_string(),
        };
        mine.take().unwrap_or_else(|| Err(abandoned()))
    }

    fn commit_group(&self, writer: &mut Writer, group: &[Arc<Pending>]) {
        let fresh = match self.write_group(writer, group) {
            Ok(fresh) => fresh,
            Err(error) => {
                self.counters
                    .append_failures
                    .fetch_add(group.len() as u64, Ordering::Relaxed);
                group
                    .iter()
                    .for_each(|pending| pending.settle(Err(error.clone())));
                return;
            }
        };
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        let mut tails = self.lock_tails();
        for (pending, is_fresh) in group.iter().zip(fresh) {
            if !is_fresh {
                pending.settle(Ok(Taken::Before));
                continue;
            }
            let first_seq = writer.next_seq;
            for (batch, _) in &pending.frames {
                self.write_view().head.push(batch, writer.next_seq);
                tails.publish(batch, writer.next_seq);
                writer.next_seq += batch.columns.len() as u64;
            }
            pending.settle(Ok(Taken::Now(first_seq)));
        }
    }

    /// Writes what was not taken in before; says of each append whether it was written.
    fn write_group(&self, writer: &mut Writer, group: &[Arc<Pending>]) -> Result<Vec<bool>> {
        self.recover(writer)?;
        let unsealed = self.unsealed_bytes();
        if unsealed >= self.options.segment_bytes.saturating_mul(MAX_UNSEALED_SEGMENTS) {
            return Err(Error::Overfull {
                bytes: unsealed,
                path: self.dir.clone(),
            });
        }
        let mut bytes = Vec::new();
        let mut seq = writer.next_seq;
        let mut marks = Marks::default();
        let mut fresh = Vec::with_capacity(group.len());
        for pending in group {
            let mut mark = None;
            if let Some(origin) = pending.origin() {
                let known = if marks.knows(origin.source) {
                    &marks
                } else {
                    &writer.marks
                };
                if known.covers(&origin) {
                    fresh.push(false);
                    continue;
                }
                let after = known.after(&origin, seq);
                marks.merge(after.clone());
                mark = Some(after);
            }
            for (batch, payload) in &pending.frames {
                wal::put_frame(&mut bytes, seq, mark.as_ref(), payload);
                seq += batch.columns.len() as u64;
            }
            fresh.push(true);
        }
        if !bytes.is_empty()
            && let Err(error) = writer.append(&bytes)
        {
            // The refused lines may come back at the next start: their numbers are not given again.
            writer.next_seq = seq;
            // Tried at once, so that the lines that were acknowledged are written anew.
            let _ = self.recover(writer);
            return Err(error);
        }
        writer.marks.merge(marks);
        Ok(fresh)
    }

    fn unsealed_bytes(&self) -> u64 {
        let view = self.read_view();
        view.head.bytes() + view.frozen.iter().map(|frozen| frozen.bytes).sum::<u64>()
    }

    /// Seals on the appending thread when `maintain` does not keep up. The lines are durable, so a failure is
    /// a notice and not an error.
    fn relieve(&self) {
        if self.read_view().frozen.len() <= MAX_WAITING {
            return;
        }
        let mut duty = self.lock_duty();
        let sealed = self.seal_waiting(&mut duty);
        if let Err(error) = sealed.and_then(|_| self.enforce_size(&mut duty)) {
            self.notice(&self.dir, format!("lines were not sealed: {error}"));
        }
    }
}

fn check(record: &Record) -> std::result::Result<(), String> {
    if let Some(severity) = record.severity.filter(|severity| *severity >= NO_SEVERITY) {
        return Err(format!("severity {severity} is not between 0 and 7"));
    }
    if record.labels.len() > MAX_LABELS {
        return Err(format!(
            "{} labels, at most {MAX_LABELS} are allowed",
            record.labels.len()
        ));
    }
    let too_long = |(name, value): &(&str, &str)| name.len() + value.len() > MAX_LABEL_BYTES;
    match record.labels.iter().find(too_long) {
        Some((name, _)) => {
            let start: String = name.chars().take(40).collect();
            Err(format!(
                "label \"{start}\" is longer than {MAX_LABEL_BYTES} bytes with its value"
            ))
        }
        None => Ok(()),
    }
}

fn shorten(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}
