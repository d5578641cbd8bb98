//! The agent's side of the protocol for made-up hosts: joining with a token, then a connection with a certificate.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::Kernel;
use kernel::secret::sha256_hex;
use protocol::{Identity, ToAgent, ToServer};
use rcgen::{CertificateParams, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const PATIENCE: Duration = Duration::from_secs(20);

type Tls = TlsStream<TcpStream>;

/// An enrolled made-up host.
pub struct Member {
    pub identity: Identity,
    pub hostname: String,
    addresses: Vec<String>,
    tls: Arc<ClientConfig>,
}

/// A connection after the greeting. What the server says comes out of `inbox`, which ends with the connection.
pub struct Link {
    writer: WriteHalf<Tls>,
    pub inbox: mpsc::Receiver<ToAgent>,
    reader: tokio::task::JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Member {
    pub async fn join(token: &str, hostname: &str, identity: Identity) -> Result<Self> {
        let body = token.strip_prefix("ms1.").context("no join token")?;
        let token: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body)?)?;
        let text = |name: &str| token[name].as_str().unwrap_or_default().to_owned();
        let addresses: Vec<String> = serde_json::from_value(token["a"].clone())?;
        let key = KeyPair::generate()?;
        let csr_pem = CertificateParams::default().serialize_request(&key)?.pem()?;
        let mut stream = open(Arc::new(stranger(text("f"))?), &addresses).await?;
        let request = ToServer::Join {
            protocol: protocol::PROTOCOL,
            token: text("s"),
            csr_pem,
            identity: identity.clone(),
            hostname: hostname.to_owned(),
            agent_version: env!("CARGO_PKG_VERSION").into(),
        };
        write(&mut stream, &request).await?;
        match tokio::time::timeout(PATIENCE, read(&mut stream)).await?? {
            ToAgent::Joined {
                certificate_pem,
                ca_pem,
                ..
            } => {
                let tls = member(&key.serialize_pem(), &certificate_pem, &ca_pem)?;
                Ok(Self {
                    identity,
                    hostname: hostname.to_owned(),
                    addresses,
                    tls: Arc::new(tls),
                })
            }
            ToAgent::Refused { reason } => Err(anyhow!(reason)),
            _ => bail!("the server answers the join with something else"),
        }
    }

    /// Connects and says hello.
    pub async fn connect(&self, kernel: &Kernel, started_at_ms: i64, running: Vec<String>) -> Result<Link> {
        let mut stream = open(self.tls.clone(), &self.addresses).await?;
        let hello = ToServer::Hello {
            protocol: protocol::PROTOCOL,
            agent_version: env!("CARGO_PKG_VERSION").into(),
            identity: self.identity.clone(),
            hostname: self.hostname.clone(),
            started_at_ms,
            running,
        };
        write(&mut stream, &hello).await?;
        match tokio::time::timeout(PATIENCE, read(&mut stream)).await?? {
            ToAgent::Welcome { .. } => {}
            ToAgent::Refused { reason } => bail!(reason),
            _ => bail!("the server answers the greeting with something else"),
        }
        let (mut reader, writer) = tokio::io::split(stream);
        let (sender, inbox) = mpsc::channel(256);
        let reader = kernel::task::spawn(kernel, "demo.reader", async move {
            while let Ok(message) = read(&mut reader).await {
                if sender.send(message).await.is_err() {
                    return;
                }
            }
        });
        Ok(Link {
            writer,
            inbox,
            reader,
        })
    }
}

impl Link {
    pub async fn send(&mut self, message: &ToServer) -> Result<()> {
        tokio::time::timeout(PATIENCE, write(&mut self.writer, message)).await?
    }
}

async fn open(tls: Arc<ClientConfig>, addresses: &[String]) -> Result<Tls> {
    let address = addresses.first().context("the token names no server")?;
    let attempt = async {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(protocol::SERVER_NAME)?;
        Ok::<_, anyhow::Error>(TlsConnector::from(tls).connect(name, tcp).await?)
    };
    tokio::time::timeout(PATIENCE, attempt)
        .await
        .with_context(|| format!("{address} does not answer"))?
}

async fn write<W: tokio::io::AsyncWrite + Unpin>(writer: &mut W, message: &ToServer) -> Result<()> {
    writer.write_all(&protocol::encode(message)?).await?;
    Ok(writer.flush().await?)
}

async fn read<R: AsyncRead + Unpin>(reader: &mut R) -> Result<ToAgent> {
    let mut header = [0; 4];
    reader.read_exact(&mut header).await?;
    let mut body = vec![0; protocol::frame_len(header)?];
    reader.read_exact(&mut body).await?;
    Ok(protocol::decode(&body)?)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn member(key_pem: &str, certificate_pem: &str, ca_pem: &str) -> Result<ClientConfig> {
    let certificates = |pem: &str| -> Result<Vec<CertificateDer<'static>>> {
        Ok(CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>()?)
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca_pem)? {
        roots.add(certificate)?;
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(certificate_pem)?, key)?;
    config.alpn_protocols = vec![protocol::ALPN.to_vec()];
    Ok(config)
}

fn stranger(fingerprint: String) -> Result<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned {
            fingerprint,
            provider: provider(),
        }))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol::ALPN.to_vec()];
    Ok(config)
}

/// Trusts the authority with the token's fingerprint, which the server sends along, and nothing else.
#[derive(Debug)]
struct Pinned {
    fingerprint: String,
    provider: Arc<CryptoProvider>,
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
            .find(|der| sha256_hex(der) == self.fingerprint);
        let authority =
            authority.ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone());
        let verifier = verifier
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
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
