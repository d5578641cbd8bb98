//! The fleet's own certificate authority: its key is sealed in the database, agents trust its certificate and nothing else.

use std::time::Duration;

use kernel::{Kernel, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::FleetError;
use crate::model::AgentId;
use crate::store;

const SEAL: &str = "fleet_authority:1";

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const SERVER_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    fingerprint: String,
}

/// A certificate for an agent.
pub struct Signed {
    pub pem: String,
    pub expires_at: Timestamp,
}

impl Authority {
    /// The one of this database, made when there is none.
    pub async fn load_or_create(kernel: &Kernel) -> Result<Self, FleetError> {
        if let Some(authority) = Self::load(kernel).await? {
            return Ok(authority);
        }
        let (pem, key_pem) = make(kernel.clock.now())?;
        let sealed = kernel.secrets.seal(SEAL, key_pem.as_bytes())?;
        let mut tx = kernel.db.write().await?;
        store::insert_authority(&mut tx, pem, sealed).await?;
        tx.commit().await?;
        Self::load(kernel)
            .await?
            .ok_or_else(|| FleetError::Db(sqlx::Error::RowNotFound.into()))
    }

    async fn load(kernel: &Kernel) -> Result<Option<Self>, FleetError> {
        let mut reader = kernel.db.read().await?;
        let Some((pem, sealed)) = store::authority(&mut reader).await? else {
            return Ok(None);
        };
        let key_pem = kernel.secrets.open(SEAL, &sealed)?;
        let key = KeyPair::from_pem(&String::from_utf8_lossy(&key_pem))?;
        let certificate = first_certificate(&pem).ok_or(rcgen::Error::CouldNotParseCertificate)?;
        Ok(Some(Self {
            issuer: Issuer::from_ca_cert_pem(&pem, key)?,
            fingerprint: kernel::secret::sha256_hex(&certificate),
            certificate,
            pem,
        }))
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// SHA-256 of the certificate's DER, lower-case hex: what a join token pins.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// A fresh certificate chain and key for the server.
    pub fn server_certificate(
        &self,
        now: Timestamp,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), FleetError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![protocol::SERVER_NAME.to_owned()])?;
        params.distinguished_name = named("Mainstay server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        set_validity(&mut params, now, SERVER_LIFE);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        // The authority goes along: a joining agent knows no more than its fingerprint.
        Ok((vec![certificate.der().clone(), self.certificate.clone()], key))
    }

    /// A certificate for the key in a request. Of the request nothing but the key is read.
    pub fn sign(
        &self,
        csr_pem: &str,
        agent: &AgentId,
        now: Timestamp,
        life: Duration,
    ) -> Result<Signed, FleetError> {
        let mut request = CertificateSigningRequestParams::from_pem(csr_pem)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = named(agent.as_str());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        set_validity(&mut params, now, life);
        request.params = params;
        let certificate = request.signed_by(&self.issuer)?;
        let seconds = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
        Ok(Signed {
            pem: certificate.pem(),
            expires_at: Timestamp::from_second(now.as_second().saturating_add(seconds))
                .unwrap_or(Timestamp::MAX),
        })
    }
}

/// The agent that a verified certificate names.
pub fn agent_of(certificate: &CertificateDer<'_>) -> Option<AgentId> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?;
    name.parse().ok()
}

/// Has a certificate run out? One that cannot be read has.
pub fn is_expired(certificate: &CertificateDer<'_>, now: Timestamp) -> bool {
    x509_parser::parse_x509_certificate(certificate).map_or(true, |(_, parsed)| {
        parsed.validity().not_after.timestamp() < now.as_second()
    })
}

fn make(now: Timestamp) -> Result<(String, String), FleetError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named("Mainstay fleet");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, YEAR * 30);
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    // Clocks of agents may be wrong by any amount, 1970 included: what is young is judged by the server's clock alone.
    params.not_before = epoch;
    params.not_after = epoch + now + life;
    let serial = uuid_bytes();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
}

/// 16 random bytes whose first bit is off, as serial numbers are positive.
fn uuid_bytes() -> Vec<u8> {
    let hex = kernel::secret::random_hex(16);
    let mut bytes: Vec<u8> = (0..16)
        .filter_map(|index| u8::from_str_radix(hex.get(index * 2..index * 2 + 2)?, 16).ok())
        .collect();
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x01;
    }
    bytes
}

fn first_certificate(pem: &str) -> Option<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}
