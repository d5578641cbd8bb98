//! A server that speaks the protocol: its own authority, joins, acknowledgements that can be held back, and a record of
//! all that agents say.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use protocol::{AgentConfig, Batch, Body, Command, CommandState, SERVER_NAME, ToAgent, ToServer};
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub const SECRET: &str = "let-me-in";

/// Shared between the test and the connections.
pub struct Record {
    pub messages: Mutex<Vec<ToServer>>,
    pub acking: AtomicBool,
    pub connections: AtomicU32,
    pub config: Mutex<AgentConfig>,
    pub certificate_days: AtomicU32,
    commands: broadcast::Sender<ToAgent>,
    cut: Mutex<CancellationToken>,
}

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
    der: CertificateDer<'static>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "test authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    pub fn fingerprint(&self) -> String {
        Sha256::digest(&self.der)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn server_config(&self) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![leaf.der().clone(), self.der.clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![protocol::ALPN.to_vec()];
        config
    }

    fn sign(&self, csr_pem: &str, days: i64) -> String {
        let mut csr = CertificateSigningRequestParams::from_pem(csr_pem).unwrap();
        let now = jiff::Timestamp::UNIX_EPOCH.as_second()
            + i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        let date = |second: i64| {
            let date = jiff::Timestamp::from_second(second)
                .unwrap()
                .to_zoned(jiff::tz::TimeZone::UTC);
            rcgen::date_time_ymd(
                i32::from(date.year()),
                u8::try_from(date.month()).unwrap(),
                u8::try_from(date.day()).unwrap(),
            )
        };
        csr.params.not_before = date(now - days * 86_400);
        csr.params.not_after = date(now + days * 86_400);
        csr.signed_by(&self.issuer).unwrap().pem()
    }
}

pub struct Server {
    pub record: Arc<Record>,
    pub authority: Arc<Authority>,
    pub address: SocketAddr,
    tasks: JoinSet<()>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, Arc::new(Authority::new())).await
    }

    pub async fn on(listener: TcpListener, authority: Arc<Authority>) -> Self {
        let address = listener.local_addr().unwrap();
        let mut config = AgentConfig {
            sample_interval_ms: 100,
            log_files: Vec::new(),
            journal: false,
            ..AgentConfig::default()
        };
        config.certificate_paths.clear();
        let record = Arc::new(Record {
            messages: Mutex::default(),
            acking: AtomicBool::new(true),
            connections: AtomicU32::new(0),
            config: Mutex::new(config),
            certificate_days: AtomicU32::new(7),
            commands: broadcast::channel(64).0,
            cut: Mutex::new(CancellationToken::new()),
        });
        let mut tasks = JoinSet::new();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server_config()));
        let (shared, ca) = (record.clone(), authority.clone());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, record, ca) = (acceptor.clone(), shared.clone(), ca.clone());
                let cut = record.cut.lock().unwrap().clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = serve(tcp, acceptor, record, ca) => {}
                        () = cut.cancelled() => {}
                    }
                });
            }
        });
        Self {
            record,
            authority,
            address,
            tasks,
        }
    }

    pub fn token(&self) -> String {
        self.token_with(&self.authority.fingerprint())
    }

    pub fn token_with(&self, fingerprint: &str) -> String {
        let json = format!(
            r#"{{"a":["{}"],"f":"{fingerprint}","s":"{SECRET}"}}"#,
            self.address
        );
        format!(
            "ms1.{}",
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json)
        )
    }

    /// Ends all connections; the listener stays.
    pub fn cut(&self) {
        std::mem::take(&mut *self.record.cut.lock().unwrap()).cancel();
    }

    /// Stops listening and ends all connections.
    pub async fn stop(mut self) -> (SocketAddr, Arc<Authority>) {
        self.cut();
        self.tasks.shutdown().await;
        (self.address, self.authority.clone())
    }

    pub fn tell(&self, message: ToAgent) {
        self.record.commands.send(message).unwrap();
    }

    pub fn dispatch(&self, command: Command) {
        self.tell(ToAgent::Dispatch(command));
    }
}

impl Record {
    /// Shows the batches from a message on, without a copy of them; gives the number of messages.
    pub fn look(&self, from: usize, mut show: impl FnMut(&Batch)) -> usize {
        let messages = self.messages.lock().unwrap();
        for message in &messages[from..] {
            if let ToServer::Batch(batch) = message {
                show(batch);
            }
        }
        messages.len()
    }

    pub fn batches(&self) -> Vec<Batch> {
        let batch = |message: &ToServer| {
            if let ToServer::Batch(batch) = message {
                Some(batch.clone())
            } else {
                None
            }
        };
        self.messages.lock().unwrap().iter().filter_map(batch).collect()
    }

