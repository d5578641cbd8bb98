//! Taking observations in: samples into the metric store, lines into the log store, then the rules that read them.

use std::sync::Arc;

use kernel::AnyError;
use logs::{Origin, Record};
use tsdb::{Batch, Labels};

use crate::Telemetry;
use crate::rules::Taken;

/// Why observations were not taken. The sender keeps them and tries again.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("samples not stored: {0}")]
    Samples(#[from] tsdb::Error),
    #[error("log lines not stored: {0}")]
    Lines(#[from] logs::Error),
    #[error("the storing thread ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// Who numbered the lines that come in.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub agent: String,
    pub seq: u64,
    pub at_ms: i64,
}

/// A series that samples refer to.
#[derive(Clone, Debug)]
pub struct SeriesEntry {
    labels: Labels,
    metric: Arc<str>,
}

impl SeriesEntry {
    /// The series of `pairs` on the host `instance`; the host's own labels win.
    pub fn new<'a>(instance: &'a str, job: &'a str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let own = [("instance", instance), ("job", job)];
        let labels = Labels::from_pairs(
            pairs
                // What says whose a series is comes from the server alone.
                .filter(|(name, _)| !matches!(*name, "instance" | "job" | "item_id"))
                .chain(own),
        );
        let metric = labels.name().unwrap_or_default().into();
        Self { labels, metric }
    }

    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }
}

impl Telemetry {
    /// Stores samples of one host and evaluates the rules that read them. Returns when the samples are on disk.
    pub async fn ingest_samples(
        &self,
        instance: &str,
        samples: Vec<(SeriesEntry, i64, f64)>,
    ) -> Result<(), IngestError> {
        self.ingest_samples_of(instance, samples, true).await
    }

    /// The same; not `is_live` when the agent kept them while it was cut off.
    pub(crate) async fn ingest_samples_of(
        &self,
        instance: &str,
        samples: Vec<(SeriesEntry, i64, f64)>,
        is_live: bool,
    ) -> Result<(), IngestError> {
        if samples.is_empty() {
            return Ok(());
        }
        let (telemetry, instance) = (self.clone(), instance.to_owned());
        let store = move || telemetry.store_samples(&instance, &samples, is_live);
        tokio::task::spawn_blocking(store).await??;
        // Alerting has the outbox to fall back on, so the samples are good without it.
        if let Err(error) = self.rules().flush().await {
            tracing::warn!(%error, "alert changes wait for the database");
        }
        Ok(())
    }

    fn store_samples(
        &self,
        instance: &str,
        samples: &[(SeriesEntry, i64, f64)],
        is_live: bool,
    ) -> Result<(), tsdb::Error> {
        let mut batch = Batch::with_capacity(samples.len());
        for (series, t_ms, value) in samples {
            batch.push(&series.labels, *t_ms, *value);
        }
        // A clock that was set counts from the next sample on.
        let now_ms = self.now_ms();
        self.tsdb().set_clock(now_ms);
        let outcome = self.tsdb().append(&batch)?;
        self.count_samples(instance, &outcome);
        // Only what is in the store says how new it is.
        let Some(newest_ms) = outcome.newest_ms else {
            return Ok(());
        };
        let taken = Taken {
            newest_ms,
            now_ms,
            is_live,
        };
        let mut names: Vec<&str> = samples
            .iter()
            .map(|(series, ..)| series.metric.as_ref())
            .collect();
        names.sort_unstable();
        names.dedup();
        self.rules().on_samples(instance, taken, names.into_iter());
        Ok(())
    }

    /// What was stored, and what was not, by host and reason: a host whose samples are refused is blind.
    fn count_samples(&self, instance: &str, outcome: &tsdb::Outcome) {
        let metrics = &self.kernel().metrics;
        metrics
            .counter("mainstay_samples_ingested_total", &[])
            .add(outcome.accepted + outcome.duplicates);
        for reason in tsdb::Reason::ALL {
            let count = outcome.rejected_for(reason);
            if count > 0 {
                let labels = [("host", instance), ("reason", reason.as_str())];
                metrics
                    .counter("mainstay_samples_refused_total", &labels)
                    .add(count);
            }
        }
    }

