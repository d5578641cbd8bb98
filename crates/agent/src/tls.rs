//! TLS of the agent: the client side with its certificate, and the verifier of the join, which knows no more of the
//! server than the fingerprint in the token.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use crate::error::Error;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn tls(error: impl std::fmt::Display) -> Error {
    Error::Tls(error.to_string())
}

/// SHA-256 of DER, lower-case hex.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
            text
        })
}

/// The certificates of a PEM text.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(tls)
}

/// For an agent that has joined: trusts its authority alone and shows its certificate.
pub fn member(key_pem: &[u8], certificate_pem: &[u8], ca_pem: &[u8]) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca_pem)? {
        roots.add(certificate).map_err(tls)?;
    }
    let provider = provider();
    let verifier = Private {
        roots: Arc::new(roots),
        provider: provider.clone(),
    };
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(tls)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(certificates(certificate_pem)?, key)
        .map_err(tls)?;
    config.alpn_protocols = vec![protocol::ALPN.to_vec()];
    Ok(config)
}

/// For a join: trusts the authority with this fingerprint, which the server must send along with its own certificate.
pub fn stranger(fingerprint: &str) -> Result<ClientConfig, Error> {
    let provider = provider();
    let verifier = Pinned {
        fingerprint: fingerprint.to_owned(),
        provider: provider.clone(),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol::ALPN.to_vec()];
    Ok(config)
}

/// The instant nearest to `now` at which a certificate is valid. The authority is the fleet's own and trusted for nothing else, so
/// the clock of this host decides nothing: one that is wrong by years would keep it from ever telling the server.
fn within_life(certificate: &CertificateDer<'_>, now: UnixTime) -> UnixTime {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else {
        return now;
    };
    let validity = parsed.validity();
    let seconds = |at: i64| u64::try_from(at).unwrap_or(0);
    let first = seconds(validity.not_before.timestamp());
    let last = seconds(validity.not_after.timestamp()).max(first);
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_secs().clamp(first, last)))
}

/// Verifies as usual with the fleet's authority as the only root, whatever this host's clock says.
#[derive(Debug)]
struct Private {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Private {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verifier = WebPkiServerVerifier::builder_with_provider(self.roots.clone(), self.provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let now = within_life(end_entity, now);
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Finds the authority by fingerprint among what the server sent and then verifies as usual, with it as the only root.
#[derive(Debug)]
struct Pinned {
    fingerprint: String,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let authority = intermediates
            .iter()
            .find(|certificate| fingerprint(certificate) == self.fingerprint);
        let authority =
            authority.ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let now = within_life(end_entity, now);
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}

/// Unix milliseconds between which a certificate is valid.
pub(crate) fn validity(certificate_pem: &[u8]) -> Result<(i64, i64), Error> {
    let chain = certificates(certificate_pem)?;
    let leaf = chain
        .first()
        .ok_or_else(|| tls("the certificate file is empty"))?;
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf).map_err(tls)?;
    let validity = parsed.validity();
    Ok((
        validity.not_before.timestamp() * 1000,
        validity.not_after.timestamp() * 1000,
    ))
}

#[cfg(test)]
mod tests {
    /// A clock at 1970, 26 hours behind or years ahead joins and connects all the same.
    #[test]
    fn a_wrong_clock_keeps_nobody_out() {
        use rustls::client::danger::ServerCertVerifier;
        use rustls::pki_types::{ServerName, UnixTime};

        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2056, 1, 1);
        let authority = params.self_signed(&key).unwrap();
        let issuer = rcgen::Issuer::new(params, key);
        let mut params = rcgen::CertificateParams::new(vec!["server".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 6, 1);
        params.not_after = rcgen::date_time_ymd(2026, 9, 1);
        let server_key = rcgen::KeyPair::generate().unwrap();
        let server = params.signed_by(&server_key, &issuer).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let member = super::Private {
            roots: std::sync::Arc::new(roots),
            provider: super::provider(),
        };
        let stranger = super::Pinned {
            fingerprint: super::fingerprint(authority.der()),
            provider: super::provider(),
        };
        let chain = [authority.der().clone()];
        let name = |text: &str| ServerName::try_from(text.to_owned()).unwrap();
        for seconds in [0, 1_780_000_000, 1_900_000_000, 4_000_000_000] {
            let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
            for verifier in [&member as &dyn ServerCertVerifier, &stranger] {
                let checked = verifier.verify_server_cert(server.der(), &chain, &name("server"), &[], now);
                assert!(checked.is_ok(), "{seconds}: {checked:?}");
                let other = verifier.verify_server_cert(server.der(), &chain, &name("other"), &[], now);
                assert!(other.is_err(), "the name still counts");
            }
        }
    }

    #[test]
    fn fingerprints_are_hex() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(super::fingerprint(b""), empty);
    }
}
