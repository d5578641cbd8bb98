//! TLS of the agents' port: the server's short-lived certificate, and who may show which client certificate.
//!
//! A connection without a certificate may do nothing but join. A certificate that ran out lately still opens the door, so that
//! a host that was off for weeks renews instead of being enrolled anew; whether its agent is revoked is asked of the database anyway.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kernel::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};

use crate::authority::Authority;
use crate::error::FleetError;

/// The server's certificate, replaced while the server runs.
#[derive(Debug)]
pub struct ServerKey(RwLock<Arc<CertifiedKey>>);

impl ServerKey {
    pub fn new(authority: &Authority, now: Timestamp) -> Result<Self, FleetError> {
        Ok(Self(RwLock::new(Arc::new(make(authority, now)?))))
    }

    pub fn renew(&self, authority: &Authority, now: Timestamp) -> Result<(), FleetError> {
        let key = Arc::new(make(authority, now)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }
}

fn make(authority: &Authority, now: Timestamp) -> Result<CertifiedKey, FleetError> {
    let (chain, key) = authority.server_certificate(now)?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key)?;
    Ok(CertifiedKey::new(chain, key))
}

impl ResolvesServerCert for ServerKey {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

pub fn server_config(
    authority: &Authority,
    key: Arc<ServerKey>,
    grace: Duration,
) -> Result<ServerConfig, FleetError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone())?;
    let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(Lenient { inner, grace }))
        .with_cert_resolver(key);
    config.alpn_protocols = vec![protocol::ALPN.to_vec()];
    Ok(config)
}

/// Verifies as usual, but takes certificates that ran out less than `grace` ago.
#[derive(Debug)]
struct Lenient {
    inner: Arc<dyn ClientCertVerifier>,
    grace: Duration,
}

impl ClientCertVerifier for Lenient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let refusal = match self.inner.verify_client_cert(end_entity, intermediates, now) {
            Err(Error::InvalidCertificate(
                error @ (CertificateError::Expired | CertificateError::ExpiredContext { .. }),
            )) => Error::InvalidCertificate(error),
            other => return other,
        };
        let Some(end) = end_of_life(end_entity) else {
            return Err(refusal);
        };
        if now.as_secs().saturating_sub(end) > self.grace.as_secs() {
            return Err(refusal);
        }
        let then = UnixTime::since_unix_epoch(Duration::from_secs(end.saturating_sub(1)));
        self.inner.verify_client_cert(end_entity, intermediates, then)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn end_of_life(certificate: &CertificateDer<'_>) -> Option<u64> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    u64::try_from(parsed.validity().not_after.timestamp()).ok()
}
