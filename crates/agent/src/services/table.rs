//! The services that the host is known to have, and what each look at the host changes in them. Pure: no clock, no I/O
//! but for keeping the table.
//!
//! Invariant: a service that was up once stays known, over restarts of the agent too, until it is removed from the host
//! (or, for a plain process, until it has been gone for a day and nobody watches it).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::UnitChange;
use serde::{Deserialize, Serialize};

/// A plain process that is gone for longer is not missed.
const FORGET_AFTER_MS: i64 = 24 * 3600 * 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Manager {
    Systemd,
    Init,
    Process,
}

impl Manager {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Init => "init",
            Self::Process => "process",
        }
    }
}

/// Who sees to it that a service runs. Rules tell services that are meant to run from programs that merely listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supervision {
    /// It starts at boot.
    Enabled,
    /// systemd or an init script runs it, and it does not start at boot.
    Managed,
    /// Nobody runs it, and somebody watches it by name.
    Watched,
    /// A program that was found because it listens.
    None,
}

impl Supervision {
    /// The value of the label `supervision`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Managed => "managed",
            Self::Watched => "watched",
            Self::None => "none",
        }
    }
}

/// One service, as last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) manager: Manager,
    /// `active`, `activating`, `deactivating`, `inactive`, `failed`.
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) enabled: Option<bool>,
    /// The settings name it.
    #[serde(default)]
    pub(crate) watched: bool,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(skip)]
    pub(crate) main_pid: Option<u32>,
    #[serde(skip)]
    pub(crate) started_at_ms: Option<i64>,
    /// Why it is in this state, as far as known.
    #[serde(skip)]
    pub(crate) reason: Option<String>,
    /// It should be up: it is told of in `mainstay_service_up`.
    #[serde(default)]
    pub(crate) expected: bool,
    #[serde(default)]
    pub(crate) seen_up_ms: i64,
    /// This run has looked at it: what an earlier run has seen is not told as if it were now.
    #[serde(skip)]
    pub(crate) is_current: bool,
}

impl Service {
    pub(crate) fn new(name: impl Into<String>, manager: Manager, state: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            manager,
            state: state.into(),
            enabled: None,
            watched: false,
            description: None,
            main_pid: None,
            started_at_ms: None,
            reason: None,
            expected: false,
            seen_up_ms: 0,
            is_current: true,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state.as_str(), "active" | "reloading" | "refreshing")
    }

    pub(crate) fn supervision(&self) -> Supervision {
        match (self.enabled, self.manager) {
            (Some(true), _) => Supervision::Enabled,
            (_, Manager::Systemd | Manager::Init) => Supervision::Managed,
            (_, Manager::Process) if self.watched => Supervision::Watched,
            (_, Manager::Process) => Supervision::None,
        }
    }

    fn change(&self, at_ms: i64) -> UnitChange {
        UnitChange {
            at_ms,
            name: self.name.clone(),
            manager: self.manager.name().to_owned(),
            state: self.state.clone(),
            reason: self.reason.clone(),
        }
    }
}

/// The table, shared by the watch, the collector and the facts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
pub(crate) struct Table {
    services: BTreeMap<(Manager, String), Service>,
    /// What is kept on disk has changed.
    dirty: bool,
}

