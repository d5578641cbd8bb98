//! What can go wrong, with what to do about it.

use inventory::ItemId;
use kernel::DbError;

#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("the fleet's certificate authority cannot be opened: {0}")]
    Secret(#[from] kernel::secret::SecretError),
    #[error("the fleet's certificate authority cannot be used: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS for agents cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl From<sqlx::Error> for FleetError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

/// Why a command was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    #[error("no agent is enrolled on {0}; run the join command on that host first")]
    NoAgent(ItemId),
    #[error("there is no agent {0} that may take commands; it was revoked, replaced or never joined")]
    UnknownAgent(String),
    #[error("the command is larger than the {limit} bytes that one message may have")]
    TooLarge { limit: usize },
    #[error(transparent)]
    Db(#[from] DbError),
}
