//! Faults to trigger: what each breaks, how one sees whether it is still broken, and how it is taken back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kernel::Timestamp;
use kernel::clock::from_millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::host::Host;
use super::past;
use super::world::{self, HostSpec, SHOP, SHOP_BAD, SHOP_GOOD};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    DatabaseStopped,
    DiskFull,
    HostCut,
    MemoryLeak,
    CertificateExpired,
    BadDeploy,
}

impl Fault {
    pub const ALL: [Self; 6] = [
        Self::DatabaseStopped,
        Self::DiskFull,
        Self::HostCut,
        Self::MemoryLeak,
        Self::CertificateExpired,
        Self::BadDeploy,
    ];

    /// The host that it strikes, or one of them.
    fn host(self) -> &'static str {
        match self {
            Self::DatabaseStopped => "shop-db-1",
            Self::DiskFull => "reports-2",
            Self::HostCut => "search-3",
            Self::MemoryLeak => "app-5",
            Self::CertificateExpired => "web-2",
            Self::BadDeploy => "app-1",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::DatabaseStopped => "Stop the shop's database",
            Self::DiskFull => "Fill a disk",
            Self::HostCut => "Cut a host off",
            Self::MemoryLeak => "Leak memory",
            Self::CertificateExpired => "Let a certificate expire",
            Self::BadDeploy => "Deploy a bad release",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::DatabaseStopped => {
                "PostgreSQL on shop-db-1 is killed. The shop's eight application servers depend on it and fail."
            }
            Self::DiskFull => "A log on reports-2 fills /var.",
            Self::HostCut => {
                "search-3 loses its network. What it measures meanwhile arrives when it is back."
            }
            Self::MemoryLeak => "The shop application on app-5 takes all memory within a minute.",
            Self::CertificateExpired => "The certificate of the shop on web-2 was not renewed.",
            Self::BadDeploy => {
                "Release 2.14.0 of the shop application goes to all application servers and fails one request in four."
            }
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::DatabaseStopped => {
                "Runbook \"Restart a service\" with host shop-db-1 and service postgresql"
            }
            Self::DiskFull => "Runbook \"Free disk space\" with host reports-2 and mount point /var",
            Self::HostCut => "Take the fault back: nobody can reach the host",
            Self::MemoryLeak => "Runbook \"Restart a service\" with host app-5 and service shop-app",
            Self::CertificateExpired => "Runbook \"Renew a certificate\" with host web-2",
            Self::BadDeploy => {
                "Runbook \"Roll back a package\" with package shop-app, version 2.13.4, service shop-app and hosts app-*"
            }
        }
    }
}

/// A fault as the page shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FaultView {
    pub fault: Fault,
    pub title: String,
    pub description: String,
    /// What mends it.
    pub remedy: String,
    /// The host to look at.
    pub host: String,
    pub is_active: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
}

/// All made-up hosts, and what was done to them.
pub struct Company {
    pub hosts: Vec<Arc<Host>>,
    pub specs: Vec<HostSpec>,
    since: Mutex<BTreeMap<Fault, i64>>,
}

impl Company {
    pub fn new(now_ms: i64) -> Self {
        let specs = world::hosts();
        let hosts = specs
            .iter()
            .map(|spec| {
                let host = Host::new(spec.clone(), now_ms);
                // The counters go on from the week before.
                let failed = past::failed(&host, now_ms, now_ms);
                host.lock().failed_requests = failed;
                Arc::new(host)
            })
            .collect();
        Self {
            hosts,
            specs,
            since: Mutex::default(),
        }
    }

    fn host(&self, name: &str) -> Option<&Arc<Host>> {
        self.hosts.iter().find(|host| host.spec.name == name)
    }

    fn shop(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.hosts.iter().filter(|host| host.spec.role.unit == SHOP)
    }

    pub fn is_database_up(&self) -> bool {
        self.host("shop-db-1")
            .is_none_or(|host| host.is_up("postgresql") == Some(true))
    }

    pub fn apply(&self, fault: Fault, now_ms: i64) {
        if !self.is_active(fault, now_ms) {
            self.lock_since().insert(fault, now_ms);
        }
        self.set(fault, true, now_ms);
    }

    pub fn undo(&self, fault: Fault, now_ms: i64) {
        self.set(fault, false, now_ms);
    }

    fn set(&self, fault: Fault, is_on: bool, now_ms: i64) {
        let Some(host) = self.host(fault.host()) else {
            return;
        };
        match fault {
            Fault::DatabaseStopped => {
                host.set_service("postgresql", !is_on, is_on.then_some("signal 9"), now_ms);
            }
            Fault::DiskFull => host.change(|state| state.filled = if is_on { 0.78 } else { 0.0 }),
            Fault::HostCut => host.change(|state| state.is_cut = is_on),
            Fault::MemoryLeak => host.change(|state| {
                state.is_leaking = is_on;
                state.leaked = 0.0;
            }),
            Fault::CertificateExpired => host.change(|state| {
                let days = if is_on { -0.02 } else { 60.0 };
                state.certificate_until_s = now_ms as f64 / 1000.0 + days * 86_400.0;
                state.has_news = true;
            }),
            Fault::BadDeploy => {
                for host in self.shop() {
                    host.change(|state| {
                        state.version = if is_on { SHOP_BAD } else { SHOP_GOOD };
                        state.has_news = true;
                    });
                }
            }
        }
        self.settle(now_ms);
    }

