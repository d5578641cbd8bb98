//! Connections of agents: accept, TLS, then a join or a live session.

mod admission;
mod batches;
mod control;
pub mod join;
mod live;
mod takeover;

pub use live::Hello;
pub use takeover::is_same_machine;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::ToAgent;
use tokio::io::AsyncWrite;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;

use crate::{Fleet, authority, presence, wire};
use admission::{Admission, Ticket};

type Connection = TlsStream<TcpStream>;

/// For the TLS handshake, and again for the first message.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes connections until the kernel stops.
pub async fn accept(fleet: &Fleet, listener: TcpListener) {
    if let Err(error) = presence::expect_known(fleet).await {
        tracing::error!(%error, "the agents that were there before the start are not known; they are not missed");
    }
    let admission = Arc::new(Admission::new(fleet.settings().max_handshakes));
    let sessions = Arc::new(Semaphore::new(fleet.settings().max_connections));
    let stop = fleet.kernel().stop.clone();
    loop {
        let (stream, from) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(pair) => pair,
                Err(error) => {
                    // Out of file descriptors, most likely: that passes.
                    tracing::warn!(%error, "a connection of an agent was not accepted");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            },
        };
        let Some(ticket) = admission.admit(from.ip(), Instant::now()) else {
            count(fleet, "crowded");
            continue;
        };
        let pending = i64::try_from(admission.count()).unwrap_or(i64::MAX);
        fleet
            .kernel()
            .metrics
            .gauge("mainstay_agent_handshakes_pending", &[])
            .set(pending);
        let (fleet_, sessions) = (fleet.clone(), sessions.clone());
        kernel::task::spawn(fleet.kernel(), "fleet.connection", async move {
            let cut = ticket.cut.clone();
            tokio::select! {
                () = cut.cancelled() => count(&fleet_, "crowded"),
                () = serve(&fleet_, stream, from, Door { ticket, sessions }) => {}
            }
        });
    }
}

/// The place among the connections that have not said who they are, and those of the agents that have.
pub struct Door {
    ticket: Ticket,
    sessions: Arc<Semaphore>,
}

impl Door {
    /// Gives the place up for one of an agent; `None` when there are none.
    fn enter(self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        drop(self.ticket);
        self.sessions.try_acquire_owned().ok()
    }
}

async fn serve(fleet: &Fleet, stream: TcpStream, from: SocketAddr, door: Door) {
    let _ = stream.set_nodelay(true);
    let handshake = tokio::time::timeout(PATIENCE, fleet.0.tls.accept(stream)).await;
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            count(fleet, "handshake");
            tracing::info!(%from, %error, "TLS with an agent failed");
            return;
        }
        Err(_) => return count(fleet, "handshake"),
    };
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .cloned();
    match certificate {
        None => join::serve(fleet, stream, from).await,
        Some(certificate) => match authority::agent_of(&certificate) {
            Some(agent) => {
                let is_expired = authority::is_expired(&certificate, fleet.now());
                live::serve(fleet, stream, from, agent, door, is_expired).await;
            }
            None => count(fleet, "certificate"),
        },
    }
}

/// Says why not, and closes.
async fn refuse<W: AsyncWrite + Unpin>(fleet: &Fleet, writer: &mut W, reason: &str) {
    count(fleet, "refused");
    let message = ToAgent::Refused {
        reason: reason.to_owned(),
    };
    let _ = tokio::time::timeout(PATIENCE, wire::write(writer, &message)).await;
    let _ = tokio::time::timeout(PATIENCE, tokio::io::AsyncWriteExt::shutdown(writer)).await;
}

fn count(fleet: &Fleet, reason: &str) {
    let labels = [("reason", reason)];
    fleet
        .kernel()
        .metrics
        .counter("mainstay_agent_refusals_total", &labels)
        .add(1);
}
