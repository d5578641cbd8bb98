//! Telling people: e-mail, webhook, Slack-compatible and Matrix channels behind an outbox.
//!
//! Flow: a slice calls [`page()`] in the transaction of what it tells of; that writes one message for each recipient. The delivery
//! task wakes with the commit, leases what is due and sends it outside of any transaction ([`deliver`]); failures wait with growing
//! pauses in the database, so that a restart forgets nothing. The unique key (channel, recipient, dedup key) keeps a page from being
//! queued twice.
//!
//! It does not decide what is worth telling, or whom to wake at night.

mod api;
mod budget;
mod bundle;
mod check;
mod decide;
mod deliver;
pub mod events;
pub mod model;
mod outcome;
mod page;
mod page_alert;
mod seal;
mod send;
pub mod store;
mod tasks;
mod template;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kernel::secret::{SecretError, random_hex};
use kernel::{Kernel, Migration, Slice, Wake};
pub use model::{ChannelId, Page, PageAlert, PageKind, Severity};
pub use page::page;
use serde::Deserialize;
pub use tasks::bounds;

use crate::model::{Channel, ChannelSecrets};

/// `[notify]` in mainstay.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address under which people reach this server, for the links in messages: the server's own setting.
    #[serde(skip)]
    pub public_url: String,
    /// Messages under way at once on one channel, 1 to 16.
    pub per_channel: usize,
    /// Days that messages are shown after they were sent or given up; 0: for ever.
    pub history_days: u32,
    /// How long an attempt waits for its receiver.
    #[serde(skip)]
    pub patience: Patience,
}

/// How long an attempt waits for its receiver, and how often its lease is renewed meanwhile.
#[derive(Clone, Copy)]
pub struct Patience {
    /// A whole request over HTTP.
    pub request: Duration,
    /// A step of a conversation with a mail server, up to its consent to take the message.
    pub mail_step: Duration,
    /// From the mail's first byte to the server's word that it has it. RFC 5321, 4.5.3.2: three minutes and ten.
    pub mail_end: Duration,
    pub renew_every: Duration,
    /// What a stop of the server leaves to attempts under way.
    pub stop: Duration,
}

impl std::fmt::Debug for Patience {
    /// No setting: what is printed of the settings is what an operator may set.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("fixed")
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            mail_step: Duration::from_secs(60),
            mail_end: Duration::from_secs(13 * 60),
            renew_every: Duration::from_secs(15),
            stop: Duration::from_secs(4),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: "http://localhost:8080".into(),
            per_channel: 4,
            history_days: 90,
            patience: Patience::default(),
        }
    }
}

/// The slice's handle. Cheap to clone.
#[derive(Clone)]
pub struct Notify {
    inner: Arc<Inner>,
}

struct Inner {
    kernel: Kernel,
    settings: Settings,
    /// Names this process in the leases that it takes.
    owner: String,
    domain: String,
    client: send::Client,
    wake: Wake,
    budget: Mutex<budget::Budget>,
    /// Ids of the messages under way, by channel.
    in_flight: Mutex<HashMap<String, HashSet<String>>>,
    /// What a mail server is greeted with when the channel does not say.
    ehlo_name: Option<String>,
}

impl Notify {
    pub fn new(kernel: &Kernel, settings: Settings) -> Self {
        let host = reqwest::Url::parse(&settings.public_url).ok();
        let host = host.and_then(|url| url.host_str().map(str::to_owned));
        let ehlo_name = host.as_deref().and_then(send::ehlo_name);
        let domain = host.unwrap_or_else(|| "mainstay.invalid".into());
        let client = send::Client::new(settings.patience.request);
        Self {
            inner: Arc::new(Inner {
                kernel: kernel.clone(),
                settings,
                owner: random_hex(8),
                domain,
                client,
                wake: Wake::default(),
                budget: Mutex::default(),
                in_flight: Mutex::default(),
                ehlo_name,
            }),
        }
    }

    fn kernel(&self) -> &Kernel {
        &self.inner.kernel
    }

    fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    fn owner(&self) -> &str {
        &self.inner.owner
    }

    fn domain(&self) -> &str {
        &self.inner.domain
    }

    fn client(&self) -> &send::Client {
        &self.inner.client
    }

    fn wake(&self) -> &Wake {
        &self.inner.wake
    }

    /// The full address of a path on this server.
    fn url(&self, path: &str) -> String {
        let base = self.settings().public_url.trim_end_matches('/');
        format!("{base}/{}", path.trim_start_matches('/'))
    }

    fn seal_secrets(&self, channel: &ChannelId, secrets: &ChannelSecrets) -> Result<Vec<u8>, SecretError> {
        let text = serde_json::to_vec(secrets).unwrap_or_default();
        self.kernel().secrets.seal(&secret_context(channel), &text)
    }

    fn open_secrets(&self, channel: &Channel) -> Result<ChannelSecrets, SecretError> {
        let context = secret_context(&channel.id);
        let plain = self.kernel().secrets.open(&context, &channel.secrets)?;
        serde_json::from_slice(&plain).map_err(|_| SecretError::Sealed { context })
    }
}

fn secret_context(channel: &ChannelId) -> String {
    format!("channel:{channel}")
}

/// The schema, for tests of slices above.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "notify",
        sql: include_str!("../migrations/0001_notify.sql"),
    },
    Migration {
        version: 2,
        name: "message_created",
        sql: include_str!("../migrations/0002_message_created.sql"),
    },
    Migration {
        version: 3,
        name: "outcome",
        sql: include_str!("../migrations/0003_outcome.sql"),
    },
    Migration {
        version: 4,
        name: "budget",
        sql: include_str!("../migrations/0004_budget.sql"),
    },
];

pub fn slice(notify: &Notify) -> Slice {
    Slice {
        migrations: MIGRATIONS,
        routes: api::routes(notify),
        permissions: api::PERMISSIONS,
        tasks: vec![
            tasks::delivery(notify),
            tasks::housekeeping(notify),
            tasks::retention(notify),
        ],
        ..Slice::named("notify")
    }
}
