//! Live tail: lines are handed to subscribers after they are durable, in order of arrival.
use crate::columns::{Batch, NO_SEVERITY};
use crate::expr::{Line, Verdict};
use crate::query::Selection;
use crate::record::{Found, Position, Record};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// What a subscriber made of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It was taken.
    Taken,
    /// There was no room: it is lost to this subscriber and counted.
    Dropped,
    /// Nobody listens any more: the subscription ends.
    Gone,
}

/// The receiving end of a subscription. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Tail {
    receiver: Receiver<Found>,
    dropped: Arc<AtomicU64>,
    first_seq: u64,
}

impl Tail {
    /// The next line; None after `timeout` without one, or when the store is closed.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Found> {
        self.receiver.recv_timeout(timeout).ok()
    }

    /// The next line if there is one now.
    pub fn try_recv(&self) -> Option<Found> {
        self.receiver.try_recv().ok()
    }

    /// How many lines were lost because this end was too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Lines from this number on come through the tail; earlier ones are found by a query.
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }
}

type Sink = Box<dyn FnMut(Found) -> Delivery + Send>;

struct Subscriber {
    selection: Selection,
    sink: Sink,
    dropped: Arc<AtomicU64>,
}

/// All subscribers of a store.
#[derive(Default)]
pub(crate) struct Tails {
    subscribers: Vec<Subscriber>,
    /// Lines that subscribers were too slow for, also those that are gone.
    dropped: u64,
}

impl fmt::Debug for Tails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tails({})", self.subscribers.len())
    }
}

impl Tails {
    /// Those that somebody listens to.
    pub(crate) fn len(&self) -> usize {
        self.subscribers.iter().filter(|one| !one.is_left()).count()
    }

    pub(crate) fn add(&mut self, selection: Selection, sink: Sink) -> Arc<AtomicU64> {
        let dropped = Arc::new(AtomicU64::new(0));
        self.subscribers.retain(|one| !one.is_left());
        self.subscribers.push(Subscriber {
            selection,
            sink,
            dropped: Arc::clone(&dropped),
        });
        dropped
    }

    pub(crate) fn add_channel(&mut self, selection: Selection, capacity: usize, first_seq: u64) -> Tail {
        let (sender, receiver) = sync_channel(capacity.max(1));
        let dropped = self.add(selection, Box::new(move |found| offer(&sender, found)));
        Tail {
            receiver,
            dropped,
            first_seq,
        }
    }

    pub(crate) fn publish(&mut self, batch: &Batch, first_seq: u64) {
        let dropped = &mut self.dropped;
        self.subscribers
            .retain_mut(|subscriber| !subscriber.is_left() && subscriber.offer(batch, first_seq, dropped));
    }

    pub(crate) fn dropped_total(&self) -> u64 {
        self.dropped
    }
}

fn offer(sender: &SyncSender<Found>, found: Found) -> Delivery {
    match sender.try_send(found) {
        Ok(()) => Delivery::Taken,
        Err(TrySendError::Full(_)) => Delivery::Dropped,
        Err(TrySendError::Disconnected(_)) => Delivery::Gone,
    }
}

impl Subscriber {
    /// Whoever listens holds the other end of the counter; lines that do not match would never tell that it is gone.
    fn is_left(&self) -> bool {
        Arc::strong_count(&self.dropped) == 1
    }

    /// False when nobody listens any more.
    fn offer(&mut self, batch: &Batch, first_seq: u64, dropped: &mut u64) -> bool {
        let verdicts: Vec<Verdict> = batch
            .streams
            .iter()
            .map(|labels| self.selection.bind(labels))
            .collect();
        let columns = &batch.columns;
        let mut scratch = String::new();
        for row in 0..columns.len() {
            let stream = columns.stream[row] as usize;
            let (text, severity) = (columns.text(row), columns.severity[row]);
            let wanted = match &verdicts[stream] {
                Verdict::Never => false,
                Verdict::Always => true,
                Verdict::Test(node) => node.matches(&mut Line::new(text, severity, &mut scratch)),
            };
            let within = self.selection.within.as_ref();
            let is_within =
                within.is_none_or(|within| within.holds(&batch.streams[stream], columns.at_ms[row]));
            if !(wanted && is_within) {
                continue;
            }
            let position = Position::new(columns.at_ms[row], first_seq + row as u64);
            let record = Record {
                at_ms: position.at_ms,
                labels: batch.streams[stream].clone(),
                severity: (severity < NO_SEVERITY).then_some(severity),
                text: text.to_string(),
            };
            match (self.sink)(Found { position, record }) {
                Delivery::Taken => {}
                Delivery::Dropped => {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    *dropped += 1;
                }
                Delivery::Gone => return false,
            }
        }
        true
    }
}
