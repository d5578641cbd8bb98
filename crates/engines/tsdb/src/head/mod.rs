//! The head: all series with samples that are not in a block yet, and their inverted index.
//!
//! Readers take the index lock for the lookup only and then one series' lock at a time. Only the
//! holder of the writer lock inserts samples or freezes windows; registering a series and removing an
//! idle one need the index lock alone.

mod series;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::postings::{self, Ids, LabelIndex};
use crate::stats::{Counter, lock};

pub(crate) use series::{Inserted, MemSeries, encode_all};

/// Hasher for keys that are hashes or dense ids already.
#[derive(Debug, Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.write_u64(self.0 ^ u64::from(*b));
        }
    }

    fn write_u64(&mut self, v: u64) {
        self.0 = v.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
}

/// A map for such keys.
pub(crate) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<KeyHasher>>;

/// Held by a reader: frozen windows that it may need stay in memory.
pub(crate) type Epoch = Arc<()>;

#[derive(Debug, Default)]
pub(crate) struct Head {
    index: RwLock<Index>,
    epoch: Mutex<Epoch>,
    pub(crate) samples: Counter,
    pub(crate) samples_dropped: Counter,
}

#[derive(Debug, Default)]
struct Index {
    by_labels: FastMap<Labels, Arc<MemSeries>>,
    by_id: FastMap<u64, Arc<MemSeries>>,
    all: Vec<u64>,
    names: BTreeMap<Box<str>, BTreeMap<Box<str>, Vec<u64>>>,
    last_id: u64,
}

impl Head {
    /// Looks series up; `None` where the head has no such labels.
    pub(crate) fn get(&self, labels: &Labels) -> Option<Arc<MemSeries>> {
        self.read().by_labels.get(labels).cloned()
    }