    /// Name and value of every sample, by the definitions sent so far.
    pub fn samples(&self) -> Vec<(protocol::Labels, i64, f64)> {
        let mut known = std::collections::HashMap::new();
        let mut samples = Vec::new();
        for body in self.batches().into_iter().flat_map(|batch| batch.body) {
            if let Body::Metrics {
                epoch,
                define,
                samples: these,
            } = body
            {
                known.extend(define.into_iter().map(|def| ((epoch, def.id), def.labels)));
                samples.extend(
                    these
                        .into_iter()
                        .filter_map(|s| Some((known.get(&(epoch, s.0))?.clone(), s.1, s.2))),
                );
            }
        }
        samples
    }

    pub fn hellos(&self) -> usize {
        let messages = self.messages.lock().unwrap();
        messages
            .iter()
            .filter(|message| matches!(message, ToServer::Hello { .. }))
            .count()
    }

    pub fn states(&self, command: &str) -> Vec<CommandState> {
        let state = |message: &ToServer| match message {
            ToServer::Command { id, state, .. } if id == command => Some(state.clone()),
            _ => None,
        };
        self.messages.lock().unwrap().iter().filter_map(state).collect()
    }
}

/// Waits for a condition, 40 seconds at most: the machine may be busy.
pub async fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn read<R: AsyncReadExt + Unpin>(reader: &mut R) -> Option<ToServer> {
    let mut header = [0; 4];
    reader.read_exact(&mut header).await.ok()?;
    let mut body = vec![0; protocol::frame_len(header).ok()?];
    reader.read_exact(&mut body).await.ok()?;
    Some(protocol::decode(&body).unwrap())
}

async fn serve(tcp: TcpStream, acceptor: TlsAcceptor, record: Arc<Record>, ca: Arc<Authority>) {
    let Ok(stream) = acceptor.accept(tcp).await else {
        return;
    };
    let is_member = stream.get_ref().1.peer_certificates().is_some();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (out, mut queue) = mpsc::channel::<ToAgent>(64);
    let mut commands = record.commands.subscribe();
    record.connections.fetch_add(1, Ordering::SeqCst);
    let write = async {
        loop {
            let message = tokio::select! {
                // An answer comes first: a command before the welcome would be no greeting.
                biased;
                Some(message) = queue.recv() => message,
                Ok(message) = commands.recv() => message,
                else => return,
            };
            if writer
                .write_all(&protocol::encode(&message).unwrap())
                .await
                .is_err()
                || writer.flush().await.is_err()
            {
                return;
            }
        }
    };
    let read = async {
        while let Some(message) = read(&mut reader).await {
            if let Some(answer) = answer(&message, is_member, &record, &ca) {
                out.send(answer).await.unwrap();
            }
            record.messages.lock().unwrap().push(message);
        }
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
}

fn answer(message: &ToServer, is_member: bool, record: &Record, ca: &Authority) -> Option<ToAgent> {
    let days = i64::from(record.certificate_days.load(Ordering::SeqCst));
    match message {
        ToServer::Join { token, .. } if token != SECRET => Some(ToAgent::Refused {
            reason: "unknown token".into(),
        }),
        ToServer::Join { csr_pem, .. } => Some(ToAgent::Joined {
            agent_id: "agt_test".into(),
            certificate_pem: ca.sign(csr_pem, days),
            ca_pem: ca.pem.clone(),
        }),
        _ if !is_member => Some(ToAgent::Refused {
            reason: "no certificate".into(),
        }),
        ToServer::Hello { .. } => Some(ToAgent::Welcome {
            protocol: 1,
            agent_id: "agt_test".into(),
            now_ms: 0,
            config: record.config.lock().unwrap().clone(),
        }),
        ToServer::Renew { csr_pem } => Some(ToAgent::Renewed {
            certificate_pem: ca.sign(csr_pem, days),
            ca_pem: ca.pem.clone(),
        }),
        ToServer::Batch(batch) if record.acking.load(Ordering::SeqCst) => {
            Some(ToAgent::Ack { seq: batch.seq })
        }
        ToServer::Command { id, state, .. } if state.is_end() && record.acking.load(Ordering::SeqCst) => {
            Some(ToAgent::CommandAck { id: id.clone() })
        }
        _ => None,
    }
}

/// An agent that runs inside the test.
pub struct Running {
    stop: CancellationToken,
    tasks: JoinSet<Result<(), agent::Error>>,
}

impl Running {
    pub fn start(options: agent::Options) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(agent::run(options, stop.clone()));
        Self { stop, tasks }
    }

    pub async fn stop(mut self) -> Result<(), agent::Error> {
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap()
    }
}
