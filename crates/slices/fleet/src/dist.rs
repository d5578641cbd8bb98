//! What a new host needs: the join script, this very program as the agent, its checksum and its unit file.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use tokio::sync::OnceCell;

/// The running program; when its file was replaced by an upgrade, still the one that runs.
const SELF: &str = "/proc/self/exe";

pub const UNIT: &str = include_str!("../dist/mainstay-agent.service");
const SCRIPT: &str = include_str!("../dist/join.sh");

/// Facts about the program's file, found out once.
#[derive(Default)]
pub struct Program {
    facts: OnceCell<Arc<Facts>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub sha256: String,
    pub size_bytes: u64,
    /// The newest glibc symbols that it uses, for instance `2.34`; `None` for a static program.
    pub glibc: Option<String>,
}

impl Program {
    pub async fn facts(&self) -> std::io::Result<Arc<Facts>> {
        let facts = self
            .facts
            .get_or_try_init(|| async {
                let read = tokio::task::spawn_blocking(|| read_facts(SELF)).await;
                read.map_err(std::io::Error::other)?.map(Arc::new)
            })
            .await?;
        Ok(facts.clone())
    }

    pub async fn open(&self) -> std::io::Result<tokio::fs::File> {
        tokio::fs::File::open(SELF).await
    }
}

fn read_facts(path: &str) -> std::io::Result<Facts> {
    let bytes = std::fs::read(path)?;
    Ok(Facts {
        sha256: kernel::secret::sha256_hex(&bytes),
        size_bytes: bytes.len() as u64,
        glibc: std::fs::File::open(path)
            .ok()
            .and_then(|mut file| newest_glibc(&mut file)),
    })
}

/// The join script for this server.
pub fn join_script(public_url: &str, facts: &Facts) -> String {
    // What goes into single quotes of the script must not leave them.
    let quoted = |text: &str| text.replace(char::is_control, "").replace('\'', "'\\''");
    SCRIPT
        .replace("@URL@", &quoted(public_url))
        .replace("@ARCH@", std::env::consts::ARCH)
        .replace("@SHA256@", &facts.sha256)
        .replace("@GLIBC@", facts.glibc.as_deref().unwrap_or(""))
        .replace("@UNIT@", UNIT.trim_end())
}

/// What a person runs on the new host. The script is checked before it runs, and the token goes through a pipe of the shell: it is on
/// no command line that others could read.
pub fn join_command(public_url: &str, facts: &Facts, token: &str) -> String {
    let script = kernel::secret::sha256_hex(join_script(public_url, facts).as_bytes());
    format!(
        "d=$(mktemp -d) && curl -fsSL {public_url}/join.sh -o $d/join.sh && echo \"{script}  $d/join.sh\" | sha256sum -c && \
         echo {token} | sudo sh $d/join.sh"
    )
}

/// The newest `GLIBC_x.y` among the versions that a 64-bit little-endian ELF file asks for.
fn newest_glibc<F: Read + Seek>(file: &mut F) -> Option<String> {
    let header = read_at(file, 0, 64)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = u64_at(&header, 0x28)?;
    let (size, count) = (
        u64::from(u16_at(&header, 0x3a)?),
        u64::from(u16_at(&header, 0x3c)?),
    );
    let mut newest: Option<(u32, u32, u32)> = None;
    for index in 0..count.min(200) {
        let section = read_at(file, table + index * size, 64)?;
        // Version names are kept in the string table of the dynamic symbols.
        const SHT_GNU_VERNEED: u32 = 0x6fff_fffe;
        if u32_at(&section, 4)? != SHT_GNU_VERNEED {
            continue;
        }
        let strings = read_at(file, table + u64::from(u32_at(&section, 0x28)?) * size, 64)?;
        let length = usize::try_from(u64_at(&strings, 0x20)?)
            .ok()?
            .min(64 * 1024 * 1024);
        let names = read_at(file, u64_at(&strings, 0x18)?, length)?;
        for name in names.split(|byte| *byte == 0) {
            let version = std::str::from_utf8(name).ok().and_then(parse_version);
            newest = newest.max(version);
        }
    }
    newest.map(|(major, minor, patch)| match patch {
        0 => format!("{major}.{minor}"),
        _ => format!("{major}.{minor}.{patch}"),
    })
}

fn parse_version(name: &str) -> Option<(u32, u32, u32)> {
    let mut parts = name.strip_prefix("GLIBC_")?.split('.').map(str::parse::<u32>);
    let major = parts.next()?.ok()?;
    let minor = parts.next().unwrap_or(Ok(0)).ok()?;
    let patch = parts.next().unwrap_or(Ok(0)).ok()?;
    Some((major, minor, patch))
}

fn read_at<F: Read + Seek>(file: &mut F, at: u64, length: usize) -> Option<Vec<u8>> {
    file.seek(SeekFrom::Start(at)).ok()?;
    let mut bytes = Vec::new();
    file.take(length as u64).read_to_end(&mut bytes).ok()?;
    (bytes.len() == length).then_some(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_names_its_glibc() {
        let facts = read_facts(SELF).unwrap();
        assert_eq!(facts.sha256.len(), 64);
        if cfg!(target_env = "gnu") {
            let glibc = facts.glibc.unwrap();
            assert!(glibc.starts_with("2."), "{glibc}");
        }
    }

    #[test]
    fn other_files_have_none() {
        assert_eq!(
            newest_glibc(&mut std::io::Cursor::new(b"#!/bin/sh\n".to_vec())),
            None
        );
        assert_eq!(
            newest_glibc(&mut std::io::Cursor::new(b"\x7fELF\x02\x01short".to_vec())),
            None
        );
        let mut odd = vec![0xffu8; 4096];
        odd[..6].copy_from_slice(b"\x7fELF\x02\x01");
        assert_eq!(newest_glibc(&mut std::io::Cursor::new(odd)), None);
    }

    #[test]
    fn the_script_is_filled_in() {
        let facts = Facts {
            sha256: "ab".repeat(32),
            size_bytes: 1,
            glibc: Some("2.34".into()),
        };
        let script = join_script("https://ops.example/it's", &facts);
        assert!(script.contains("URL='https://ops.example/it'\\''s'"));
        for place in ["@URL@", "@ARCH@", "@SHA256@", "@GLIBC@", "@UNIT@"] {
            assert!(!script.contains(place), "{place}");
        }
    }
}
