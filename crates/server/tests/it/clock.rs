//! Wall clocks of processes under test: they can be set while the process runs; its monotonic clock stays true.

use std::path::PathBuf;
use std::process::Command;

/// The offset of a process's wall clock, in a file that libfaketime reads again each second.
#[derive(Clone)]
pub struct TestClock {
    file: PathBuf,
}

impl TestClock {
    /// A clock that is right.
    pub fn new(file: PathBuf) -> TestClock {
        let clock = TestClock { file };
        clock.set(0);
        clock
    }

    /// From now on so many seconds ahead (behind when negative).
    pub fn set(&self, offset_s: i64) {
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("{offset_s:+}s\n")).unwrap();
        std::fs::rename(next, &self.file).unwrap();
    }

    /// Makes a process, and those that it starts, go by this clock.
    pub fn wind(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_CACHE_DURATION", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}

fn library() -> PathBuf {
    let found = std::fs::read_dir("/usr/lib").unwrap().find_map(|entry| {
        let path = entry.unwrap().path().join("faketime/libfaketimeMT.so.1");
        path.exists().then_some(path)
    });
    assert!(found.is_some(), "libfaketime is missing; `make deps` installs it");
    found.unwrap()
}