    /// Fills the `None`s of `found` by lookup, under one lock.
    pub(crate) fn get_many<'a>(
        &self,
        wanted: impl Iterator<Item = (&'a mut Option<Arc<MemSeries>>, Wanted<'a>)>,
    ) {
        let index = self.read();
        for (slot, key) in wanted {
            *slot = match key {
                Wanted::Labels(labels) => index.by_labels.get(labels).cloned(),
                Wanted::Id(id) => index.by_id.get(&id).cloned(),
            };
        }
    }

    /// The series with these labels, registered if need be; the flag tells whether it is new. `None`
    /// if the head holds `max` series already.
    pub(crate) fn get_or_create(&self, labels: &Labels, max: usize) -> Option<(Arc<MemSeries>, bool)> {
        let mut index = self.write();
        if let Some(series) = index.by_labels.get(labels) {
            return Some((Arc::clone(series), false));
        }
        if index.by_labels.len() >= max {
            return None;
        }
        Some((index.register(labels.clone()), true))
    }

    pub(crate) fn series_count(&self) -> usize {
        self.read().by_labels.len()
    }

    /// Series that pass the matchers, in no useful order.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Vec<Arc<MemSeries>> {
        let index = self.read();
        let ids = postings::find(&*index, matchers);
        ids.iter().filter_map(|id| index.by_id.get(id).cloned()).collect()
    }

    /// Calls `visit` with the names of labels of series with samples in `start..=end`.
    pub(crate) fn each_name(&self, start: i64, end: i64, visit: &mut dyn FnMut(&str)) {
        let index = self.read();
        for (name, values) in &index.names {
            if values.values().any(|ids| index.any_overlaps(ids, start, end)) {
                visit(name);
            }
        }
    }

    /// Calls `visit` with the values of `name` of series with samples in `start..=end`.
    pub(crate) fn each_value(&self, name: &str, start: i64, end: i64, visit: &mut dyn FnMut(&str)) {
        let index = self.read();
        for (value, ids) in index.names.get(name).into_iter().flatten() {
            if index.any_overlaps(ids, start, end) {
                visit(value);
            }
        }
    }

    /// A token that keeps frozen windows alive; take it before looking at series or blocks.
    pub(crate) fn enter(&self) -> Epoch {
        Arc::clone(&lock(&self.epoch))
    }

    /// Begins a new epoch; the old one is over when the returned token has no strong references.
    /// A reader of it may miss everything published later, too.
    pub(crate) fn next_epoch(&self) -> Weak<()> {
        let old = std::mem::take(&mut *lock(&self.epoch));
        Arc::downgrade(&old)
    }

    /// Freezes the open windows of `keys` in all series.
    pub(crate) fn freeze(&self, keys: &[i64], cut: u64) {
        for series in self.everything() {
            series.state().freeze(keys, cut);
        }
    }

    /// Forgets a frozen window in all series.
    pub(crate) fn drop_frozen(&self, key: i64, cut: u64) {
        for series in self.everything() {
            let dropped = series.state().drop_frozen(key, cut);
            self.samples_dropped.add(dropped);
        }
    }

    /// All series in the order of their labels.
    pub(crate) fn sorted(&self) -> Vec<Arc<MemSeries>> {
        let mut series = self.everything();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        series
    }

    /// Removes series without samples that nobody holds; returns how many. An append in flight holds its
    /// series, so it never writes into a removed one.
    pub(crate) fn remove_idle(&self) -> u64 {
        let idle: Vec<u64> = self
            .everything()
            .iter()
            .filter(|s| s.state().is_empty())
            .map(|s| s.id)
            .collect();
        if idle.is_empty() {
            return 0;
        }
        self.write().remove_unused(&idle)
    }

    fn everything(&self) -> Vec<Arc<MemSeries>> {
        self.read().by_labels.values().cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a batch names a series.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    Labels(&'a Labels),
    Id(u64),
}

impl Index {
    fn register(&mut self, labels: Labels) -> Arc<MemSeries> {
        self.last_id += 1;
        let id = self.last_id;
        let series = Arc::new(MemSeries::new(id, labels.clone()));
        for (name, value) in labels.iter() {
            if !self.names.contains_key(name) {
                self.names.insert(name.into(), BTreeMap::new());
            }
            let Some(values) = self.names.get_mut(name) else {
                continue;
            };
            match values.get_mut(value) {
                Some(ids) => ids.push(id),
                None => {
                    values.insert(value.into(), vec![id]);
                }
            }
        }
        self.all.push(id);
        self.by_id.insert(id, Arc::clone(&series));
        self.by_labels.insert(labels, Arc::clone(&series));
        series
    }

    fn any_overlaps(&self, ids: &[u64], start: i64, end: i64) -> bool {
        ids.iter()
            .filter_map(|id| self.by_id.get(id))
            .any(|s| s.state().overlaps(start, end))
    }

    fn remove_unused(&mut self, candidates: &[u64]) -> u64 {
        let mut gone: FastMap<u64, ()> = FastMap::default();
        let mut pairs: BTreeMap<Box<str>, Vec<Box<str>>> = BTreeMap::new();
        for id in candidates {
            // Two references are the maps' own; a third one may be an append or a reader.
            let unused = self
                .by_id
                .get(id)
                .is_some_and(|s| Arc::strong_count(s) == 2 && s.state().is_empty());
            if let Some(series) = self.by_id.get(id).filter(|_| unused).cloned() {
                self.by_labels.remove(&series.labels);
                self.by_id.remove(id);
                gone.insert(*id, ());
                for (name, value) in series.labels.iter() {
                    pairs.entry(name.into()).or_default().push(value.into());
                }
            }
        }
        self.all.retain(|id| !gone.contains_key(id));
        for (name, mut removed) in pairs {
            removed.sort_unstable();
            removed.dedup();
            let Some(values) = self.names.get_mut(&name) else {
                continue;
            };
            for value in removed {
                if let Some(ids) = values.get_mut(&value) {
                    ids.retain(|id| !gone.contains_key(id));
                    if ids.is_empty() {
                        values.remove(&value);
                    }
                }
            }
            if values.is_empty() {
                self.names.remove(&name);
            }
        }
        gone.len() as u64
    }
}

impl LabelIndex for Index {
    fn all(&self) -> Ids<'_> {
        Cow::Borrowed(&self.all)
    }

    fn ids(&self, name: &str, value: &str) -> Ids<'_> {
        match self.names.get(name).and_then(|values| values.get(value)) {
            Some(ids) => Cow::Borrowed(ids),
            None => Cow::Borrowed(&[]),
        }
    }

    fn each_value(&self, name: &str, visit: &mut dyn FnMut(&str)) {
        if let Some(values) = self.names.get(name) {
            values.keys().for_each(|value| visit(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    #[test]
    fn idle_series_leave_the_index_but_held_ones_stay() {
        let head = Head::default();
        let labels = |i: u32| Labels::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())]);
        for i in 0..10 {
            head.get_or_create(&labels(i), 100).unwrap();
        }
        let held = head.get(&labels(3)).unwrap();
        let full = head.get(&labels(4)).unwrap();
        full.state().insert(0, Sample { t_ms: 1, v: 1.0 });
        drop(full);
        assert_eq!(head.remove_idle(), 8);
        assert_eq!(head.select(&[Matcher::metric("m")]).len(), 2);
        assert!(head.select(&[Matcher::eq("i", "7")]).is_empty());
        assert!(head.get_or_create(&labels(7), 2).is_none());
        drop(held);
        assert_eq!(head.remove_idle(), 1);
        let mut values = Vec::new();
        LabelIndex::each_value(&*head.read(), "i", &mut |v| values.push(v.to_owned()));
        assert_eq!(values, ["4"]);
    }
}
