//! Telling people: e-mail, webhook, Slack-compatible and Matrix channels behind an outbox.
//!
//! Flow: a slice calls [`page()`] in the transaction of what it tells of; that writes one message for each recipient. The delivery
//! task wakes with the commit, leases what is due and sends it outside of any transaction ([`deliver`]); failures wait with growing
//! pauses in the database, so that a restart forgets nothing. The unique key (channel, recipient, dedup key) keeps a page from being
//! queued twice.
//!
//! It does not decide what is worth telling, or whom to wake at night.

mod api;
mod check;
mod decide;
mod deliver;
pub mod events;
pub mod model;
mod page;
mod page_alert;
mod send;
pub mod store;
mod tasks;
mod template;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: "http://localhost:8080".into(),
            per_channel: 4,
            history_days: 90,
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
    /// Messages under way, by channel.
    in_flight: Mutex<HashMap<String, usize>>,
}

impl Notify {
    pub fn new(kernel: &Kernel, settings: Settings) -> Self {
        let domain = reqwest::Url::parse(&settings.public_url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_else(|| "mainstay.invalid".into());
        Self {
            inner: Arc::new(Inner {
                kernel: kernel.clone(),
                settings,
                owner: random_hex(8),
                domain,
                client: send::Client::default(),
                wake: Wake::default(),
                in_flight: Mutex::default(),
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
