//! The metric store's files: chunks, the write-ahead log, blocks.

use std::path::Path;
use std::sync::OnceLock;

use tsdb::{Batch, Chunk, Durability, Labels, Matcher, Options, Sample, Tsdb};

use crate::scratch;

/// Bytes as samples survive the codec bit for bit; bytes as a chunk decode or are refused.
pub fn tsdb_chunk(data: &[u8]) {
    let samples: Vec<Sample> = data.chunks_exact(16).map(sample).collect();
    if let Some(chunk) = Chunk::encode(&samples) {
        let mut out = Vec::new();
        chunk
            .decode_range(i64::MIN, i64::MAX, &mut out)
            .expect("what was encoded decodes");
        assert!(out.len() == samples.len(), "a sample was lost");
        for ((t, v), sample) in out.iter().zip(&samples) {
            assert!(
                *t == sample.t_ms && v.to_bits() == sample.v.to_bits(),
                "a sample changed"
            );
        }
    }
    let chunk = Chunk {
        min_t: i64::MIN,
        max_t: i64::MAX,
        count: 1,
        data: data.into(),
    };
    let mut out = Vec::new();
    let _ = chunk.decode_range(i64::MIN, i64::MAX, &mut out);
    assert!(
        out.len() <= 1 + data.len() * 4,
        "more samples than the bytes can hold"
    );
}

fn sample(bytes: &[u8]) -> Sample {
    let (t, v) = bytes.split_at(8);
    let number = |part: &[u8]| u64::from_le_bytes(part.try_into().expect("8 bytes"));
    Sample {
        t_ms: number(t) as i64,
        v: f64::from_bits(number(v)),
    }
}

/// A log whose one frame has a right checksum and any payload, and any bytes behind it: the store opens and works.
pub fn tsdb_wal(data: &[u8]) {
    let (payload, rest) = split(data);
    let dir = scratch::folder();
    let mut log = frame(payload);
    log.extend_from_slice(rest);
    log.extend(frame(&wal_payload()));
    scratch::restore(dir.path(), &[("wal/0000000001.wal".into(), log)]);
    use_store(dir.path());
}

/// The first two bytes say how much of the rest is payload.
fn split(data: &[u8]) -> (&[u8], &[u8]) {
    match data.split_first_chunk::<2>() {
        Some((length, rest)) => rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len())),
        None => (data, &[]),
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length);
    crc.update(payload);
    let mut out = vec![0xd7, 0x4d, 0x57, 0x1b];
    out.extend_from_slice(&length);
    out.extend_from_slice(&crc.finalize().to_le_bytes());
    out.extend_from_slice(payload);
    out
}

/// Plain encoding; one series `a="b"`; two samples.
fn wal_payload() -> Vec<u8> {
    let mut payload = vec![0, 1, 5, 1, 1, b'a', 1, b'b', 2];
    for delta in [10u8, 0] {
        payload.extend_from_slice(&[delta, 2]);
        payload.extend_from_slice(&1.5f64.to_bits().to_le_bytes());
    }
    payload
}

/// A sound block with any damage; the index' checksum is made right again, so that its reader is reached.
pub fn tsdb_block(data: &[u8]) {
    let Some((which, edits)) = data.split_first() else {
        return;
    };
    let mut files = sound_store().clone();
    let inside: Vec<usize> = (0..files.len())
        .filter(|i| files[*i].0.starts_with("blocks/"))
        .collect();
    let chosen = inside[usize::from(*which) % inside.len()];
    let (name, bytes) = &mut files[chosen];
    scratch::edit(bytes, edits);
    if name.ends_with("index") && which & 0x80 == 0 && bytes.len() > 4 {
        let body = bytes.len() - 4;
        let crc = crc32fast::hash(&bytes[..body]).to_le_bytes();
        bytes[body..].copy_from_slice(&crc);
    }
    let dir = scratch::folder();
    scratch::restore(dir.path(), &files);
    use_store(dir.path());
}

fn options() -> Options {
    Options {
        block_ms: 60_000,
        max_block_ms: 240_000,
        durability: Durability::Async,
        ..Options::default()
    }
}

/// Whatever the files hold, the store opens, answers and takes new samples.
fn use_store(dir: &Path) {
    let db = Tsdb::open(dir, options()).expect("damage never stops the start");
    let any = Matcher::new(tsdb::MatchOp::Neq, "none", "x").expect("a valid matcher");
    let _ = db.select(std::slice::from_ref(&any), i64::MIN, i64::MAX);
    let _ = db.labels(&[], i64::MIN, i64::MAX);
    let _ = db.label_values("__name__", &[], i64::MIN, i64::MAX);
    let _ = db.series(std::slice::from_ref(&any), 0, 600_000);
    let _ = db.last(&[any]);
    let mut batch = Batch::new();
    batch.push(&Labels::from_pairs([("__name__", "after")]), 500_000, 1.0);
    let _ = db.append(&batch);
    let _ = db.maintain(900_000);
    let _ = (db.stats(), db.notices());
}

/// The files of a store with a few blocks.
fn sound_store() -> &'static Vec<(String, Vec<u8>)> {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let dir = scratch::folder();
        let db = Tsdb::open(dir.path(), options()).expect("a new store");
        let mut batch = Batch::new();
        for series in 0..6 {
            let name = format!("metric_{}", series % 3);
            let labels = Labels::from_pairs([("__name__", name.as_str()), ("host", &format!("h{series}"))]);
            for i in 0..40 {
                batch.push(&labels, i * 5_000, (i * series) as f64 / 3.0);
            }
        }
        db.append(&batch).expect("appended");
        db.maintain(400_000).expect("cut");
        drop(db);
        let files = scratch::files(dir.path());
        assert!(
            files.iter().any(|(name, _)| name.ends_with("index")),
            "no block was cut"
        );
        files
    })
}

pub fn chunk_seeds() -> Vec<Vec<u8>> {
    let samples: Vec<Sample> = (0..50)
        .map(|i| Sample {
            t_ms: i * 15_000,
            v: (i % 7) as f64 * 0.1,
        })
        .collect();
    let chunk = Chunk::encode(&samples).expect("samples");
    let raw = samples
        .iter()
        .flat_map(|s| [s.t_ms.to_le_bytes(), s.v.to_bits().to_le_bytes()].concat())
        .collect();
    vec![chunk.data.to_vec(), raw, vec![]]
}

pub fn wal_seeds() -> Vec<Vec<u8>> {
    let payload = wal_payload();
    let mut whole = (payload.len() as u16).to_le_bytes().to_vec();
    whole.extend_from_slice(&payload);
    let mut two = whole.clone();
    two.extend(frame(&payload));
    vec![whole, two, vec![0, 0]]
}

pub fn block_seeds() -> Vec<Vec<u8>> {
    (0..8u8)
        .flat_map(|which| {
            [
                vec![which, 9, 0, 1],
                vec![which, 60, 0, 0xff, 120, 0, 3],
                vec![which, 128],
            ]
        })
        .collect()
}
