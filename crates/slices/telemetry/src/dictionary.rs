//! Series that the samples of agents refer to by number, by connection.
//!
//! A connection may last for months while series come and go. Definitions that are not used any more are forgotten once there are
//! many; an agent that uses one all the same connects anew and sends the batch again, complete in itself. So the bound costs
//! nobody a sample, and no connection's memory grows without end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use protocol::{Sample, SeriesDef};

use crate::ingest::SeriesEntry;

/// Definitions that one connection may hold.
const MOST: usize = 200_000;
/// From here on those that are not used any more are looked for, once in so many batches.
const MANY: usize = 20_000;
const SWEEP_EVERY: u64 = 600;
/// A definition that no sample of so many batches has used may go. Agents send a batch a second.
const UNUSED: u64 = 3600;

/// A sample with its series.
pub(crate) type Row = (SeriesEntry, i64, f64);

/// The metrics of one batch.
pub(crate) struct Metrics<'a> {
    pub(crate) epoch: u64,
    pub(crate) define: &'a [SeriesDef],
    pub(crate) samples: &'a [Sample],
    /// It defines everything that it uses: nothing of it need be remembered.
    pub(crate) is_complete: bool,
}

struct Known {
    entry: SeriesEntry,
    /// The batch that used it last.
    used: u64,
}

#[derive(Default)]
struct Dictionary {
    known: HashMap<(u64, u32), Known>,
    batches: u64,
}

#[derive(Default)]
pub(crate) struct Dictionaries(Mutex<HashMap<u64, Dictionary>>);

impl Dictionaries {
    /// Samples with their series, and how many have none. An error says why the connection must begin anew.
    pub(crate) fn resolve(
        &self,
        host: &str,
        connection: u64,
        metrics: &Metrics<'_>,
    ) -> Result<(Vec<Row>, usize), String> {
        if metrics.is_complete {
            let mut own = Dictionary::default();
            own.define(host, metrics);
            return Ok(own.rows(metrics));
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let dictionary = all.entry(connection).or_default();
        dictionary.batches += 1;
        dictionary.define(host, metrics);
        dictionary.sweep();
        if dictionary.known.len() > MOST {
            return Err(format!("the agent on {host} uses more than {MOST} series"));
        }
        let (rows, unknown) = dictionary.rows(metrics);
        if unknown > 0 {
            return Err(format!(
                "{unknown} samples of {host} are of series that are not defined any more"
            ));
        }
        Ok((rows, unknown))
    }

    pub(crate) fn forget(&self, connection: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&connection);
    }
}

impl Dictionary {
    fn define(&mut self, host: &str, metrics: &Metrics<'_>) {
        for def in metrics.define {
            let pairs = def.labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
            let known = Known {
                entry: SeriesEntry::new(host, "mainstay", pairs),
                used: self.batches,
            };
            self.known.insert((metrics.epoch, def.id), known);
        }
    }

    fn sweep(&mut self) {
        let is_due = self.batches.is_multiple_of(SWEEP_EVERY) && self.known.len() > MANY;
        let now = self.batches;
        if is_due {
            self.known.retain(|_, known| now - known.used < UNUSED);
        }
        // Over the bound, sooner and sooner.
        for unused in [UNUSED / 60, 10, 1] {
            if self.known.len() > MOST {
                self.known.retain(|_, known| now - known.used < unused);
            }
        }
    }

    fn rows(&mut self, metrics: &Metrics<'_>) -> (Vec<Row>, usize) {
        let mut rows = Vec::with_capacity(metrics.samples.len());
        for Sample(id, t_ms, value) in metrics.samples {
            if let Some(known) = self.known.get_mut(&(metrics.epoch, *id)) {
                known.used = self.batches;
                rows.push((known.entry.clone(), *t_ms, *value));
            }
        }
        let unknown = metrics.samples.len() - rows.len();
        (rows, unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definitions(ids: std::ops::Range<u32>) -> Vec<SeriesDef> {
        ids.map(|id| SeriesDef {
            id,
            labels: vec![("__name__".into(), format!("m{id}"))],
        })
        .collect()
    }

    /// A live batch that defines and uses these.
    fn live(all: &Dictionaries, define: std::ops::Range<u32>, used: &[u32]) -> Result<usize, String> {
        let define = definitions(define);
        let samples: Vec<Sample> = used.iter().map(|id| Sample(*id, 1, 1.0)).collect();
        let metrics = Metrics {
            epoch: 0,
            define: &define,
            samples: &samples,
            is_complete: false,
        };
        all.resolve("web-1", 7, &metrics).map(|(rows, _)| rows.len())
    }

    #[test]
    fn series_that_come_and_go_for_ever_cost_no_sample_and_no_memory() {
        let all = Dictionaries::default();
        // One that stays, and so many others over the life of the connection as would have filled the dictionary twice.
        live(&all, 0..1, &[0]).unwrap();
        let mut next = 1;
        while next < 2 * u32::try_from(MOST).unwrap() {
            assert_eq!(live(&all, next..next + 5000, &[0, next]).unwrap(), 2);
            next += 5000;
        }
        let held = all.0.lock().unwrap()[&7].known.len();
        assert!(held <= MOST, "{held}");
    }

    #[test]
    fn what_was_forgotten_is_asked_for_again_and_not_dropped() {
        let all = Dictionaries::default();
        live(&all, 0..2, &[0, 1]).unwrap();
        let more = u32::try_from(MANY).unwrap();
        live(&all, 2..more + 2, &[0]).unwrap();
        for _ in 0..UNUSED + SWEEP_EVERY {
            live(&all, 0..0, &[0]).unwrap();
        }
        assert_eq!(
            all.0.lock().unwrap()[&7].known.len(),
            1,
            "only what is used is held"
        );
        let error = live(&all, 0..0, &[0, 1]).unwrap_err();
        assert!(error.contains("1 samples of web-1"), "{error}");
    }

    #[test]
    fn more_series_than_fit_are_refused_live_and_taken_from_batches_that_are_complete() {
        let all = Dictionaries::default();
        let many: Vec<u32> = (0..=u32::try_from(MOST).unwrap()).collect();
        let count = u32::try_from(many.len()).unwrap();
        assert!(live(&all, 0..count, &many).is_err());
        let define = definitions(0..10);
        let samples = [Sample(3, 1, 1.0), Sample(11, 1, 1.0)];
        let complete = Metrics {
            epoch: 99,
            define: &define,
            samples: &samples,
            is_complete: true,
        };
        let (rows, unknown) = all.resolve("web-1", 7, &complete).unwrap();
        assert_eq!((rows.len(), unknown), (1, 1));
    }
}
