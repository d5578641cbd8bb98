//! Processes from `/proc`: what they are, who holds which socket.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::collect::read_text;

/// Clock ticks a second, as in `/proc/PID/stat`.
pub(crate) const TICKS: u64 = 100;

/// The parts of `/proc/PID/stat` that are of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) name: String,
    pub(crate) state: char,
    pub(crate) parent: u32,
    pub(crate) cpu_ticks: u64,
    pub(crate) threads: u64,
    pub(crate) started_ticks: u64,
    pub(crate) resident_pages: u64,
}

pub(crate) fn parse_stat(text: &str) -> Option<Stat> {
    let open = text.find('(')?;
    let close = text.rfind(')')?;
    let name = text.get(open + 1..close)?.to_owned();
    let words: Vec<&str> = text.get(close + 1..)?.split_ascii_whitespace().collect();
    let number = |at: usize| words.get(at)?.parse::<u64>().ok();
    Some(Stat {
        name,
        state: words.first()?.chars().next()?,
        parent: u32::try_from(number(1)?).ok()?,
        cpu_ticks: number(11)?.saturating_add(number(12)?),
        threads: number(17)?,
        started_ticks: number(19)?,
        resident_pages: number(21)?,
    })
}

/// The process table under a root.
#[derive(Clone, Debug)]
pub(crate) struct Processes {
    procfs: PathBuf,
}

impl Processes {
    pub(crate) fn new(procfs: &Path) -> Self {
        Self {
            procfs: procfs.to_owned(),
        }
    }

    fn path(&self, pid: u32, file: &str) -> PathBuf {
        self.procfs.join(pid.to_string()).join(file)
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        let Ok(entries) = std::fs::read_dir(&self.procfs) else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect()
    }

    pub(crate) fn stat(&self, pid: u32) -> Option<Stat> {
        // A process may name itself with any bytes.
        parse_stat(&String::from_utf8_lossy(
            &std::fs::read(self.path(pid, "stat")).ok()?,
        ))
    }

    /// The program file, without the mark of one that has been replaced since.
    pub(crate) fn program(&self, pid: u32) -> Option<PathBuf> {
        let path = std::fs::read_link(self.path(pid, "exe")).ok()?;
        let bytes = path.as_os_str().as_bytes();
        let kept = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
        Some(PathBuf::from(OsStr::from_bytes(kept)))
    }

    pub(crate) fn arguments(&self, pid: u32) -> Vec<String> {
        let bytes = std::fs::read(self.path(pid, "cmdline")).unwrap_or_default();
        let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        words
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect()
    }

    /// The unit in the process's control group, on hosts with systemd.
    pub(crate) fn unit(&self, pid: u32) -> Option<String> {
        let text = read_text(&self.path(pid, "cgroup"))?;
        let unit = |line: &str| {
            let last = line.rsplit('/').find(|part| part.ends_with(".service"))?;
            Some(last.to_owned())
        };
        text.lines().find_map(unit)
    }

    pub(crate) fn open_files(&self, pid: u32) -> usize {
        std::fs::read_dir(self.path(pid, "fd")).map_or(0, Iterator::count)
    }

    /// Which processes hold which of the wanted sockets. Costs a look at every open file of every process.
    pub(crate) fn socket_owners(&self, wanted: &HashSet<u64>) -> HashMap<u64, Vec<u32>> {
        let mut owners: HashMap<u64, Vec<u32>> = HashMap::new();
        if wanted.is_empty() {
            return owners;
        }
        for pid in self.pids() {
            // Processes end while we look; others do not let us.
            let Ok(entries) = std::fs::read_dir(self.path(pid, "fd")) else {
                continue;
            };
            for entry in entries.filter_map(Result::ok) {
                let Ok(target) = std::fs::read_link(entry.path()) else {
                    continue;
                };
                let Some(inode) = target
                    .to_str()
                    .and_then(socket_inode)
                    .filter(|inode| wanted.contains(inode))
                else {
                    continue;
                };
                let pids = owners.entry(inode).or_default();
                if pids.last() != Some(&pid) {
                    pids.push(pid);
                }
            }
        }
        owners
    }

