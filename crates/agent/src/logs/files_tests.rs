//! Files over rotation, restarts and replacement, without a thread: the steps of the follower one by one.

use std::os::unix::ffi::OsStrExt;

use protocol::AgentConfig;
use tokio::sync::mpsc;

use super::*;

struct Bench {
    dir: tempfile::TempDir,
    checkpoints: Checkpoints,
    figures: Arc<Figures>,
}

/// One run of an agent over the folder of a bench.
struct Run<'a> {
    bench: &'a Bench,
    follower: Follower,
    queue: mpsc::Receiver<Observation>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("l")).unwrap();
        Self {
            checkpoints: Checkpoints::open(&dir.path().join("checkpoints.json")),
            figures: Arc::default(),
            dir,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join("l").join(name)
    }

    fn append(&self, name: &str, text: &str) {
        use std::io::Write;
        let mut options = std::fs::OpenOptions::new();
        let file = options.create(true).append(true).open(self.at(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.at(from), self.at(to)).unwrap();
    }

    fn run(&self) -> Run<'_> {
        let config = AgentConfig {
            log_files: vec!["/l/*.log".into()],
            ..AgentConfig::default()
        };
        let (observations, queue) = mpsc::channel(1000);
        let follower = Follower::new(Files {
            roots: Roots {
                rootfs: self.dir.path().to_owned(),
                ..Roots::default()
            },
            config: watch::channel(config).1,
            checkpoints: self.checkpoints.clone(),
            observations,
            figures: self.figures.clone(),
            stop: CancellationToken::new(),
            beside_journal: false,
        });
        Run {
            bench: self,
            follower,
            queue,
        }
    }
}

impl Run<'_> {
    /// One round; what was read, as `file: line`. Everything that was told counts as safe.
    fn round(&mut self) -> Vec<String> {
        self.follower.check_rotation();
        self.follower.search();
        self.follower.followed.iter_mut().for_each(|one| one.due = true);
        while self.follower.look(&TimeZone::UTC, &mut Vec::new()).unwrap() {}
        let mut told = Vec::new();
        while let Ok(Observation::Logs { source, lines, mark }) = self.queue.try_recv() {
            let name = source.name.trim_start_matches("/l/").to_owned();
            told.extend(lines.into_iter().map(|line| format!("{name}: {}", line.text)));
            self.bench.checkpoints.set(mark);
        }
        told
    }

    /// As if the time that a rotated file is read on for were over.
    fn linger_over(&mut self) {
        self.follower.linger = Duration::ZERO;
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_file_rotated_to_a_name_that_matches_too_is_read_once() {
    let bench = Bench::new();
    bench.append("svc.log", "one\ntwo\n");
    let mut run = bench.run();
    assert_eq!(run.round(), ["svc.log: one", "svc.log: two"]);
    bench.append("svc.log", "three\n");
    bench.rename("svc.log", "svc-2026-11-29.log");
    bench.append("svc.log", "four\n");
    assert_eq!(run.round(), ["svc.log: three", "svc.log: four"]);
    assert_eq!(run.round(), NOTHING);
    run.linger_over();
    for _ in 0..3 {
        assert_eq!(run.round(), NOTHING);
    }
    // A late writer is still heard, and a restart changes nothing.
    bench.append("svc-2026-11-29.log", "late\n");
    assert_eq!(run.round(), ["svc-2026-11-29.log: late"]);
    let mut run = bench.run();
    assert_eq!(run.round(), NOTHING);
    bench.append("svc.log", "five\n");
    assert_eq!(run.round(), ["svc.log: five"]);
}

#[test]
fn a_rotation_while_the_agent_is_away_loses_and_repeats_nothing() {
    let bench = Bench::new();
    bench.append("svc.log", "one\n");
    assert_eq!(bench.run().round(), ["svc.log: one"]);
    bench.append("svc.log", "two\n");
    bench.rename("svc.log", "a-svc.log");
    bench.append("svc.log", "three\n");
    let mut run = bench.run();
    assert_eq!(run.round(), ["svc.log: two", "svc.log: three"]);
    let mut run = bench.run();
    assert_eq!(run.round(), NOTHING, "in the middle of the lingering");
    run.linger_over();
    assert_eq!(run.round(), NOTHING);
    assert_eq!(bench.run().round(), NOTHING);
}

#[test]
fn a_file_cut_or_replaced_while_the_agent_was_away_is_read_from_its_first_byte() {
    let bench = Bench::new();
    bench.append("cut.log", "one\n");
    bench.append("other.log", "same\n");
    bench.run().round();
    std::fs::write(bench.at("cut.log"), "a new beginning, longer than before\n").unwrap();
    std::fs::remove_file(bench.at("other.log")).unwrap();
    bench.append("other.log", "from another program\n");
    assert_eq!(
        bench.run().round(),
        [
            "cut.log: a new beginning, longer than before",
            "other.log: from another program"
        ]
    );
}

#[test]
fn names_that_are_no_text_are_followed_and_kept_apart() {
    let bench = Bench::new();
    let at = |name: &[u8]| bench.dir.path().join("l").join(std::ffi::OsStr::from_bytes(name));
    std::fs::write(at(b"caf\xe9.log"), "one\n").unwrap();
    std::fs::write(at(b"caf\xe8.log"), "two\n").unwrap();
    assert_eq!(
        bench.run().round(),
        ["caf\u{fffd}.log: two", "caf\u{fffd}.log: one"]
    );
    assert_eq!(bench.run().round(), NOTHING, "each has its own place");
}

#[test]
fn what_is_not_followed_is_counted() {
    let bench = Bench::new();
    for number in 0..MAX_FILES + 3 {
        bench.append(&format!("{number:03}.log"), "");
    }
    let mode = rustix::fs::Mode::RUSR;
    let pipe = bench.at("pipe.log");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    bench.run().round();
    let left_out = bench.figures.bounds.lock().left_out.clone();
    assert_eq!(
        left_out.get("log_files"),
        Some(&3),
        "a pipe is no file that could be read"
    );
}

#[test]
fn a_link_to_a_file_of_another_user_is_not_read() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let bench = Bench::new();
    let secret = bench.dir.path().join("secret");
    std::fs::write(&secret, "root only\n").unwrap();
    bench.append("fine.log", "fine\n");
    let mut run = bench.run();
    let link = |name: &str| {
        std::os::unix::fs::symlink("../secret", bench.at(name)).unwrap();
        std::os::unix::fs::lchown(bench.at(name), Some(54_321), None).unwrap();
    };
    link("stolen.log");
    assert_eq!(run.round(), ["fine.log: fine"]);
    assert_eq!(bench.figures.bounds.lock().left_out.get("log_files"), Some(&1));
    // A file that is followed already, replaced by a link.
    std::fs::remove_file(bench.at("fine.log")).unwrap();
    link("fine.log");
    run.linger_over();
    for _ in 0..3 {
        assert_eq!(run.round(), NOTHING);
    }
}
