//! A small agent that speaks the real protocol over TLS: it joins with a token, keeps its certificate and does what a test says.

mod tls;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::{
    AgentConfig, Batch, Body, Command, CommandState, Identity, Sample, SeriesDef, Stream, ToAgent, ToServer,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::client::TlsStream;

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

type Tls = TlsStream<TcpStream>;

/// An enrolled agent, not necessarily connected.
#[derive(Clone)]
pub struct FakeAgent {
    pub id: String,
    pub hostname: String,
    pub identity: Identity,
    pub addresses: Vec<String>,
    pub key_pem: String,
    pub certificate_pem: String,
    pub ca_pem: String,
    /// Commands that the next hello names.
    pub running: Vec<String>,
    /// Reads the agent's clock; one that does not say its time, like agents of long ago, when `None`.
    pub clock: Option<Clock>,
}

/// Unix milliseconds of a made-up clock.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A connection after hello. Pings are answered by themselves.
pub struct FakeLink {
    writer: Arc<tokio::sync::Mutex<WriteHalf<Tls>>>,
    inbox: mpsc::Receiver<ToAgent>,
    /// Settings that came with the welcome.
    pub config: AgentConfig,
    seq: u64,
    reader: tokio::task::JoinHandle<()>,
}

/// An identity that no other number has.
pub fn identity(n: u32) -> Identity {
    Identity {
        machine_id: Some(format!("{n:032x}")),
        boot_id: Some(format!("boot-{n}")),
        dmi_uuid: Some(format!("dmi-{n}")),
        serial: Some(format!("serial-{n}")),
        host_key: Some(format!("hostkey-{n}")),
        macs: vec![format!(
            "52:54:00:{:02x}:{:02x}:{:02x}",
            (n >> 16) & 255,
            (n >> 8) & 255,
            n & 255
        )],
    }
}

impl FakeAgent {
    /// Joins as a host of this name.
    pub async fn join(token: &str, hostname: &str, identity: Identity) -> Result<Self, String> {
        Self::join_with(token, hostname, identity, None).await
    }

    /// Joins anew and shows the key from before.
    pub async fn rejoin(&self, token: &str) -> Result<Self, String> {
        Self::join_with(token, &self.hostname, self.identity.clone(), Some(self)).await
    }

    async fn join_with(
        token: &str,
        hostname: &str,
        identity: Identity,
        before: Option<&Self>,
    ) -> Result<Self, String> {
        let body = token.strip_prefix("ms1.").ok_or("no join token")?;
        let json = URL_SAFE_NO_PAD.decode(body).map_err(text)?;
        let token: serde_json::Value = serde_json::from_slice(&json).map_err(text)?;
        let fingerprint = token["f"].as_str().unwrap_or_default().to_owned();
        let addresses: Vec<String> = serde_json::from_value(token["a"].clone()).map_err(text)?;
        let key = KeyPair::generate().map_err(text)?;
        let config = before.map_or_else(|| tls::stranger(&fingerprint), tls::member);
        let mut stream = open(config, &addresses).await?;
        let request = ToServer::Join {
            protocol: protocol::PROTOCOL,
            token: token["s"].as_str().unwrap_or_default().to_owned(),
            csr_pem: request(&key)?,
            identity: identity.clone(),
            hostname: hostname.to_owned(),
            agent_version: "0.0.0-fake".into(),
        };
        send(&mut stream, &request).await?;
        match receive(&mut stream).await? {
            ToAgent::Joined {
                agent_id,
                certificate_pem,
                ca_pem,
            } => Ok(Self {
                id: agent_id,
                hostname: hostname.to_owned(),
                identity,
                addresses,
                key_pem: key.serialize_pem(),
                certificate_pem,
                ca_pem,
                running: Vec::new(),
                clock: None,
            }),
            ToAgent::Refused { reason } => Err(reason),
            other => Err(format!("unexpected {other:?}")),
        }
    }

