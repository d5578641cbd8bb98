//! Pages, channels and messages. No I/O.

use std::collections::BTreeMap;

use kernel::{Id, Prefix, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use crate::page_alert::PageAlert;

pub struct ChannelTag;
impl Prefix for ChannelTag {
    const PREFIX: &'static str = "chn";
}
pub type ChannelId = Id<ChannelTag>;

pub struct MessageTag;
impl Prefix for MessageTag {
    const PREFIX: &'static str = "msg";
}
pub type MessageId = Id<MessageTag>;

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    #[default]
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a page tells of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    IncidentOpened,
    IncidentUpdated,
    IncidentResolved,
    RunFinished,
    RunWaiting,
    Test,
    #[default]
    Custom,
}

impl PageKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IncidentOpened => "incident_opened",
            Self::IncidentUpdated => "incident_updated",
            Self::IncidentResolved => "incident_resolved",
            Self::RunFinished => "run_finished",
            Self::RunWaiting => "run_waiting",
            Self::Test => "test",
            Self::Custom => "custom",
        }
    }
}

/// Something that people are to be told. Build it with `..Page::default()`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    /// The same key is never queued twice on one channel.
    pub dedup_key: String,
    pub kind: PageKind,
    pub severity: Severity,
    /// Id of the team whose matter it is.
    pub team: Option<String>,
    pub title: String,
    pub text: String,
    /// Path on this server, for instance `/incidents/inc_…`. Pages with the same one belong together: they are sent in order,
    /// and mail programs show them as one conversation.
    pub url_path: Option<String>,
    /// Name and value, shown as a list.
    pub fields: Vec<(String, String)>,
    /// The alerts that it is about, the most urgent first; at most ten are kept.
    pub alerts: Vec<PageAlert>,
    /// How many more there are.
    pub alerts_left_out: u64,
    /// What produced it, for instance the name of the rule: a flood from one source does not delay the pages of another.
    /// `None`: its `url_path` stands for it.
    pub source: Option<String>,
    /// Only on these channels, whatever they subscribe to; `None`: on each that subscribes to it.
    pub channels: Option<Vec<ChannelId>>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmtpSecurity {
    /// Not at all: for a relay on the same machine.
    None,
    /// Upgraded after the greeting; refused when the server does not offer it.
    #[default]
    Starttls,
    /// From the first byte.
    Tls,
}

/// Where a channel leads. Passwords and tokens are apart from it, in its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ChannelConfig {
    /// Secret: `password`.
    Email {
        #[schema(max_length = 255)]
        host: String,
        #[schema(minimum = 1, maximum = 65535)]
        port: u16,
        #[serde(default)]
        security: SmtpSecurity,
        /// Absent: no authentication.
        #[serde(default)]
        username: Option<String>,
        /// `Mainstay <mainstay@example.org>`.
        from: String,
        /// Each recipient gets a message of their own.
        #[schema(min_items = 1, max_items = 50)]
        to: Vec<String>,
        /// What the mail server is greeted with; absent: the host of the public address, or this machine's address.
        #[serde(default)]
        #[schema(max_length = 255)]
        ehlo_name: Option<String>,
        /// Certificate authorities to trust beside the system's, as PEM.
        #[serde(default)]
        ca_pem: Option<String>,
    },
    /// JSON by POST. Secrets: `signing_key` for the signature, `authorization` for the header of that name.
    Webhook {
        /// Shown with `…` for what may be a token; sent back like that it stays.
        url: String,
        /// Their values are sealed and never shown; an empty one stays what it was.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// Slack and what takes its incoming webhooks (Mattermost, Rocket.Chat). Secret: `url`.
    Slack {},
    /// A room. Secret: `access_token`.
    Matrix {
        /// For instance `https://matrix.example.org`.
        homeserver: String,
        /// For instance `!abc:example.org`.
        room: String,
    },
}

impl ChannelConfig {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Email { .. } => "email",
            Self::Webhook { .. } => "webhook",
            Self::Slack {} => "slack",
            Self::Matrix { .. } => "matrix",
        }
    }

    /// The recipients that get messages of their own.
    pub fn targets(&self) -> Vec<String> {
        match self {
            Self::Email { to, .. } => to.clone(),
            Self::Webhook { .. } | Self::Slack {} | Self::Matrix { .. } => vec![String::new()],
        }
    }
}

