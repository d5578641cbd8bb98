//! What notify says on the timeline: a public contract.
//!
//! | topic | subject | data |
//! |---|---|---|
//! | `channel.created`, `channel.changed`, `channel.removed` | channel | [`ChannelData`] |
//! | `channel.tested` | channel | [`TestData`] |
//! | `message.queued`, `message.sent`, `message.retried` | message | [`MessageData`] |
//! | `message.unconfirmed` (handed over, repeated, never confirmed) | message | [`MessageData`] with `error` |
//! | `message.bundled` (several became this one) | message | [`BundleData`] |
//! | `message.failed` (the first failure, and the last) | message | [`MessageData`] with `error` and `is_final` |

use serde::{Deserialize, Serialize};

use crate::model::{Channel, Message, PageKind, Severity};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelData {
    pub name: String,
    pub kind: String,
    /// Names of the fields that changed; never what is in them, for addresses may be secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}

impl ChannelData {
    pub fn of(channel: &Channel) -> Self {
        Self {
            name: channel.name.clone(),
            kind: channel.config.kind().to_owned(),
            changed: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestData {
    pub name: String,
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageData {
    pub channel: String,
    pub channel_name: String,
    pub target: String,
    pub kind: PageKind,
    pub severity: Severity,
    pub title: String,
    /// Path of what it is about.
    pub url_path: Option<String>,
    pub attempts: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default)]
    pub is_final: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BundleData {
    #[serde(flatten)]
    pub message: MessageData,
    /// How many messages it stands for.
    pub count: u64,
}

impl MessageData {
    pub fn of(message: &Message, channel_name: &str) -> Self {
        Self {
            channel: message.channel.clone(),
            channel_name: channel_name.to_owned(),
            target: message.target.clone(),
            kind: message.page.kind,
            severity: message.page.severity,
            title: message.page.title.clone(),
            url_path: message.page.url_path.clone(),
            attempts: message.attempts,
            error: None,
            is_final: false,
        }
    }
}
