//! A live session: greeting, then frames both ways until one side ends it.
//!
//! The reader never touches the database: batches and command reports go through bounded queues to workers of their own, so
//! that a slow disk slows the agent down instead of filling the memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use protocol::{Batch, MAX_FRAME, PROTOCOL, ToAgent, ToServer};
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use super::join::{self, Request};
use super::{Connection, Door, PATIENCE, batches, control, refuse};
use crate::hub::Session;
use crate::intake::HostRef;
use crate::model::{Agent, AgentId, AgentState, agent_actor};
use crate::{Fleet, command, presence, store, wire};

/// Frames that wait for the agent.
const OUTGOING: usize = 256;
/// Batches that wait for the intake.
const BATCHES: usize = 16;
/// Command reports that wait for the database.
const REPORTS: usize = 64;
/// For an agent that may do nothing but renew its certificate.
const RENEWAL: Duration = Duration::from_secs(30);
/// What an agent is asked for while the intake is behind.
const THROTTLE_MS: u64 = 2000;

pub struct Hello {
    pub protocol: u32,
    pub version: String,
    pub identity: protocol::Identity,
    pub running: Vec<String>,
    /// The agent's clock and ours, Unix milliseconds.
    pub clocks: Option<(i64, i64)>,
}

pub async fn serve(
    fleet: &Fleet,
    mut stream: Connection,
    from: SocketAddr,
    id: AgentId,
    door: Door,
    is_expired: bool,
) {
    let hello = tokio::time::timeout(PATIENCE, wire::read::<ToServer, _>(&mut stream, MAX_FRAME)).await;
    let hello = match hello {
        Ok(Ok(Some(Ok(ToServer::Hello {
            protocol,
            agent_version,
            identity,
            running,
            now_ms,
            ..
        })))) => Hello {
            protocol,
            version: agent_version
                .chars()
                .filter(|c| !c.is_control())
                .take(80)
                .collect(),
            identity,
            running,
            clocks: now_ms.map(|agent_ms| (agent_ms, fleet.kernel().clock.now_ms())),
        },
        // A host that joins anew and shows its key from before. One whose certificate has run out is to renew, and joins without it.
        Ok(Ok(Some(Ok(message)))) => {
            let proven = Some(&id).filter(|_| !is_expired);
            return match Request::of(message) {
                Some(request) => join::answer(fleet, stream, from, &request, proven).await,
                None => refuse(fleet, &mut stream, "say hello first").await,
            };
        }
        _ => return super::count(fleet, "silent"),
    };
    let Some(_place) = door.enter() else {
        return refuse(
            fleet,
            &mut stream,
            "the server has as many agents as it takes (`[fleet] max_connections`)",
        )
        .await;
    };
    match admit(fleet, &id, &hello).await {
        Ok(agent) if is_expired => renew_only(fleet, stream, &agent, &hello).await,
        Ok(agent) => {
            if let Err(error) = talk(fleet, stream, from, agent, hello).await {
                tracing::error!(agent = %id, %error, "a session of an agent failed");
            }
        }
        Err(Some(reason)) => {
            tracing::info!(agent = %id, %from, reason, "an agent was refused");
            refuse(fleet, &mut stream, &reason).await;
        }
        Err(None) => {
            refuse(
                fleet,
                &mut stream,
                "the server cannot take agents right now; try again",
            )
            .await
        }
    }
}

/// An agent whose certificate has run out: it gets a new one and is asked to come again. Nothing else that it says is taken, and
/// it is not held to be connected.
async fn renew_only(fleet: &Fleet, mut stream: Connection, agent: &Agent, hello: &Hello) {
    super::count(fleet, "expired");
    let welcome = ToAgent::Welcome {
        protocol: hello.protocol.min(PROTOCOL),
        agent_id: agent.id.to_string(),
        now_ms: fleet.kernel().clock.now_ms(),
        config: agent
            .config
            .clone()
            .unwrap_or_else(|| fleet.settings().agent.clone()),
    };
    let talk = async {
        wire::write(&mut stream, &welcome).await.ok()?;
        loop {
            let message = wire::read::<ToServer, _>(&mut stream, MAX_FRAME).await.ok()??;
            if let Ok(ToServer::Renew { csr_pem }) = message {
                let renewed = control::renewed(fleet, &agent.id, &csr_pem).await.ok()??;
                wire::write(&mut stream, &renewed).await.ok()?;
                return stream.shutdown().await.ok();
            }
        }
    };
    if !matches!(tokio::time::timeout(RENEWAL, talk).await, Ok(Some(()))) {
        tracing::info!(agent = %agent.id, "an agent with a certificate that has run out did not renew it");
    }
}

