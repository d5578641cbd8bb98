//! Certificates in files: what they are for and until when.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use protocol::CertificateFact;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::tls;

const MAX_FILES: usize = 500;
const MAX_BYTES: u64 = 1024 * 1024;
const MAX_DEPTH: usize = 4;
const ENDINGS: [&str; 4] = ["pem", "crt", "cer", "cert"];

/// The leaf certificates in files and folders, sorted by path.
pub(crate) fn find(paths: &[PathBuf]) -> Vec<CertificateFact> {
    let mut files = Vec::new();
    for path in paths {
        gather(path, 0, &mut files);
    }
    files.sort_unstable();
    files.dedup();
    files.iter().filter_map(|file| read(file)).collect()
}

fn gather(path: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    if files.len() >= MAX_FILES || depth > MAX_DEPTH {
        return;
    }
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_dir() {
        let Ok(entries) = fs::read_dir(path) else { return };
        for entry in entries.filter_map(Result::ok) {
            gather(&entry.path(), depth + 1, files);
        }
    } else if metadata.is_file() && metadata.len() <= MAX_BYTES {
        let ending = path
            .extension()
            .and_then(|ending| ending.to_str())
            .unwrap_or_default();
        // A file that was named itself counts whatever it is called.
        if depth == 0 || ENDINGS.contains(&ending) {
            files.push(path.to_owned());
        }
    }
}

fn read(path: &Path) -> Option<CertificateFact> {
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .ok()?;
    parse(&bytes, &path.display().to_string())
}

/// The first certificate of a PEM or DER file: the leaf, if it holds a chain.
pub(crate) fn parse(bytes: &[u8], path: &str) -> Option<CertificateFact> {
    let der = match CertificateDer::from_pem_slice(bytes) {
        Ok(der) => der,
        Err(_) => CertificateDer::from(bytes.to_vec()),
    };
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|extension| extension.value.general_names.iter().filter_map(name).collect());
    Some(CertificateFact {
        path: path.to_owned(),
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        names: names.unwrap_or_default(),
        not_before_ms: certificate.validity().not_before.timestamp().saturating_mul(1000),
        not_after_ms: certificate.validity().not_after.timestamp().saturating_mul(1000),
        fingerprint: tls::fingerprint(&der),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(bytes) => Some(std::net::Ipv4Addr::from(bytes).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_found_in_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params =
            rcgen::CertificateParams::new(vec!["www.example.org".to_owned(), "192.0.2.7".to_owned()])
                .unwrap();
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let certificate = params.self_signed(&key).unwrap();
        fs::create_dir(dir.path().join("live")).unwrap();
        fs::write(dir.path().join("live/fullchain.pem"), certificate.pem()).unwrap();
        fs::write(dir.path().join("raw.cer"), certificate.der()).unwrap();
        fs::write(dir.path().join("key.pem"), key.serialize_pem()).unwrap();
        fs::write(dir.path().join("notes.txt"), certificate.pem()).unwrap();
        let found = find(&[dir.path().to_owned()]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].names, vec!["www.example.org", "192.0.2.7"]);
        assert_eq!(found[0].not_after_ms, 1_927_843_200_000);
        assert_eq!(found[0].fingerprint, found[1].fingerprint);
        assert!(parse(b"garbage", "x").is_none());
    }
}
