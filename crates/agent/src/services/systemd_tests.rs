//! systemd's side of the bus played by the test, on a `dbus-daemon` of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use zbus::{ObjectPath, fdo, interface};

use super::*;

struct Daemon {
    child: Child,
    address: String,
    _dir: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("bus.conf");
        let text = format!(
            "<busconfig><type>session</type><listen>unix:dir={}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow send_destination=\"*\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/>\
             </policy></busconfig>",
            dir.path().display()
        );
        std::fs::write(&config, text).unwrap();
        let spawned = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--print-address=1"])
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = spawned else {
            assert!(std::env::var_os("CI").is_none(), "dbus-daemon is missing");
            println!("skipped: there is no dbus-daemon");
            return None;
        };
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        Some(Self {
            child,
            address: address.trim().to_owned(),
            _dir: dir,
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[derive(Clone)]
struct FakeUnit {
    state: String,
    pid: u32,
    kind: String,
    result: String,
    status: i32,
}

type Units = Arc<Mutex<BTreeMap<String, FakeUnit>>>;

fn path_of(name: &str) -> OwnedObjectPath {
    let escaped = name.replace('.', "_2e");
    OwnedObjectPath::try_from(format!("/org/freedesktop/systemd1/unit/{escaped}")).unwrap()
}

struct FakeManager(Units);

type UnitRow = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl FakeManager {
    fn subscribe(&self) {}

    fn list_units(&self) -> Vec<UnitRow> {
        let root = OwnedObjectPath::from(ObjectPath::from_static_str_unchecked("/"));
        let row = |(name, unit): (&String, &FakeUnit)| {
            let (load, sub) = ("loaded".to_owned(), "running".to_owned());
            (
                name.clone(),
                name.clone(),
                load,
                unit.state.clone(),
                sub,
                String::new(),
                path_of(name),
                0,
                String::new(),
                root.clone(),
            )
        };
        self.0.lock().unwrap().iter().map(row).collect()
    }

    fn get_unit(&self, name: &str) -> fdo::Result<OwnedObjectPath> {
        let units = self.0.lock().unwrap();
        units
            .get(name)
            .map(|_| path_of(name))
            .ok_or_else(|| fdo::Error::Failed("not loaded".into()))
    }

    fn get_unit_file_state(&self, name: &str) -> fdo::Result<String> {
        if name == "gone.service" {
            Err(fdo::Error::FileNotFound(name.into()))
        } else {
            Ok("enabled".into())
        }
    }
}

struct Unit(String, Units);

impl Unit {
    fn get(&self) -> FakeUnit {
        self.1.lock().unwrap()[&self.0].clone()
    }
}

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn id(&self) -> String {
        self.0.clone()
    }
    #[zbus(property)]
    fn load_state(&self) -> &str {
        "loaded"
    }
    #[zbus(property)]
    fn active_state(&self) -> String {
        self.get().state
    }
    #[zbus(property)]
    fn unit_file_state(&self) -> &str {
        "enabled"
    }
    #[zbus(property)]
    fn active_enter_timestamp(&self) -> u64 {
        1_700_000_000_000_000
    }
}

struct ServiceSide(String, Units);

#[interface(name = "org.freedesktop.systemd1.Service")]
impl ServiceSide {
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        self.1.lock().unwrap()[&self.0].pid
    }
    #[zbus(property)]
    fn r#type(&self) -> String {
        self.1.lock().unwrap()[&self.0].kind.clone()
    }
    #[zbus(property)]
    fn result(&self) -> String {
        self.1.lock().unwrap()[&self.0].result.clone()
    }
    #[zbus(property)]
    fn exec_main_status(&self) -> i32 {
        self.1.lock().unwrap()[&self.0].status
    }
}

fn unit(state: &str, pid: u32, kind: &str) -> FakeUnit {
    FakeUnit {
        state: state.into(),
        pid,
        kind: kind.into(),
        result: "success".into(),
        status: 0,
    }
}

