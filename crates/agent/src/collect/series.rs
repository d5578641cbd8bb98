//! The dictionary of series: id to labels, shared by all sinks. Ids are dense, rise, and are never given twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::Labels;

/// The marker that says "this series has ended" to Prometheus-compatible stores.
pub(crate) const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// All series that the agent has now.
#[derive(Clone, Default)]
pub(crate) struct Series(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    next: u32,
    labels: HashMap<u32, Arc<Labels>>,
}

impl Series {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new id for `labels`, which must be sorted by name.
    pub(crate) fn add(&self, labels: Labels) -> u32 {
        let mut inner = self.lock();
        inner.next += 1;
        let id = inner.next;
        inner.labels.insert(id, Arc::new(labels));
        id
    }

    pub(crate) fn labels(&self, id: u32) -> Option<Arc<Labels>> {
        self.lock().labels.get(&id).cloned()
    }

    /// Forgets ids whose last sample has left the agent's memory.
    pub(crate) fn remove(&self, ids: &[u32]) {
        let mut inner = self.lock();
        for id in ids {
            inner.labels.remove(id);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().labels.len()
    }
}
