//! One attempt to deliver a message: a file for each type of channel, one bound on time for all.

mod email;
mod http;
mod matrix;
mod slack;
mod webhook;

pub use http::Client;
use kernel::Timestamp;

use crate::decide::{Outcome, SEND_TIMEOUT};
use crate::model::{Channel, ChannelConfig, ChannelSecrets, MessageId, Page};
use crate::template::Words;

/// A message as a sender needs it.
pub struct Letter<'a> {
    /// The same at every attempt: receivers know by it what they already have.
    pub id: &'a MessageId,
    /// The recipient's address, for e-mail.
    pub target: &'a str,
    pub page: &'a Page,
    pub words: &'a Words,
    /// Full address of what it is about.
    pub url: Option<&'a str>,
    /// Name of this server, for ids that must be unique in the world.
    pub domain: &'a str,
    pub created_at: Timestamp,
    pub now: Timestamp,
}

/// Sends, or tells why not.
pub async fn send(
    client: &Client,
    channel: &Channel,
    secrets: &ChannelSecrets,
    letter: &Letter<'_>,
) -> Outcome {
    let attempt = async {
        match &channel.config {
            ChannelConfig::Email { .. } => email::send(&channel.config, secrets, letter).await,
            ChannelConfig::Webhook { url, headers } => {
                webhook::send(client, url, headers, secrets, letter).await
            }
            ChannelConfig::Slack {} => slack::send(client, secrets, letter).await,
            ChannelConfig::Matrix { homeserver, room } => {
                matrix::send(client, homeserver, room, secrets, letter).await
            }
        }
    };
    match tokio::time::timeout(SEND_TIMEOUT, attempt).await {
        Ok(Ok(())) => Outcome::Sent,
        Ok(Err(outcome)) => outcome,
        Err(_) => temporary(format!(
            "no answer within {} s; check address, firewall and proxy",
            SEND_TIMEOUT.as_secs()
        )),
    }
}

fn temporary(reason: impl ToString) -> Outcome {
    Outcome::Temporary {
        reason: reason.to_string(),
        retry_after: None,
    }
}

fn permanent(reason: impl ToString) -> Outcome {
    Outcome::Permanent {
        reason: reason.to_string(),
    }
}

/// An error with everything that led to it: the outermost text alone often says nothing.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}