/// May this agent come in? `Err(None)` when that cannot be told.
async fn admit(fleet: &Fleet, id: &AgentId, hello: &Hello) -> Result<Agent, Option<String>> {
    let load = async {
        let mut reader = fleet.kernel().db.read().await?;
        store::agent(&mut reader, id).await
    };
    let agent = load.await.map_err(|error| {
        tracing::error!(agent = %id, %error, "an agent cannot be looked up");
        None
    })?;
    let again = "enrol the host again with a new join token on standard input: `mainstay agent join`";
    match agent {
        None => Err(Some(format!("this server does not know the agent {id}; {again}"))),
        Some(agent) if agent.state == AgentState::Revoked => {
            Err(Some(format!("the agent {id} was revoked; {again}")))
        }
        Some(agent) if agent.state == AgentState::Replaced => Err(Some(format!(
            "the agent {id} was replaced when its host was enrolled anew; if this is a copy of that host, {again}"
        ))),
        Some(agent) => match is_duplicate(fleet, id, hello).await {
            true => {
                presence::tell_duplicate(fleet, &agent).await;
                Err(Some(format!(
                    "another machine is connected as the agent {id}: this one seems to be a copy; delete the copied agent folder and {again}"
                )))
            }
            false => Ok(agent),
        },
    }
}

