//! Opens a folder: locks it, reads segments, replays write-ahead logs, mends what a crash left.
use super::{Logs, Options, View, Writer, write_marks};
use crate::error::{Error, IoContext, Result};
use crate::head::{Frozen, Head};
use crate::mark::Marks;
use crate::segment::{self, Segment};
use crate::stats::Counters;
use crate::tail::Tails;
use crate::wal::{self, Replay};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

const FORMAT: &str = "mainstay-logs 1";

impl Logs {
    /// Opens or creates the store in `dir`. What had to be mended is in [`Logs::take_notices`].
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self> {
        let dir = dir.as_ref().to_path_buf();
        std::fs::create_dir_all(&dir).at("create the folder", &dir)?;
        let lock = lock(&dir)?;
        check_format(&dir)?;
        let counters = Counters::default();
        let names = file_names(&dir)?;
        let wals = generations(&names, wal::generation_of);
        let segments = load_segments(
            &dir,
            &generations(&names, segment::generation_of),
            &wals,
            &counters,
        )?;
        let (view, writer) = load_heads(&dir, &wals, segments, &options, &counters)?;
        Ok(Logs {
            dir,
            options,
            queue: Mutex::default(),
            writer: Mutex::new(writer),
            view: RwLock::new(view),
            tails: Mutex::new(Tails::default()),
            duty: Mutex::default(),
            clock_ms: AtomicI64::new(i64::MAX),
            counters,
            _lock: lock,
        })
    }
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("LOCK");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.at("create the lock file", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked {
            path: dir.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(error).at("lock the folder", &path),
    }
}

pub(super) fn write_format(dir: &Path) -> Result<()> {
    let (path, partial) = (dir.join("FORMAT"), dir.join("FORMAT.tmp"));
    std::fs::write(&partial, FORMAT).at("write the format", &partial)?;
    File::open(&partial)
        .and_then(|file| file.sync_all())
        .at("sync the format", &partial)?;
    std::fs::rename(&partial, &path).at("name the format", &path)?;
    wal::sync_dir(dir)
}

fn check_format(dir: &Path) -> Result<()> {
    let path = dir.join("FORMAT");
    match std::fs::read_to_string(&path) {
        Ok(found) if found.trim() == FORMAT => Ok(()),
        Ok(found) => Err(Error::OtherFormat {
            path: dir.to_path_buf(),
            found: found.trim().chars().take(60).collect(),
            expected: FORMAT,
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => write_format(dir),
        Err(error) => Err(error).at("read the format", &path),
    }
}

/// The names in the folder, after removing files that were never finished.
fn file_names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).at("list the folder", dir)? {
        let name = entry.at("list the folder", dir)?.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.ends_with(".tmp") {
            segment::remove_if_there(&dir.join(name), "remove the unfinished file")?;
        } else {
            names.push(name.to_string());
        }
    }
    Ok(names)
}

fn generations(names: &[String], of: fn(&str) -> Option<u64>) -> Vec<u64> {
    let mut found: Vec<u64> = names.iter().filter_map(|name| of(name)).collect();
    found.sort_unstable();
    found
}

/// Loads segments; a damaged one makes way for its write-ahead log, or is set aside when that is gone.
fn load_segments(dir: &Path, wanted: &[u64], wals: &[u64], counters: &Counters) -> Result<Vec<Arc<Segment>>> {
    let mut segments = Vec::new();
    for generation in wanted {
        let path = segment::path(dir, *generation);
        match Segment::load(&path) {
            Ok(segment) => segments.push(Arc::new(segment)),
            Err(Error::Damaged { .. }) if wals.contains(generation) => {
                segment::remove_if_there(&path, "remove the damaged segment")?;
            }
            Err(error @ Error::Damaged { .. }) => {
                let aside = aside(&path);
                std::fs::rename(&path, &aside).at("set the damaged segment aside", &path)?;
                counters.quarantined.fetch_add(1, Ordering::Relaxed);
                counters.notice(
                    &aside,
                    format!("{error}; its lines are missing and the file was set aside"),
                );
            }
            Err(error) if error.is_denied() => return Err(error),
            // A disk that fails to read now may give it at the next start: left where it is.
            Err(error) => {
                counters.quarantined.fetch_add(1, Ordering::Relaxed);
                counters.notice(&path, format!("{error}; its lines are missing from searches"));
            }
        }
    }
    Ok(segments)
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".damaged");
    name.into()
}

