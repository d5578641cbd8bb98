//! The spool over crashes, damage and lack of room.

use super::*;

fn meta(seq: u64) -> Meta {
    Meta {
        seq,
        at_ms: seq.cast_signed() * 1000,
        samples: 10,
        lines: 1,
    }
}

fn drain(spool: &mut Spool) -> Vec<u64> {
    std::iter::from_fn(|| spool.next())
        .map(|(meta, _)| meta.seq)
        .collect()
}

#[test]
fn batches_come_back_in_order_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), 1 << 30).unwrap();
    for seq in 1..=5 {
        spool
            .append(meta(seq), &[u8::try_from(seq).unwrap(); 100])
            .unwrap();
    }
    assert_eq!(spool.next().unwrap().0, meta(1));
    // No graceful end: the file is simply opened again.
    let mut spool = Spool::open(dir.path(), 1 << 30).unwrap();
    let (first, frame) = spool.next().unwrap();
    assert_eq!((first, frame), (meta(1), vec![1; 100]));
    assert_eq!(drain(&mut spool), vec![2, 3, 4, 5]);
    spool.append(meta(6), b"x").unwrap();
    assert_eq!(drain(&mut spool), vec![6]);
    spool.rewind();
    spool.ack(3);
    assert_eq!(drain(&mut spool), vec![4, 5, 6]);
    assert!(!spool.is_empty());
    spool.ack(6);
    assert!(spool.is_empty());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_torn_tail_is_cut_and_the_rest_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), 1 << 30).unwrap();
    for seq in 1..=3 {
        spool.append(meta(seq), &[7; 50]).unwrap();
    }
    let path = std::fs::read_dir(dir.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let whole = std::fs::read(&path).unwrap();
    for cut in 1..whole.len() {
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let mut spool = Spool::open(dir.path(), 1 << 30).unwrap();
        let left = drain(&mut spool);
        let record = whole.len() / 3;
        assert_eq!(left.len(), (whole.len() - cut) / record, "cut {cut}");
        if !path.exists() {
            assert!(left.is_empty());
        }
    }
}

#[test]
fn a_flipped_bit_does_not_get_through() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), 1 << 30).unwrap();
    for seq in 1..=3 {
        spool.append(meta(seq), &[7; 50]).unwrap();
    }
    let path = std::fs::read_dir(dir.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let whole = std::fs::read(&path).unwrap();
    let middle = whole.len() / 2;
    let mut damaged = whole;
    damaged[middle] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let mut spool = Spool::open(dir.path(), 1 << 30).unwrap();
    assert_eq!(drain(&mut spool), vec![1]);
}

#[test]
fn a_full_spool_drops_the_oldest_and_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), 3 * SEGMENT_BYTES).unwrap();
    let frame = vec![1; 1 << 20];
    for seq in 1..=40 {
        spool.append(meta(seq), &frame).unwrap();
    }
    assert!(spool.bytes() <= 4 * SEGMENT_BYTES);
    let left = drain(&mut spool);
    assert_eq!(left.last(), Some(&40));
    let gap = spool.take_gap().unwrap();
    assert_eq!(gap.batches + left.len() as u64, 40);
    assert_eq!(
        (gap.from_ms, gap.samples, gap.lines),
        (1000, gap.batches * 10, gap.batches)
    );
    assert_eq!(gap.to_ms, (left[0].cast_signed() - 1) * 1000);
    assert!(spool.take_gap().is_none());
}

#[test]
fn every_file_is_forced_to_the_disk_and_the_folder_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), 1 << 30).unwrap();
    let frame = vec![1; 1 << 20];
    for seq in 1..=10 {
        spool.append(meta(seq), &frame).unwrap();
    }
    assert!(spool.segments.len() > 1 && spool.new_names);
    assert!(spool.segments.iter().all(Segment::is_dirty));
    spool.sync().unwrap();
    assert!(!spool.new_names && !spool.segments.iter().any(Segment::is_dirty));
}

#[test]
fn a_file_that_could_not_be_forced_to_the_disk_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), 1 << 30).unwrap();
    for seq in 1..=3 {
        spool.append(meta(seq), b"frame").unwrap();
    }
    spool.segments[0].rewrite().unwrap();
    spool.append(meta(4), b"more").unwrap();
    assert_eq!(drain(&mut spool), [1, 2, 3, 4]);
    let mut spool = Spool::open(dir.path(), 1 << 30).unwrap();
    assert_eq!(drain(&mut spool), [1, 2, 3, 4]);
}

#[test]
fn a_file_that_cannot_be_read_keeps_nobody_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), 1 << 30).unwrap();
    spool.append(meta(7), b"frame").unwrap();
    std::fs::create_dir(dir.path().join("00000000000000000001.seg")).unwrap();
    let mut spool = Spool::open(dir.path(), 1 << 30).unwrap();
    assert_eq!(drain(&mut spool), [7]);
}
