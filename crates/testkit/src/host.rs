//! A made-up host for agents under test: they see its files and the processes that the test shows them, and nothing of the
//! machine that the test runs on, whose full disks and stopped services are not the test's.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Files of `/proc` of a small idle machine.
const PROC: [(&str, &str); 9] = [
    (
        "meminfo",
        "MemTotal:        8000000 kB\nMemFree:         4000000 kB\nMemAvailable:    6000000 kB\nBuffers:          100000 kB\n\
         Cached:          1500000 kB\nSwapCached:            0 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\n",
    ),
    ("loadavg", "0.10 0.20 0.30 1/100 4711\n"),
    (
        "diskstats",
        " 253       0 vda 1000 10 20000 300 2000 20 40000 600 0 500 900 0 0 0 0 0 0\n",
    ),
    (
        "net/dev",
        "Inter-|   Receive                                                |  Transmit\n \
         face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
         lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0\n",
    ),
    (
        "vmstat",
        "pgpgin 1000\npgpgout 2000\npgfault 3000\npgmajfault 10\noom_kill 0\n",
    ),
    ("sys/fs/file-nr", "1000\t0\t100000\n"),
    ("sys/kernel/hostname", "made-up\n"),
    ("mounts", "proc /proc proc rw,relatime 0 0\n"),
    (
        "cpuinfo",
        "processor\t: 0\nmodel name\t: made up\ncpu MHz\t\t: 2000.000\n",
    ),
];

/// A folder that an agent takes for the root of its host.
#[derive(Clone)]
pub struct TestHost {
    root: PathBuf,
}

impl TestHost {
    /// Made when it is not there yet. `machine_id` is what the server knows the host by.
    pub fn new(root: impl Into<PathBuf>, machine_id: &str) -> TestHost {
        let root = root.into();
        if root.exists() {
            return TestHost { root };
        }
        let proc = root.join("proc");
        for (name, text) in PROC {
            write(&proc.join(name), text);
        }
        // Processes are the machine's own, so their ages need its clock.
        symlink("/proc/uptime", proc.join("uptime")).unwrap();
        let own = std::fs::read_to_string("/proc/stat").unwrap();
        let boot = own.lines().find(|line| line.starts_with("btime")).unwrap();
        let stat = format!(
            "cpu  100 0 100 10000 10 0 0 0 0 0\ncpu0 100 0 100 10000 10 0 0 0 0 0\nintr 1000\nctxt 2000\n{boot}\nprocesses 100\nprocs_running 1\nprocs_blocked 0\n"
        );
        write(&proc.join("stat"), &stat);
        write(&proc.join("1/comm"), "init\n");
        symlink("../mounts", proc.join("1/mounts")).unwrap();
        symlink("1", proc.join("self")).unwrap();
        write(
            &proc.join("sys/kernel/random/boot_id"),
            "11111111-2222-4333-8444-555555555555\n",
        );
        write(&root.join("etc/machine-id"), &format!("{machine_id}\n"));
        std::fs::create_dir_all(root.join("sys")).unwrap();
        TestHost { root }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Mounted in this host, as `/name`; the file system itself is mounted at the path that is given back.
    pub fn mount_point(&self, name: &str) -> PathBuf {
        let mounts = self.root.join("proc/mounts");
        let text = std::fs::read_to_string(&mounts).unwrap();
        write(
            &mounts,
            &format!("{text}/dev/loop7 /{name} ext4 rw,relatime 0 0\n"),
        );
        let point = self.root.join(name);
        std::fs::create_dir_all(&point).unwrap();
        point
    }

    /// Shows a process of this machine to the host.
    pub fn show(&self, pid: u32) {
        let link = self.root.join("proc").join(pid.to_string());
        let _ = std::fs::remove_file(&link);
        symlink(format!("/proc/{pid}"), link).unwrap();
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
