//! Who is there: connected, disconnected, lost, returned. And the fleet's other duties of its own.
//!
//! An agent is lost when it has not been heard for the configured time, whether its connection ended or just fell silent. After a
//! start of the server those that were there before get some time more to come back.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kernel::{Actor, AnyError, Consumer, DbError, NewEvent, Task, Timestamp, Wake};

use crate::events::AgentEvent;
use crate::hub::{Absent, Session};
use crate::intake::HostRef;
use crate::model::{Agent, AgentId, AgentState, Presence, agent_actor};
use crate::session::Hello;
use crate::{Fleet, command, store};

const TICK: Duration = Duration::from_millis(500);
/// Silent agents are pinged from here on (or from a third of the time to loss); the others now and then, so that they hear us.
const PING_AFTER: Duration = Duration::from_millis(1500);
const PING_EVERY: Duration = Duration::from_secs(5);

/// How often is looked for what another server has taken for an agent that is connected here.
const UNSENT: Duration = Duration::from_secs(1);

pub fn tasks(fleet: &Fleet) -> Vec<Task> {
    let watch = fleet.clone();
    let ticks = std::sync::Arc::new(Mutex::new((Instant::now(), Instant::now())));
    let progress = fleet.clone();
    let overdue = fleet.clone();
    let renew = fleet.clone();
    let clean = fleet.clone();
    let unsent = fleet.clone();
    vec![
        measure_program(fleet),
        Task::new("fleet.presence", TICK, Wake::default(), move |_| {
            let (fleet, ticks) = (watch.clone(), ticks.clone());
            async move { tick(&fleet, &ticks).await }
        }),
        Task::new(
            "fleet.progress",
            Duration::from_secs(30),
            Wake::default(),
            move |_| {
                let fleet = progress.clone();
                async move { Ok(save_progress(&fleet).await?) }
            },
        ),
        Task::new(
            "fleet.give_up",
            Duration::from_secs(2),
            Wake::default(),
            move |_| {
                let fleet = overdue.clone();
                async move { Ok(watch_commands(&fleet).await?) }
            },
        ),
        Task::new("fleet.unsent", UNSENT, Wake::default(), move |_| {
            let fleet = unsent.clone();
            async move { Ok(command::wake_unsent(&fleet).await?) }
        }),
        Task::new(
            "fleet.clean",
            Duration::from_secs(3600),
            Wake::default(),
            move |_| {
                let fleet = clean.clone();
                async move { Ok(command::delete_old_output(&fleet).await?) }
            },
        ),
        Task::new(
            "fleet.certificate",
            Duration::from_secs(30 * 24 * 3600),
            Wake::default(),
            move |_| {
                let fleet = renew.clone();
                async move { Ok(fleet.0.server_key.renew(fleet.authority(), fleet.now())?) }
            },
        ),
    ]
}

/// Reading and hashing the program takes a moment: it is done before the first host asks. A debug build, which nobody installs
/// from, takes long and waits until it is asked.
fn measure_program(fleet: &Fleet) -> Task {
    let fleet = fleet.clone();
    Task::new(
        "fleet.program",
        Duration::from_secs(24 * 3600),
        Wake::default(),
        move |_| {
            let fleet = fleet.clone();
            async move {
                if !cfg!(debug_assertions) {
                    fleet.0.program.facts().await?;
                }
                Ok(())
            }
        },
    )
}

async fn watch_commands(fleet: &Fleet) -> Result<(), DbError> {
    command::give_up(fleet).await?;
    let open = store::count_open_commands(&mut *fleet.kernel().db.read().await?).await?;
    fleet
        .kernel()
        .metrics
        .gauge("mainstay_commands_open", &[])
        .set(open);
    Ok(())
}

/// A person may rename a host while its agent is connected: the next series carry the new name.
pub fn rename_consumer(fleet: &Fleet) -> Consumer {
    let fleet = fleet.clone();
    Consumer::new("fleet.rename", &["item.changed"], move |_, event| {
        if event.data["attribute"] == "name"
            && event.data["kind"] == "host"
            && let Some(name) = event.data["after"].as_str()
        {
            for session in fleet.hub().sessions() {
                let host = session.host();
                if host.item_id == event.subject {
                    session.set_host(HostRef {
                        name: name.to_owned(),
                        ..host
                    });
                }
            }
        }
        Box::pin(async { Ok(()) })
    })
}

/// Takes note of agents that were there before the server started.
pub async fn expect_known(fleet: &Fleet) -> Result<(), DbError> {
    let mut reader = fleet.kernel().db.read().await?;
    let now = Instant::now();
    for agent in store::absent(&mut reader).await? {
        if fleet.hub().session(&agent.id).is_none() {
            let absent = Absent {
                lost_at: now + fleet.lost_after() + Duration::from_millis(fleet.settings().start_grace_ms),
                heard: None,
            };
            fleet.hub().expect(agent.id, absent);
        }
    }
    Ok(())
}