struct Loaded {
    generation: u64,
    path: PathBuf,
    head: Head,
    replay: Replay,
}

/// Replays the write-ahead logs. The last healthy one goes on; the others wait to be sealed.
fn load_heads(
    dir: &Path,
    wals: &[u64],
    segments: Vec<Arc<Segment>>,
    options: &Options,
    counters: &Counters,
) -> Result<(View, Writer)> {
    let mut next_seq = segments
        .iter()
        .filter(|one| one.rows() > 0)
        .map(|one| one.max_seq() + 1)
        .max()
        .unwrap_or(0);
    let mut last_generation = segments.iter().map(|one| one.generation).max().unwrap_or(0);
    let mut frozen: Vec<Arc<Frozen>> = Vec::new();
    let mut current: Option<Loaded> = None;
    let mut marks = Marks::default();
    let mut empty: Vec<PathBuf> = Vec::new();
    for generation in wals {
        let path = wal::path(dir, *generation);
        if segments.iter().any(|segment| segment.generation == *generation) {
            segment::remove_if_there(&path, "remove the sealed write-ahead log")?;
            continue;
        }
        if let Some(before) = current.take() {
            retire(before, &mut frozen, &mut empty);
        }
        let loaded = load_wal(path, *generation, counters)?;
        next_seq = next_seq.max(loaded.replay.next_seq);
        last_generation = last_generation.max(*generation);
        marks.merge(loaded.replay.marks.clone());
        current = Some(loaded);
    }
    let usable = |loaded: &Loaded| loaded.replay.good_len > 0 && loaded.replay.damaged_bytes == 0;
    let (head, mut wal) = match current {
        Some(loaded) if usable(&loaded) => {
            let writer = reopen(&loaded, options)?;
            (loaded, writer)
        }
        other => {
            if let Some(unusable) = other {
                retire(unusable, &mut frozen, &mut empty);
            }
            let generation = last_generation + 1;
            let wal = wal::Writer::create(dir, generation, next_seq, options.mode())?;
            let head = Head::new(generation);
            (
                Loaded {
                    generation,
                    path: PathBuf::new(),
                    head,
                    replay: Replay::default(),
                },
                wal,
            )
        }
    };
    // Invariant: the log that goes on holds all marks before any other is sealed or removed.
    if head.replay.marks != marks {
        write_marks(&mut wal, next_seq, &marks)?;
    }
    for path in empty {
        segment::remove_if_there(&path, "remove the empty write-ahead log")?;
    }
    let writer = Writer {
        wal,
        marks,
        generation: head.generation,
        next_seq,
        broken: None,
    };
    Ok((
        View {
            head: head.head,
            frozen,
            segments,
        },
        writer,
    ))
}

fn load_wal(path: PathBuf, generation: u64, counters: &Counters) -> Result<Loaded> {
    let mut replay = wal::replay(&path)?;
    if replay.damaged_bytes > 0 {
        let bytes = replay.damaged_bytes;
        counters.notice(
            &path,
            format!("{bytes} bytes in the middle are damaged; the lines in them are lost"),
        );
    }
    if replay.torn_bytes > 0 {
        let bytes = replay.torn_bytes;
        counters.notice(
            &path,
            format!("{bytes} bytes of an unfinished write at the end were cut off"),
        );
    }
    let mut head = Head::new(generation);
    for (first_seq, batch) in std::mem::take(&mut replay.batches) {
        head.push(&batch, first_seq);
    }
    Ok(Loaded {
        generation,
        path,
        head,
        replay,
    })
}

/// A head that takes no more lines: to be sealed, or forgotten when it is empty.
fn retire(loaded: Loaded, frozen: &mut Vec<Arc<Frozen>>, empty: &mut Vec<PathBuf>) {
    if loaded.head.rows() == 0 {
        empty.push(loaded.path);
    } else {
        frozen.push(Arc::new(loaded.head.into_frozen()));
    }
}

fn reopen(loaded: &Loaded, options: &Options) -> Result<wal::Writer> {
    if loaded.replay.torn_bytes > 0 {
        let file = OpenOptions::new()
            .write(true)
            .open(&loaded.path)
            .at("open the write-ahead log", &loaded.path)?;
        let cut = file
            .set_len(loaded.replay.good_len)
            .and_then(|()| file.sync_all());
        cut.at("cut the write-ahead log", &loaded.path)?;
    }
    wal::Writer::reopen(loaded.path.clone(), loaded.replay.good_len, options.mode())
}
