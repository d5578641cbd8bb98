//! The commands of one session: what to send, what the agent reports, its output, its certificate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kernel::DbError;
use protocol::{ToAgent, ToServer};
use tokio::sync::mpsc;

use crate::command::{self, Outputs};
use crate::hub::Session;
use crate::model::{AgentId, agent_actor};
use crate::{Fleet, store};

/// What was not accepted is sent again after this.
const RESEND: Duration = Duration::from_secs(5);

pub async fn work(fleet: Fleet, session: Arc<Session>, mut reports: mpsc::Receiver<ToServer>) {
    let mut outputs = Outputs::new(session.agent.clone());
    let mut resend = tokio::time::interval(RESEND);
    resend.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // There may be commands from before this connection.
    let mut is_open = true;
    loop {
        let due = outputs.due().map(tokio::time::Instant::from_std);
        let due_at = due.unwrap_or_else(tokio::time::Instant::now);
        let outcome = tokio::select! {
            report = reports.recv() => match report {
                Some(report) => take(&fleet, &session, &mut outputs, report).await,
                None => break,
            },
            () = session.work.wait() => send(&fleet, &session, &mut is_open).await,
            _ = resend.tick(), if is_open => send(&fleet, &session, &mut is_open).await,
            () = tokio::time::sleep_until(due_at), if due.is_some() => flush(&fleet, &session, &mut outputs).await,
        };
        if let Err(error) = outcome {
            tracing::warn!(agent = %session.agent, %error, "a command's progress was not recorded; the agent says it again");
        }
    }
    let _ = outputs.flush(&fleet).await;
}

async fn send(fleet: &Fleet, session: &Session, is_open: &mut bool) -> Result<(), DbError> {
    let messages = command::to_send(fleet, &session.agent).await?;
    *is_open = !messages.is_empty();
    for message in messages {
        tokio::select! {
            () = session.cut.cancelled() => return Ok(()),
            _ = session.outgoing.send(message) => {}
        }
    }
    Ok(())
}

async fn take(
    fleet: &Fleet,
    session: &Session,
    outputs: &mut Outputs,
    report: ToServer,
) -> Result<(), DbError> {
    match report {
        ToServer::Output {
            id,
            stream,
            offset,
            data,
        } => {
            outputs.add(fleet, &id, stream, offset, data).await?;
            if outputs.is_full() {
                flush(fleet, session, outputs).await?;
            }
        }
        ToServer::Command { id, at_ms, state } => {
            let at_ms = at_ms.saturating_sub(session.clock().shift_ms());
            if state.is_end() {
                // Output before the end: whoever sees the end has seen all of it.
                outputs.flush_ended(fleet, Some(&id)).await?;
                outputs.forget(&id);
            }
            let actor = agent_actor(&session.agent, &session.host().name);
            if command::report(fleet, &actor, &session.agent, &id, at_ms, &state).await? {
                let _ = session.outgoing.send(ToAgent::CommandAck { id }).await;
            }
        }
        ToServer::Renew { csr_pem } => renew(fleet, session, &csr_pem).await?,
        _ => {}
    }
    Ok(())
}

/// Stores output. While the database does not take it the queue fills, and with it the agent waits.
async fn flush(fleet: &Fleet, session: &Session, outputs: &mut Outputs) -> Result<(), DbError> {
    let started = Instant::now();
    loop {
        match outputs.flush(fleet).await {
            Err(error) if started.elapsed() < Duration::from_secs(60) && !session.cut.is_cancelled() => {
                tracing::warn!(agent = %session.agent, %error, "output of a command is not stored yet");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            outcome => return outcome,
        }
    }
}

async fn renew(fleet: &Fleet, session: &Session, csr_pem: &str) -> Result<(), DbError> {
    if let Some(message) = renewed(fleet, &session.agent, csr_pem).await? {
        let _ = session.outgoing.send(message).await;
    }
    Ok(())
}

/// A new certificate for an agent; `None` when the request is not good.
pub async fn renewed(fleet: &Fleet, agent: &AgentId, csr_pem: &str) -> Result<Option<ToAgent>, DbError> {
    let life = Duration::from_secs(fleet.settings().certificate_days * 24 * 3600);
    let signed = match fleet.authority().sign(csr_pem, agent, fleet.now(), life) {
        Ok(signed) => signed,
        Err(error) => {
            tracing::warn!(%agent, %error, "a certificate request is not good");
            return Ok(None);
        }
    };
    let mut tx = fleet.kernel().db.write().await?;
    store::save_certificate(&mut tx, agent, signed.expires_at).await?;
    tx.commit().await?;
    Ok(Some(ToAgent::Renewed {
        certificate_pem: signed.pem,
        ca_pem: fleet.authority().pem().to_owned(),
    }))
}
