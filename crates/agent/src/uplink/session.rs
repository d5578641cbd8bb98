//! The connection: finding a server, TLS, greeting, and frames both ways, again and again with growing pauses.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use protocol::{AgentConfig, CodecError, Identity, ToAgent, ToServer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::rt;

pub(crate) type Stream = TlsStream<TcpStream>;

const CONNECT: Duration = Duration::from_secs(10);
/// The server pings well within this; a connection that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(15);
const WRITE: Duration = Duration::from_secs(15);

const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MOST: Duration = Duration::from_secs(30);
/// Between two attempts of an agent that was told to join again: somebody may let it in after all.
const PAUSE_EXPELLED: Duration = Duration::from_secs(300);

/// Frames that wait for the wire.
pub(crate) const FRAMES: usize = 64;
/// Messages of commands that wait for the wire.
const MESSAGES: usize = 64;

/// What a session tells the uplink.
pub(crate) enum Event {
    Up(Link),
    Message(ToAgent),
    Down,
}

/// The sending side of a connection.
pub(crate) struct Link {
    /// Encoded frames, in order.
    pub(crate) frames: mpsc::Sender<Vec<u8>>,
    /// Messages of commands, which may overtake frames and each other's.
    pub(crate) messages: mpsc::Sender<ToServer>,
    pub(crate) config: AgentConfig,
    /// Server time less ours.
    pub(crate) clock_offset_ms: i64,
}

/// What a session says of its agent.
pub(crate) trait Greeter: Send + Sync + 'static {
    /// Credentials as they are now: they are read for every connection, so a renewed certificate is used at once.
    fn tls(&self) -> Result<ClientConfig, Error>;
    fn servers(&self) -> Vec<String>;
    fn hello(&self) -> ToServer;
    /// Joins again where there is a token for it. True when the next connection may succeed.
    fn rejoin(&self) -> BoxFuture<'_, bool>;
}

/// Keeps a connection until `stop`.
pub(crate) async fn keep(greeter: Arc<dyn Greeter>, events: mpsc::Sender<Event>, stop: CancellationToken) {
    let mut pause = PAUSE_FIRST;
    loop {
        let outcome = tokio::select! {
            outcome = once(&greeter, &events) => outcome,
            () = stop.cancelled() => return,
        };
        match outcome {
            Ended::Never(Error::Expelled(reason)) => {
                if greeter.rejoin().await {
                    pause = PAUSE_FIRST;
                    continue;
                }
                tracing::error!(
                    reason,
                    "this host must join again, with a new token: run the server's join command, or stop the agent, \
                     run `mainstay agent join` with the token on standard input and start it. Until then what it sees goes to its spool, within \
                     bounds, and it asks again every five minutes"
                );
                pause = PAUSE_EXPELLED;
            }
            Ended::Never(error) => {
                tracing::warn!(%error, pause_ms = pause.as_millis(), "no connection to the server")
            }
            Ended::After(reason) => {
                tracing::info!(reason, "the connection to the server ended");
                pause = PAUSE_FIRST;
                if events.send(Event::Down).await.is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(jittered(pause)) => {}
            () = stop.cancelled() => return,
        }
        pause = (pause * 2).min(PAUSE_MOST);
    }
}

/// A refusal that says how to join again means that nothing else helps.
fn refusal(reason: String) -> Error {
    if reason.contains("mainstay agent join") {
        Error::Expelled(reason)
    } else {
        Error::Refused(reason)
    }
}

/// What the server's TLS says of our certificate.
fn verdict(error: &std::io::Error) -> Option<&'static str> {
    use rustls::AlertDescription as Alert;
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let rustls::Error::AlertReceived(alert) = inner else {
        return None;
    };
    match *alert {
        Alert::CertificateExpired => {
            Some("it was away for so long that its certificate cannot be renewed any more")
        }
        Alert::UnknownCA | Alert::BadCertificate | Alert::DecryptError | Alert::CertificateUnknown => {
            Some("the server does not know the authority of its certificate; was the server set up anew?")
        }
        _ => None,
    }
}

/// Why TLS failed, with what may be done about it.
fn reason_of(error: &std::io::Error) -> String {
    use rustls::CertificateError as Fault;
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(
            Fault::NotValidYet
            | Fault::NotValidYetContext { .. }
            | Fault::Expired
            | Fault::ExpiredContext { .. },
        )) => format!("{error}; is the clock of this host right?"),
        Some(rustls::Error::InvalidCertificate(Fault::UnknownIssuer | Fault::BadSignature)) => format!(
            "{error}: it is not the server of this host's authority; if the server was set up anew, join again with a new token"
        ),
        _ => error.to_string(),
    }
}

enum Ended {
    Never(Error),
    After(String),
}

/// Half to the whole of a pause, so that a fleet does not come back in one instant.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

async fn once(greeter: &Arc<dyn Greeter>, events: &mpsc::Sender<Event>) -> Ended {
    let (stream, link) = match greet(greeter.as_ref()).await {
        Ok(pair) => pair,
        Err(error) => return Ended::Never(error),
    };
    let (mut reader, writer) = tokio::io::split(stream);
    let (frames, frame_queue) = mpsc::channel(FRAMES);
    let (messages, message_queue) = mpsc::channel(MESSAGES);
    let writing = rt::spawn("uplink writer", write_all(writer, frame_queue, message_queue));
    let (config, clock_offset_ms) = link;
    if events
        .send(Event::Up(Link {
            frames,
            messages,
            config,
            clock_offset_ms,
        }))
        .await
        .is_err()
    {
        return Ended::After("the agent stops".into());
    }
    let reason = read_all(&mut reader, events, &writing).await;
    writing.abort();
    Ended::After(reason)
}

