//! Batches: to the intake, to inventory, then acknowledged.
//!
//! Invariant: an acknowledgement goes out only after everything up to its number is durable. What comes twice is harmless: the
//! number of the last batch is kept in memory, written with every batch that touches the database and every half minute.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use inventory::Observation;
use kernel::clock::from_millis;
use kernel::{Actor, AnyError, DbError, NewEvent, Tx};
use protocol::{Batch, Body, Facts, ToAgent, UnitChange};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::events::ServiceChanged;
use crate::hub::Session;
use crate::intake::{HostRef, Rejected, Renew};
use crate::model::agent_actor;
use crate::{Fleet, clock, decide, store};

/// Batches that one acknowledgement covers at most.
const PER_ACK: usize = 16;

pub async fn work(fleet: Fleet, session: Arc<Session>, mut queue: mpsc::Receiver<Batch>) {
    let mut unacknowledged = 0;
    while let Some(batch) = queue.recv().await {
        if !take(&fleet, &session, &batch).await {
            return;
        }
        unacknowledged += 1;
        if queue.is_empty() || unacknowledged >= PER_ACK {
            unacknowledged = 0;
            let _ = session.outgoing.send(ToAgent::Ack { seq: batch.seq }).await;
        }
        if queue.is_empty() && session.is_throttled.swap(false, Ordering::SeqCst) {
            let _ = session
                .outgoing
                .send(ToAgent::Throttle { min_interval_ms: 0 })
                .await;
        }
    }
}

/// Makes a batch durable, however long that takes. False when the connection ended before.
async fn take(fleet: &Fleet, session: &Session, batch: &Batch) -> bool {
    let (seq, at_ms) = (
        session.seq.load(Ordering::SeqCst),
        session.seq_at_ms.load(Ordering::SeqCst),
    );
    if decide::is_replay(seq, at_ms, batch.seq, batch.at_ms) {
        count(fleet, "mainstay_agent_batches_repeated_total");
        return true;
    }
    let host = session.host();
    // Once for all attempts: what comes again has the same times.
    let corrected = clock::corrected(batch, session.clock().shift_ms(), fleet.kernel().clock.now_ms());
    let batch = corrected.as_ref();
    let mut is_in = false;
    let mut attempt: u32 = 0;
    loop {
        let outcome = once(fleet, session, &host, batch, &mut is_in).await;
        let Err(error) = outcome else { break };
        if let Some(renew) = error.downcast_ref::<Renew>() {
            tracing::info!(agent = %session.agent, seq = batch.seq, %renew, "the agent is to connect anew");
            count(fleet, "mainstay_agent_connections_renewed_total");
            session.cut.cancel();
            return false;
        }
        attempt += 1;
        let is_hopeless = error.downcast_ref::<Rejected>().is_some()
            || (is_in && attempt >= 5 && !may_pass(error.as_ref()));
        if is_hopeless {
            tracing::error!(agent = %session.agent, seq = batch.seq, %error, "a batch was let go");
            count(fleet, "mainstay_agent_batches_rejected_total");
            break;
        }
        tracing::warn!(agent = %session.agent, seq = batch.seq, attempt, %error, "a batch is not durable yet");
        let pause = Duration::from_millis(50 << attempt.min(7));
        tokio::select! {
            () = session.cut.cancelled() => return false,
            () = tokio::time::sleep(pause) => {}
        }
    }
    session.seq_at_ms.store(batch.at_ms, Ordering::SeqCst);
    session.seq.store(batch.seq, Ordering::SeqCst);
    count(fleet, "mainstay_agent_batches_total");
    true
}

/// Is this an error of the moment? PostgreSQL ends one of two transactions that wait for each other.
fn may_pass(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let is_unavailable = error
        .downcast_ref::<DbError>()
        .is_some_and(DbError::is_unavailable);
    let text = error.to_string();
    is_unavailable || text.contains("deadlock") || text.contains("could not serialize")
}

fn count(fleet: &Fleet, name: &'static str) {
    fleet.kernel().metrics.counter(name, &[]).add(1);
}