async fn serve(daemon: &Daemon, units: &Units) -> Connection {
    let names: Vec<String> = units.lock().unwrap().keys().cloned().collect();
    let mut builder = connection::Builder::address(daemon.address.as_str())
        .name(DESTINATION)
        .serve_at(MANAGER_PATH, FakeManager(units.clone()));
    for name in names {
        builder = builder.serve_at(path_of(&name), Unit(name.clone(), units.clone()));
        builder = builder.serve_at(path_of(&name), ServiceSide(name, units.clone()));
    }
    builder.build().await.unwrap()
}

async fn next(reports: &mut mpsc::Receiver<Report>) -> Report {
    tokio::time::timeout(Duration::from_secs(10), reports.recv())
        .await
        .unwrap()
        .unwrap()
}

async fn next_one(reports: &mut mpsc::Receiver<Report>) -> Service {
    match next(reports).await {
        Report::One(service) => service,
        other => panic!("{other:?}"),
    }
}

fn check_list(services: &[Service]) {
    let nginx = services.iter().find(|service| service.name == "nginx").unwrap();
    assert_eq!(
        (nginx.state.as_str(), nginx.main_pid, nginx.enabled),
        ("active", Some(42), Some(true))
    );
    assert_eq!(
        (nginx.started_at_ms, nginx.expected),
        (Some(1_700_000_000_000), true)
    );
    let job = services.iter().find(|service| service.name == "job").unwrap();
    assert!(!job.expected, "a job that has run is not down");
}

/// Not loaded any more: stopped, or uninstalled.
async fn check_unloading(systemd: &Connection, reports: &mut mpsc::Receiver<Report>) {
    for (name, gone) in [("quiet.service", false), ("gone.service", true)] {
        let signal = (name, path_of(name));
        systemd
            .emit_signal(None::<&str>, MANAGER_PATH, MANAGER, "UnitRemoved", &signal)
            .await
            .unwrap();
        match next(reports).await {
            Report::Gone(found) => assert!(gone && found == short(name)),
            Report::One(service) => {
                assert!(!gone && service.state == "inactive" && service.enabled == Some(true))
            }
            Report::All(_) => panic!("a list"),
        }
    }
}

#[tokio::test]
async fn changes_arrive_as_they_happen() {
    let Some(daemon) = Daemon::start() else { return };
    let units: Units = Arc::default();
    units
        .lock()
        .unwrap()
        .insert("nginx.service".into(), unit("active", 42, "forking"));
    units
        .lock()
        .unwrap()
        .insert("job.service".into(), unit("inactive", 0, "oneshot"));
    let systemd = serve(&daemon, &units).await;
    let (sender, mut reports) = mpsc::channel(16);
    let stop = CancellationToken::new();
    let following = crate::rt::spawn("test", follow(Some(daemon.address.clone()), sender, stop.clone()));

    let Report::All(services) = next(&mut reports).await else {
        panic!("the list comes first")
    };
    check_list(&services);

    // Killed: systemd says so with a change of properties.
    let killed = FakeUnit {
        result: "signal".into(),
        status: 9,
        ..unit("failed", 0, "forking")
    };
    units.lock().unwrap().insert("nginx.service".into(), killed);
    let side = systemd
        .object_server()
        .interface::<_, Unit>(path_of("nginx.service"))
        .await
        .unwrap();
    side.get()
        .await
        .active_state_changed(side.signal_emitter())
        .await
        .unwrap();
    let nginx = next_one(&mut reports).await;
    assert_eq!(
        (nginx.state.as_str(), nginx.main_pid, nginx.reason.as_deref()),
        ("failed", None, Some("signal 9"))
    );

    // Started again: a job is removed when it is done.
    units
        .lock()
        .unwrap()
        .insert("nginx.service".into(), unit("active", 43, "forking"));
    let job: (u32, OwnedObjectPath, &str, &str) = (1, path_of("job"), "nginx.service", "done");
    systemd
        .emit_signal(None::<&str>, MANAGER_PATH, MANAGER, "JobRemoved", &job)
        .await
        .unwrap();
    let nginx = next_one(&mut reports).await;
    assert_eq!((nginx.state.as_str(), nginx.main_pid), ("active", Some(43)));

    check_unloading(&systemd, &mut reports).await;
    stop.cancel();
    following.await.unwrap();
}
