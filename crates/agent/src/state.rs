//! The agent's folder on disk: who it is, its key, and files that are replaced whole.
//!
//! ```text
//! lock          held while an agent runs
//! agent.json    id, server addresses, fingerprint of the authority
//! agent.key     private key, mode 0600      agent.crt, ca.crt   certificates
//! config.json   the server's settings        checkpoints.json    how far logs were read
//! sequence      last batch number
//! spool/        batches not acknowledged    services.json       services once seen
//! commands/     journal and outputs of commands
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::error::Error;

/// Who the agent is, once it has joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Enrolment {
    pub(crate) agent_id: String,
    /// `host:port`, tried in turn.
    pub(crate) servers: Vec<String>,
    /// SHA-256 of the authority's certificate, lower-case hex.
    pub(crate) ca_fingerprint: String,
}

/// The state folder, locked.
#[derive(Debug)]
pub(crate) struct State {
    folder: PathBuf,
    _lock: File,
}

/// The lock of an agent that was killed is free once the last program that it was about to start is on its own.
const PATIENCE: Duration = Duration::from_secs(3);

const LOOK: Duration = Duration::from_millis(20);

impl State {
    /// Like [`State::open`], once a lock that is about to be free is so.
    pub(crate) async fn open_soon(folder: &Path) -> Result<Self, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::open(folder) {
                Err(Error::Locked(_)) if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
                done => return done,
            }
        }
    }

    /// Makes the folder when it is missing and takes its lock.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        make_folder(folder).map_err(|source| Error::state("create the state folder", folder, source))?;
        let path = folder.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path);
        let lock = lock.map_err(|source| Error::state("open", &path, source))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| Error::Locked(folder.to_owned()))?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn enrolment(&self) -> Result<Option<Enrolment>, Error> {
        let path = self.path("agent.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::state("read", &path, source)),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| Error::Damaged {
                path,
                what: error.to_string(),
            })
    }

    /// Writes key, certificates and, last, the enrolment: without `agent.json` the rest counts for nothing.
    pub(crate) fn enrol(
        &self,
        enrolment: &Enrolment,
        key_pem: &str,
        certificate_pem: &str,
        ca_pem: &str,
    ) -> Result<(), Error> {
        self.write("agent.key", key_pem.as_bytes())?;
        self.write("agent.crt", certificate_pem.as_bytes())?;
        self.write("ca.crt", ca_pem.as_bytes())?;
        let text = serde_json::to_string_pretty(enrolment).unwrap_or_default();
        self.write("agent.json", text.as_bytes())
    }

    /// Before joining another fleet: what was seen for the one before, and its commands, are no business of the new one.
    pub(crate) fn forget_fleet(&self) -> Result<(), Error> {
        for name in ["spool", "commands"] {
            let path = self.path(name);
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::state("remove", &path, error));
                }
                _ => {}
            }
        }
        for name in ["sequence", "config.json"] {
            let path = self.path(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::state("remove", &path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let path = self.path(name);
        fs::read(&path).map_err(|source| Error::state("read", &path, source))
    }

    /// Replaces a file whole: a crash leaves the old or the new one.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(name);
        replace(&path, bytes, true).map_err(|source| Error::state("write", &path, source))
    }
}

/// Creates a folder that only its owner may look into.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes beside and renames over. `durable` also waits for the disk.
pub(crate) fn replace(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&beside, path)?;
    if durable && let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_has_one_agent() {
        let dir = tempfile::tempdir().unwrap();
        let first = State::open(dir.path()).unwrap();
        assert!(matches!(State::open(dir.path()), Err(Error::Locked(_))));
        drop(first);
        State::open(dir.path()).unwrap();
    }

    #[tokio::test]
    async fn a_lock_that_is_let_go_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let first = State::open(dir.path()).unwrap();
        let path = dir.path().to_owned();
        let second = State::open_soon(&path);
        let letting_go = async {
            tokio::task::yield_now().await;
            drop(first);
        };
        tokio::join!(second, letting_go).0.unwrap();
    }

    #[test]
    fn the_key_is_private_and_the_enrolment_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("deep/state")).unwrap();
        assert_eq!(state.enrolment().unwrap(), None);
        let enrolment = Enrolment {
            agent_id: "agt_1".into(),
            servers: vec!["a:1".into()],
            ca_fingerprint: "00".into(),
        };
        state.enrol(&enrolment, "key", "crt", "ca").unwrap();
        assert_eq!(state.enrolment().unwrap(), Some(enrolment));
        fs::create_dir(state.path("spool")).unwrap();
        fs::write(state.path("sequence"), "x").unwrap();
        state.forget_fleet().unwrap();
        state.forget_fleet().unwrap();
        assert!(!state.path("spool").exists() && !state.path("sequence").exists());
        let mode = fs::metadata(state.path("agent.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(state.path("agent.json"), "{").unwrap();
        assert!(matches!(state.enrolment(), Err(Error::Damaged { .. })));
    }
}
