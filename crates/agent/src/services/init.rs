//! Services of init scripts: what `/etc/init.d` has, and whether the processes of their pid files live.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::table::{Manager, Service};
use crate::collect::{Roots, read_dir_names, read_text};
use crate::host::processes::{Processes, TICKS};

/// Scripts that prepare the host at boot and leave no process.
const NOT_SERVICES: [&str; 24] = [
    "README",
    "bootlogd",
    "bootmisc.sh",
    "checkfs.sh",
    "checkroot.sh",
    "console-setup.sh",
    "functions",
    "halt",
    "hostname.sh",
    "hwclock.sh",
    "keyboard-setup.sh",
    "killprocs",
    "kmod",
    "mountall.sh",
    "mountkernfs.sh",
    "networking",
    "procps",
    "rc",
    "rc.local",
    "reboot",
    "sendsigs",
    "single",
    "umountfs",
    "urandom",
];

/// What a script says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) description: Option<String>,
    pub(crate) pid_files: Vec<String>,
    pub(crate) daemon: Option<String>,
}

pub(crate) struct Init {
    roots: Roots,
    processes: Processes,
    boot_ms: i64,
    scripts: Vec<(String, Script, Option<bool>)>,
    /// Children of the first process, refreshed now and then: daemons without pid files are among them.
    daemons: Vec<(u32, PathBuf)>,
    looks: u32,
}

/// Looks between two refreshes of the daemons.
const REFRESH: u32 = 5;

impl Init {
    pub(crate) fn new(roots: &Roots) -> Self {
        let processes = Processes::new(&roots.procfs);
        let boot_ms = processes.boot_ms().unwrap_or(0);
        Self {
            roots: roots.clone(),
            processes,
            boot_ms,
            scripts: Vec::new(),
            daemons: Vec::new(),
            looks: 0,
        }
    }

    /// Reads the scripts anew; they change with packages only.
    pub(crate) fn read_scripts(&mut self) {
        let folder = self.roots.root("etc/init.d");
        let enabled = enabled(&self.roots);
        let names = read_dir_names(&folder)
            .into_iter()
            .filter(|name| !NOT_SERVICES.contains(&name.as_str()));
        self.scripts = names
            .filter_map(|name| {
                let script = parse(&read_text(&folder.join(&name))?, &name);
                let is_enabled = enabled.as_ref().map(|enabled| enabled.contains(&name));
                Some((name, script, is_enabled))
            })
            .collect();
    }

    /// Whether the script of a service is still there.
    pub(crate) fn exists(&self, name: &str) -> bool {
        self.roots.root("etc/init.d").join(name).exists()
    }

    /// The services of now, but for those of which nothing can be said.
    pub(crate) fn look(&mut self, is_known: impl Fn(&str) -> bool) -> Vec<Service> {
        if self.looks.is_multiple_of(REFRESH) {
            self.refresh_daemons();
        }
        self.looks = self.looks.wrapping_add(1);
        let mut services = Vec::new();
        for (name, script, enabled) in &self.scripts {
            let (state, pid, reason) = self.state(script);
            let is_up = state == "active";
            services.push(Service {
                enabled: *enabled,
                description: script.description.clone(),
                main_pid: pid,
                started_at_ms: pid.and_then(|pid| self.started_ms(pid)),
                reason,
                // Installed and never started (in a container, say) is no fault.
                expected: is_up || is_known(name),
                ..Service::new(name.clone(), Manager::Init, state)
            });
        }
        services
    }

    fn state(&self, script: &Script) -> (&'static str, Option<u32>, Option<String>) {
        let mut left_over = None;
        for file in &script.pid_files {
            let path = self.roots.root(file);
            let Some(pid) =
                read_text(&path).and_then(|text| text.split_ascii_whitespace().next()?.parse().ok())
            else {
                continue;
            };
            if self.is_daemon(pid, script) {
                return ("active", Some(pid), None);
            }
            left_over = Some((pid, file));
        }
        match left_over {
            // A script that stops its daemon also removes the file.
            Some((pid, file)) => (
                "failed",
                None,
                Some(format!("process {pid} ended and left {file}")),
            ),
            None => match self.find_daemon(script) {
                Some(pid) => ("active", Some(pid), None),
                None => ("inactive", None, None),
            },
        }
    }

