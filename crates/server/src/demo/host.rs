//! A made-up host as it stands now: what runs, how full it is, and what is wrong with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::UnitChange;
use tokio::sync::Notify;

use super::curve::{Curve, Random};
use super::world::{HostSpec, SHOP_BAD};

/// Services that every host has beside its own.
pub const COMMON: [(&str, &str); 3] = [
    ("ssh", "OpenBSD Secure Shell server"),
    ("cron", "Regular background program processing daemon"),
    ("chrony", "NTP client/server"),
];

/// Memory that leaks a second, as a share of all.
const LEAK: f64 = 0.012;
/// The leak stops here; hardly anything is left then.
const LEAK_MOST: f64 = 0.75;

#[derive(Debug)]
pub struct Host {
    pub spec: HostSpec,
    pub cpu: Curve,
    pub network: Curve,
    pub disk: Curve,
    pub requests: Curve,
    pub boot_ms: i64,
    /// Share of memory in use, without the leak.
    pub memory_used: f64,
    /// Share of each file system in use when nothing is wrong: `/` and `/var`.
    pub disk_used: [f64; 2],
    state: Mutex<State>,
    /// Something happened that should not wait for the next second.
    pub changed: Notify,
}

#[derive(Clone, Debug)]
pub struct Service {
    pub name: &'static str,
    pub about: &'static str,
    pub is_up: bool,
    pub pid: u32,
    pub started_at_ms: i64,
}

/// What may change.
#[derive(Clone, Debug)]
pub struct State {
    /// The host's own service first.
    pub services: Vec<Service>,
    /// Changes that nobody has been told of yet.
    pub units: Vec<UnitChange>,
    /// New facts are to be sent.
    pub has_news: bool,
    pub is_cut: bool,
    /// Share of `/var` that something filled.
    pub filled: f64,
    pub is_leaking: bool,
    /// Share of the memory that leaked.
    pub leaked: f64,
    /// Share of requests that fail.
    pub error_share: f64,
    pub certificate_until_s: f64,
    /// When the certificate of now was issued: one that merely runs out is the same one.
    pub certificate_issued_ms: i64,
    pub version: &'static str,
    /// What counters have on top of their curves.
    pub failed_requests: f64,
    pub extra_cpu_s: f64,
    /// Unix milliseconds up to which the two above count.
    pub counted_ms: i64,
}

impl Host {
    pub fn new(spec: HostSpec, now_ms: i64) -> Self {
        let mut random = Random::new(0x5eed + u64::from(spec.index));
        let (cpu, network) = (
            Curve::new(spec.role.load, &mut random),
            Curve::new(spec.role.traffic, &mut random),
        );
        let (disk, requests) = (
            Curve::new(spec.role.traffic / 5.0, &mut random),
            Curve::new(40.0, &mut random),
        );
        let boot_ms = now_ms - (spec.up_days * 86_400_000.0) as i64;
        let named = [(spec.role.unit, spec.role.about)].into_iter().chain(COMMON);
        let services = named
            .map(|(name, about)| Service {
                name,
                about,
                is_up: true,
                pid: 400 + random.below(3000) as u32,
                started_at_ms: boot_ms + 9_000,
            })
            .collect();
        let state = State {
            services,
            units: Vec::new(),
            has_news: true,
            is_cut: false,
            filled: 0.0,
            is_leaking: false,
            leaked: 0.0,
            error_share: 0.0,
            certificate_until_s: now_ms as f64 / 1000.0 + random.between(35.0, 80.0) * 86_400.0,
            certificate_issued_ms: now_ms - 10 * 86_400_000,
            version: spec.role.version,
            failed_requests: 0.0,
            extra_cpu_s: 0.0,
            counted_ms: now_ms,
        };
        Self {
            cpu,
            network,
            disk,
            requests,
            boot_ms,
            memory_used: random.between(0.28, 0.42),
            disk_used: [random.between(0.22, 0.4), random.between(0.25, 0.5)],
            state: Mutex::new(state),
            changed: Notify::new(),
            spec,
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the service run? `None` when the host has none of that name.
    pub fn is_up(&self, name: &str) -> Option<bool> {
        let name = name.strip_suffix(".service").unwrap_or(name);
        self.lock()
            .services
            .iter()
            .find(|service| service.name == name)
            .map(|service| service.is_up)
    }

    /// Starts or stops a service; `reason` when it stopped by accident. False when it is not there.
    pub fn set_service(&self, name: &str, is_up: bool, reason: Option<&str>, now_ms: i64) -> bool {
        let name = name.strip_suffix(".service").unwrap_or(name);
        let mut state = self.lock();
        let is_own = state.services.first().is_some_and(|own| own.name == name);
        let Some(service) = state.services.iter_mut().find(|service| service.name == name) else {
            return false;
        };
        if service.is_up == is_up {
            return true;
        }
        service.is_up = is_up;
        if is_up {
            service.pid += 7;
            service.started_at_ms = now_ms;
        }
        let change = match (is_up, reason) {
            (true, _) => "active",
            (false, Some(_)) => "failed",
            (false, None) => "inactive",
        };
        let change = UnitChange {
            at_ms: now_ms,
            name: name.to_owned(),
            manager: "systemd".into(),
            state: change.into(),
            reason: reason.map(str::to_owned),
        };
        state.units.push(change);
        if is_own {
            state.is_leaking = false;
            state.leaked = 0.0;
        }
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Changes the state and has it told at once.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }

    /// Moves counters and leaks on to `now_ms`.
    pub fn advance(&self, now_ms: i64) {
        let requests = self.requests.at(now_ms as f64 / 1000.0);
        let mut state = self.lock();
        let passed_s = ((now_ms - state.counted_ms) as f64 / 1000.0).clamp(0.0, 3600.0);
        state.counted_ms = now_ms;
        state.failed_requests += requests * state.error_share * passed_s;
        if state.version == SHOP_BAD {
            state.extra_cpu_s += 0.25 * passed_s;
        }
        if state.is_leaking {
            state.leaked = (state.leaked + LEAK * passed_s).min(LEAK_MOST);
        }
    }
}