    /// A request for a new certificate for the same key.
    pub fn csr_pem(&self) -> String {
        request(&KeyPair::from_pem(&self.key_pem).unwrap()).unwrap()
    }

    /// Connects and says hello.
    pub async fn connect(&self) -> Result<FakeLink, String> {
        let mut stream = open(tls::member(self), &self.addresses).await?;
        let hello = ToServer::Hello {
            protocol: protocol::PROTOCOL,
            agent_version: "0.0.0-fake".into(),
            identity: self.identity.clone(),
            hostname: self.hostname.clone(),
            started_at_ms: 0,
            running: self.running.clone(),
            now_ms: self.clock.as_ref().map(|clock| clock()),
        };
        send(&mut stream, &hello).await?;
        match receive(&mut stream).await? {
            ToAgent::Welcome { config, .. } => Ok(FakeLink::start(stream, config, self.clock.clone())),
            ToAgent::Refused { reason } => Err(reason),
            other => Err(format!("unexpected {other:?}")),
        }
    }
}

impl FakeLink {
    fn start(stream: Tls, config: AgentConfig, clock: Option<Clock>) -> Self {
        let (mut reader, writer) = tokio::io::split(stream);
        let writer = Arc::new(tokio::sync::Mutex::new(writer));
        let (sender, inbox) = mpsc::channel(10_000);
        let answer = writer.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "the fake agent is outside of the server's supervision"
        )]
        let reader = tokio::spawn(async move {
            while let Ok(message) = read_frame(&mut reader).await {
                if let ToAgent::Ping { nonce } = message {
                    let now_ms = clock.as_ref().map(|clock| clock());
                    let frame = protocol::encode(&ToServer::Pong { nonce, now_ms }).unwrap();
                    let mut writer = answer.lock().await;
                    if writer.write_all(&frame).await.is_err() || writer.flush().await.is_err() {
                        return;
                    }
                } else if sender.send(message).await.is_err() {
                    return;
                }
            }
        });
        Self {
            writer,
            inbox,
            config,
            seq: 0,
            reader,
        }
    }

    /// Stops answering, pings included, but keeps the connection open: a host that hangs.
    pub fn freeze(&self) {
        self.reader.abort();
    }

    pub async fn send(&self, message: &ToServer) -> Result<(), String> {
        let frame = protocol::encode(message).map_err(text)?;
        let mut writer = self.writer.lock().await;
        writer.write_all(&frame).await.map_err(text)?;
        writer.flush().await.map_err(text)
    }

    /// The next message. `None` when the server has closed the connection.
    pub async fn receive(&mut self) -> Option<ToAgent> {
        tokio::time::timeout(PATIENCE, self.inbox.recv())
            .await
            .expect("the server says nothing")
    }

    /// The next message, however long it takes. `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<ToAgent> {
        self.inbox.recv().await
    }

    /// The next message that `pick` takes; others are passed over.
    pub async fn wait_for<T>(&mut self, pick: impl Fn(&ToAgent) -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let message = tokio::time::timeout_at(deadline, self.inbox.recv()).await;
            let message = message
                .expect("the wanted message does not come")
                .expect("the server closed the connection");
            if let Some(found) = pick(&message) {
                return found;
            }
        }
    }

    /// Waits until the server closes the connection.
    pub async fn wait_closed(&mut self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Some(_passed) = tokio::time::timeout_at(deadline, self.inbox.recv())
            .await
            .expect("the server keeps the connection")
        {}
    }

    /// Sends a batch with the next number; gives the number.
    pub async fn batch(&mut self, at_ms: i64, body: Vec<Body>) -> u64 {
        let seq = self.seq + 1;
        self.batch_numbered(seq, at_ms, body).await;
        seq
    }

    /// Sends a batch with a number of the test's choice.
    pub async fn batch_numbered(&mut self, seq: u64, at_ms: i64, body: Vec<Body>) {
        self.seq = seq;
        let batch = Batch {
            seq,
            at_ms,
            spooled: false,
            body,
        };
        self.send(&ToServer::Batch(batch)).await.unwrap();
    }

    /// Waits until everything up to `seq` is acknowledged.
    pub async fn wait_ack(&mut self, seq: u64) {
        self.wait_for(|message| match message {
            ToAgent::Ack { seq: acked } if *acked >= seq => Some(()),
            _ => None,
        })
        .await;
    }

    pub async fn wait_command(&mut self) -> Command {
        self.wait_for(|message| match message {
            ToAgent::Dispatch(command) => Some(command.clone()),
            _ => None,
        })
        .await
    }

    pub async fn report(&self, id: &str, at_ms: i64, state: CommandState) {
        let id = id.to_owned();
        self.send(&ToServer::Command { id, at_ms, state }).await.unwrap();
    }

    pub async fn write_output(&self, id: &str, stream: Stream, offset: u64, data: &[u8]) {
        let message = ToServer::Output {
            id: id.to_owned(),
            stream,
            offset,
            data: data.to_vec(),
        };
        self.send(&message).await.unwrap();
    }

    /// Reports a command as accepted, begun and ended with `exit_code` and this output; waits until the end is recorded.
    pub async fn run(&mut self, id: &str, at_ms: i64, stdout: &str, exit_code: i32) {
        self.report(id, at_ms, CommandState::Accepted).await;
        self.report(id, at_ms, CommandState::Running).await;
        self.write_output(id, Stream::Stdout, 0, stdout.as_bytes()).await;
        let end = CommandState::Exited {
            exit_code: Some(exit_code),
            signal: None,
            duration_ms: 1,
            dropped_bytes: 0,
        };
        self.report(id, at_ms, end).await;
        self.wait_for(|message| match message {
            ToAgent::CommandAck { id: acked } if acked == id => Some(()),
            _ => None,
        })
        .await;
    }
}