impl Services {
    /// What an earlier run has seen. Until looked at again, nothing of it is up or down.
    pub(crate) fn open(path: &Path) -> Self {
        let services: Vec<Service> = std::fs::read(path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let services = services
            .into_iter()
            .map(|service| ((service.manager, service.name.clone()), service));
        Self(Arc::new(Mutex::new(Table {
            services: services.collect(),
            dirty: false,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn save(&self, path: &Path) {
        let kept: Vec<Service> = {
            let mut table = self.lock();
            if !std::mem::take(&mut table.dirty) {
                return;
            }
            table
                .services
                .values()
                .filter(|service| service.expected)
                .cloned()
                .collect()
        };
        let text = serde_json::to_vec(&kept).unwrap_or_default();
        if let Err(error) = crate::state::replace(path, &text, false) {
            tracing::warn!(%error, path = %path.display(), "failed to keep the services that were seen");
            self.lock().dirty = true;
        }
    }

    pub(crate) fn all(&self) -> Vec<Service> {
        self.lock().services.values().cloned().collect()
    }
}

impl Table {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// One service as it is now. Returns what changed, in order.
    pub(crate) fn update(&mut self, found: Service, now_ms: i64) -> Vec<UnitChange> {
        let key = (found.manager, found.name.clone());
        let before = self.services.get(&key).cloned();
        let changes = changes(before.as_ref(), &found, now_ms);
        let mut now = found;
        if let Some(before) = &before {
            now.expected |= before.expected;
            now.seen_up_ms = now.seen_up_ms.max(before.seen_up_ms);
            now.enabled = now.enabled.or(before.enabled);
            now.watched |= before.watched;
        }
        if now.is_up() {
            // To the minute: the table is not written for every look.
            now.seen_up_ms = now.seen_up_ms.max(now_ms - now_ms.rem_euclid(60_000));
        }
        self.dirty |= before.as_ref().is_none_or(|before| kept(before) != kept(&now)) && now.expected;
        self.services.insert(key, now);
        changes
    }

    /// Everything that a manager has now; what it had before and has no more is down.
    pub(crate) fn replace(&mut self, manager: Manager, found: Vec<Service>, now_ms: i64) -> Vec<UnitChange> {
        let missing: Vec<Service> = self
            .services
            .values()
            .filter(|known| {
                known.manager == manager && !found.iter().any(|service| service.name == known.name)
            })
            .cloned()
            .collect();
        let mut all = Vec::new();
        for mut service in missing {
            let ended = service.main_pid.take().map(|pid| format!("process {pid} ended"));
            let was_up = service.is_up();
            service.is_current = true;
            service.state = "inactive".to_owned();
            service.started_at_ms = None;
            if was_up {
                service.reason = Some(ended.unwrap_or_else(|| "it does not run any more".to_owned()));
            }
            all.extend(self.update(service, now_ms));
        }
        for service in found {
            all.extend(self.update(service, now_ms));
        }
        all
    }

    /// Drops services that the host does not have any more. `exists` says whether one is still installed, where that can
    /// be told; `is_watched` whether somebody asked for it by name.
    pub(crate) fn forget(
        &mut self,
        now_ms: i64,
        exists: impl Fn(&Service) -> Option<bool>,
        is_watched: impl Fn(&str) -> bool,
    ) {
        let before = self.services.len();
        self.services.retain(|_, service| {
            if service.is_up() {
                return true;
            }
            match exists(service) {
                Some(exists) => exists,
                None => is_watched(&service.name) || now_ms - service.seen_up_ms < FORGET_AFTER_MS,
            }
        });
        self.dirty |= self.services.len() != before;
    }

    /// The clock of the host was set by so much: how long a service is gone does not change by that.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        for service in self.services.values_mut() {
            service.seen_up_ms = service.seen_up_ms.saturating_add(by_ms).max(0);
        }
    }

    /// Which services the settings name.
    pub(crate) fn set_watched(&mut self, is_watched: impl Fn(&str) -> bool) {
        for service in self.services.values_mut() {
            let watched = is_watched(&service.name);
            self.dirty |= service.watched != watched && service.expected;
            service.watched = watched;
        }
    }

    pub(crate) fn remove(&mut self, manager: Manager, name: &str) {
        self.dirty |= self.services.remove(&(manager, name.to_owned())).is_some();
    }

    pub(crate) fn get(&self, manager: Manager, name: &str) -> Option<&Service> {
        self.services.get(&(manager, name.to_owned()))
    }

    pub(crate) fn main_pids(&self) -> Vec<u32> {
        self.services
            .values()
            .filter_map(|service| service.main_pid)
            .collect()
    }
}

/// What is worth writing when it changes.
fn kept(service: &Service) -> (bool, i64, Option<bool>, bool) {
    (
        service.expected,
        service.seen_up_ms / 600_000,
        service.enabled,
        service.is_up(),
    )
}

/// A change of state is told; so is a new main process under the same name, as down and up again.
fn changes(before: Option<&Service>, now: &Service, at_ms: i64) -> Vec<UnitChange> {
    let Some(before) = before else {
        // The first look only fills the table, but for what is already known to have failed.
        return if now.state == "failed" {
            vec![now.change(at_ms)]
        } else {
            Vec::new()
        };
    };
    if before.state != now.state {
        return vec![now.change(at_ms)];
    }
    match (before.main_pid, now.main_pid) {
        (Some(old), Some(new)) if old != new && now.is_up() => {
            let mut down = now.change(at_ms);
            down.state = "inactive".to_owned();
            down.reason = Some(format!("process {old} ended"));
            let mut up = now.change(at_ms);
            up.reason = Some(format!("restarted as process {new}"));
            vec![down, up]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, pid: u32) -> Service {
        Service {
            main_pid: Some(pid),
            expected: true,
            ..Service::new(name, Manager::Process, "active")
        }
    }

    fn told(changes: &[UnitChange]) -> Vec<(&str, &str)> {
        changes
            .iter()
            .map(|change| (change.name.as_str(), change.state.as_str()))
            .collect()
    }

    #[test]
    fn a_process_that_ends_is_down_and_stays_known() {
        let mut table = Table::default();
        assert!(
            table
                .replace(Manager::Process, vec![process("nginx", 7)], 1000)
                .is_empty()
        );
        let changes = table.replace(Manager::Process, vec![], 2000);
        assert_eq!(told(&changes), vec![("nginx", "inactive")]);
        assert_eq!(changes[0].reason.as_deref(), Some("process 7 ended"));
        assert!(
            table.replace(Manager::Process, vec![], 3000).is_empty(),
            "told once"
        );
        assert!(!table.get(Manager::Process, "nginx").unwrap().is_up());
        let changes = table.replace(Manager::Process, vec![process("nginx", 8)], 4000);
        assert_eq!(told(&changes), vec![("nginx", "active")]);
    }

    #[test]
    fn a_restart_between_two_looks_is_told_as_down_and_up() {
        let mut table = Table::default();
        table.replace(Manager::Process, vec![process("nginx", 7)], 1000);
        let changes = table.replace(Manager::Process, vec![process("nginx", 8)], 2000);
        assert_eq!(told(&changes), vec![("nginx", "inactive"), ("nginx", "active")]);
    }

    #[test]
    fn managers_do_not_touch_each_other() {
        let mut table = Table::default();
        table.update(Service::new("cron", Manager::Init, "active"), 1);
        assert!(
            table
                .replace(Manager::Process, vec![process("nginx", 7)], 2)
                .is_empty()
        );
        assert!(table.get(Manager::Init, "cron").unwrap().is_up());
    }

    #[test]
    fn what_was_seen_is_known_after_a_restart_of_the_agent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("services.json");
        let services = Services::open(&path);
        services.lock().update(process("nginx", 7), 120_000);
        services.save(&path);
        let services = Services::open(&path);
        let changes = services.lock().replace(Manager::Process, vec![], 180_000);
        assert_eq!(told(&changes), vec![("nginx", "inactive")]);
        services.lock().forget(200_000, |_| None, |_| false);
        assert_eq!(services.all().len(), 1);
        services
            .lock()
            .forget(120_000 + FORGET_AFTER_MS, |_| None, |name| name == "nginx");
        assert_eq!(services.all().len(), 1, "somebody watches it");
        services
            .lock()
            .forget(120_000 + FORGET_AFTER_MS, |_| None, |_| false);
        assert_eq!(services.all().len(), 0);
    }

    #[test]
    fn a_listener_that_was_found_is_told_from_what_is_meant_to_run() {
        let mut table = Table::default();
        let enabled = |enabled| Service {
            enabled,
            expected: true,
            ..Service::new("db", Manager::Systemd, "active")
        };
        let supervision =
            |table: &Table, manager, name| table.get(manager, name).unwrap().supervision().name();
        table.update(enabled(Some(true)), 1);
        assert_eq!(supervision(&table, Manager::Systemd, "db"), "enabled");
        table.update(enabled(Some(false)), 2);
        assert_eq!(supervision(&table, Manager::Systemd, "db"), "managed");
        table.update(Service::new("cron", Manager::Init, "active"), 3);
        assert_eq!(supervision(&table, Manager::Init, "cron"), "managed");
        table.replace(Manager::Process, vec![process("nginx", 7)], 4);
        assert_eq!(supervision(&table, Manager::Process, "nginx"), "none");
        table.set_watched(|name| name == "nginx");
        assert_eq!(supervision(&table, Manager::Process, "nginx"), "watched");
        table.replace(Manager::Process, vec![], 5);
        assert_eq!(
            supervision(&table, Manager::Process, "nginx"),
            "watched",
            "while it is down too"
        );
        table.set_watched(|_| false);
        assert_eq!(supervision(&table, Manager::Process, "nginx"), "none");
    }

    #[test]
    fn a_clock_that_is_set_forgets_no_service_that_is_down() {
        let mut table = Table::default();
        let at_boot = 7_000;
        table.replace(Manager::Process, vec![process("nginx", 7)], at_boot);
        table.replace(Manager::Process, vec![], at_boot + 1000);
        // The host began without a clock and has the time now.
        let step = 1_800_000_000_000;
        table.shift(step);
        table.forget(step + at_boot + 2000, |_| None, |_| false);
        assert!(table.get(Manager::Process, "nginx").is_some());
        table.forget(step + at_boot + FORGET_AFTER_MS + 60_000, |_| None, |_| false);
        assert!(table.get(Manager::Process, "nginx").is_none());
    }

    #[test]
    fn what_is_uninstalled_is_forgotten_at_once() {
        let mut table = Table::default();
        table.update(process("nginx", 7), 1);
        table.forget(2, |_| Some(false), |_| false);
        assert_eq!(table.iter().count(), 1, "it still runs");
        table.replace(Manager::Process, vec![], 3);
        table.forget(4, |_| Some(false), |_| false);
        assert_eq!(table.iter().count(), 0);
    }
}
