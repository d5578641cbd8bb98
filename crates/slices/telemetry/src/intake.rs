//! Batches from agents: dictionaries of series by connection, log lines with the host's labels, gaps as events.
//!
//! A batch may come again after a crash. Samples are the same by their time; lines and gaps are stored with the batch's number.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fleet::{HostRef, Intake, Rejected};
use kernel::{Actor, AnyError, BoxFuture, NewEvent};
use logs::Record;
use protocol::{Batch, Body, Gap, LogLine, LogSource, Sample, SeriesDef};

use crate::ingest::{Sender, SeriesEntry};
use crate::log_time::Frame;
use crate::{Telemetry, store};

/// Definitions that one connection may hold; an agent that sends more is refused, not served from a full memory.
const MAX_DEFINITIONS: usize = 200_000;

/// Epoch and number → series, of one connection.
type Dictionary = HashMap<(u64, u32), SeriesEntry>;

/// A sample with its series.
type Row = (SeriesEntry, i64, f64);

/// Series that samples refer to, by connection and epoch.
#[derive(Default)]
pub(crate) struct Dictionaries(Mutex<HashMap<u64, Dictionary>>);

impl Dictionaries {
    fn resolve(
        &self,
        host: &HostRef,
        connection: u64,
        epoch: u64,
        define: &[SeriesDef],
        samples: &[Sample],
    ) -> Result<(Vec<Row>, usize), AnyError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(connection).or_default();
        if known.len() + define.len() > MAX_DEFINITIONS {
            let reason = format!(
                "the agent on {} defines more than {MAX_DEFINITIONS} series",
                host.name
            );
            return Err(Rejected(reason).into());
        }
        // A spooled batch brings an epoch of its own, so only the live epoch and the one at hand are worth keeping.
        if !define.is_empty() && !known.contains_key(&(epoch, define[0].id)) {
            let live = known.keys().map(|(of, _)| *of).min();
            known.retain(|(of, _), _| Some(*of) == live || *of == epoch);
        }
        for def in define {
            let pairs = def.labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
            known.insert((epoch, def.id), SeriesEntry::new(&host.name, "mainstay", pairs));
        }
        let resolved: Vec<_> = samples
            .iter()
            .filter_map(|Sample(id, t_ms, value)| {
                known
                    .get(&(epoch, *id))
                    .map(|entry| (entry.clone(), *t_ms, *value))
            })
            .collect();
        let unknown = samples.len() - resolved.len();
        Ok((resolved, unknown))
    }

    fn forget(&self, connection: u64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&connection);
    }
}

impl Intake for Telemetry {
    fn take<'a>(
        &'a self,
        host: &'a HostRef,
        connection: u64,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<(), AnyError>> {
        Box::pin(async move {
            let (mut lines, mut gaps) = (Vec::new(), Vec::new());
            for body in &batch.body {
                match body {
                    Body::Metrics {
                        epoch,
                        define,
                        samples,
                    } => {
                        let (resolved, unknown) = self
                            .0
                            .dictionaries
                            .resolve(host, connection, *epoch, define, samples)?;
                        self.count_undefined(host, unknown);
                        self.ingest_samples_of(&host.name, resolved, !batch.spooled)
                            .await?;
                    }
                    Body::Logs { source, lines: said } => {
                        lines.extend(self.records(host, source, said, batch.at_ms));
                    }
                    Body::Gap(gap) => gaps.push(gap),
                    Body::Units { .. } | Body::Facts(_) => {}
                }
            }
            let sender = Sender {
                agent: host.agent_id.clone(),
                seq: batch.seq,
                at_ms: batch.at_ms,
            };
            self.ingest_lines_from(sender, lines).await?;
            if !gaps.is_empty() {
                self.note_gaps(host, batch, &gaps).await?;
            }
            Ok(())
        })
    }

    fn forget(&self, connection: u64) {
        self.0.dictionaries.forget(connection);
    }
}

impl Telemetry {
    fn count_undefined(&self, host: &HostRef, unknown: usize) {
        if unknown > 0 {
            self.kernel()
                .metrics
                .counter("mainstay_samples_undefined_total", &[("host", &host.name)])
                .add(unknown as u64);
            tracing::warn!(
                host = host.name,
                unknown,
                "samples of series that the agent has not defined"
            );
        }
    }

    /// Lines as they are stored, those with an impossible time under the time of their reading.
    fn records(&self, host: &HostRef, source: &LogSource, lines: &[LogLine], batch_ms: i64) -> Vec<Record> {
        let now_ms = self.now_ms();
        let frame = Frame {
            batch_ms,
            now_ms,
            oldest_ms: now_ms.saturating_sub(self.0.log_retention_ms),
        };
        let mut retimed = 0;
        let records = lines.iter().map(|line| {
            let (at_ms, is_other) = frame.time_of(line.at_ms);
            retimed += u64::from(is_other);
            Record {
                at_ms,
                labels: labels(host, source, line),
                severity: line.severity,
                text: line.text.clone(),
            }
        });
        let records = records.collect();
        if retimed > 0 {
            self.kernel()
                .metrics
                .counter("mainstay_log_lines_retimed_total", &[("host", &host.name)])
                .add(retimed);
        }
        records
    }

    /// What an agent had to drop is marked on the timeline: a hole in a chart has a reason.
    async fn note_gaps(&self, host: &HostRef, batch: &Batch, gaps: &[&Gap]) -> Result<(), AnyError> {
        let mut tx = self.kernel().db.write().await?;
        if !store::mark_gap(&mut tx, &host.agent_id, batch.seq, batch.at_ms).await? {
            return Ok(());
        }
        for gap in gaps {
            let data = serde_json::json!({
                "host": host.name, "from_ms": gap.from_ms, "to_ms": gap.to_ms, "batches": gap.batches,
                "samples": gap.samples, "lines": gap.lines, "reason": gap.reason,
            });
            let event = NewEvent::new("telemetry.gap", &host.item_id, &data);
            tx.append(&Actor::system("telemetry"), event).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

fn labels(host: &HostRef, source: &LogSource, line: &LogLine) -> logs::Labels {
    let mut labels = vec![("host", host.name.as_str()), ("source", source.kind.as_str())];
    match source.kind.as_str() {
        "file" => labels.push(("file", &source.name)),
        _ => labels.push(("unit", &source.name)),
    }
    if let Some(program) = &line.program {
        labels.push(("program", program));
    }
    logs::Labels::new(labels)
}
