//! How many series a host may have, over all of its connections, names and restarts of the server.
//!
//! A host that is at its limit keeps what it has; new series of it are refused, counted and told, and the others' room stays theirs.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fleet::HostRef;
use kernel::AnyError;
use protocol::{Sample, SeriesDef};
use tsdb::{Labels, Matcher};

use crate::Telemetry;
use crate::ingest::SeriesEntry;

/// What a full share holds is looked up again after this: series go with their retention.
/// A series without a sample for so long does not count into the share of its host any more.
const RECENT_MS: i64 = 86_400_000;
const FRESH: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Shares {
    most: usize,
    hosts: Mutex<HashMap<String, Share>>,
    /// Series that were refused, as each connection numbers them.
    numbers: Mutex<HashMap<u64, HashSet<(u64, u32)>>>,
}

#[derive(Debug)]
struct Share {
    series: HashSet<u64>,
    /// Series that found no room since the share was read.
    refused: HashSet<u64>,
    read_at: Instant,
}

/// Different series that are counted as refused at most.
const MOST_REFUSED: usize = 100_000;

impl Shares {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            hosts: Mutex::default(),
            numbers: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Share>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is what the host has to be read from the store: for the first time, or because the share is full and may be so no longer?
    pub(crate) fn is_due(&self, item: &str, now: Instant) -> bool {
        self.lock()
            .get(item)
            .is_none_or(|share| share.series.len() >= self.most && now.duration_since(share.read_at) >= FRESH)
    }

    /// Takes what the store has of the host.
    pub(crate) fn read(&self, item: &str, series: impl Iterator<Item = u64>, now: Instant) {
        let share = Share {
            series: series.collect(),
            refused: HashSet::new(),
            read_at: now,
        };
        self.lock().insert(item.to_owned(), share);
    }

    /// Which of the series may be stored, in their order.
    pub(crate) fn admit<'a>(
        &self,
        item: &str,
        series: impl Iterator<Item = &'a Labels>,
        now: Instant,
    ) -> Vec<bool> {
        let mut hosts = self.lock();
        let share = hosts.entry(item.to_owned()).or_insert_with(|| Share {
            series: HashSet::new(),
            refused: HashSet::new(),
            read_at: now,
        });
        series
            .map(|labels| {
                let hash = labels.hash64();
                if share.series.contains(&hash) {
                    return true;
                }
                if share.series.len() < self.most {
                    share.series.insert(hash);
                    share.refused.remove(&hash);
                    return true;
                }
                if share.refused.len() < MOST_REFUSED {
                    share.refused.insert(hash);
                }
                false
            })
            .collect()
    }

    /// Hosts with series that are refused, and how many.
    pub(crate) fn refused(&self) -> Vec<(String, usize)> {
        let hosts = self.lock();
        let over = hosts.iter().filter(|(_, share)| !share.refused.is_empty());
        over.map(|(item, share)| (item.clone(), share.refused.len()))
            .collect()
    }
}

/// What of a message is within the host's share.
type Within<'a> = (Cow<'a, [SeriesDef]>, Cow<'a, [Sample]>);

impl Shares {
    pub(crate) fn forget(&self, connection: u64) {
        self.numbers().remove(&connection);
    }

    fn numbers(&self) -> MutexGuard<'_, HashMap<u64, HashSet<(u64, u32)>>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Telemetry {
    /// Takes the series that are more than the host may have out of a message, with their samples; both are counted.
    pub(crate) async fn within_share<'a>(
        &self,
        host: &HostRef,
        (connection, epoch): (u64, u64),
        define: &'a [SeriesDef],
        samples: &'a [Sample],
    ) -> Result<Within<'a>, AnyError> {
        let shares = self.shares();
        let mut define = Cow::Borrowed(define);
        if !define.is_empty() {
            let now = Instant::now();
            if shares.is_due(&host.item_id, now) {
                let known = self.series_of(host).await?;
                shares.read(&host.item_id, known.iter().map(Labels::hash64), now);
            }
            let labels: Vec<Labels> = define.iter().map(|def| labels_of(host, def)).collect();
            let fits = shares.admit(&host.item_id, labels.iter(), now);
            let mut all = shares.numbers();
            let numbers = all.entry(connection).or_default();
            if numbers.len() > MOST_REFUSED {
                // Each spooled batch has an epoch of its own and never refers to another one's.
                numbers.retain(|(of, _)| *of == epoch);
            }
            for (def, fits) in define.iter().zip(&fits) {
                if *fits {
                    numbers.remove(&(epoch, def.id));
                } else {
                    numbers.insert((epoch, def.id));
                }
            }
            if fits.contains(&false) {
                let kept = define.iter().zip(&fits).filter(|(_, fits)| **fits);
                define = Cow::Owned(kept.map(|(def, _)| def.clone()).collect());
            }
        }
        let all = shares.numbers();
        let refused = all.get(&connection).filter(|numbers| !numbers.is_empty());
        let Some(refused) = refused else {
            return Ok((define, Cow::Borrowed(samples)));
        };
        let is_kept = |sample: &&Sample| !refused.contains(&(epoch, sample.0));
        let kept: Vec<Sample> = samples.iter().filter(is_kept).copied().collect();
        drop(all);
        let labels = [("host", host.name.as_str()), ("reason", "series_of_host")];
        let count = (samples.len() - kept.len()) as u64;
        if count > 0 {
            self.kernel()
                .metrics
                .counter("mainstay_samples_refused_total", &labels)
                .add(count);
        }
        Ok((define, Cow::Owned(kept)))
    }

    /// What the store has of a host, under all names that it has had.
    async fn series_of(&self, host: &HostRef) -> Result<Vec<Labels>, AnyError> {
        let mut names = HashSet::from([host.name.clone()]);
        if let Ok(item) = host.item_id.parse() {
            let mut reader = self.kernel().db.read().await?;
            names.extend(inventory::store::names_of(&mut reader, &item).await?);
        }
        let tsdb = self.tsdb().clone();
        let among = Matcher::among("instance", Arc::new(names));
        let since_ms = self.now_ms().saturating_sub(RECENT_MS);
        let read = move || tsdb.series(&[among], since_ms, i64::MAX);
        Ok(tokio::task::spawn_blocking(read).await??)
    }
}

fn labels_of(host: &HostRef, def: &SeriesDef) -> Labels {
    let pairs = def.labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    SeriesEntry::new(&host.name, "mainstay", pairs).labels().clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(n: usize) -> Labels {
        Labels::from_pairs([("__name__", "load"), ("n", &n.to_string())])
    }

    #[test]
    fn a_share_outlasts_connections_and_leaves_the_others_alone() {
        let shares = Shares::new(3);
        let now = Instant::now();
        let of = |item: &str, range: std::ops::Range<usize>| {
            let all: Vec<Labels> = range.map(series).collect();
            shares.admit(item, all.iter(), now)
        };
        assert!(shares.is_due("a", now));
        shares.read("a", [series(0).hash64()].into_iter(), now);
        assert!(!shares.is_due("a", now));
        assert_eq!(of("a", 0..5), [true, true, true, false, false]);
        assert_eq!(of("a", 2..4), [true, false], "another connection");
        assert_eq!(of("b", 5..8), [true, true, true], "another host");
        assert_eq!(shares.refused(), [("a".to_owned(), 2)]);
        assert!(shares.is_due("a", now + FRESH));
        shares.read("a", std::iter::empty(), now);
        assert_eq!(of("a", 3..4), [true], "there is room again");
        assert!(shares.refused().is_empty());
    }
}