async fn tick(fleet: &Fleet, ticks: &Mutex<(Instant, Instant)>) -> Result<(), AnyError> {
    let now = Instant::now();
    let (is_stalled, is_ping_due) = {
        let mut ticks = ticks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_stalled = now.duration_since(ticks.0) > Duration::from_secs(2);
        let is_ping_due = now.duration_since(ticks.1) > PING_EVERY;
        ticks.0 = now;
        if is_ping_due {
            ticks.1 = now;
        }
        (is_stalled, is_ping_due)
    };
    for session in fleet.hub().sessions() {
        let silence = session.silence();
        if is_stalled {
            // We did not run; their silence says nothing.
            session.note_heard();
        } else if silence > fleet.lost_after() {
            let absent = Absent {
                lost_at: now,
                heard: Some(session.heard()),
            };
            fleet.hub().leave(&session, absent);
            session.cut.cancel();
        } else if is_ping_due || silence > PING_AFTER.min(fleet.lost_after() / 3) {
            session.ping();
        }
    }
    for (agent, absent) in fleet.hub().take_lost() {
        if let Err(error) = mark_lost(fleet, &agent, &absent).await {
            tracing::warn!(%agent, %error, "a lost agent is not told yet");
            fleet.hub().expect(agent, absent);
        }
    }
    Ok(())
}

fn event_of(agent: &Agent, name: &str) -> AgentEvent {
    AgentEvent {
        agent_id: agent.id.to_string(),
        item_id: agent.item.to_string(),
        name: name.to_owned(),
        ..AgentEvent::default()
    }
}

/// When something was heard that a monotonic clock measured.
fn timestamp_of(fleet: &Fleet, heard: Instant) -> Timestamp {
    let ago_us = i64::try_from(heard.elapsed().as_micros()).unwrap_or(i64::MAX);
    kernel::clock::from_micros(fleet.now().as_microsecond().saturating_sub(ago_us))
}

async fn mark_lost(fleet: &Fleet, id: &AgentId, absent: &Absent) -> Result<(), DbError> {
    let mut tx = fleet.kernel().db.write().await?;
    let known = store::agent(&mut tx, id).await?;
    let Some(agent) = known.filter(|agent| agent.state == AgentState::Active) else {
        return Ok(());
    };
    // It may have come back while we waited for the database.
    if matches!(agent.presence, Presence::Lost | Presence::New) || fleet.hub().session(id).is_some() {
        return Ok(());
    }
    let name = inventory::store::item(&mut tx, &agent.item)
        .await?
        .map(|item| item.name)
        .unwrap_or_default();
    let heard_at = absent
        .heard
        .map_or(agent.heard_at, |heard| timestamp_of(fleet, heard));
    let now = tx.now();
    store::save_presence(&mut tx, id, Presence::Lost, now, heard_at).await?;
    let data = AgentEvent {
        heard_at: Some(heard_at),
        ..event_of(&agent, &name)
    };
    tx.append(&Actor::system("fleet"), NewEvent::new("agent.lost", id, &data))
        .await?;
    tx.commit().await?;
    tracing::warn!(agent = %id, host = name, "an agent is lost");
    Ok(())
}

/// Records a greeting; tells it, and when the agent had been lost that it is back.
pub async fn connected(
    fleet: &Fleet,
    session: &Session,
    agent: &Agent,
    hello: &Hello,
    from: SocketAddr,
) -> Result<(), DbError> {
    let address = from.ip().to_string();
    let mut tx = fleet.kernel().db.write().await?;
    let now = tx.now();
    // Read again: the presence may have changed since the greeting.
    let current = store::agent(&mut tx, &agent.id)
        .await?
        .unwrap_or_else(|| agent.clone());
    let presence = current.presence;
    let is_new_greeting =
        hello.version != agent.version || address != agent.address || hello.identity != agent.identity;
    let offset_ms = session.clock().offset_ms();
    if let Some(offset_ms) = offset_ms.filter(|offset| is_news(current.clock_offset_ms, *offset)) {
        store::save_clock_offset(&mut tx, &agent.id, offset_ms).await?;
    }
    if presence == Presence::Connected && !is_new_greeting {
        // The server started again or the agent changed connections: nothing to tell.
        return tx.commit().await;
    }
    store::save_hello(&mut tx, &agent.id, &hello.version, &address, &hello.identity).await?;
    store::save_presence(&mut tx, &agent.id, Presence::Connected, now, now).await?;
    inventory::touch(&mut tx, &agent.item).await?;
    let name = session.host().name;
    let actor = agent_actor(&agent.id, &name);
    let data = AgentEvent {
        version: Some(hello.version.clone()),
        address: Some(address),
        ..event_of(agent, &name)
    };
    if presence != Presence::Connected {
        tx.append(&actor, NewEvent::new("agent.connected", &agent.id, &data))
            .await?;
    }
    if presence == Presence::Lost {
        let data = AgentEvent {
            gap_s: Some(now.as_second() - current.heard_at.as_second()),
            ..data
        };
        tx.append(&actor, NewEvent::new("agent.returned", &agent.id, &data))
            .await?;
    }
    tx.commit().await
}