    pub(crate) fn uptime_ticks(&self) -> Option<u64> {
        let text = read_text(&self.procfs.join("uptime"))?;
        let seconds: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
        Some((seconds * TICKS as f64) as u64)
    }

    /// Unix milliseconds of the boot.
    pub(crate) fn boot_ms(&self) -> Option<i64> {
        let text = std::fs::read_to_string(self.procfs.join("stat")).ok()?;
        let seconds: i64 = text
            .lines()
            .find_map(|line| line.strip_prefix("btime "))?
            .trim()
            .parse()
            .ok()?;
        Some(seconds * 1000)
    }
}

/// `socket:[123]` → 123.
fn socket_inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// What people call a program: its file's name, or for an interpreter the name of what it interprets.
pub(crate) fn display_name(program: &Path, arguments: &[String]) -> Option<String> {
    const INTERPRETERS: [&str; 9] = [
        "python", "node", "ruby", "perl", "php", "java", "bash", "sh", "dash",
    ];
    let file = &*program.file_name()?.to_string_lossy();
    let stem = file.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if !INTERPRETERS.contains(&stem) {
        return Some(file.to_owned());
    }
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-m" | "-jar" => return words.next().map(|name| base(name)),
            "-c" | "-e" => break,
            flag if flag.starts_with('-') => {}
            script => return Some(base(script)),
        }
    }
    Some(file.to_owned())
}

fn base(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let endings = [".py", ".js", ".mjs", ".rb", ".pl", ".php", ".jar", ".sh"];
    endings
        .iter()
        .find_map(|ending| file.strip_suffix(ending))
        .unwrap_or(file)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let text = "7 (a) (b c)) S 1 7 7 0 -1 0 0 0 0 0 10 20 0 0 20 0 3 0 99 1000 42 0";
        let stat = parse_stat(text).unwrap();
        assert_eq!(
            (stat.name.as_str(), stat.state, stat.parent),
            ("a) (b c)", 'S', 1)
        );
        assert_eq!(
            (
                stat.cpu_ticks,
                stat.threads,
                stat.started_ticks,
                stat.resident_pages
            ),
            (30, 3, 99, 42)
        );
        assert_eq!(parse_stat("7 (x"), None);
    }

    #[test]
    fn a_process_whose_name_is_no_text_is_one_like_the_others() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("7")).unwrap();
        let stat = b"7 (b\xe9d) S 1 7 7 0 -1 0 0 0 0 0 10 20 0 0 20 0 3 0 99 1000 42 0";
        std::fs::write(dir.path().join("7/stat"), stat).unwrap();
        let stat = Processes::new(dir.path()).stat(7).unwrap();
        assert_eq!((stat.name.as_str(), stat.cpu_ticks), ("b\u{fffd}d", 30));
    }

    #[test]
    fn names_for_people() {
        let name = |program: &str, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            display_name(Path::new(program), &words).unwrap()
        };
        assert_eq!(name("/usr/sbin/nginx", &["nginx: master"]), "nginx");
        assert_eq!(
            name("/usr/bin/python3.11", &["python3", "-u", "/srv/app.py"]),
            "app"
        );
        assert_eq!(
            name("/usr/bin/python3", &["python3", "-m", "http.server", "80"]),
            "http.server"
        );
        assert_eq!(
            name("/usr/bin/java", &["java", "-Xmx1g", "-jar", "/opt/x/kafka.jar"]),
            "kafka"
        );
        assert_eq!(name("/bin/sh", &["sh", "-c", "x"]), "sh");
    }

    #[test]
    fn this_process_holds_its_listener() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let procfs = Path::new("/proc");
        let sockets = super::super::sockets::listening(procfs);
        let inode = sockets
            .iter()
            .find(|socket| socket.local == address)
            .unwrap()
            .inode;
        let owners = Processes::new(procfs).socket_owners(&HashSet::from([inode]));
        assert!(owners[&inode].contains(&std::process::id()));
    }
}
