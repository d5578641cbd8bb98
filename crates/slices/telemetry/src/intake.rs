//! Batches from agents: dictionaries of series by connection, log lines with the host's labels, gaps as events.
//!
//! A batch may come again after a crash. Samples are the same by their time; lines and gaps are stored with the batch's number.

use fleet::{HostRef, Intake, Renew};
use kernel::{Actor, AnyError, BoxFuture, NewEvent};
use logs::Record;
use protocol::{Batch, Body, Gap, LogLine, LogSource};

use crate::dictionary::Metrics;
use crate::ingest::Sender;
use crate::log_time::Frame;
use crate::{Telemetry, store};

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
                        let series = (connection, *epoch);
                        let (define, samples) = self.within_share(host, series, define, samples).await?;
                        let metrics = Metrics {
                            epoch: *epoch,
                            define: &define,
                            samples: &samples,
                            is_complete: batch.spooled,
                        };
                        let (resolved, unknown) = self
                            .0
                            .dictionaries
                            .resolve(&host.name, connection, &metrics)
                            .map_err(Renew)?;
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
        self.shares().forget(connection);
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
