//! Folders for targets that read files: in memory where the machine offers it, as they are made by the thousand.

use std::path::Path;

/// A folder that goes away with its value.
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a temporary folder")
}

/// Every file below a folder, with its path within it.
pub fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a readable folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path
                    .strip_prefix(root)
                    .expect("below the root")
                    .to_string_lossy()
                    .into_owned();
                found.push((name, std::fs::read(&path).expect("a readable file")));
            }
        }
    }
    found.sort();
    found
}

/// Writes what [`files`] read.
pub fn restore(root: &Path, files: &[(String, Vec<u8>)]) {
    for (name, bytes) in files {
        let path = root.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).expect("a new folder");
        }
        std::fs::write(path, bytes).expect("a new file");
    }
}

/// Changes a file as the fuzzer's bytes say: triples of a 16-bit place and a byte to XOR there; a last odd byte cuts.
pub fn edit(file: &mut Vec<u8>, edits: &[u8]) {
    let triples = edits.chunks_exact(3);
    if let [cut] = triples.remainder() {
        let keep = file.len() * usize::from(*cut) / 256;
        file.truncate(keep);
    }
    for triple in triples {
        let at = usize::from(u16::from_le_bytes([triple[0], triple[1]]));
        if !file.is_empty() {
            let at = at % file.len();
            file[at] ^= triple[2];
        }
    }
}
