//! What happened to each command, on disk before it happens: accepted, begun, spawned, ended, acknowledged.
//!
//! Records are length, CRC-32 and MessagePack, appended to one file; reading stops at the first bad one. The ends of
//! acknowledged commands stay for a while, so that a late repeat of a dispatch is answered and not executed.
//!
//! Invariant: a command is executed only after [`Journal::begin`] has returned, and that returns once per id unless the
//! command is idempotent.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use protocol::{Command, CommandState};
use serde::{Deserialize, Serialize};

/// Ends of acknowledged commands that are remembered.
const REMEMBERED: usize = 1000;
/// The file is written anew when it has grown past this.
const COMPACT_BYTES: u64 = 4 * 1024 * 1024;
const MAX_RECORD: usize = 16 * 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    Accepted {
        at_ms: i64,
        command: Box<Command>,
    },
    Begun {
        id: String,
        at_ms: i64,
    },
    Spawned {
        id: String,
        process: Leader,
    },
    Ended {
        id: String,
        at_ms: i64,
        state: CommandState,
    },
    Acknowledged {
        id: String,
    },
}

/// The first process of a command, told from a later one with the same number by boot and start time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leader {
    pub(crate) pid: u32,
    pub(crate) started_ticks: u64,
    pub(crate) boot_id: String,
}

/// Where a command stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Absent once it has been acknowledged.
    pub(crate) command: Option<Box<Command>>,
    pub(crate) accepted_at_ms: i64,
    pub(crate) at_ms: i64,
    pub(crate) state: CommandState,
    pub(crate) leader: Option<Leader>,
    pub(crate) acknowledged: bool,
}

pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// The good records; what the file holds beyond them is half of one.
    bytes: u64,
    /// Its size when it was last written anew.
    compacted: u64,
    entries: BTreeMap<String, Entry>,
    /// Acknowledged ids, oldest first.
    remembered: Vec<String>,
}

