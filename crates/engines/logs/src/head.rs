//! The lines that are not sealed yet, in memory, in chunks that readers share without copying.
use crate::columns::{Batch, Columns};
use crate::labels::Labels;
use crate::record::Position;
use std::collections::HashMap;
use std::sync::Arc;

/// A chunk is closed at this many bytes of text or rows, whichever comes first.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK_ROWS: usize = 4096;
/// What a row costs beside its text.
const ROW_BYTES: u64 = 32;

/// Lines in order of arrival, with the span of their positions.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub columns: Columns,
    pub first: Position,
    pub last: Position,
}

impl Chunk {
    fn starting_at(position: Position) -> Self {
        Chunk {
            columns: Columns::default(),
            first: position,
            last: position,
        }
    }

    fn is_full(&self) -> bool {
        self.columns.len() >= CHUNK_ROWS || self.columns.text_bytes() >= CHUNK_BYTES
    }
}

/// An unchanging view of a head: what readers and the sealing of segments work on.
#[derive(Debug, Clone)]
pub(crate) struct Frozen {
    pub generation: u64,
    pub streams: Arc<Vec<Labels>>,
    pub chunks: Vec<Arc<Chunk>>,
    pub rows: u64,
    pub bytes: u64,
}

/// The growing head. One per write-ahead log file; both share the generation number.
#[derive(Debug)]
pub(crate) struct Head {
    view: Frozen,
    ids: HashMap<Labels, u32>,
    /// When `maintain` first saw lines in it.
    pub seen_ms: Option<i64>,
}

impl Head {
    pub(crate) fn new(generation: u64) -> Self {
        let view = Frozen {
            generation,
            streams: Arc::default(),
            chunks: Vec::new(),
            rows: 0,
            bytes: 0,
        };
        Head {
            view,
            ids: HashMap::new(),
            seen_ms: None,
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.view.rows
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.view.bytes
    }

    pub(crate) fn view(&self) -> &Frozen {
        &self.view
    }

    pub(crate) fn into_frozen(self) -> Frozen {
        self.view
    }

    /// Adds the lines of a batch; the first gets the number `first_seq`.
    pub(crate) fn push(&mut self, batch: &Batch, first_seq: u64) {
        let ids: Vec<u32> = batch
            .streams
            .iter()
            .map(|labels| self.stream_id(labels))
            .collect();
        let columns = &batch.columns;
        for row in 0..columns.len() {
            let position = Position::new(columns.at_ms[row], first_seq + row as u64);
            let chunk = self.open_chunk(position);
            chunk.first = chunk.first.min(position);
            chunk.last = chunk.last.max(position);
            chunk.columns.push(
                position,
                ids[columns.stream[row] as usize],
                columns.severity[row],
                columns.text(row),
            );
        }
        self.view.rows += columns.len() as u64;
        self.view.bytes += columns.text_bytes() as u64 + columns.len() as u64 * ROW_BYTES;
    }

    fn stream_id(&mut self, labels: &Labels) -> u32 {
        if let Some(id) = self.ids.get(labels) {
            return *id;
        }
        // Copies the table only while a reader holds the old one.
        let streams = Arc::make_mut(&mut self.view.streams);
        let id = streams.len() as u32;
        streams.push(labels.clone());
        self.ids.insert(labels.clone(), id);
        id
    }

    /// The last chunk when it has room and no reader holds it, else a fresh one.
    fn open_chunk(&mut self, position: Position) -> &mut Chunk {
        let chunks = &mut self.view.chunks;
        let reusable = chunks
            .last_mut()
            .and_then(Arc::get_mut)
            .is_some_and(|chunk| !chunk.is_full());
        if !reusable {
            chunks.push(Arc::new(Chunk::starting_at(position)));
        }
        let last = chunks.len() - 1;
        // Invariant: the last chunk is unshared here, so this copies nothing.
        Arc::make_mut(&mut chunks[last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(text: &str) -> Batch {
        let mut columns = Columns::default();
        columns.push(Position::new(5, 0), 0, 3, text);
        Batch {
            streams: vec![Labels::new([("host", "a")])],
            columns,
        }
    }

    #[test]
    fn a_reader_keeps_its_view_while_the_head_grows() {
        let mut head = Head::new(1);
        head.push(&batch("one"), 10);
        let before = head.view().clone();
        head.push(&batch("two"), 11);
        head.push(&batch("three"), 12);
        let texts = |view: &Frozen| -> Vec<String> {
            let rows = |chunk: &Arc<Chunk>| {
                (0..chunk.columns.len())
                    .map(|row| chunk.columns.text(row).to_string())
                    .collect::<Vec<_>>()
            };
            view.chunks.iter().flat_map(rows).collect()
        };
        assert_eq!(texts(&before), ["one"]);
        assert_eq!(texts(head.view()), ["one", "two", "three"]);
        assert_eq!(head.view().streams.len(), 1);
        assert_eq!(head.view().chunks.len(), 2, "rows go into the open chunk");
        assert_eq!(head.view().chunks[1].columns.seq, [11, 12]);
    }
}