impl Drop for FakeLink {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A batch body with one sample of one series, defined along with it.
pub fn sample(id: u32, name: &str, t_ms: i64, value: f64) -> Body {
    Body::Metrics {
        epoch: 0,
        define: vec![SeriesDef {
            id,
            labels: vec![("__name__".into(), name.into())],
        }],
        samples: vec![Sample(id, t_ms, value)],
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn request(key: &KeyPair) -> Result<String, String> {
    let params = CertificateParams::default();
    params.serialize_request(key).map_err(text)?.pem().map_err(text)
}

async fn open(config: ClientConfig, addresses: &[String]) -> Result<Tls, String> {
    let address = addresses.first().ok_or("no address")?;
    let tcp = TcpStream::connect(address).await.map_err(text)?;
    tcp.set_nodelay(true).map_err(text)?;
    let name = ServerName::try_from(protocol::SERVER_NAME).map_err(text)?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    tokio::time::timeout(PATIENCE, connector.connect(name, tcp))
        .await
        .map_err(text)?
        .map_err(text)
}

async fn send(stream: &mut Tls, message: &ToServer) -> Result<(), String> {
    stream
        .write_all(&protocol::encode(message).map_err(text)?)
        .await
        .map_err(text)?;
    stream.flush().await.map_err(text)
}

async fn receive(stream: &mut Tls) -> Result<ToAgent, String> {
    tokio::time::timeout(PATIENCE, read_frame(stream))
        .await
        .map_err(text)?
}

async fn read_frame<R: tokio::io::AsyncRead + Unpin>(reader: &mut R) -> Result<ToAgent, String> {
    let mut header = [0; 4];
    reader.read_exact(&mut header).await.map_err(text)?;
    let mut body = vec![0; protocol::frame_len(header).map_err(text)?];
    reader.read_exact(&mut body).await.map_err(text)?;
    protocol::decode(&body).map_err(text)
}
