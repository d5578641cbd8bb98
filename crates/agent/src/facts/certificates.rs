//! Certificates in files: what they are for and until when.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use protocol::CertificateFact;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::host::open::open_file;
use crate::tls;

const MAX_FILES: usize = 500;
const MAX_BYTES: u64 = 1024 * 1024;
const MAX_DEPTH: usize = 4;
const ENDINGS: [&str; 4] = ["pem", "crt", "cer", "cert"];

/// What was found, and how many files were left out: too many, too large, or not to be opened.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) certificates: Vec<CertificateFact>,
    pub(crate) left_out: u64,
}

/// The certificates in files and folders under `root`, sorted by path; all of a file that holds several.
pub(crate) fn find(root: &Path, paths: &[PathBuf]) -> Found {
    let mut files = Vec::new();
    let mut found = Found::default();
    for path in paths {
        gather(path, 0, &mut files, &mut found.left_out);
    }
    files.sort_unstable();
    files.dedup();
    for file in files {
        match read(root, &file) {
            Ok(bytes) => found.certificates.extend(parse(&bytes, &file.to_string_lossy())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::debug!(%error, path = %file.display(), "failed to open a certificate");
                found.left_out += 1;
            }
        }
    }
    found
}

fn gather(path: &Path, depth: usize, files: &mut Vec<PathBuf>, left_out: &mut u64) {
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_dir() {
        if depth >= MAX_DEPTH {
            return;
        }
        let Ok(entries) = fs::read_dir(path) else { return };
        for entry in entries.filter_map(Result::ok) {
            gather(&entry.path(), depth + 1, files, left_out);
        }
        return;
    }
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default();
    // A file that was named itself counts whatever it is called.
    if !metadata.is_file() || !(depth == 0 || ENDINGS.contains(&ending)) {
        return;
    }
    if files.len() >= MAX_FILES || metadata.len() > MAX_BYTES {
        *left_out += 1;
        return;
    }
    files.push(path.to_owned());
}

fn read(root: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(root, path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All certificates of a PEM file, or the one of a DER file. One that cannot be read costs no other.
pub(crate) fn parse(bytes: &[u8], path: &str) -> Vec<CertificateFact> {
    let mut ders: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(bytes)
        .filter_map(Result::ok)
        .collect();
    if ders.is_empty() {
        ders.push(CertificateDer::from(bytes));
    }
    let mut facts: Vec<CertificateFact> = ders.iter().filter_map(|der| describe(der, path)).collect();
    // A chain that is written twice is one.
    let mut seen = HashSet::new();
    facts.retain(|fact| seen.insert(fact.fingerprint.clone()));
    facts
}

fn describe(der: &CertificateDer<'_>, path: &str) -> Option<CertificateFact> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|extension| extension.value.general_names.iter().filter_map(name).collect());
    Some(CertificateFact {
        path: path.to_owned(),
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        names: names.unwrap_or_default(),
        not_before_ms: certificate.validity().not_before.timestamp().saturating_mul(1000),
        not_after_ms: certificate.validity().not_after.timestamp().saturating_mul(1000),
        fingerprint: tls::fingerprint(der),
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
        let found = find(dir.path(), &[dir.path().to_owned()]).certificates;
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].names, vec!["www.example.org", "192.0.2.7"]);
        assert_eq!(found[0].not_after_ms, 1_927_843_200_000);
        assert_eq!(found[0].fingerprint, found[1].fingerprint);
        assert!(parse(b"garbage", "x").is_empty());
    }

    fn self_signed(name: &str) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn every_certificate_of_a_file_counts_and_a_broken_block_costs_no_other() {
        let broken = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
        let (first, second) = (self_signed("a.example"), self_signed("b.example"));
        let bundle = format!("{first}{broken}{second}{first}");
        let names: Vec<_> = parse(bundle.as_bytes(), "x")
            .into_iter()
            .flat_map(|fact| fact.names)
            .collect();
        assert_eq!(names, ["a.example", "b.example"]);
    }

    #[test]
    fn what_a_link_of_another_user_leads_to_is_left_out_and_counted() {
        use std::os::unix::fs::{lchown, symlink};
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["private", "svc", "live", "archive"] {
            fs::create_dir(at(folder)).unwrap();
        }
        fs::write(at("private/root.pem"), self_signed("secret.example")).unwrap();
        fs::write(at("archive/a1.pem"), self_signed("a.example")).unwrap();
        symlink("../archive/a1.pem", at("live/cert.pem")).unwrap();
        symlink(at("private/root.pem"), at("svc/stolen.pem")).unwrap();
        lchown(at("svc/stolen.pem"), Some(54_321), None).unwrap();
        let found = find(Path::new("/"), &[at("live"), at("svc")]);
        let names: Vec<_> = found
            .certificates
            .iter()
            .flat_map(|fact| &fact.names)
            .map(String::as_str)
            .collect();
        assert_eq!((names, found.left_out), (vec!["a.example"], 1));
    }
}