    /// The process lives, and is not another one that was given the number since.
    fn is_daemon(&self, pid: u32, script: &Script) -> bool {
        let Some(stat) = self.processes.stat(pid).filter(|stat| stat.state != 'Z') else {
            return false;
        };
        let Some(daemon) = script
            .daemon
            .as_deref()
            .and_then(|path| Path::new(path).file_name()?.to_str())
        else {
            return true;
        };
        let program = self.processes.program(pid);
        let is_same = program
            .as_deref()
            .and_then(Path::file_name)
            .is_none_or(|name| name == daemon);
        // A daemon that is a script runs as its interpreter.
        is_same || stat.name == daemon.get(..15).unwrap_or(daemon) || self.mentions(pid, daemon)
    }

    fn mentions(&self, pid: u32, daemon: &str) -> bool {
        let arguments = self.processes.arguments(pid);
        arguments
            .iter()
            .take(3)
            .any(|word| word.rsplit('/').next() == Some(daemon))
    }

    /// Without a pid file: a process of the script's daemon whose parent is the first process.
    fn find_daemon(&self, script: &Script) -> Option<u32> {
        let daemon = script.daemon.as_deref().map(Path::new)?;
        let found = self.daemons.iter().find(|(_, program)| program == daemon)?.0;
        self.is_daemon(found, script).then_some(found)
    }

    fn refresh_daemons(&mut self) {
        let is_daemon = |pid: &u32| {
            self.processes
                .stat(*pid)
                .is_some_and(|stat| stat.parent == 1 && stat.state != 'Z')
        };
        let pids = self.processes.pids().into_iter().filter(is_daemon);
        self.daemons = pids
            .filter_map(|pid| Some((pid, self.processes.program(pid)?)))
            .collect();
    }

    fn started_ms(&self, pid: u32) -> Option<i64> {
        let ticks = i64::try_from(self.processes.stat(pid)?.started_ticks).ok()?;
        Some(self.boot_ms + ticks.saturating_mul(1000 / i64::try_from(TICKS).ok()?))
    }
}

/// The scripts that start in the usual run levels; `None` where there are no run levels.
fn enabled(roots: &Roots) -> Option<HashSet<String>> {
    let folders: Vec<PathBuf> = ["etc/rc2.d", "etc/rc3.d", "etc/runlevels/default"]
        .iter()
        .map(|path| roots.root(path))
        .collect();
    if !folders.iter().any(|folder| folder.is_dir()) {
        return None;
    }
    let names = folders.iter().flat_map(|folder| read_dir_names(folder));
    // `S02cron`, or in newer schemes just `cron`.
    let plain = |name: String| match name.strip_prefix('S') {
        Some(rest) => rest.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned(),
        None => name,
    };
    Some(names.map(plain).collect())
}

