//! Keeps the indexes of recently read blocks in memory, up to a budget.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::index::Index;
use crate::error::Result;
use crate::stats::lock;

#[derive(Debug)]
pub(crate) struct IndexCache {
    budget: usize,
    /// Most recently used last. Few enough (one per block) that a scan is the fastest lookup.
    entries: Mutex<Vec<(u64, Arc<Index>)>>,
}

impl IndexCache {
    pub(crate) fn new(budget: usize) -> Self {
        IndexCache {
            budget,
            entries: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, seq: u64, path: &Path) -> Result<Arc<Index>> {
        {
            let mut entries = lock(&self.entries);
            if let Some(at) = entries.iter().position(|(s, _)| *s == seq) {
                let entry = entries.remove(at);
                let index = Arc::clone(&entry.1);
                entries.push(entry);
                return Ok(index);
            }
        }
        // Loaded without the lock: two readers may load the same index once each.
        let index = Arc::new(Index::load(path)?);
        let mut entries = lock(&self.entries);
        entries.retain(|(s, _)| *s != seq);
        entries.push((seq, Arc::clone(&index)));
        let mut total: usize = entries.iter().map(|(_, i)| i.size()).sum();
        while total > self.budget && entries.len() > 1 {
            total -= entries.remove(0).1.size();
        }
        Ok(index)
    }

    pub(crate) fn forget(&self, seq: u64) {
        lock(&self.entries).retain(|(s, _)| *s != seq);
    }

    pub(crate) fn bytes(&self) -> u64 {
        lock(&self.entries).iter().map(|(_, i)| i.size() as u64).sum()
    }
}
