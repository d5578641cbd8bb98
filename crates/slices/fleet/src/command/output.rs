//! Collecting the output of one connection's commands, so that chatty programs make few writes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kernel::DbError;
use protocol::Stream;

use crate::Fleet;
use crate::model::{AgentId, CommandId};
use crate::store::{self, OutputChunk};

const LINGER: Duration = Duration::from_millis(100);
const MOST_BYTES: usize = 256 * 1024;

struct Piece {
    id: CommandId,
    stream: Stream,
    start_byte: u64,
    data: Vec<u8>,
}

/// How far a stream is stored, and how far it may go.
struct Extent {
    end: u64,
    cap: u64,
}

/// Deletes the output of commands that ended long ago, a stretch at a time.
pub async fn delete_old_output(fleet: &Fleet) -> Result<(), DbError> {
    let days = i64::try_from(fleet.settings().keep_output_days).unwrap_or(i64::MAX);
    let keep_us = days.saturating_mul(24 * 3600 * 1_000_000);
    let before = kernel::clock::from_micros(fleet.now().as_microsecond().saturating_sub(keep_us));
    while !fleet.kernel().stop.is_cancelled() {
        let mut tx = fleet.kernel().db.write().await?;
        let deleted = store::delete_output_before(&mut tx, before).await?;
        tx.commit().await?;
        if deleted == 0 {
            break;
        }
    }
    Ok(())
}

/// Output that is not stored yet.
pub struct Outputs {
    agent: AgentId,
    pending: Vec<Piece>,
    bytes: usize,
    since: Option<Instant>,
    extents: HashMap<(CommandId, Stream), Extent>,
}

impl Outputs {
    pub fn new(agent: AgentId) -> Self {
        Self {
            agent,
            pending: Vec::new(),
            bytes: 0,
            since: None,
            extents: HashMap::new(),
        }
    }

    /// When what is pending must be stored at the latest.
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + LINGER)
    }

    pub fn is_full(&self) -> bool {
        self.bytes >= MOST_BYTES
    }

    /// Takes a piece. What is known already or beyond the cap is dropped.
    pub async fn add(
        &mut self,
        fleet: &Fleet,
        id: &str,
        stream: Stream,
        offset: u64,
        mut data: Vec<u8>,
    ) -> Result<(), DbError> {
        let Ok(id) = id.parse::<CommandId>() else {
            return Ok(());
        };
        let Some(extent) = self.extent(fleet, &id, stream).await? else {
            return Ok(());
        };
        let known = usize::try_from(extent.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        if known >= data.len() {
            return Ok(());
        }
        data.drain(..known);
        let start_byte = offset.max(extent.end);
        let room = usize::try_from(extent.cap.saturating_sub(start_byte)).unwrap_or(usize::MAX);
        data.truncate(room);
        if data.is_empty() {
            return Ok(());
        }
        extent.end = start_byte + data.len() as u64;
        self.bytes += data.len();
        self.since.get_or_insert_with(Instant::now);
        // Neighbours become one chunk.
        match self.pending.last_mut() {
            Some(last)
                if last.id == id
                    && last.stream == stream
                    && last.start_byte + last.data.len() as u64 == start_byte =>
            {
                last.data.extend_from_slice(&data);
            }
            _ => self.pending.push(Piece {
                id,
                stream,
                start_byte,
                data,
            }),
        }
        Ok(())
    }

    /// `None` when the command is not one of this agent.
    async fn extent(
        &mut self,
        fleet: &Fleet,
        id: &CommandId,
        stream: Stream,
    ) -> Result<Option<&mut Extent>, DbError> {
        let key = (id.clone(), stream);
        if !self.extents.contains_key(&key) {
            let mut reader = fleet.kernel().db.read().await?;
            let command = store::command(&mut reader, id).await?;
            let Some(command) = command.filter(|command| command.agent == self.agent) else {
                return Ok(None);
            };
            let end = store::end_of_stream(&mut reader, id, stream).await?;
            let cap = command.output_cap_bytes;
            self.extents.insert(key.clone(), Extent { end, cap });
        }
        Ok(self.extents.get_mut(&key))
    }

    /// Stores everything that is pending and shows it to whoever watches.
    pub async fn flush(&mut self, fleet: &Fleet) -> Result<(), DbError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut tx = fleet.kernel().db.write().await?;
        let mut stored = Vec::new();
        for piece in &self.pending {
            let seq =
                store::insert_output(&mut tx, &piece.id, piece.stream, piece.start_byte, &piece.data).await?;
            stored.push(seq);
        }
        tx.commit().await?;
        self.bytes = 0;
        self.since = None;
        for (piece, seq) in self.pending.drain(..).zip(stored) {
            if let Some(seq) = seq {
                let chunk = OutputChunk {
                    seq,
                    stream: piece.stream,
                    start_byte: piece.start_byte,
                    data: piece.data,
                };
                fleet.hub().tell_output(piece.id.as_str(), chunk);
            }
        }
        Ok(())
    }

    /// The command has ended: nothing more will come.
    pub fn forget(&mut self, id: &str) {
        self.extents.retain(|(known, _), _| known.as_str() != id);
    }
}