/// Reads the LSB header and the usual variables. Nothing is executed.
pub(crate) fn parse(text: &str, name: &str) -> Script {
    let mut script = Script::default();
    let mut variables: Vec<(String, String)> = vec![("NAME".into(), name.into())];
    for line in text.lines().take(400) {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            if let Some(text) = comment.trim().strip_prefix("Short-Description:") {
                script.description = Some(text.trim().to_owned());
            } else if let Some(file) = comment.trim().strip_prefix("pidfile:") {
                script.pid_files.push(file.trim().to_owned());
            } else if let Some(file) = comment.trim().strip_prefix("processname:") {
                script.daemon.get_or_insert_with(|| file.trim().to_owned());
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let key = key.trim_start_matches("export ").trim();
        if !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let Some(value) = expand(value, &variables) else {
            continue;
        };
        variables.push((key.to_owned(), value.clone()));
        match key.to_ascii_uppercase().as_str() {
            "PIDFILE" | "PID_FILE" | "PIDPATH" if value.starts_with('/') => script.pid_files.push(value),
            "DAEMON" | "COMMAND" if value.starts_with('/') => {
                script.daemon.get_or_insert(value);
            }
            _ => {}
        }
    }
    let usual = [format!("/run/{name}.pid"), format!("/run/{name}/{name}.pid")];
    script.pid_files.extend(usual);
    for file in &mut script.pid_files {
        // /var/run is /run, and a test's root has no such link.
        if let Some(rest) = file.strip_prefix("/var/run/") {
            *file = format!("/run/{rest}");
        }
    }
    script.pid_files.dedup();
    script
}

/// A value with its quotes taken off and simple variables put in; `None` when it needs a shell.
fn expand(value: &str, variables: &[(String, String)]) -> Option<String> {
    let value = value
        .split(" #")
        .next()
        .unwrap_or(value)
        .trim()
        .trim_matches(['"', '\'']);
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, after) = match after.strip_prefix('{') {
            Some(inner) => inner.split_once('}')?,
            None => after.split_at(
                after
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .unwrap_or(after.len()),
            ),
        };
        // `${NAME:-default}`
        let (name, default) = name
            .split_once(":-")
            .map_or((name, None), |(name, default)| (name, Some(default)));
        let known = variables
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str());
        out.push_str(known.or(default)?);
        rest = after;
    }
    out.push_str(rest);
    (!out.contains(['`', '(', ' '])).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: web\n# Short-Description: A web server\n\
                          ### END INIT INFO\nNAME=web\nDAEMON=/usr/sbin/$NAME\nPIDFILE=\"/var/run/${NAME}.pid\"\n\
                          OPTS=`cat x`\n";

    #[test]
    fn a_script_is_read_without_running_it() {
        let script = parse(SCRIPT, "web");
        assert_eq!(script.description.as_deref(), Some("A web server"));
        assert_eq!(script.daemon.as_deref(), Some("/usr/sbin/web"));
        assert_eq!(script.pid_files, ["/run/web.pid", "/run/web/web.pid"]);
        assert_eq!(
            parse("PIDFILE=$UNKNOWN/x.pid\n", "x").pid_files,
            ["/run/x.pid", "/run/x/x.pid"]
        );
    }

    #[test]
    fn the_state_follows_the_pid_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(root("etc/init.d")).unwrap();
        std::fs::create_dir_all(root("run")).unwrap();
        std::fs::create_dir_all(root("etc/rc2.d")).unwrap();
        // A program of its own: others on this machine may have left a `sleep` without a parent.
        let program = root("mainstay-test-web");
        std::fs::copy("/usr/bin/sleep", &program).unwrap();
        std::fs::write(
            root("etc/init.d/web"),
            SCRIPT.replace("/usr/sbin/$NAME", &program.display().to_string()),
        )
        .unwrap();
        std::fs::write(root("etc/rc2.d/S02web"), "").unwrap();
        let roots = Roots {
            rootfs: dir.path().to_owned(),
            ..Roots::default()
        };
        let mut init = Init::new(&roots);
        init.read_scripts();
        let state = |init: &mut Init| {
            let service = init.look(|_| false).remove(0);
            (service.state.clone(), service.expected, service.enabled)
        };
        assert_eq!(state(&mut init), ("inactive".into(), false, Some(true)));
        let mut child = std::process::Command::new(&program).arg("600").spawn().unwrap();
        std::fs::write(root("run/web.pid"), format!("{}\n", child.id())).unwrap();
        assert_eq!(state(&mut init), ("active".into(), true, Some(true)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(state(&mut init).0, "failed");
        // Another process with that number is not the service.
        std::fs::write(root("run/web.pid"), std::process::id().to_string()).unwrap();
        assert_eq!(state(&mut init).0, "failed");
        std::fs::remove_file(root("run/web.pid")).unwrap();
        assert_eq!(state(&mut init).0, "inactive");
    }
}