/// What is sealed in the database and never given out. Which of them count depends on the channel's type.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelSecrets {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub signing_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub authorization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub access_token: Option<String>,
    /// Values of a webhook's headers, which are given in its configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(read_only)]
    pub headers: BTreeMap<String, String>,
}

impl ChannelSecrets {
    /// Every secret with its name.
    pub fn each(&self) -> [(&'static str, &Option<String>); 5] {
        [
            ("password", &self.password),
            ("signing_key", &self.signing_key),
            ("authorization", &self.authorization),
            ("url", &self.url),
            ("access_token", &self.access_token),
        ]
    }

    pub fn each_mut(&mut self) -> [(&'static str, &mut Option<String>); 5] {
        [
            ("password", &mut self.password),
            ("signing_key", &mut self.signing_key),
            ("authorization", &mut self.authorization),
            ("url", &mut self.url),
            ("access_token", &mut self.access_token),
        ]
    }

    /// What is set, also in parts: the token of `Bearer token`, the last part of an address.
    pub fn values(&self) -> Vec<&str> {
        let set = self.each().into_iter().filter_map(|(_, value)| value.as_deref());
        let mut values: Vec<&str> = set.chain(self.headers.values().map(String::as_str)).collect();
        let parts: Vec<&str> = values
            .iter()
            .flat_map(|value| match value.contains("://") {
                true => value.split(['/', '?', '&', '=', '#']).skip(3).collect(),
                false => value.rsplit(' ').take(1).collect::<Vec<_>>(),
            })
            .collect();
        values.extend(parts.into_iter().filter(|part| part.len() >= 6));
        // The longest first: a part must not break up the whole.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values
    }

    /// The names of those that are set.
    pub fn names(&self) -> Vec<String> {
        let set = self.each().into_iter().filter(|(_, value)| value.is_some());
        let headers = self.headers.keys().map(|name| format!("headers.{name}"));
        set.map(|(name, _)| name.to_owned()).chain(headers).collect()
    }
}

impl std::fmt::Debug for ChannelSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ChannelSecrets").field(&self.names()).finish()
    }
}

/// Which pages a channel takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Subscription {
    /// And above.
    pub min_severity: Severity,
    /// Empty: all.
    #[schema(max_items = 10)]
    pub kinds: Vec<PageKind>,
    /// Ids of teams whose matters it takes; empty: all, also those of no team.
    #[schema(max_items = 100)]
    pub teams: Vec<String>,
}

/// A way to reach people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    pub id: ChannelId,
    pub name: String,
    pub config: ChannelConfig,
    /// Sealed [`ChannelSecrets`].
    pub secrets: Vec<u8>,
    pub is_enabled: bool,
    pub subscription: Subscription,
    /// Empty: the default of its type.
    pub title_template: String,
    pub text_template: String,
    pub created_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// To be sent, or sent again after a failure.
    Waiting,
    /// The receiver confirmed that it has it.
    Sent,
    /// Handed over whole, several times, and never confirmed: the receiver may or may not have it.
    Unconfirmed,
    /// Sent as a line of another message, because there were too many.
    Bundled,
    /// Given up: refused for good, too old, or its channel is gone.
    Dead,
}

impl MessageState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Unconfirmed => "unconfirmed",
            Self::Bundled => "bundled",
            Self::Dead => "dead",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Waiting,
            Self::Sent,
            Self::Unconfirmed,
            Self::Bundled,
            Self::Dead,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }
}

/// A page on its way to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub seq: i64,
    pub id: MessageId,
    pub channel: String,
    /// The address, for e-mail; empty otherwise.
    pub target: String,
    pub page: Page,
    pub state: MessageState,
    pub attempts: i64,
    pub created_at: Timestamp,
    pub next_attempt_at: Timestamp,
    pub expires_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub error: Option<String>,
    /// How the last attempt ended; empty before the first.
    pub outcome: String,
    /// Attempts that were handed over whole and never confirmed.
    pub unknowns: i64,
    /// Id of the message that it went with.
    pub bundle: Option<String>,
    /// The event that told of its queueing.
    pub cause: Option<i64>,
}
