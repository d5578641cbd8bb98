//! The live connections, in memory: who is there, how to reach them, when they were last heard.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use protocol::{Identity, ToAgent};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use kernel::Wake;

use crate::clock::HostClock;
use crate::intake::HostRef;
use crate::model::AgentId;
use crate::session::is_same_machine;
use crate::store::OutputChunk;

/// One connection of an agent.
pub struct Session {
    /// Never used twice.
    pub connection: u64,
    pub agent: AgentId,
    pub identity: Identity,
    pub outgoing: mpsc::Sender<ToAgent>,
    /// Ends the connection.
    pub cut: CancellationToken,
    /// The connection is over and everything of it is recorded.
    pub done: CancellationToken,
    /// There are commands to send.
    pub work: Wake,
    /// Number and time of the last batch that is durable.
    pub seq: AtomicU64,
    pub seq_at_ms: AtomicI64,
    /// The last number that the database knows.
    pub flushed_seq: AtomicU64,
    /// How far the clock is off, as the database knows it.
    pub saved_offset_ms: AtomicI64,
    /// The reader waits for us, so silence is not the agent's.
    pub is_held: AtomicBool,
    /// The agent was asked to slow down.
    pub is_throttled: AtomicBool,
    host: RwLock<HostRef>,
    clock: Mutex<HostClock>,
    heard: Mutex<Instant>,
}

impl Session {
    pub fn new(
        connection: u64,
        agent: AgentId,
        identity: Identity,
        host: HostRef,
        outgoing: mpsc::Sender<ToAgent>,
        cut: CancellationToken,
    ) -> Self {
        Self {
            connection,
            agent,
            identity,
            outgoing,
            cut,
            done: CancellationToken::new(),
            work: Wake::default(),
            seq: AtomicU64::new(0),
            seq_at_ms: AtomicI64::new(0),
            flushed_seq: AtomicU64::new(0),
            saved_offset_ms: AtomicI64::new(i64::MIN / 2),
            is_held: AtomicBool::new(false),
            is_throttled: AtomicBool::new(false),
            host: RwLock::new(host),
            clock: Mutex::default(),
            heard: Mutex::new(Instant::now()),
        }
    }

    pub fn host(&self) -> HostRef {
        self.host.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_host(&self, host: HostRef) {
        *self.host.write().unwrap_or_else(PoisonError::into_inner) = host;
    }

    /// What is known of the host's clock.
    pub fn clock(&self) -> MutexGuard<'_, HostClock> {
        lock(&self.clock)
    }

    /// Asks for a sign of life, and for the host's clock. A full queue has signs of its own.
    pub fn ping(&self) {
        let nonce = self.clock().ping(Instant::now());
        let _ = self.outgoing.try_send(ToAgent::Ping { nonce });
    }

    pub fn note_heard(&self) {
        *lock(&self.heard) = Instant::now();
    }

    pub fn heard(&self) -> Instant {
        *lock(&self.heard)
    }

    /// How long the agent has been silent by its own doing.
    pub fn silence(&self) -> Duration {
        if self.is_held.load(Ordering::SeqCst) {
            return Duration::ZERO;
        }
        self.heard().elapsed()
    }

    /// Is this the same machine, as far as two greetings can tell?
    pub fn is_same_machine(&self, identity: &Identity) -> bool {
        is_same_machine(&self.identity, identity)
    }
}

/// An agent whose connection ended, and when it becomes lost.
#[derive(Clone, Debug)]
pub struct Absent {
    pub lost_at: Instant,
    /// `None` when this process has not heard it: the database knows better.
    pub heard: Option<Instant>,
}

/// All of them.
#[derive(Default)]
pub struct Hub {
    sessions: Mutex<HashMap<AgentId, Arc<Session>>>,
    absent: Mutex<HashMap<AgentId, Absent>>,
    watchers: Mutex<HashMap<String, broadcast::Sender<OutputChunk>>>,
    duplicates: Mutex<HashMap<AgentId, Instant>>,
    connections: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub fn session(&self, agent: &AgentId) -> Option<Arc<Session>> {
        lock(&self.sessions).get(agent).cloned()
    }

    pub fn sessions(&self) -> Vec<Arc<Session>> {
        lock(&self.sessions).values().cloned().collect()
    }

    pub fn count(&self) -> usize {
        lock(&self.sessions).len()
    }

    /// Puts a connection in place; the one before it is cut.
    pub fn enter(&self, session: Arc<Session>) {
        lock(&self.absent).remove(&session.agent);
        let before = lock(&self.sessions).insert(session.agent.clone(), session);
        if let Some(before) = before {
            before.cut.cancel();
        }
    }

    /// Takes a connection out. False when a newer one stands in its place.
    pub fn leave(&self, session: &Session, absent: Absent) -> bool {
        let mut sessions = lock(&self.sessions);
        let is_current = sessions
            .get(&session.agent)
            .is_some_and(|current| current.connection == session.connection);
        if is_current {
            sessions.remove(&session.agent);
            lock(&self.absent).insert(session.agent.clone(), absent);
        }
        is_current
    }

    pub fn expect(&self, agent: AgentId, absent: Absent) {
        lock(&self.absent).insert(agent, absent);
    }

    /// Nobody waits for this agent any more.
    pub fn forget(&self, agent: &AgentId) {
        lock(&self.absent).remove(agent);
        if let Some(session) = self.session(agent) {
            session.cut.cancel();
        }
    }

    /// Agents that have been away for too long; each is given once.
    pub fn take_lost(&self) -> Vec<(AgentId, Absent)> {
        let now = Instant::now();
        let mut absent = lock(&self.absent);
        let due: Vec<AgentId> = absent
            .iter()
            .filter(|(_, state)| state.lost_at <= now)
            .map(|(agent, _)| agent.clone())
            .collect();
        due.into_iter()
            .filter_map(|agent| {
                let state = absent.remove(&agent)?;
                Some((agent, state))
            })
            .collect()
    }

    /// There are commands for this agent.
    pub fn wake(&self, agent: &AgentId) {
        if let Some(session) = self.session(agent) {
            session.work.signal();
        }
    }

    /// True once an hour per agent: a copy is told of, not trumpeted.
    pub fn should_tell_duplicate(&self, agent: &AgentId) -> bool {
        let mut told = lock(&self.duplicates);
        let is_due = told
            .get(agent)
            .is_none_or(|at| at.elapsed() > Duration::from_secs(3600));
        if is_due {
            told.insert(agent.clone(), Instant::now());
        }
        is_due
    }

    pub fn watch_output(&self, command: &str) -> broadcast::Receiver<OutputChunk> {
        let mut watchers = lock(&self.watchers);
        watchers.retain(|_, sender| sender.receiver_count() > 0);
        watchers
            .entry(command.to_owned())
            .or_insert_with(|| broadcast::channel(256).0)
            .subscribe()
    }

    pub fn tell_output(&self, command: &str, chunk: OutputChunk) {
        if let Some(sender) = lock(&self.watchers).get(command) {
            let _ = sender.send(chunk);
        }
    }

    /// Watchers learn of the end by their channel closing.
    pub fn end_output(&self, command: &str) {
        lock(&self.watchers).remove(command);
    }
}