/// Connects to the first server that answers and says hello.
async fn greet(greeter: &dyn Greeter) -> Result<(Stream, (AgentConfig, i64)), Error> {
    let (mut stream, address) = connect(greeter.tls()?, &greeter.servers()).await?;
    let unreachable = |reason: String| Error::Unreachable {
        address: address.clone(),
        reason,
    };
    // With TLS 1.3 the server's verdict on our certificate comes with the first read.
    let failed = |error: WireError| match &error {
        WireError::Io(io) => match verdict(io) {
            Some(verdict) => Error::Expelled(verdict.to_owned()),
            None => unreachable(error.to_string()),
        },
        _ => unreachable(error.to_string()),
    };
    send(&mut stream, &greeter.hello()).await.map_err(failed)?;
    match receive(&mut stream).await.map_err(failed)? {
        ToAgent::Welcome { now_ms, config, .. } => Ok((stream, (config, now_ms - rt::now_ms()))),
        ToAgent::Refused { reason } => Err(refusal(reason)),
        other => Err(unreachable(format!(
            "it answered the greeting with {}",
            kind(&other)
        ))),
    }
}

fn kind(message: &ToAgent) -> &'static str {
    match message {
        ToAgent::Joined { .. } => "joined",
        ToAgent::Renewed { .. } => "renewed",
        ToAgent::Ping { .. } => "ping",
        _ => "an unexpected message",
    }
}

/// A TLS connection to the first address that gives one.
pub(crate) async fn connect(config: ClientConfig, servers: &[String]) -> Result<(Stream, String), Error> {
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from(protocol::SERVER_NAME).map_err(|error| Error::Tls(error.to_string()))?;
    let mut last = Error::Unreachable {
        address: "no address".into(),
        reason: "the enrolment names no server".into(),
    };
    for address in servers {
        let attempt = async {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            connector.connect(name.clone(), tcp).await
        };
        let reason = match timeout(CONNECT, attempt).await {
            Ok(Ok(stream)) => return Ok((stream, address.clone())),
            Ok(Err(error)) => match verdict(&error) {
                Some(verdict) => return Err(Error::Expelled(verdict.to_owned())),
                None => reason_of(&error),
            },
            Err(_) => format!("no answer within {} s", CONNECT.as_secs()),
        };
        last = Error::Unreachable {
            address: address.clone(),
            reason,
        };
    }
    Err(last)
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Codec(#[from] CodecError),
    #[error("no answer within {} s", SILENCE.as_secs())]
    Silence,
}

pub(crate) async fn send(stream: &mut Stream, message: &ToServer) -> Result<(), WireError> {
    let frame = protocol::encode(message)?;
    let write = async {
        stream.write_all(&frame).await?;
        stream.flush().await
    };
    Ok(timeout(WRITE, write).await.map_err(|_| WireError::Silence)??)
}

/// The next message that this version knows.
pub(crate) async fn receive<R: AsyncReadExt + Unpin>(stream: &mut R) -> Result<ToAgent, WireError> {
    loop {
        let body = timeout(SILENCE, read_frame(stream))
            .await
            .map_err(|_| WireError::Silence)??;
        match protocol::decode(&body) {
            Ok(message) => return Ok(message),
            // A newer server may say things that we do not know; they are for agents that do.
            Err(CodecError::Decode(error)) => {
                tracing::warn!(%error, "skipped a message that this version does not know")
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn read_frame<R: AsyncReadExt + Unpin>(stream: &mut R) -> Result<Vec<u8>, WireError> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let mut body = vec![0; protocol::frame_len(header)?];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

async fn read_all(
    reader: &mut ReadHalf<Stream>,
    events: &mpsc::Sender<Event>,
    writing: &tokio::task::JoinHandle<()>,
) -> String {
    loop {
        match receive(reader).await {
            Ok(ToAgent::Refused { reason }) => return format!("the server refused: {reason}"),
            Ok(message) => {
                if events.send(Event::Message(message)).await.is_err() {
                    return "the agent stops".into();
                }
            }
            Err(error) => return error.to_string(),
        }
        if writing.is_finished() {
            return "the server does not read".into();
        }
    }
}

/// Writes until both queues are closed or the wire fails. Batches are flushed together when several wait.
async fn write_all(
    mut writer: WriteHalf<Stream>,
    mut frames: mpsc::Receiver<Vec<u8>>,
    mut messages: mpsc::Receiver<ToServer>,
) {
    loop {
        let frame = tokio::select! {
            biased;
            Some(message) = messages.recv() => protocol::encode(&message),
            Some(frame) = frames.recv() => Ok(frame),
            else => break,
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(%error, "a message cannot be encoded and is dropped");
                continue;
            }
        };
        let more = !frames.is_empty() || !messages.is_empty();
        let write = async {
            writer.write_all(&frame).await?;
            if more { Ok(()) } else { writer.flush().await }
        };
        if !matches!(timeout(WRITE, write).await, Ok(Ok(()))) {
            break;
        }
    }
    let _ = timeout(Duration::from_secs(1), writer.shutdown()).await;
}

/// The greeting of an agent.
pub(crate) fn hello(
    version: &str,
    identity: &Identity,
    hostname: &str,
    started_at_ms: i64,
    running: Vec<String>,
) -> ToServer {
    ToServer::Hello {
        protocol: protocol::PROTOCOL,
        agent_version: version.to_owned(),
        identity: identity.clone(),
        hostname: hostname.to_owned(),
        started_at_ms,
        running,
        now_ms: Some(rt::now_ms()),
    }
}