/// Is another machine connected as this agent, and alive?
async fn is_duplicate(fleet: &Fleet, id: &AgentId, hello: &Hello) -> bool {
    let Some(other) = fleet.hub().session(id) else {
        return false;
    };
    if other.is_same_machine(&hello.identity) {
        return false;
    }
    let asked = Instant::now();
    other.ping();
    while asked.elapsed() < Duration::from_secs(2) {
        let is_held = other.is_held.load(Ordering::SeqCst);
        if is_held || other.heard() > asked {
            return true;
        }
        tokio::select! {
            () = other.cut.cancelled() => return false,
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
    false
}

async fn talk(
    fleet: &Fleet,
    stream: Connection,
    from: SocketAddr,
    agent: Agent,
    hello: Hello,
) -> Result<(), kernel::DbError> {
    let mut reader = fleet.kernel().db.read().await?;
    let name = inventory::store::item(&mut reader, &agent.item)
        .await?
        .map(|item| item.name);
    drop(reader);
    let host = HostRef {
        agent_id: agent.id.to_string(),
        item_id: agent.item.to_string(),
        name: name.unwrap_or_default(),
    };
    let (outgoing, queue) = mpsc::channel(OUTGOING);
    let cut = fleet.kernel().stop.child_token();
    let connection = fleet.hub().next_connection();
    let session = Session::new(
        connection,
        agent.id.clone(),
        hello.identity.clone(),
        host,
        outgoing,
        cut,
    );
    session.seq.store(agent.seq, Ordering::SeqCst);
    session.flushed_seq.store(agent.seq, Ordering::SeqCst);
    session.seq_at_ms.store(agent.seq_at_ms, Ordering::SeqCst);
    if let Some((agent_ms, server_ms)) = hello.clocks {
        session.clock().measured(agent_ms, server_ms);
    }
    let session = Arc::new(session);
    if let Some(previous) = fleet.hub().session(&agent.id) {
        // The connection before ends first: what it has made durable counts.
        previous.cut.cancel();
        let _ = tokio::time::timeout(PATIENCE, previous.done.cancelled()).await;
        session
            .seq
            .fetch_max(previous.seq.load(Ordering::SeqCst), Ordering::SeqCst);
        session
            .seq_at_ms
            .fetch_max(previous.seq_at_ms.load(Ordering::SeqCst), Ordering::SeqCst);
    }
    // Before its presence is written: whoever is about to call it lost sees it here.
    fleet.hub().enter(session.clone());
    let outcome = match presence::connected(fleet, &session, &agent, &hello, from).await {
        Ok(()) => greet_and_exchange(fleet, &session, stream, queue, &agent, &hello).await,
        Err(error) => Err(error),
    };
    let reason = outcome.as_ref().map_or_else(ToString::to_string, Clone::clone);
    session.cut.cancel();
    presence::disconnected(fleet, &session, &reason).await;
    if let Some(intake) = fleet.intake() {
        intake.forget(session.connection);
    }
    session.done.cancel();
    outcome.map(drop)
}

async fn greet_and_exchange(
    fleet: &Fleet,
    session: &Arc<Session>,
    stream: Connection,
    queue: mpsc::Receiver<ToAgent>,
    agent: &Agent,
    hello: &Hello,
) -> Result<String, kernel::DbError> {
    let actor = agent_actor(&agent.id, &session.host().name);
    command::reconcile(fleet, &actor, &agent.id, &hello.running).await?;
    let (read_half, mut write_half) = tokio::io::split(stream);
    let welcome = ToAgent::Welcome {
        protocol: hello.protocol.min(PROTOCOL),
        agent_id: agent.id.to_string(),
        now_ms: fleet.kernel().clock.now_ms(),
        config: agent
            .config
            .clone()
            .unwrap_or_else(|| fleet.settings().agent.clone()),
    };
    let welcomed = tokio::time::timeout(PATIENCE, wire::write(&mut write_half, &welcome)).await;
    Ok(match welcomed {
        Ok(Ok(())) => exchange(fleet, session, read_half, write_half, queue).await,
        _ => "the greeting was not taken".to_owned(),
    })
}

/// Runs the session's workers until the connection ends; says why it did.
async fn exchange(
    fleet: &Fleet,
    session: &Arc<Session>,
    mut read_half: ReadHalf<Connection>,
    write_half: WriteHalf<Connection>,
    queue: mpsc::Receiver<ToAgent>,
) -> String {
    let (batch_queue, batches) = mpsc::channel(BATCHES);
    let (report_queue, reports) = mpsc::channel(REPORTS);
    let kernel = fleet.kernel();
    let workers = [
        kernel::task::spawn(
            kernel,
            "fleet.writer",
            write_all(session.clone(), write_half, queue),
        ),
        kernel::task::spawn(
            kernel,
            "fleet.batches",
            batches::work(fleet.clone(), session.clone(), batches),
        ),
        kernel::task::spawn(
            kernel,
            "fleet.control",
            control::work(fleet.clone(), session.clone(), reports),
        ),
    ];
    let reason = read_all(fleet, session, &mut read_half, &batch_queue, &report_queue).await;
    session.cut.cancel();
    drop((batch_queue, report_queue));
    for worker in workers {
        let _ = tokio::time::timeout(PATIENCE, worker).await;
    }
    reason
}

async fn read_all(
    fleet: &Fleet,
    session: &Arc<Session>,
    reader: &mut ReadHalf<Connection>,
    batches: &mpsc::Sender<Batch>,
    reports: &mpsc::Sender<ToServer>,
) -> String {
    loop {
        let message = tokio::select! {
            () = session.cut.cancelled() => return "ended by the server".into(),
            message = wire::read::<ToServer, _>(reader, MAX_FRAME) => message,
        };
        session.note_heard();
        let message = match message {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(error))) => {
                tracing::debug!(agent = %session.agent, %error, "a message of an unknown kind");
                fleet
                    .kernel()
                    .metrics
                    .counter("mainstay_agent_unknown_messages_total", &[])
                    .add(1);
                continue;
            }
            Ok(None) => return "closed by the agent".into(),
            Err(error) => return error.to_string(),
        };
        let is_taken = match message {
            ToServer::Batch(batch) => {
                if batches.capacity() <= BATCHES / 4 && !session.is_throttled.swap(true, Ordering::SeqCst) {
                    let _ = session.outgoing.try_send(ToAgent::Throttle {
                        min_interval_ms: THROTTLE_MS,
                    });
                }
                hand_on(session, batches, batch).await
            }
            ToServer::Pong { nonce, now_ms } => {
                if let Some(agent_ms) = now_ms {
                    let server_ms = fleet.kernel().clock.now_ms();
                    session.clock().pong(nonce, agent_ms, server_ms, Instant::now());
                }
                true
            }
            ToServer::Join { .. } | ToServer::Hello { .. } => true,
            report => hand_on(session, reports, report).await,
        };
        if !is_taken {
            return "ended by the server".into();
        }
    }
}

/// Waits for room. Meanwhile the silence is ours.
async fn hand_on<T>(session: &Session, queue: &mpsc::Sender<T>, value: T) -> bool {
    session.is_held.store(true, Ordering::SeqCst);
    let is_taken = tokio::select! {
        () = session.cut.cancelled() => false,
        sent = queue.send(value) => sent.is_ok(),
    };
    session.note_heard();
    session.is_held.store(false, Ordering::SeqCst);
    is_taken
}

async fn write_all(
    session: Arc<Session>,
    mut writer: WriteHalf<Connection>,
    mut queue: mpsc::Receiver<ToAgent>,
) {
    loop {
        let message = tokio::select! {
            () = session.cut.cancelled() => break,
            message = queue.recv() => match message {
                Some(message) => message,
                None => break,
            },
        };
        let written = tokio::time::timeout(PATIENCE, wire::write(&mut writer, &message)).await;
        if !matches!(written, Ok(Ok(()))) {
            session.cut.cancel();
            return;
        }
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), writer.shutdown()).await;
}