/// Records the end of a connection, unless another one has taken its place or the server stops.
pub async fn disconnected(fleet: &Fleet, session: &Session, reason: &str) {
    let absent = Absent {
        lost_at: session.heard() + fleet.lost_after(),
        heard: Some(session.heard()),
    };
    let is_ours = fleet.hub().leave(session, absent);
    let outcome = async {
        let mut tx = fleet.kernel().db.write().await?;
        let heard_at = timestamp_of(fleet, session.heard());
        let seq = session.seq.load(Ordering::SeqCst);
        let known = store::agent(&mut tx, &session.agent).await?;
        let Some(agent) = known else { return Ok(()) };
        if is_ours || fleet.hub().session(&agent.id).is_none() {
            store::save_progress(
                &mut tx,
                &agent.id,
                seq,
                session.seq_at_ms.load(Ordering::SeqCst),
                heard_at,
            )
            .await?;
        }
        if is_ours && !fleet.kernel().stop.is_cancelled() && agent.state == AgentState::Active {
            let now = tx.now();
            store::save_presence(&mut tx, &agent.id, Presence::Disconnected, now, heard_at).await?;
            let host = session.host();
            let data = AgentEvent {
                reason: Some(reason.to_owned()),
                ..event_of(&agent, &host.name)
            };
            let actor = agent_actor(&agent.id, &host.name);
            tx.append(&actor, NewEvent::new("agent.disconnected", &agent.id, &data))
                .await?;
        }
        tx.commit().await
    };
    let outcome: Result<(), DbError> = outcome.await;
    if let Err(error) = outcome {
        tracing::warn!(agent = %session.agent, %error, "the end of a connection is not recorded");
    }
}

/// Tells of a copy, at most once an hour for each agent.
pub async fn tell_duplicate(fleet: &Fleet, agent: &Agent) {
    if !fleet.hub().should_tell_duplicate(&agent.id) {
        return;
    }
    let outcome = async {
        let mut tx = fleet.kernel().db.write().await?;
        let name = inventory::store::item(&mut tx, &agent.item)
            .await?
            .map(|i| i.name)
            .unwrap_or_default();
        let data = AgentEvent {
            reason: Some("two machines connect as this agent; one of them is a copy".into()),
            ..event_of(agent, &name)
        };
        tx.append(
            &Actor::system("fleet"),
            NewEvent::new("agent.duplicated", &agent.id, &data),
        )
        .await?;
        tx.commit().await
    };
    let outcome: Result<(), DbError> = outcome.await;
    if let Err(error) = outcome {
        tracing::warn!(agent = %agent.id, %error, "a copy of an agent is not recorded");
    }
}

/// Offsets of clocks are kept exact to a second.
fn is_news(known_ms: Option<i64>, offset_ms: i64) -> bool {
    known_ms.is_none_or(|known| known.abs_diff(offset_ms) > 1_000)
}

/// Writes how far the clocks of hosts are off, where that has changed.
async fn save_clocks(fleet: &Fleet, sessions: &[std::sync::Arc<Session>]) -> Result<(), DbError> {
    let changed: Vec<_> = sessions
        .iter()
        .filter_map(|session| {
            let offset_ms = session.clock().offset_ms()?;
            let known = session.saved_offset_ms.load(Ordering::SeqCst);
            is_news(Some(known), offset_ms).then_some((session, offset_ms))
        })
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let mut tx = fleet.kernel().db.write().await?;
    for (session, offset_ms) in &changed {
        store::save_clock_offset(&mut tx, &session.agent, *offset_ms).await?;
    }
    tx.commit().await?;
    for (session, offset_ms) in changed {
        session.saved_offset_ms.store(offset_ms, Ordering::SeqCst);
    }
    Ok(())
}

/// Writes the numbers of the last batches: one transaction for the whole fleet.
async fn save_progress(fleet: &Fleet) -> Result<(), DbError> {
    let sessions = fleet.hub().sessions();
    let changed: Vec<_> = sessions
        .iter()
        .filter(|s| s.seq.load(Ordering::SeqCst) != s.flushed_seq.load(Ordering::SeqCst))
        .collect();
    save_clocks(fleet, &sessions).await?;
    if changed.is_empty() {
        return Ok(());
    }
    let mut tx = fleet.kernel().db.write().await?;
    let mut written = Vec::with_capacity(changed.len());
    for session in changed {
        let seq = session.seq.load(Ordering::SeqCst);
        let at_ms = session.seq_at_ms.load(Ordering::SeqCst);
        let heard_at = timestamp_of(fleet, session.heard());
        store::save_progress(&mut tx, &session.agent, seq, at_ms, heard_at).await?;
        written.push((session, seq));
    }
    tx.commit().await?;
    for (session, seq) in written {
        session.flushed_seq.store(seq, Ordering::SeqCst);
    }
    Ok(())
}
