//! A PostgreSQL cluster for tests, from Debian's package, on a loopback port of its own choosing.
//!
//! One cluster serves the whole test run of a user: the first test process makes it under the temporary folder, holding a
//! file lock, and the others find it. A watcher process stops and removes it after the test processes that lease it are gone.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kernel::db::DbOptions;
use kernel::{Clock, Db};
use sqlx::AssertSqlSafe;
use tokio::sync::OnceCell;

/// How to reach the test cluster.
#[derive(Clone, Debug)]
pub struct Server {
    port: u16,
    /// Held open, and locked shared, as long as this process uses the cluster.
    _lease: std::sync::Arc<File>,
}

impl Server {
    pub fn url(&self, database: &str) -> String {
        format!("postgres://mainstay@127.0.0.1:{}/{database}", self.port)
    }
}

static SERVER: OnceCell<Server> = OnceCell::const_new();

/// The address of a new, empty database.
pub async fn database() -> String {
    let server = server().await;
    let name = format!("t{}", kernel::secret::random_hex(8));
    let admin = Db::open(&DbOptions::postgres(&server.url("postgres")), Clock::System)
        .await
        .unwrap();
    let mut connection = admin.read().await.unwrap();
    let create = format!("CREATE DATABASE {name}");
    sqlx::query(AssertSqlSafe(create))
        .execute(&mut *connection)
        .await
        .unwrap();
    drop(connection);
    admin.close().await;
    server.url(&name)
}

/// The cluster of this test run, started when it is not there yet.
pub async fn server() -> Server {
    SERVER
        .get_or_init(|| async { tokio::task::spawn_blocking(find_or_start).await.unwrap() })
        .await
        .clone()
}

/// Where Debian keeps the server programs.
pub fn bin_dir() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is not installed: run `make test`, which installs what the tests need")
        .map(|entry| entry.unwrap().path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions
        .pop()
        .expect("no initdb under /usr/lib/postgresql: install the package postgresql")
}

fn find_or_start() -> Server {
    let root = std::env::temp_dir().join("mainstay-test-postgres");
    std::fs::create_dir_all(&root).unwrap();
    let gate = File::create(root.join("gate")).unwrap();
    gate.lock().unwrap();
    let lease = File::create(root.join("lease")).unwrap();
    lease.lock_shared().unwrap();
    let port = match alive(&root) {
        Some(port) => port,
        None => start(&root),
    };
    Server {
        port,
        _lease: std::sync::Arc::new(lease),
    }
}

fn alive(root: &Path) -> Option<u16> {
    let port: u16 = std::fs::read_to_string(root.join("port"))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    Some(port)
}

fn start(root: &Path) -> u16 {
    let data = root.join("data");
    let _ = std::fs::remove_dir_all(&data);
    std::fs::create_dir_all(&data).unwrap();
    // The server refuses to run as root, so root hands the folder to the user `postgres` of the package.
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if is_root {
        run(Command::new("chown").args(["-R", "postgres"]).arg(&data));
        run(Command::new("chmod").arg("755").arg(root));
    }
    let as_user = |program: &str| {
        let program = bin_dir().join(program);
        if is_root {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"])
                .arg(program);
            command
        } else {
            Command::new(program)
        }
    };
    run(as_user("initdb")
        .args([
            "-U",
            "mainstay",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
            "-D",
        ])
        .arg(&data));
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let options = format!(
        "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c max_connections=300"
    );
    let log = data.join("server.log");
    run(as_user("pg_ctl")
        .args(["-w", "-t", "60", "-o", &options, "-l"])
        .arg(&log)
        .arg("-D")
        .arg(&data)
        .arg("start"));
    std::fs::write(root.join("port"), port.to_string()).unwrap();
    watch(root, &data, is_root);
    port
}

/// Leaves a shell behind that waits until nobody holds the lease, then stops the cluster.
fn watch(root: &Path, data: &Path, is_root: bool) {
    let prefix = if is_root {
        "setpriv --reuid=postgres --regid=postgres --clear-groups -- "
    } else {
        ""
    };
    // Stopping and removing happen behind the gate, so that no test process starts a cluster in between.
    let script = format!(
        "while :; do sleep 20; flock -x '{root}/gate' sh -c \"flock -xn '{root}/lease' true || exit 1; \
         {prefix}'{bin}/pg_ctl' -m immediate -D '{data}' stop; rm -rf '{data}' '{root}/port'\" && break; done",
        root = root.display(),
        data = data.display(),
        bin = bin_dir().display(),
    );
    let mut command = Command::new("setsid");
    command
        .args(["sh", "-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let watcher = command.spawn().unwrap();
    // It outlives this process on purpose; the system reaps it.
    std::mem::forget(watcher);
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
