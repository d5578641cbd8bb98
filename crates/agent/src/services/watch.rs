//! Looks at the host's services, hears of their ends, and tells of every change at once.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use protocol::{AgentConfig, Sample, UnitChange};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::death::Deaths;
use super::init::Init;
use super::listeners::{self, Listeners};
use super::systemd::{self, Report};
use super::table::{Manager, Service, Services};
use crate::clock::Steps;
use crate::collect::own::put_service;
use crate::collect::series::Series;
use crate::collect::{Roots, Sink};
use crate::observe::{Observation, Observations};
use crate::rt;

/// Between two looks where nobody tells us.
const LOOK: Duration = Duration::from_secs(1);
/// Init scripts are read anew, and what is gone is forgotten, once in so many looks.
const SLOW: u32 = 60;
/// After a process has ended its service is looked for again after these pauses: a restart takes a moment.
const AFTER_DEATH: [Duration; 5] = [
    Duration::from_millis(20),
    Duration::from_millis(60),
    Duration::from_millis(150),
    Duration::from_millis(300),
    Duration::from_millis(500),
];

/// Where services are looked for.
pub(crate) struct Watch {
    pub(crate) roots: Roots,
    pub(crate) services: Services,
    /// Where the table is kept.
    pub(crate) path: PathBuf,
    pub(crate) series: Series,
    /// Another bus than the system's, for tests.
    pub(crate) bus: Option<String>,
}

/// What looks at the host; it blocks, so it lives on the blocking threads.
struct Lookout {
    init: Init,
    listeners: Listeners,
    services: Services,
    roots: Roots,
    has_systemd: bool,
    looks: u32,
}

impl Watch {
    pub(crate) async fn run(
        self,
        config: watch::Receiver<AgentConfig>,
        observations: Observations,
        stop: CancellationToken,
    ) {
        let has_systemd = self.bus.is_some() || self.roots.root("run/systemd/system").is_dir();
        let (report_sender, mut reports) = mpsc::channel(256);
        if has_systemd {
            rt::spawn(
                "systemd",
                systemd::follow(self.bus.clone(), report_sender, stop.clone()),
            );
        } else {
            drop(report_sender);
        }
        let (mut deaths, mut ended) = Deaths::new();
        let mut lookout = Some(self.lookout(has_systemd));
        let mut teller = Teller {
            sink: Sink::new(self.series.clone()),
            observations,
            services: self.services.clone(),
        };
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut after_death = AFTER_DEATH.len();
        let mut steps = Steps::new();
        loop {
            let pause = AFTER_DEATH.get(after_death).copied();
            tokio::select! {
                _ = ticks.tick() => {}
                Some(pid) = ended.recv() => {
                    deaths.ended(pid);
                    after_death = 0;
                }
                () = tokio::time::sleep(pause.unwrap_or(LOOK)), if pause.is_some() => after_death += 1,
                Some(report) = reports.recv() => {
                    let changes = self.take(report);
                    teller.tell(changes).await;
                    self.watch_all(&mut deaths);
                    continue;
                }
                () = stop.cancelled() => break,
            }
            if let Some(step_ms) = steps.look() {
                self.services.lock().shift(step_ms);
            }
            let Some(mut moved) = lookout.take() else { break };
            let watched = config.borrow().watched_services.clone();
            // A look takes milliseconds, and must not hold up the other tasks for them.
            let looked = tokio::task::spawn_blocking(move || {
                let changes = moved.look(&watched);
                (moved, changes)
            });
            let Ok((moved, changes)) = looked.await else {
                tracing::error!("the look at services panicked; it begins anew");
                lookout = Some(self.lookout(has_systemd));
                continue;
            };
            lookout = Some(moved);
            teller.tell(changes).await;
            self.watch_all(&mut deaths);
            self.services.save(&self.path);
        }
        self.services.save(&self.path);
    }

    fn lookout(&self, has_systemd: bool) -> Lookout {
        Lookout {
            init: Init::new(&self.roots),
            listeners: Listeners::new(&self.roots),
            services: self.services.clone(),
            roots: self.roots.clone(),
            has_systemd,
            looks: 0,
        }
    }

    fn watch_all(&self, deaths: &mut Deaths) {
        for pid in self.services.lock().main_pids() {
            deaths.watch(pid);
        }
    }