impl Journal {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            bytes: 0,
            compacted: 0,
            entries: BTreeMap::new(),
            remembered: Vec::new(),
        };
        let (records, good) = parse(&bytes);
        for record in records {
            journal.apply(record);
        }
        if good < bytes.len() {
            tracing::warn!(
                cut = bytes.len() - good,
                "the journal of commands has a damaged end; cut off"
            );
        }
        journal.bytes = good as u64;
        if let Err(error) = journal.compact() {
            // The disk may be full. What is there is good up to here, and is cut before the next record.
            tracing::warn!(%error, "failed to write the journal of commands anew");
        }
        Ok(journal)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// Commands that have not been acknowledged.
    pub(crate) fn open_entries(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.entries.iter().filter(|(_, entry)| !entry.acknowledged)
    }

    /// True when the command is new.
    pub(crate) fn accept(&mut self, command: Command, at_ms: i64) -> io::Result<bool> {
        if self.entries.contains_key(&command.id) {
            return Ok(false);
        }
        self.write(
            Record::Accepted {
                at_ms,
                command: Box::new(command),
            },
            true,
        )?;
        Ok(true)
    }

    /// True when the caller may execute the command now.
    pub(crate) fn begin(&mut self, id: &str, at_ms: i64) -> io::Result<bool> {
        let may = match self.entries.get(id) {
            Some(Entry {
                state: CommandState::Accepted,
                ..
            }) => true,
            Some(Entry {
                state: CommandState::Running,
                command: Some(command),
                ..
            }) => command.idempotent,
            _ => false,
        };
        if may {
            self.write(
                Record::Begun {
                    id: id.to_owned(),
                    at_ms,
                },
                true,
            )?;
        }
        Ok(may)
    }

    pub(crate) fn spawned(&mut self, id: &str, process: Leader) -> io::Result<()> {
        self.write(
            Record::Spawned {
                id: id.to_owned(),
                process,
            },
            false,
        )
    }

    pub(crate) fn end(&mut self, id: &str, state: CommandState, at_ms: i64) -> io::Result<()> {
        self.write(
            Record::Ended {
                id: id.to_owned(),
                at_ms,
                state,
            },
            true,
        )
    }

    pub(crate) fn acknowledge(&mut self, id: &str) -> io::Result<()> {
        match self.entries.get(id) {
            Some(entry) if entry.state.is_end() && !entry.acknowledged => {
                self.write(Record::Acknowledged { id: id.to_owned() }, false)
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, record: Record, durable: bool) -> io::Result<()> {
        let bytes = encode(&record)?;
        self.cut_torn_end()?;
        let written = self.file.write_all(&bytes);
        // After a failed wait for the disk nobody knows what is on it: the record counts as not written.
        let written = written.and_then(|()| if durable { self.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            let _ = self.cut_torn_end();
            return Err(error);
        }
        self.bytes += bytes.len() as u64;
        self.apply(record);
        if self.bytes > COMPACT_BYTES.max(2 * self.compacted)
            && let Err(error) = self.compact()
        {
            // The record itself is safe; it is tried again when the file has grown.
            tracing::warn!(%error, "failed to write the journal of commands anew");
            self.compacted = self.bytes;
        }
        Ok(())
    }

    /// Half a record at the end would hide all that follow it from the next run.
    fn cut_torn_end(&mut self) -> io::Result<()> {
        let mut metadata = self.file.metadata()?;
        if metadata.nlink() == 0 {
            // It was written anew, and what came of it could not be opened then.
            self.file = OpenOptions::new().append(true).open(&self.path)?;
            metadata = self.file.metadata()?;
            self.bytes = parse(&std::fs::read(&self.path)?).1 as u64;
        }
        if metadata.len() > self.bytes {
            self.file.set_len(self.bytes)?;
        }
        Ok(())
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Accepted { at_ms, command } => {
                let id = command.id.clone();
                let entry = Entry {
                    command: Some(command),
                    accepted_at_ms: at_ms,
                    at_ms,
                    state: CommandState::Accepted,
                    leader: None,
                    acknowledged: false,
                };
                self.entries.insert(id, entry);
            }
            Record::Begun { id, at_ms } => self.change(&id, |entry| {
                (entry.state, entry.at_ms, entry.leader) = (CommandState::Running, at_ms, None);
            }),
            Record::Spawned { id, process } => self.change(&id, |entry| entry.leader = Some(process)),
            Record::Ended { id, at_ms, state } => self.change(&id, |entry| {
                (entry.state, entry.at_ms, entry.leader) = (state, at_ms, None);
            }),
            Record::Acknowledged { id } => {
                self.change(&id, |entry| (entry.acknowledged, entry.command) = (true, None));
                self.remembered.push(id);
                if self.remembered.len() > REMEMBERED {
                    let oldest = self.remembered.remove(0);
                    self.entries.remove(&oldest);
                }
            }
        }
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(id) {
            change(entry);
        }
    }

    /// Writes the file anew with what is still of use.
    fn compact(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        for id in &self.remembered {
            if let Some(entry) = self.entries.get(id) {
                // The command itself is gone; a stand-in carries the id.
                bytes.extend(
                    records(id, entry)
                        .iter()
                        .map(encode)
                        .collect::<io::Result<Vec<_>>>()?
                        .concat(),
                );
            }
        }
        for (id, entry) in self.entries.iter().filter(|(_, entry)| !entry.acknowledged) {
            bytes.extend(
                records(id, entry)
                    .iter()
                    .map(encode)
                    .collect::<io::Result<Vec<_>>>()?
                    .concat(),
            );
        }
        crate::state::replace(&self.path, &bytes, true)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.bytes = bytes.len() as u64;
        self.compacted = self.bytes;
        Ok(())
    }
}

/// The records that lead to an entry.
fn records(id: &str, entry: &Entry) -> Vec<Record> {
    let command = entry.command.clone().unwrap_or_else(|| Box::new(stand_in(id)));
    let mut records = vec![Record::Accepted {
        at_ms: entry.accepted_at_ms,
        command,
    }];
    if entry.state == CommandState::Running {
        records.push(Record::Begun {
            id: id.to_owned(),
            at_ms: entry.at_ms,
        });
        records.extend(entry.leader.clone().map(|process| Record::Spawned {
            id: id.to_owned(),
            process,
        }));
    }
    if entry.state.is_end() {
        records.push(Record::Ended {
            id: id.to_owned(),
            at_ms: entry.at_ms,
            state: entry.state.clone(),
        });
    }
    if entry.acknowledged {
        records.push(Record::Acknowledged { id: id.to_owned() });
    }
    records
}

fn stand_in(id: &str) -> Command {
    let action = protocol::Action::Service {
        name: String::new(),
        verb: protocol::ServiceVerb::Start,
    };
    Command {
        id: id.to_owned(),
        action,
        timeout_ms: 0,
        output_cap_bytes: 0,
        idempotent: false,
    }
}

fn encode(record: &Record) -> io::Result<Vec<u8>> {
    let body = rmp_serde::to_vec_named(record).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(body.len() + 8);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// The good records at the front, and how many bytes they take.
pub(crate) fn parse(bytes: &[u8]) -> (Vec<Record>, usize) {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some((record, next)) = parse_one(bytes, at) {
        records.push(record);
        at = next;
    }
    (records, at)
}

fn parse_one(bytes: &[u8], at: usize) -> Option<(Record, usize)> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (length, crc) = (word(at)? as usize, word(at + 4)?);
    let body = bytes.get(at + 8..(at + 8).checked_add(length.min(MAX_RECORD))?)?;
    if body.len() != length || crc32fast::hash(body) != crc {
        return None;
    }
    Some((rmp_serde::from_slice(body).ok()?, at + 8 + length))
}

#[cfg(test)]
mod tests;
