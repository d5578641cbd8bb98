//! Shell patterns for log files: `*`, `?` and `[…]`, none of which matches a slash.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Files that are found at most.
const MOST: usize = 1000;

/// The files that match, under `root`.
pub(crate) fn expand(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    for part in pattern
        .split('/')
        .filter(|part| !part.is_empty() && *part != "..")
    {
        found = found
            .into_iter()
            .flat_map(|folder| step(&folder, part))
            .take(MOST)
            .collect();
    }
    found.retain(|path| path.is_file());
    found.sort_unstable();
    found
}

fn step(folder: &Path, part: &str) -> Vec<PathBuf> {
    if !part.contains(['*', '?', '[']) {
        return vec![folder.join(part)];
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    // Names are bytes: one that is no text is a file like any other.
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    // Hidden files are matched only when asked for, as in a shell.
    let wanted = names.filter(|name| {
        let name = name.as_bytes();
        matches(part.as_bytes(), name) && (!name.starts_with(b".") || part.starts_with('.'))
    });
    wanted.map(|name| folder.join(name)).collect()
}

/// Whether a whole name matches a pattern.
pub(crate) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on when a star has to take one more byte.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(_) => name
                .get(n)
                .and_then(|byte| one(pattern.get(p..).unwrap_or_default(), *byte)),
            None if n == name.len() => return true,
            None => None,
        };
        match (step, retry) {
            (Some(length), _) => (p, n) = (p + length, n + 1),
            (None, Some((after, taken))) if taken < name.len() => {
                (p, n) = (after, taken + 1);
                retry = Some((after, taken + 1));
            }
            (None, _) => return false,
        }
    }
}

/// Matches one byte; the length of the pattern that did.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let end = pattern.iter().skip(2).position(|b| *b == b']')? + 2;
            let set = pattern.get(1..end)?;
            let (negated, set) = match set.split_first()? {
                (b'!' | b'^', rest) => (true, rest),
                _ => (false, set),
            };
            (in_set(set, byte) != negated).then_some(end + 1)
        }
        literal => (*literal == byte).then_some(1),
    }
}

fn in_set(set: &[u8], byte: u8) -> bool {
    let mut at = 0;
    while let Some(first) = set.get(at) {
        match (set.get(at + 1), set.get(at + 2)) {
            (Some(b'-'), Some(last)) => {
                if (*first..=*last).contains(&byte) {
                    return true;
                }
                at += 3;
            }
            _ if *first == byte => return true,
            _ => at += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*.log", "a.log", true),
            ("*.log", "a.log.1", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?", "x", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[", "[", false),
            ("***a", "bca", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn files_under_a_root() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir
            .path()
            .join(std::ffi::OsStr::from_bytes(b"var/odd/caf\xe9.log"));
        fs::create_dir_all(odd.parent().unwrap()).unwrap();
        fs::write(&odd, "").unwrap();
        assert_eq!(expand(dir.path(), "/var/odd/*.log"), [odd]);
        for name in [
            "var/log/a.log",
            "var/log/b.log",
            "var/log/.hidden.log",
            "var/log/deep/c.log",
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let names = |pattern| expand(dir.path(), pattern).len();
        assert_eq!(
            (
                names("/var/log/*.log"),
                names("/var/*/*/*.log"),
                names("/var/log/a.log")
            ),
            (2, 1, 1)
        );
        assert_eq!(
            (
                names("/var/log/none.log"),
                names("/var/log"),
                names("/../../etc/passwd")
            ),
            (0, 0, 0)
        );
    }
}
