//! What collectors hand to the uplink, and the checkpoints that say how far logs have been taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{Facts, LogLine, LogSource, Sample, UnitChange};
use tokio::sync::mpsc;

/// Room for this many observations; collectors wait when it is full.
pub(crate) const QUEUE: usize = 32;

#[derive(Debug)]
pub(crate) enum Observation {
    /// A round of samples. Sent on at once, with all else that waits.
    Samples(Vec<Sample>),
    /// Waits for the next round, a second at most.
    Logs {
        source: LogSource,
        lines: Vec<LogLine>,
        mark: Mark,
    },
    /// Sent on at once. `samples` are those that the changes imply.
    Units {
        changes: Vec<UnitChange>,
        samples: Vec<Sample>,
    },
    Facts(Box<Facts>),
}

pub(crate) type Observations = mpsc::Sender<Observation>;

/// "This source has been taken up to here": kept once the batch with its lines is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// How far each source of logs has been taken. Shared by the readers, who start from it, and the uplink, who moves it.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    path: PathBuf,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    marks: BTreeMap<String, String>,
    dirty: bool,
}

impl Checkpoints {
    /// A file that cannot be read counts as empty: logs are then taken from their ends.
    pub(crate) fn open(path: &Path) -> Self {
        let marks = std::fs::read(path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            path: path.to_owned(),
            inner: Arc::new(Mutex::new(Inner { marks, dirty: false })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.lock().marks.get(key).cloned()
    }

    /// The values of all keys that begin so.
    pub(crate) fn with_prefix(&self, prefix: &str) -> Vec<String> {
        let inner = self.lock();
        let from = inner.marks.range(prefix.to_owned()..);
        from.take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, value)| value.clone())
            .collect()
    }

    pub(crate) fn set(&self, mark: Mark) {
        let mut inner = self.lock();
        inner.marks.insert(mark.key, mark.value);
        inner.dirty = true;
    }

    pub(crate) fn remove(&self, key: &str) {
        let mut inner = self.lock();
        inner.dirty |= inner.marks.remove(key).is_some();
    }

    /// Writes what has changed.
    pub(crate) fn save(&self) {
        let text = {
            let mut inner = self.lock();
            if !std::mem::take(&mut inner.dirty) {
                return;
            }
            serde_json::to_vec(&inner.marks).unwrap_or_default()
        };
        if let Err(error) = crate::state::replace(&self.path, &text, false) {
            tracing::warn!(%error, path = %self.path.display(), "failed to keep how far logs were read");
            self.lock().dirty = true;
        }
    }
}
