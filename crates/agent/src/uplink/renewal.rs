//! The agent's certificate is renewed for the same key at half of its life.

use std::sync::Arc;

use crate::error::Error;
use crate::state::State;
use crate::{tls, uplink::join};

/// A renewal that was not answered is asked again after this.
const RETRY_MS: i64 = 60_000;

pub(crate) struct Renewal {
    state: Arc<State>,
    due_ms: i64,
    asked_ms: i64,
}

impl Renewal {
    pub(crate) fn new(state: Arc<State>) -> Self {
        let mut renewal = Self {
            state,
            due_ms: i64::MAX,
            asked_ms: i64::MIN,
        };
        renewal.read();
        renewal
    }

    /// Looks at the certificate that is there now: another one after the host has joined again.
    pub(crate) fn read(&mut self) {
        match half_life(&self.state) {
            Ok(due_ms) => self.due_ms = due_ms,
            Err(error) => tracing::warn!(%error, "failed to read the agent's certificate"),
        }
    }

    /// The request to send, when it is time.
    pub(crate) fn due(&mut self, now_ms: i64) -> Option<String> {
        if now_ms < self.due_ms || (0..RETRY_MS).contains(&now_ms.saturating_sub(self.asked_ms)) {
            return None;
        }
        self.asked_ms = now_ms;
        let request = self
            .state
            .read("agent.key")
            .and_then(|key| join::request_for(&key));
        request
            .inspect_err(|error| tracing::error!(%error, "failed to ask for a new certificate"))
            .ok()
    }

    /// Keeps the new certificate, if it is one. It is shown from the next connection on.
    pub(crate) fn renewed(&mut self, certificate_pem: &str, ca_pem: &str) {
        match self.keep(certificate_pem, ca_pem) {
            Ok(due_ms) => self.due_ms = due_ms,
            Err(error) => tracing::error!(%error, "the server's new certificate is of no use"),
        }
    }

    fn keep(&self, certificate_pem: &str, ca_pem: &str) -> Result<i64, Error> {
        let key = self.state.read("agent.key")?;
        tls::member(&key, certificate_pem.as_bytes(), ca_pem.as_bytes())?;
        self.state.write("ca.crt", ca_pem.as_bytes())?;
        self.state.write("agent.crt", certificate_pem.as_bytes())?;
        tracing::info!("the agent's certificate has been renewed");
        half_life(&self.state)
    }
}

fn half_life(state: &State) -> Result<i64, Error> {
    let (from_ms, to_ms) = tls::validity(&state.read("agent.crt")?)?;
    Ok(from_ms + (to_ms - from_ms) / 2)
}
