//! A batch as bytes: its frame for the wire and the spool, the definitions of its series, its size in memory.

use protocol::{Batch, Body, LogLine, Sample, SeriesDef, ToServer};

use crate::collect::series::Series;

/// What a batch takes in memory, roughly.
pub(super) fn weight(batch: &Batch) -> usize {
    let of_body = |body: &Body| match body {
        Body::Metrics { samples, .. } => samples.len() * size_of::<Sample>(),
        Body::Logs { lines, .. } => lines
            .iter()
            .map(|line| line.text.len() + size_of::<LogLine>())
            .sum(),
        Body::Facts(facts) => (facts.packages.len() + facts.peers.len() + facts.listening.len()) * 200,
        Body::Units { .. } | Body::Gap(_) => 256,
    };
    batch.body.iter().map(of_body).sum()
}

pub(super) fn definitions(series: &Series, ids: Vec<u32>) -> Vec<SeriesDef> {
    let define = |id| {
        Some(SeriesDef {
            id,
            labels: series.labels(id)?.as_ref().clone(),
        })
    };
    ids.into_iter().filter_map(define).collect()
}

pub(super) fn frame(batch: Batch) -> Option<Vec<u8>> {
    let seq = batch.seq;
    match protocol::encode(&ToServer::Batch(batch)) {
        Ok(frame) => Some(frame),
        Err(error) => {
            tracing::error!(%error, seq, "a batch cannot be encoded and is dropped");
            None
        }
    }
}
