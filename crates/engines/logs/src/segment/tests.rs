//! Segments come back as written, and damage is seen.
use super::*;
use crate::columns::{Batch, Columns};
use crate::head::Head;

const LIMITS: BlockLimits = BlockLimits {
    bytes: 1 << 20,
    rows: 3,
};

fn sealed(dir: &Path) -> Segment {
    let mut head = Head::new(7);
    let streams = vec![Labels::new([("host", "a")]), Labels::new([("host", "b")])];
    for index in 0..8u64 {
        let mut batch = Batch {
            streams: streams.clone(),
            columns: Columns::default(),
        };
        let at_ms = 100 - index as i64 * 10;
        batch.columns.push(
            Position::new(at_ms, 0),
            u32::from(index > 5),
            (index % 9) as u8,
            &format!("line {index}"),
        );
        head.push(&batch, index);
    }
    let path = write(dir, &head.into_frozen(), 4000, LIMITS).unwrap();
    Segment::load(&path).unwrap()
}

#[test]
fn blocks_come_back_in_order_of_position() {
    let dir = tempfile::tempdir().unwrap();
    let segment = sealed(dir.path());
    assert_eq!(
        (segment.generation, segment.rows(), segment.sealed_ms),
        (7, 8, 4000)
    );
    assert_eq!(
        (segment.oldest_ms(), segment.newest_ms(), segment.max_seq()),
        (30, 100, 7)
    );
    assert_eq!(segment.expires_from_ms(), 100);
    assert_eq!(
        segment.blocks.iter().map(|block| block.rows).collect::<Vec<_>>(),
        [3, 3, 2]
    );
    assert_eq!(segment.blocks[0].streams, [0, 1]);
    assert_eq!(segment.blocks[2].streams, [0]);
    let open = segment.open().unwrap();
    let columns = open.columns(&segment.blocks[0], true).unwrap();
    assert_eq!(
        (0..3).map(|row| columns.text(row)).collect::<Vec<_>>(),
        ["line 7", "line 6", "line 5"]
    );
    assert!(open.filter(&segment.blocks[0]).unwrap().may_contain("line 6"));
    assert!(!open.filter(&segment.blocks[0]).unwrap().may_contain("line 2"));
    assert_eq!(open.columns(&segment.blocks[2], false).unwrap().at_ms, [90, 100]);
    assert!(!segment.path.with_extension("tmp").exists());
}

#[test]
fn a_damaged_byte_is_seen_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let segment = sealed(dir.path());
    let good = std::fs::read(&segment.path).unwrap();
    for at in MAGIC.len()..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&segment.path, &bytes).unwrap();
        let Ok(loaded) = Segment::load(&segment.path) else {
            continue;
        };
        let open = loaded.open().unwrap();
        let unreadable =
            |block: &BlockMeta| open.columns(block, true).is_err() || open.filter(block).is_err();
        assert!(loaded.blocks.iter().any(unreadable), "byte {at}");
    }
    for len in 0..good.len() {
        std::fs::write(&segment.path, &good[..len]).unwrap();
        assert!(Segment::load(&segment.path).is_err(), "length {len}");
    }
}
