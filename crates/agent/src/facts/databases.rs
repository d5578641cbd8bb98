//! Database servers on the host: known programs that listen. No credentials are needed, and none are used.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use protocol::{DatabaseFact, ListenFact};

use crate::collect::Roots;
use crate::host::open::open_file;

/// Name of the program, as the kernel keeps it (15 letters), and the engine.
const ENGINES: [(&str, &str); 12] = [
    ("postgres", "postgresql"),
    ("mysqld", "mysql"),
    ("mariadbd", "mariadb"),
    ("mongod", "mongodb"),
    ("redis-server", "redis"),
    ("valkey-server", "valkey"),
    ("clickhouse-serv", "clickhouse"),
    ("clickhouse-server", "clickhouse"),
    ("influxd", "influxdb"),
    ("cockroach", "cockroachdb"),
    ("etcd", "etcd"),
    ("cassandra", "cassandra"),
];

/// Of the file that says the version.
const MOST_BYTES: u64 = 16;

/// One for each server process, named after its engine and lowest port.
pub(crate) fn find(roots: &Roots, listening: &[ListenFact]) -> Vec<DatabaseFact> {
    let mut servers: BTreeMap<u32, DatabaseFact> = BTreeMap::new();
    for listen in listening.iter().filter(|listen| listen.protocol == "tcp") {
        let (Some(pid), Some(engine)) = (listen.pid, listen.process.as_deref().and_then(engine)) else {
            continue;
        };
        let server = servers
            .entry(pid)
            .or_insert_with(|| describe(roots, pid, engine, listen));
        server.port = server.port.min(listen.port);
    }
    let mut all: Vec<DatabaseFact> = servers.into_values().collect();
    for server in &mut all {
        server.name = format!("{}:{}", server.engine, server.port);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.dedup_by(|a, b| a.name == b.name);
    all
}

fn engine(process: &str) -> Option<&'static str> {
    ENGINES
        .iter()
        .find(|(program, _)| *program == process)
        .map(|(_, engine)| *engine)
}

fn describe(roots: &Roots, pid: u32, engine: &str, listen: &ListenFact) -> DatabaseFact {
    // PostgreSQL and Redis work in the folder of their data.
    let folder = std::fs::read_link(roots.proc(&format!("{pid}/cwd"))).ok();
    let folder = folder.filter(|folder| folder.as_path() != Path::new("/"));
    let version = folder
        .as_ref()
        .filter(|_| engine == "postgresql")
        .and_then(|folder| version(&roots.rootfs, &roots.root_path(&folder.join("PG_VERSION"))));
    DatabaseFact {
        name: String::new(),
        engine: engine.to_owned(),
        version,
        port: listen.port,
        data_directory: folder.map(|folder| folder.to_string_lossy().into_owned()),
        service: listen.service.clone(),
        main_pid: Some(pid),
    }
}

/// `15`, `9.6`. Anybody may start a program of that name in a folder of theirs: a link to others' files, a pipe or any other text is not read on.
fn version(root: &Path, path: &Path) -> Option<String> {
    let file = open_file(root, path).ok()?;
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    let version = text.trim();
    let is_version = !version.is_empty() && version.chars().all(|c| c.is_ascii_digit() || c == '.');
    is_version.then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_programs_that_listen_are_database_servers() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let roots = Roots {
            procfs: root.join("proc"),
            rootfs: root.to_owned(),
            ..Roots::default()
        };
        let data = root.join("var/lib/postgresql/15/main");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("PG_VERSION"), "15\n").unwrap();
        std::fs::create_dir_all(root.join("proc/70")).unwrap();
        std::os::unix::fs::symlink("/var/lib/postgresql/15/main", root.join("proc/70/cwd")).unwrap();
        let listen = |process: &str, pid, port, protocol: &str| ListenFact {
            protocol: protocol.into(),
            address: "127.0.0.1".into(),
            port,
            pid: Some(pid),
            process: Some(process.into()),
            service: Some(process.into()),
        };
        let found = find(
            &roots,
            &[
                listen("nginx", 60, 80, "tcp"),
                listen("postgres", 70, 5433, "tcp"),
                listen("postgres", 70, 5432, "tcp"),
                listen("redis-server", 80, 6379, "tcp"),
                listen("postgres", 90, 123, "udp"),
            ],
        );
        let told: Vec<_> = found
            .iter()
            .map(|d| (d.name.as_str(), d.version.as_deref(), d.data_directory.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("postgresql:5432", Some("15"), Some("/var/lib/postgresql/15/main")),
                ("redis:6379", None, None),
            ]
        );
    }

    #[test]
    fn a_version_is_a_number_in_a_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let say = |name: &str, text: &str| {
            std::fs::write(at(name), text).unwrap();
            version(folder.path(), &at(name))
        };
        assert_eq!(say("old", "9.6\n").as_deref(), Some("9.6"));
        assert_eq!(say("secret", "root:$6$secret\n"), None);
        assert_eq!(say("empty", ""), None);
        std::os::unix::fs::symlink("old", at("link")).unwrap();
        assert_eq!(version(folder.path(), &at("link")).as_deref(), Some("9.6"));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::lchown(at("link"), Some(54_321), None).unwrap();
            assert_eq!(
                version(folder.path(), &at("link")),
                None,
                "a link leads where its owner may not read"
            );
        }
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert_eq!(
            version(folder.path(), &at("pipe")),
            None,
            "a pipe would be waited for"
        );
    }
}