async fn once(
    fleet: &Fleet,
    session: &Session,
    host: &HostRef,
    batch: &Batch,
    is_in: &mut bool,
) -> Result<(), AnyError> {
    if !*is_in {
        if let Some(intake) = fleet.intake() {
            intake.take(host, session.connection, batch).await?;
        }
        *is_in = true;
    }
    let is_ours = |body: &&Body| matches!(body, Body::Units { .. } | Body::Facts(_));
    let ours: Vec<&Body> = batch.body.iter().filter(is_ours).collect();
    if ours.is_empty() {
        return Ok(());
    }
    let actor = agent_actor(&session.agent, &host.name);
    let mut tx = fleet.kernel().db.write().await?;
    for body in ours {
        match body {
            Body::Units { changes } => {
                for change in changes.iter().take(2000) {
                    take_unit(&mut tx, &actor, host, change).await?;
                }
            }
            Body::Facts(facts) => take_facts(&mut tx, &actor, session, host, facts).await?,
            _ => {}
        }
    }
    let now = tx.now();
    store::save_progress(&mut tx, &session.agent, batch.seq, batch.at_ms, now).await?;
    let name = host_name(&mut tx, host).await?;
    tx.commit().await?;
    session.flushed_seq.store(batch.seq, Ordering::SeqCst);
    if name != host.name {
        session.set_host(HostRef { name, ..host.clone() });
    }
    Ok(())
}

async fn host_name(tx: &mut Tx, host: &HostRef) -> Result<String, AnyError> {
    let item = inventory::store::item(tx, &host.item_id.parse()?).await?;
    Ok(item.map_or_else(|| host.name.clone(), |item| item.name))
}

async fn take_facts(
    tx: &mut Tx,
    actor: &Actor,
    session: &Session,
    host: &HostRef,
    facts: &Facts,
) -> Result<(), AnyError> {
    let source = format!("agent:{}", session.agent);
    let item = host.item_id.parse()?;
    inventory::observe_facts(tx, actor, &source, facts, &session.identity, Some(item)).await?;
    let refused = inventory::over_limit(facts);
    note_refused(tx, session, refused).await
}

/// Counts what was more than a host may have.
async fn note_refused(tx: &mut Tx, session: &Session, count: usize) -> Result<(), AnyError> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    store::save_refused_items(tx, &session.agent, count).await?;
    Ok(())
}

async fn take_unit(tx: &mut Tx, actor: &Actor, host: &HostRef, change: &UnitChange) -> Result<(), AnyError> {
    let host_id: inventory::ItemId = host.item_id.parse()?;
    let clean = |text: &str| {
        text.chars()
            .filter(|c| !c.is_control())
            .take(255)
            .collect::<String>()
    };
    let (name, state) = (clean(&change.name), clean(&change.state));
    let source = format!("agent:{}", host.agent_id);
    if name.is_empty() {
        return Ok(());
    }
    let known = inventory::service(tx, &host_id, &name)
        .await?
        .filter(|item| item.is_active());
    let before = known
        .as_ref()
        .and_then(|item| item.text("state"))
        .map(str::to_owned);
    let id = match known {
        Some(item) => item.id,
        None if inventory::store::count_active(tx, &host_id, "service").await?
            >= inventory::MOST_OF_A_KIND =>
        {
            // The next facts tell of it.
            return Ok(());
        }
        None => {
            let seen = Observation {
                kind: "service".into(),
                key: name.clone(),
                parent: Some(host_id.clone()),
                name: name.clone(),
                attributes: [("manager".to_owned(), json!(clean(&change.manager)))].into(),
                source: source.clone(),
                ..Observation::default()
            };
            inventory::observe(tx, actor, &seen).await?
        }
    };
    if before.as_deref() == Some(state.as_str()) && change.reason.is_none() {
        return Ok(());
    }
    inventory::note(tx, &id, "state", &Value::String(state.clone()), &source).await?;
    let data = ServiceChanged {
        item: id.to_string(),
        name,
        host: host.item_id.clone(),
        host_name: host.name.clone(),
        manager: clean(&change.manager),
        state,
        before,
        reason: change.reason.as_deref().map(clean),
        at: from_millis(change.at_ms),
    };
    tx.append(actor, NewEvent::new("service.changed", &id, &data))
        .await?;
    Ok(())
}
