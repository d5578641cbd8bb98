//! The order, completeness and safety of batches over connections and restarts.

use protocol::{Body, ToServer};

use super::*;

struct Bench {
    dir: tempfile::TempDir,
    series: Series,
    batches: Batches,
}

fn open(dir: &Path, series: &Series) -> Batches {
    let checkpoints = Checkpoints::open(&dir.join("checkpoints.json"));
    Batches::open(dir, 1 << 30, series.clone(), checkpoints, "boot", 1000).unwrap()
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let series = Series::default();
        let batches = open(dir.path(), &series);
        Self { dir, series, batches }
    }

    /// Killed: opened again without an end.
    fn killed(self) -> Self {
        let Self { dir, series, batches } = self;
        drop(batches);
        let batches = open(dir.path(), &series);
        Self { dir, series, batches }
    }

    fn round(&mut self, id: u32, at_ms: i64) -> Vec<Batch> {
        self.batches
            .add(Observation::Samples(vec![Sample(id, at_ms, 1.0)]));
        decode(self.batches.flush(at_ms, true))
    }

    fn mark(&mut self, value: &str) {
        let line = LogLine {
            at_ms: 1,
            severity: None,
            program: None,
            pid: None,
            text: value.into(),
        };
        let mark = Mark {
            key: "file".into(),
            value: value.into(),
        };
        let source = LogSource {
            kind: "file".into(),
            name: "f".into(),
        };
        self.batches.add(Observation::Logs {
            source,
            lines: vec![line],
            mark,
        });
    }
}

fn decode(frames: Vec<Vec<u8>>) -> Vec<Batch> {
    let message = |frame: Vec<u8>| match protocol::decode(&frame[4..]).unwrap() {
        ToServer::Batch(batch) => batch,
        other => panic!("{other:?}"),
    };
    frames.into_iter().map(message).collect()
}

fn defined(batch: &Batch) -> Vec<u32> {
    let ids = |body: &Body| match body {
        Body::Metrics { define, .. } => define.iter().map(|def| def.id).collect(),
        _ => Vec::new(),
    };
    batch.body.iter().flat_map(ids).collect()
}

fn seqs(batches: &[Batch]) -> Vec<u64> {
    batches.iter().map(|batch| batch.seq).collect()
}

fn label(name: &str) -> protocol::Labels {
    vec![("__name__".into(), name.into())]
}

#[test]
fn live_batches_define_a_series_once_per_connection() {
    let mut bench = Bench::new();
    let (a, b) = (bench.series.add(label("a")), bench.series.add(label("b")));
    bench.batches.connected();
    let first = bench.round(a, 1);
    assert_eq!(
        (seqs(&first), defined(&first[0]), first[0].spooled),
        (vec![1], vec![a], false)
    );
    assert_eq!(defined(&bench.round(a, 2)[0]), Vec::<u32>::new());
    assert_eq!(defined(&bench.round(b, 3)[0]), vec![b]);
    bench.batches.ack(3);
    bench.batches.disconnected();
    bench.batches.connected();
    assert_eq!(defined(&bench.round(a, 4)[0]), vec![a]);
}

#[test]
fn what_is_not_acknowledged_comes_again_in_order_and_complete() {
    let mut bench = Bench::new();
    let a = bench.series.add(label("a"));
    bench.batches.connected();
    for at in 1..=3 {
        bench.round(a, at);
    }
    bench.batches.ack(1);
    bench.batches.disconnected();
    assert!(bench.round(a, 4).is_empty(), "offline: nothing to send now");
    let mut bench = bench.killed();
    bench.batches.connected();
    assert!(bench.round(a, 5).is_empty(), "the spool goes first");
    let sent = decode(bench.batches.drain(100));
    assert_eq!(seqs(&sent), vec![2, 3, 4, 5]);
    assert!(
        sent.iter()
            .all(|batch| batch.spooled && defined(batch) == vec![a])
    );
    bench.batches.ack(5);
    let live = bench.round(a, 6);
    assert_eq!((seqs(&live), live[0].spooled), (vec![6], false));
}

#[test]
fn a_server_that_does_not_acknowledge_moves_the_window_to_disk_without_repeats() {
    let mut bench = Bench::new();
    let a = bench.series.add(label("a"));
    bench.batches.connected();
    let mut sent = Vec::new();
    for at in 1..=(WINDOW as i64 + 10) {
        sent.extend(bench.round(a, at));
        sent.extend(decode(bench.batches.drain(100)));
    }
    let expected: Vec<u64> = (1..=WINDOW as u64).collect();
    assert_eq!(seqs(&sent), expected, "in flight is bounded");
    bench.batches.ack(WINDOW as u64);
    let rest = decode(bench.batches.drain(100));
    assert_eq!(
        seqs(&rest),
        (WINDOW as u64 + 1..=WINDOW as u64 + 10).collect::<Vec<_>>()
    );
}

#[test]
fn a_log_position_is_kept_only_when_its_lines_are_safe() {
    let mut bench = Bench::new();
    bench.batches.connected();
    bench.mark("10");
    bench.batches.flush(1, true);
    assert_eq!(
        bench.batches.checkpoints.get("file"),
        None,
        "sent, not acknowledged"
    );
    bench.batches.ack(1);
    assert_eq!(bench.batches.checkpoints.get("file").as_deref(), Some("10"));
    bench.mark("20");
    bench.batches.flush(2, true);
    bench.batches.disconnected();
    assert_eq!(
        bench.batches.checkpoints.get("file").as_deref(),
        Some("20"),
        "in the spool"
    );
}

#[test]
fn a_kill_loses_only_what_was_in_memory_and_says_so() {
    let mut bench = Bench::new();
    let a = bench.series.add(label("a"));
    bench.batches.connected();
    bench.round(a, 1);
    bench.round(a, 2);
    let mut bench = bench.killed();
    bench.batches.connected();
    let batches = decode(bench.batches.flush(3, true));
    let gaps: Vec<_> = batches[0]
        .body
        .iter()
        .filter(|body| matches!(body, Body::Gap(gap) if gap.batches == 2))
        .collect();
    assert_eq!((batches[0].seq, gaps.len()), (3, 1));
}

#[test]
fn a_graceful_end_keeps_everything() {
    let mut bench = Bench::new();
    let a = bench.series.add(label("a"));
    bench.batches.connected();
    bench.round(a, 1);
    bench.batches.add(Observation::Samples(vec![Sample(a, 2, 1.0)]));
    bench.batches.close(2);
    let mut bench = bench.killed();
    bench.batches.connected();
    assert!(bench.batches.flush(3, true).is_empty(), "no gap is told");
    assert_eq!(seqs(&decode(bench.batches.drain(100))), vec![1, 2]);
}

#[test]
fn large_batches_do_not_pile_up_in_memory() {
    let mut bench = Bench::new();
    bench.batches.connected();
    for number in 0..20 {
        bench.mark(&format!("{number}{}", "x".repeat(500_000)));
        bench.batches.flush(number, true);
    }
    assert!(bench.batches.window_bytes <= WINDOW_BYTES);
    assert!(bench.batches.spool_bytes() > 0);
}

#[test]
fn what_may_not_be_sent_goes_to_the_spool() {
    let mut bench = Bench::new();
    bench.batches.connected();
    bench.mark("1");
    assert!(bench.batches.flush(1, false).is_empty());
    assert_eq!(seqs(&decode(bench.batches.drain(100))), vec![1]);
}