    fn take(&self, report: Report) -> Vec<UnitChange> {
        let mut table = self.services.lock();
        let now_ms = rt::now_ms();
        match report {
            Report::All(services) => table.replace(Manager::Systemd, services, now_ms),
            Report::One(service) => table.update(service, now_ms),
            Report::Gone(name) => {
                table.remove(Manager::Systemd, &name);
                Vec::new()
            }
        }
    }
}

impl Lookout {
    fn look(&mut self, watched: &[String]) -> Vec<UnitChange> {
        let is_slow = self.looks.is_multiple_of(SLOW);
        self.looks = self.looks.wrapping_add(1);
        let now_ms = rt::now_ms();
        let mut changes = Vec::new();
        if !self.has_systemd {
            if is_slow {
                self.init.read_scripts();
            }
            let is_known = |name: &str| {
                self.services
                    .lock()
                    .get(Manager::Init, name)
                    .is_some_and(|known| known.expected)
            };
            let services = self.init.look(is_known);
            changes.extend(self.services.lock().replace(Manager::Init, services, now_ms));
        }
        // Where systemd is, listeners are its services' affair; only what is watched by name is looked for.
        if !self.has_systemd || !watched.is_empty() {
            let services = self.look_for_processes(watched);
            changes.extend(self.services.lock().replace(Manager::Process, services, now_ms));
        }
        let is_watched = |name: &str| watched.iter().any(|watched| systemd::short(watched) == name);
        self.services.lock().set_watched(is_watched);
        if is_slow {
            self.forget(now_ms, watched);
        }
        changes
    }

    fn look_for_processes(&mut self, watched: &[String]) -> Vec<Service> {
        let (managed, managed_names): (HashSet<u32>, HashSet<String>) = {
            let table = self.services.lock();
            let managed = || table.iter().filter(|service| service.manager != Manager::Process);
            let pids = managed().filter_map(|service| service.main_pid).collect();
            (pids, managed().map(|service| service.name.clone()).collect())
        };
        let watched: Vec<String> = watched
            .iter()
            .map(|name| systemd::short(name).to_owned())
            .filter(|name| !managed_names.contains(name))
            .collect();
        let known: HashSet<String> = {
            let table = self.services.lock();
            table
                .iter()
                .filter(|service| service.manager == Manager::Process)
                .map(|service| service.name.clone())
                .collect()
        };
        let mut found = self
            .listeners
            .look(|name| known.contains(name), &watched, &managed);
        found.retain(|service| !managed_names.contains(&service.name));
        if self.has_systemd {
            found.retain(|service| watched.contains(&service.name));
        }
        for name in watched {
            // Asked for by name and not there: down, even if it was never seen.
            if !known.contains(&name) && !found.iter().any(|service| service.name == name) {
                let reason = Some("it has not been seen on this host".to_owned());
                found.push(Service {
                    expected: true,
                    watched: true,
                    reason,
                    ..Service::new(name, Manager::Process, "inactive")
                });
            }
        }
        found
    }

    fn forget(&self, now_ms: i64, watched: &[String]) {
        let exists = |service: &Service| match service.manager {
            // systemd says itself when a unit goes.
            Manager::Systemd => Some(true),
            Manager::Init => Some(self.init.exists(&service.name)),
            Manager::Process => listeners::exists(&self.roots, service),
        };
        self.services.lock().forget(now_ms, exists, |name| {
            watched.iter().any(|watched| watched == name)
        });
    }
}

/// Tells of changes, with the samples that follow from them, without waiting for the next tick.
struct Teller {
    sink: Sink,
    services: Services,
    observations: Observations,
}

impl Teller {
    async fn tell(&mut self, changes: Vec<UnitChange>) {
        if changes.is_empty() {
            return;
        }
        let at_ms = rt::now_ms();
        for change in &changes {
            tracing::info!(
                name = change.name,
                state = change.state,
                reason = change.reason,
                "a service changed"
            );
        }
        let samples = self.samples(&changes, at_ms);
        // The receiver is gone only when the agent stops.
        let _ = self
            .observations
            .send(Observation::Units { changes, samples })
            .await;
    }

    fn samples(&mut self, changes: &[UnitChange], at_ms: i64) -> Vec<Sample> {
        {
            let table = self.services.lock();
            for service in table.iter().filter(|service| service.expected) {
                if changes.iter().any(|change| change.name == service.name) {
                    put_service(&mut self.sink, service);
                }
            }
        }
        let mut samples = Vec::new();
        self.sink.take(at_ms, &mut samples);
        samples
    }
}
