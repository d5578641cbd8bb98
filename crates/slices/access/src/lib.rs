//! Who may do what: people, teams, service accounts, grants, sign-in, sessions and API tokens.
//!
//! Flow: the guard of every route asks [`Access`] who sends a request ([`authenticate`]); the answer carries the grants of the
//! person or service account and of their teams. People sign in through [`sign_in`], which counts failures before it looks at a
//! password. Everything that changes is told on the timeline ([`events`]).
//!
//! It does not know what other slices' permissions mean: they state their own in their endpoint tables.

mod api;
mod attempts;
mod authenticate;
mod check;
mod client;
mod decide;
mod device;
pub mod events;
pub mod model;
mod password;
mod problems;
mod setup;
mod sign_in;
pub mod store;
mod tasks;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock};

use kernel::{Endpoint, Kernel, Migration, Slice, Timestamp, Wake};
use serde::Deserialize;

use crate::attempts::Attempts;
use crate::password::Passwords;

/// `[access]` in mainstay.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A session ends after this long without a request.
    pub session_idle_hours: u32,
    /// A session ends this long after sign-in.
    pub session_days: u32,
    /// Addresses of reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            session_idle_hours: 72,
            session_days: 30,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Settings {
    fn session_idle_s(&self) -> i64 {
        i64::from(self.session_idle_hours.max(1)) * 3600
    }

    fn session_s(&self) -> i64 {
        i64::from(self.session_days.max(1)) * 86_400
    }
}

/// The slice's handle. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    inner: Arc<Inner>,
}

struct Inner {
    kernel: Kernel,
    settings: Settings,
    passwords: Passwords,
    endpoints: OnceLock<Vec<Endpoint>>,
    /// Sessions and tokens that were used since the last write of it. A request never writes by itself.
    touched: Mutex<HashMap<String, Timestamp>>,
    attempts: Attempts,
    attempts_wake: Wake,
    /// Proxies that are not listed and were warned of.
    proxies: Mutex<BTreeSet<String>>,
}

impl Access {
    pub fn new(kernel: &Kernel, settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner {
                kernel: kernel.clone(),
                settings,
                passwords: Passwords::default(),
                endpoints: OnceLock::new(),
                touched: Mutex::default(),
                attempts: Attempts::default(),
                attempts_wake: Wake::default(),
                proxies: Mutex::default(),
            }),
        }
    }

    /// Tells which permissions there are. The server calls it once, after it has assembled the application.
    pub fn set_endpoints(&self, endpoints: Vec<Endpoint>) {
        let _ = self.inner.endpoints.set(endpoints);
    }

    fn kernel(&self) -> &Kernel {
        &self.inner.kernel
    }

    fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    fn passwords(&self) -> &Passwords {
        &self.inner.passwords
    }

    fn attempts(&self) -> &Attempts {
        &self.inner.attempts
    }

    fn attempts_wake(&self) -> &Wake {
        &self.inner.attempts_wake
    }

    /// Says once for each address that it forwards requests and is not among the trusted proxies.
    fn warn_of_proxy(&self, address: &str) {
        const MOST: usize = 100;
        let name = "mainstay_unlisted_proxy_sign_ins_total";
        self.kernel().metrics.counter(name, &[]).add(1);
        let mut proxies = self
            .inner
            .proxies
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if proxies.len() < MOST && proxies.insert(address.to_owned()) {
            tracing::warn!(
                address,
                "sign-ins with X-Forwarded-For come from an address that is not in `trusted_proxies` under [access]; \
                 if it is your proxy, list it, so that failures are counted by client and not by proxy"
            );
        }
    }

    fn endpoints(&self) -> &[Endpoint] {
        self.inner.endpoints.get().map_or(&[], Vec::as_slice)
    }
}

/// The schema, for tests of slices above.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "access",
        sql: include_str!("../migrations/0001_access.sql"),
    },
    Migration {
        version: 2,
        name: "account_holder",
        sql: include_str!("../migrations/0002_account_holder.sql"),
    },
];

pub use store::holders::of as account_holders;

pub fn slice(access: &Access) -> Slice {
    Slice {
        migrations: MIGRATIONS,
        routes: api::routes(access),
        permissions: api::PERMISSIONS,
        problems: problems::ALL,
        tasks: vec![
            tasks::housekeeping(access, Wake::default()),
            tasks::attempts(access),
        ],
        ..Slice::named("access")
    }
}
