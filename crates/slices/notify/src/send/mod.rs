//! One attempt to deliver a message: a file for each type of channel, each bounded in time.

mod email;
mod http;
mod matrix;
pub mod redact;
mod slack;
mod webhook;

use std::sync::atomic::AtomicBool;

pub use email::ehlo_name;
pub use http::Client;
use kernel::Timestamp;

use crate::Patience;
use crate::decide::Outcome;
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
    /// What mail servers are greeted with, when the channel does not say.
    pub ehlo_name: Option<&'a str>,
    pub patience: Patience,
    /// Set when the receiver may have it from here on, whatever is heard of it.
    pub handed_over: &'a AtomicBool,
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
    let sent = match &channel.config {
        ChannelConfig::Email { .. } => email::send(&channel.config, secrets, letter).await,
        ChannelConfig::Webhook { url, headers } => webhook::send(client, url, headers, secrets, letter).await,
        ChannelConfig::Slack {} => slack::send(client, secrets, letter).await,
        ChannelConfig::Matrix { homeserver, room } => {
            matrix::send(client, homeserver, room, secrets, letter).await
        }
    };
    sent.err().unwrap_or(Outcome::Delivered)
}

fn unknown(reason: impl ToString) -> Outcome {
    Outcome::Unknown {
        reason: reason.to_string(),
    }
}

fn misconfigured(reason: impl ToString) -> Outcome {
    Outcome::Misconfigured {
        reason: reason.to_string(),
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
