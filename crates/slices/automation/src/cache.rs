//! Documents that have been read: a version of a runbook never changes, and is looked at on every tick.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::document::{self, Document, DocumentError};

/// Documents kept. When there are more, all are forgotten: reading one again costs little.
const MOST: usize = 1024;

type Known = Result<Arc<Document>, Vec<DocumentError>>;

#[derive(Default)]
pub(crate) struct Documents(Mutex<HashMap<(String, i64), Known>>);

impl Documents {
    /// The document of a version of a runbook; `text` is read when it is not known yet.
    pub(crate) fn get(&self, runbook: &str, version: i64, text: &str) -> Known {
        let key = (runbook.to_owned(), version);
        if let Some(known) = self.peek(&key) {
            return known;
        }
        let read = document::parse(text).map(Arc::new);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(key, read.clone());
        read
    }

    pub(crate) fn peek(&self, key: &(String, i64)) -> Option<Known> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }
}