    /// Stores log lines. Returns when they are on disk.
    pub async fn ingest_lines(&self, records: Vec<Record>) -> Result<(), IngestError> {
        if records.is_empty() {
            return Ok(());
        }
        let store = self.logs().clone();
        let outcome = tokio::task::spawn_blocking(move || store.append(&records)).await??;
        self.count_lines(&outcome);
        Ok(())
    }

    /// Stores what an agent sent with a number, once: lines of a number that was taken before are known.
    pub(crate) async fn ingest_lines_from(
        &self,
        sender: Sender,
        records: Vec<Record>,
    ) -> Result<(), IngestError> {
        if records.is_empty() {
            return Ok(());
        }
        let store = self.logs().clone();
        let append = move || {
            let origin = Origin {
                source: &sender.agent,
                seq: sender.seq,
                at_ms: sender.at_ms,
            };
            store.append_from(origin, &records)
        };
        let outcome = tokio::task::spawn_blocking(append).await??;
        self.count_lines(&outcome);
        Ok(())
    }

    fn count_lines(&self, outcome: &logs::AppendOutcome) {
        let metrics = &self.kernel().metrics;
        let count = |name, number: usize| metrics.counter(name, &[]).add(number as u64);
        count("mainstay_log_lines_ingested_total", outcome.appended);
        count("mainstay_log_lines_refused_total", outcome.refused.len());
        count(
            "mainstay_log_batches_repeated_total",
            usize::from(outcome.is_repeated),
        );
    }

    /// Stores this program's own metrics beside those of the hosts, so that rules and charts can read them.
    pub(crate) async fn ingest_own(&self) -> Result<(), AnyError> {
        let now_ms = self.now_ms();
        let metrics = self.kernel().metrics.clone();
        let text = tokio::task::spawn_blocking(move || metrics.render()).await?;
        let samples = text.lines().filter_map(parse_own).map(|(labels, value)| {
            let pairs = labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
            (
                SeriesEntry::new("mainstay", "mainstay-server", pairs),
                now_ms,
                value,
            )
        });
        self.ingest_samples("mainstay", samples.collect()).await?;
        Ok(())
    }
}

/// Reads a line of the program's own exposition, whose label values have no escapes but the three of the format.
fn parse_own(line: &str) -> Option<(Vec<(String, String)>, f64)> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let (name, rest) = series.split_once('{').unwrap_or((series, ""));
    let mut labels = vec![("__name__".to_owned(), name.to_owned())];
    let mut rest = rest;
    while let Some((label, after)) = rest.split_once("=\"") {
        let mut text = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => text.push('\n'),
                    other => text.push(other),
                },
                (_, other) => text.push(other),
            }
        };
        labels.push((label.to_owned(), text));
        rest = after[end + 1..].trim_start_matches(',');
    }
    Some((labels, value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_says_neither_whose_a_series_is_nor_which_item_it_is_about() {
        let said = [
            ("__name__", "load"),
            ("instance", "db-1"),
            ("job", "other"),
            ("item_id", "itm_00000000000000000000000000000000"),
        ];
        let series = SeriesEntry::new("web-1", "mainstay", said.into_iter());
        let expected = Labels::from_pairs([("__name__", "load"), ("instance", "web-1"), ("job", "mainstay")]);
        assert_eq!(series.labels, expected);
    }

    #[test]
    fn the_own_exposition_reads_back() {
        let metrics = kernel::metric::Metrics::default();
        metrics
            .counter("a_total", &[("path", "/x\"y\\z\n"), ("q", "")])
            .add(3);
        let text = metrics.render();
        let (labels, value) = text.lines().find_map(parse_own).unwrap();
        assert_eq!(value, 3.0);
        assert_eq!(labels[0], ("__name__".into(), "a_total".into()));
        assert_eq!(labels[1], ("path".into(), "/x\"y\\z\n".into()));
    }
}
