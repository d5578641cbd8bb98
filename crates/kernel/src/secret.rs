//! Secrets at rest: XChaCha20-Poly1305 under a master key that lives in a file of its own, mode 0600.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rand::Rng;
use zeroize::Zeroizing;

const NONCE: usize = 24;

/// Seals and opens secrets. Cheap to clone.
#[derive(Clone)]
pub struct Secrets {
    cipher: Arc<XChaCha20Poly1305>,
    key_id: Arc<str>,
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the master key {path} cannot be read or made: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("the master key {path} may be read by others (mode {mode:o}); run: chmod 600 {path}", path = path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("the master key {path} is not 64 hexadecimal digits; restore it from your backup of the data folder", path = path.display())]
    Malformed { path: PathBuf },
    #[error(
        "the master key {path} is missing, but the database has been used: the secrets in it would not open; put the key back \
         from your backup, mode 600",
        path = path.display()
    )]
    Missing { path: PathBuf },
    #[error(
        "a stored secret ({context}) does not open with this master key; is it the key of this data folder?"
    )]
    Sealed { context: String },
}

impl Secrets {
    /// Reads the master key, or makes one when the file is not there.
    pub fn open_or_create(path: &Path) -> Result<Self, SecretError> {
        match Self::open_existing(path)? {
            Some(secrets) => Ok(secrets),
            None => Self::create(path),
        }
    }

    /// Reads the master key; `None` when the file is not there.
    pub fn open_existing(path: &Path) -> Result<Option<Self>, SecretError> {
        let file_error = |source| SecretError::File {
            path: path.into(),
            source,
        };
        let mut file = match std::fs::File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(file_error)?,
        };
        let mode = file.metadata().map_err(file_error)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Open {
                path: path.into(),
                mode,
            });
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(file_error)?;
        let key = unhex(text.trim()).ok_or_else(|| SecretError::Malformed { path: path.into() })?;
        Ok(Some(Self::from_key(&key)))
    }

    fn create(path: &Path) -> Result<Self, SecretError> {
        let file_error = |source| SecretError::File {
            path: path.into(),
            source,
        };
        let mut key = Zeroizing::new([0u8; 32]);
        rand::rng().fill_bytes(&mut key[..]);
        let text: Zeroizing<String> = Zeroizing::new(key.iter().map(|b| format!("{b:02x}")).collect());
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(file_error)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(file_error)?;
        Ok(Self::from_key(&key))
    }

    /// Tells keys apart and gives nothing of them away.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    pub fn from_key(key: &[u8; 32]) -> Self {
        let marked = Zeroizing::new([&b"mainstay key id "[..], &key[..]].concat());
        Self {
            cipher: Arc::new(XChaCha20Poly1305::new(&Key::from(*key))),
            key_id: sha256_hex(&marked)[..16].into(),
        }
    }

    /// Seals `plain`. `context` (table and id) is bound in: a sealed value cannot be moved elsewhere.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, SecretError> {
        let mut nonce = [0u8; NONCE];
        rand::rng().fill_bytes(&mut nonce);
        let payload = Payload {
            msg: plain,
            aad: context.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SecretError::Sealed {
                context: context.into(),
            })?;
        Ok([&nonce[..], &sealed].concat())
    }

    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let error = || SecretError::Sealed {
            context: context.into(),
        };
        let (nonce, body) = sealed.split_at_checked(NONCE).ok_or_else(error)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| error())?;
        let payload = Payload {
            msg: body,
            aad: context.as_bytes(),
        };
        self.cipher
            .decrypt(&XNonce::from(nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| error())
    }
}

/// `bytes` random bytes as lower-case hex, for tokens.
pub fn random_hex(bytes: usize) -> String {
    let mut buffer = vec![0u8; bytes];
    rand::rng().fill_bytes(&mut buffer);
    buffer.iter().map(|b| format!("{b:02x}")).collect()
}

/// SHA-256 as lower-case hex: how high-entropy tokens are stored.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

fn unhex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0u8; 32]);
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_sealed_opens_only_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let sealed = Secrets::open_or_create(&path)
            .unwrap()
            .seal("channel:1", b"hunter2")
            .unwrap();
        let again = Secrets::open_or_create(&path).unwrap();
        assert_eq!(&again.open("channel:1", &sealed).unwrap()[..], b"hunter2");
        assert!(again.open("channel:2", &sealed).is_err());
        assert!(again.open("channel:1", &sealed[..20]).is_err());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        Secrets::open_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            Secrets::open_or_create(&path),
            Err(SecretError::Open { mode: 0o644, .. })
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "zz").unwrap();
        assert!(matches!(
            Secrets::open_or_create(&path),
            Err(SecretError::Malformed { .. })
        ));
    }
}
