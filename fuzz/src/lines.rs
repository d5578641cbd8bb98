//! Log search, and the log store's files.

use std::path::Path;
use std::sync::OnceLock;

use logs::{Labels, Logs, MatchOp, Matcher, Options, Query, Record, Selection, TextQuery};

use crate::scratch;

pub const QUERY_WORDS: &[&str] = &[
    "AND",
    "OR",
    "NOT",
    "(",
    ")",
    "/",
    "\\/",
    "(?i)",
    "\"",
    "\\\"",
    "severity:",
    "<=warning",
    "host:",
    ":",
    "*",
    " ",
    "[a-z]+",
    "{1000}",
    "(a*)*",
    "\\pL",
    "é",
    "\u{0}",
    "ß",
];

/// Parses a search and runs it over a small store; a page and the count must agree.
pub fn logs_query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = Matcher::new("host", MatchOp::Re, text);
    match TextQuery::parse(text) {
        Ok(query) => {
            let query = Query {
                selection: Selection::text(query),
                limit: 1000,
                ..Query::new(0, 100_000)
            };
            let page = store().query(&query).expect("a sound store answers");
            let counted = store().histogram(&query, 10_000).expect("a sound store counts");
            let counted: u64 = counted.buckets.iter().map(logs::Bucket::total).sum();
            assert_eq!(
                page.records.len() as u64,
                counted,
                "page and count of {text:?} differ"
            );
        }
        Err(error) => assert!(error.at <= text.chars().count(), "{error} lies behind {text:?}"),
    }
}

/// A log whose one frame has a right checksum and any payload, with any bytes behind it.
pub fn logs_wal(data: &[u8]) {
    let Some((generation_and_length, rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let (payload, rest) =
        rest.split_at(usize::from(u16::from_le_bytes(*generation_and_length)).min(rest.len()));
    let mut files = sealed().clone();
    let Some((_, log)) = files.iter_mut().rfind(|(name, _)| name.starts_with("wal-")) else {
        return;
    };
    log.extend(frame(1_000, payload));
    log.extend_from_slice(rest);
    let dir = scratch::folder();
    scratch::restore(dir.path(), &files);
    use_store(dir.path());
}

fn frame(first_seq: u64, payload: &[u8]) -> Vec<u8> {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&first_seq.to_le_bytes());
    crc.update(payload);
    let mut out = vec![0xF5, 0x4C, 0x97, 0x1E];
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc.finalize().to_le_bytes());
    out.extend_from_slice(&first_seq.to_le_bytes());
    out.extend_from_slice(payload);
    out
}

/// A sound segment with any damage; the footer's checksum is made right again, so that its reader is reached.
pub fn logs_segment(data: &[u8]) {
    let Some((which, edits)) = data.split_first() else {
        return;
    };
    let mut files = sealed().clone();
    let segments: Vec<usize> = (0..files.len())
        .filter(|i| files[*i].0.starts_with("seg-"))
        .collect();
    let (_, bytes) = &mut files[segments[usize::from(*which & 0x7f) % segments.len()]];
    scratch::edit(bytes, edits);
    if which & 0x80 == 0 {
        mend_footer(bytes);
    }
    let dir = scratch::folder();
    scratch::restore(dir.path(), &files);
    use_store(dir.path());
}

/// Trailer: length of the footer, its CRC, 8 bytes of magic.
fn mend_footer(bytes: &mut [u8]) {
    let Some(trailer) = bytes.len().checked_sub(16) else {
        return;
    };
    let length = u32::from_le_bytes(bytes[trailer..trailer + 4].try_into().expect("4 bytes"));
    if let Some(start) = trailer.checked_sub(length as usize) {
        let crc = crc32fast::hash(&bytes[start..trailer]).to_le_bytes();
        bytes[trailer + 4..trailer + 8].copy_from_slice(&crc);
    }
}

/// Whatever the files hold, the store opens, answers and takes new lines.
fn use_store(dir: &Path) {
    let store = Logs::open(dir, options()).expect("damage never stops the start");
    let all = Query {
        limit: 1000,
        ..Query::new(i64::MIN, i64::MAX)
    };
    let _ = store.query(&all);
    let _ = store.histogram(&Query::new(0, 100_000), 1_000);
    if let Ok(text) = TextQuery::parse("failed host:h1") {
        let _ = store.query(&Query {
            selection: Selection::text(text),
            ..Query::new(0, 100_000)
        });
    }
    let _ = store.labels(&Selection::default(), 0, i64::MAX);
    let _ = store.append(&[record(70_000)]);
    let _ = store.maintain(200_000);
    let _ = (store.stats(), store.take_notices());
}

fn options() -> Options {
    Options {
        segment_bytes: 2_000,
        block_bytes: 300,
        fsync: false,
        ..Options::default()
    }
}

fn record(at_ms: i64) -> Record {
    let texts = [
        "connection failed: timed out",
        "Accepted publickey for ops",
        "disk full on /var/log",
        "naïve ÄÖ ß 日本",
    ];
    let number = at_ms / 1000;
    Record {
        at_ms,
        labels: Labels::new([
            ("host", format!("h{}", number % 3)),
            ("unit", "ssh.service".to_owned()),
        ]),
        severity: u8::try_from(number % 9).ok().filter(|severity| *severity < 8),
        text: format!("{} #{number}", texts[number as usize % texts.len()]),
    }
}

/// The files of a store with segments and a log.
fn sealed() -> &'static Vec<(String, Vec<u8>)> {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let dir = scratch::folder();
        fill(dir.path());
        let files = scratch::files(dir.path());
        assert!(
            files.iter().any(|(name, _)| name.starts_with("seg-")),
            "nothing was sealed"
        );
        files
    })
}

fn fill(dir: &Path) -> Logs {
    let store = Logs::open(dir, options()).expect("a new store");
    for tens in 0..6 {
        let records: Vec<Record> = (0..10).map(|i| record((tens * 10 + i) * 1000)).collect();
        store.append(&records).expect("appended");
        if tens < 5 {
            store.maintain(100_000).expect("sealed");
        }
    }
    store
}

fn store() -> &'static Logs {
    static STORE: OnceLock<(tempfile::TempDir, Logs)> = OnceLock::new();
    let (_, logs) = STORE.get_or_init(|| {
        let dir = scratch::folder();
        let logs = fill(dir.path());
        (dir, logs)
    });
    logs
}

pub fn query_seeds() -> Vec<Vec<u8>> {
    [
        "disk full",
        "\"timed out\" OR accepted",
        "/time(d )?out/ AND NOT host:h1",
        "unit:ssh* severity:<=warning",
        "(a OR b) host:\"h 2\" unit:/^ssh/",
        "*",
        "/var/log ÄÖ",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect()
}

pub fn wal_seeds() -> Vec<Vec<u8>> {
    let logs = sealed().iter().filter(|(name, _)| name.starts_with("wal-"));
    let mut seeds = vec![vec![0, 0], vec![4, 0, 1, 2, 3, 4]];
    for (_, bytes) in logs {
        // The payload of the first frame: after the file's header (28) and the frame's (20).
        let payload = bytes.get(48..).unwrap_or_default();
        let mut seed = (payload.len() as u16).to_le_bytes().to_vec();
        seed.extend_from_slice(payload);
        seeds.push(seed);
    }
    seeds
}

pub fn segment_seeds() -> Vec<Vec<u8>> {
    (0..6u8)
        .flat_map(|which| {
            [
                vec![which, 9, 0, 1],
                vec![which, 60, 2, 0xff, 20, 1, 3],
                vec![which, 128],
            ]
        })
        .collect()
}
