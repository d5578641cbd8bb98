//! Where collectors put their samples: name, labels and value in, `(series id, value)` out, without an allocation for
//! a series that is already known.

use std::collections::HashMap;

use protocol::Sample;
use xxhash_rust::xxh3::Xxh3Default;

use super::series::{STALE_BITS, Series};
use crate::host::names::shown;

/// Rounds that an ended series stays known, so that its last samples can still be written to the spool.
const KEEP_ROUNDS: u32 = 120;

/// The samples of one collector.
pub(crate) struct Sink {
    series: Series,
    known: HashMap<u64, Vec<Known>>,
    out: Vec<(u32, f64)>,
    key: Vec<u8>,
    name: String,
    round: u32,
}

struct Known {
    key: Box<[u8]>,
    id: u32,
    round: u32,
    /// The end has been told.
    ended: bool,
}

impl Sink {
    pub(crate) fn new(series: Series) -> Self {
        Self {
            series,
            known: HashMap::new(),
            out: Vec::new(),
            key: Vec::new(),
            name: String::new(),
            round: 1,
        }
    }

    /// One sample. Labels may come in any order; an empty value is the same as no label, as in PromQL.
    pub(crate) fn put(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.key.clear();
        push_part(&mut self.key, name);
        for (label, text) in labels {
            push_part(&mut self.key, label);
            push_part(&mut self.key, text);
        }
        let mut hasher = Xxh3Default::new();
        hasher.update(&self.key);
        let hash = hasher.digest();
        let bucket = self.known.entry(hash).or_default();
        let id = match bucket.iter_mut().find(|known| *known.key == *self.key) {
            Some(known) => {
                known.round = self.round;
                known.ended = false;
                known.id
            }
            None => {
                let id = self.series.add(sorted_labels(name, labels));
                bucket.push(Known {
                    key: self.key.clone().into(),
                    id,
                    round: self.round,
                    ended: false,
                });
                id
            }
        };
        self.out.push((id, value));
    }

    /// As [`Sink::put`], with a name made of parts.
    pub(crate) fn put_parts(&mut self, parts: &[&str], labels: &[(&str, &str)], value: f64) {
        let mut name = std::mem::take(&mut self.name);
        name.clear();
        for part in parts {
            name.push_str(part);
        }
        self.put(&name, labels, value);
        self.name = name;
    }

    /// So many items are left out in this round because of a bound or a fault of theirs.
    pub(crate) fn left_out(&mut self, what: &str, count: usize) {
        self.put("mainstay_agent_left_out", &[("what", what)], count as f64);
    }

    /// Ends a round: series that were not put in it get the stale marker, once.
    ///
    /// Invariant: called once per successful collection; a failed one calls [`Sink::abandon`] instead.
    pub(crate) fn finish(&mut self, at_ms: i64, into: &mut Vec<Sample>) {
        into.extend(self.out.drain(..).map(|(id, value)| Sample(id, at_ms, value)));
        let round = self.round;
        let mut gone = Vec::new();
        self.known.retain(|_, bucket| {
            bucket.retain_mut(|known| {
                if known.round != round && !known.ended {
                    known.ended = true;
                    into.push(Sample(known.id, at_ms, f64::from_bits(STALE_BITS)));
                }
                let keep = round.wrapping_sub(known.round) < KEEP_ROUNDS;
                if !keep {
                    gone.push(known.id);
                }
                keep
            });
            !bucket.is_empty()
        });
        self.series.remove(&gone);
        self.round = self.round.wrapping_add(1);
    }

    /// Takes the samples without ending a round: nothing is said of series that were not put.
    pub(crate) fn take(&mut self, at_ms: i64, into: &mut Vec<Sample>) {
        into.extend(self.out.drain(..).map(|(id, value)| Sample(id, at_ms, value)));
    }

    /// Drops what a failed collection has put.
    pub(crate) fn abandon(&mut self) {
        self.out.clear();
    }

    #[cfg(test)]
    pub(crate) fn drain_named(&mut self) -> Vec<(protocol::Labels, f64)> {
        let out = std::mem::take(&mut self.out);
        out.into_iter()
            .map(|(id, value)| (self.series.labels(id).unwrap().as_ref().clone(), value))
            .collect()
    }
}

fn push_part(key: &mut Vec<u8>, part: &str) {
    key.extend_from_slice(part.as_bytes());
    key.push(0xff);
}

fn sorted_labels(name: &str, labels: &[(&str, &str)]) -> protocol::Labels {
    let mut sorted: protocol::Labels = Vec::with_capacity(labels.len() + 1);
    sorted.push(("__name__".to_owned(), name.to_owned()));
    let filled = labels.iter().filter(|(_, text)| !text.is_empty());
    sorted.extend(filled.map(|(label, text)| ((*label).to_owned(), shown(text).into_owned())));
    sorted.sort_unstable();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_series_keeps_its_id_and_an_ended_one_gets_the_stale_marker_once() {
        let series = Series::default();
        let mut sink = Sink::new(series.clone());
        let mut out = Vec::new();
        sink.put("a", &[("x", "1")], 1.0);
        sink.put("a", &[("x", "2")], 2.0);
        sink.finish(10, &mut out);
        assert_eq!(out, vec![Sample(1, 10, 1.0), Sample(2, 10, 2.0)]);
        out.clear();
        sink.put("a", &[("x", "2")], 3.0);
        sink.finish(20, &mut out);
        assert_eq!(out[0], Sample(2, 20, 3.0));
        assert_eq!((out[1].0, out[1].2.to_bits()), (1, STALE_BITS));
        out.clear();
        sink.finish(30, &mut out);
        assert_eq!(out.len(), 1, "only the second ends now");
        for _ in 0..KEEP_ROUNDS {
            sink.finish(40, &mut out);
        }
        assert_eq!(series.len(), 0);
    }

    #[test]
    fn names_and_labels_do_not_run_into_each_other() {
        let mut sink = Sink::new(Series::default());
        sink.put("ab", &[("c", "d")], 1.0);
        sink.put("a", &[("bc", "d")], 1.0);
        sink.put("a", &[("b", "cd")], 1.0);
        let names: Vec<_> = sink.out.iter().map(|(id, _)| *id).collect();
        assert_eq!(names, vec![1, 2, 3]);
    }
}
