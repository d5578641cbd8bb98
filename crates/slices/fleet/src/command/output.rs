//! Collecting the output of one connection's commands, so that chatty programs make few writes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kernel::DbError;
use protocol::Stream;

use crate::Fleet;
use crate::model::{AgentId, CommandId};
use crate::secret;
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
    secrets: secret::Shared,
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
        let has_secrets = !extent.secrets.is_empty();
        self.bytes += data.len();
        self.since.get_or_insert_with(Instant::now);
        // Neighbours become one chunk.
        let is_before = |last: &&mut Piece| {
            last.id == id && last.stream == stream && last.start_byte + last.data.len() as u64 == start_byte
        };
        // What waits for the rest of a secret is not the last any more when other streams wrote meanwhile.
        let looked_at = if has_secrets { usize::MAX } else { 1 };
        match self.pending.iter_mut().rev().take(looked_at).find(is_before) {
            Some(last) => {
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
            drop(reader);
            let extent = Extent {
                end,
                cap: command.output_cap_bytes,
                secrets: fleet.secrets_of(&command.reference).await?,
            };
            self.extents.insert(key.clone(), extent);
        }
        Ok(self.extents.get_mut(&key))
    }

    /// Covers secrets in what is pending. What may be the beginning of one stays until more comes, or the command `ended`.
    fn cover(&mut self, ended: Option<&str>) -> Vec<Piece> {
        let mut waiting = Vec::new();
        for piece in &mut self.pending {
            let key = (piece.id.clone(), piece.stream);
            let Some(secrets) = self.extents.get(&key).map(|extent| extent.secrets.clone()) else {
                continue;
            };
            secret::mask(&mut piece.data, &secrets);
            if ended == Some(piece.id.as_str()) {
                continue;
            }
            let rest = secret::open_end(&piece.data, &secrets);
            if rest > 0 {
                let data = piece.data.split_off(piece.data.len() - rest);
                waiting.push(Piece {
                    id: piece.id.clone(),
                    stream: piece.stream,
                    start_byte: piece.start_byte + piece.data.len() as u64,
                    data,
                });
            }
        }
        self.pending.retain(|piece| !piece.data.is_empty());
        waiting
    }

    /// Stores everything that is pending and shows it to whoever watches.
    pub async fn flush(&mut self, fleet: &Fleet) -> Result<(), DbError> {
        self.flush_ended(fleet, None).await
    }

    /// The same when a command has ended: nothing of it stays.
    pub async fn flush_ended(&mut self, fleet: &Fleet, ended: Option<&str>) -> Result<(), DbError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let waiting = self.cover(ended);
        let stored = self.store(fleet).await;
        // In front of what comes, also when the database does not take the rest now.
        match &stored {
            Ok(()) => self.pending = waiting,
            Err(_) => self.pending.extend(waiting),
        }
        self.bytes = self.pending.iter().map(|piece| piece.data.len()).sum();
        stored
    }

    async fn store(&mut self, fleet: &Fleet) -> Result<(), DbError> {
        let mut tx = fleet.kernel().db.write().await?;
        let mut stored = Vec::new();
        for piece in &self.pending {
            let seq =
                store::insert_output(&mut tx, &piece.id, piece.stream, piece.start_byte, &piece.data).await?;
            stored.push(seq);
        }
        tx.commit().await?;
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