    pub fn is_active(&self, fault: Fault, now_ms: i64) -> bool {
        let Some(host) = self.host(fault.host()) else {
            return false;
        };
        match fault {
            Fault::DatabaseStopped => !self.is_database_up(),
            Fault::BadDeploy => self.shop().any(|host| host.lock().version == SHOP_BAD),
            Fault::DiskFull => host.lock().filled > 0.0,
            Fault::HostCut => host.lock().is_cut,
            Fault::MemoryLeak => host.lock().is_leaking,
            Fault::CertificateExpired => host.lock().certificate_until_s * 1000.0 < now_ms as f64,
        }
    }

    /// What a fault on one host does to requests on others.
    pub fn settle(&self, now_ms: i64) {
        let is_without_database = !self.is_database_up();
        let mut worst: f64 = 0.0;
        for host in self.shop() {
            host.advance(now_ms);
            let mut state = host.lock();
            let is_down = !state.services[0].is_up;
            state.error_share = match (is_without_database || is_down, state.version == SHOP_BAD) {
                (true, _) => 0.8,
                (false, true) => 0.25,
                (false, false) => 0.0,
            };
            worst = worst.max(state.error_share);
        }
        for host in self
            .hosts
            .iter()
            .filter(|host| host.spec.role.serves_shop && host.spec.role.unit != SHOP)
        {
            host.advance(now_ms);
            host.lock().error_share = worst * 0.9;
        }
    }

    pub fn view(&self, fault: Fault, now_ms: i64) -> FaultView {
        let is_active = self.is_active(fault, now_ms);
        let since = self.lock_since().get(&fault).copied().filter(|_| is_active);
        FaultView {
            fault,
            title: fault.title().into(),
            description: fault.about().into(),
            remedy: fault.remedy().into(),
            host: fault.host().into(),
            is_active,
            since: since.map(from_millis),
        }
    }

    fn lock_since(&self) -> std::sync::MutexGuard<'_, BTreeMap<Fault, i64>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use protocol::{Action, ServiceVerb};

    use super::*;
    use crate::demo::act;

    const NOW: i64 = 1_790_000_000_000;

    fn exec(argv: &[&str]) -> Action {
        Action::Exec {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            env: BTreeMap::new(),
            cwd: None,
            user: None,
            stdin: None,
        }
    }

    fn remedy(fault: Fault) -> Option<Action> {
        let service = |name: &str| Action::Service {
            name: name.into(),
            verb: ServiceVerb::Restart,
        };
        match fault {
            Fault::DatabaseStopped => Some(service("postgresql")),
            Fault::MemoryLeak => Some(service(SHOP)),
            Fault::DiskFull => Some(Action::Script {
                interpreter: None,
                script: "df -h \"$INPUT_MOUNTPOINT\"\nfind /var/log -name '*.gz' -delete\n".into(),
                args: Vec::new(),
                env: BTreeMap::from([("INPUT_MOUNTPOINT".into(), "/var".into())]),
                user: None,
            }),
            Fault::CertificateExpired => Some(exec(&["certbot", "renew"])),
            Fault::BadDeploy => Some(exec(&["apt-get", "install", "--yes", "shop-app=2.13.4"])),
            Fault::HostCut => None,
        }
    }

    #[test]
    fn every_fault_shows_and_is_mended_by_its_remedy_or_taken_back() {
        for fault in Fault::ALL {
            let company = Company::new(NOW);
            assert!(!company.is_active(fault, NOW), "{fault:?}");
            company.apply(fault, NOW);
            let view = company.view(fault, NOW + 5000);
            assert!(view.is_active && view.since.is_some(), "{fault:?}");
            if let Some(action) = remedy(fault) {
                let hosts = company.hosts.iter().filter(|host| match fault {
                    Fault::BadDeploy => host.spec.role.unit == SHOP,
                    _ => host.spec.name == fault.host(),
                });
                for host in hosts {
                    let answer = act::answer(host, &action, NOW + 9000);
                    assert_eq!(answer.code, 0, "{fault:?}: {answer:?}");
                }
                assert!(
                    !company.is_active(fault, NOW + 9000),
                    "{fault:?} outlives its remedy"
                );
                company.apply(fault, NOW + 9000);
            }
            company.undo(fault, NOW + 12_000);
            assert!(!company.is_active(fault, NOW + 12_000), "{fault:?}");
        }
    }

    #[test]
    fn a_database_that_is_down_fails_the_shop_until_it_is_up() {
        let company = Company::new(NOW);
        let share = |company: &Company| company.shop().map(|host| host.lock().error_share).sum::<f64>();
        company.apply(Fault::DatabaseStopped, NOW);
        assert!(share(&company) > 1.0);
        company.undo(Fault::DatabaseStopped, NOW + 1000);
        assert!(share(&company) == 0.0);
    }

    #[test]
    fn hosts_answer_the_usual_questions() {
        let company = Company::new(NOW);
        let host = company.host("reports-2").unwrap();
        let ask = |argv: &[&str]| act::answer(host, &exec(argv), NOW);
        assert!(ask(&["df", "-h", "/var"]).stdout.contains("/dev/vdb1"));
        assert!(ask(&["free", "-m"]).stdout.contains("Mem:"));
        assert_eq!(ask(&["systemctl", "is-active", "reports"]).stdout, "active\n");
        assert_eq!(ask(&["systemctl", "start", "nothing"]).code, 4);
        assert_eq!(ask(&["no-such-program"]).code, 127);
    }
}
