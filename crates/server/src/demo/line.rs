//! The agent's side of the protocol for made-up hosts: joining with a token, then a connection with a certificate.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use kernel::Kernel;
use protocol::{Identity, ToAgent, ToServer};
use rcgen::{CertificateParams, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
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
        let agent::Token {
            addresses,
            fingerprint,
            secret,
        } = agent::Token::parse(token)?;
        let key = KeyPair::generate()?;
        let csr_pem = CertificateParams::default().serialize_request(&key)?.pem()?;
        let mut stream = open(Arc::new(agent::tls::stranger(&fingerprint)?), &addresses).await?;
        let request = ToServer::Join {
            protocol: protocol::PROTOCOL,
            token: secret,
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
                let key = key.serialize_pem();
                let tls = agent::tls::member(key.as_bytes(), certificate_pem.as_bytes(), ca_pem.as_bytes())?;
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
            now_ms: None,
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
