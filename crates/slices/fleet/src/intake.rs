//! What fleet hands observations to. Telemetry, a higher tier, implements it; the server sets it with `Fleet::set_intake`.

use kernel::{AnyError, BoxFuture};
use protocol::Batch;

/// The host that a batch comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRef {
    /// `agt_…`
    pub agent_id: String,
    /// `itm_…`
    pub item_id: String,
    /// Unique name of the host item: the `instance` label of its series.
    pub name: String,
}

/// Takes observations in.
pub trait Intake: Send + Sync {
    /// Returns once everything in `batch` that it cares for (metrics, logs, gaps) is durable; fleet acknowledges the batch after that.
    /// Series definitions hold for one `connection`, a number that fleet never uses twice. A batch may come again, after a failure
    /// or a crash, and then must change nothing: its number and time tell, with the agent, that it is the same.
    /// An error means "not now": the batch is tried again. [`Rejected`] means "never": it is counted and let go.
    fn take<'a>(
        &'a self,
        host: &'a HostRef,
        connection: u64,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<(), AnyError>>;

    /// The connection is gone: its series definitions can be forgotten.
    fn forget(&self, connection: u64);
}

/// What the connection has defined does not suffice: the agent connects anew and sends the batch again, complete in itself. It is
/// not acknowledged before.
#[derive(Debug, thiserror::Error)]
#[error("the connection must begin anew: {0}")]
pub struct Renew(pub String);

/// A batch that no second try would make acceptable.
#[derive(Debug, thiserror::Error)]
#[error("the batch cannot be taken: {0}")]
pub struct Rejected(pub String);
