//! A mail server as small as can be: it keeps what it gets, with or without STARTTLS.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kernel::Kernel;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

#[derive(Clone, Debug, Default)]
pub struct Mail {
    pub from: String,
    pub to: String,
    pub data: String,
    pub auth: String,
    pub ehlo: String,
    pub is_encrypted: bool,
}

impl Mail {
    pub fn header(&self, name: &str) -> String {
        let start = format!("{name}: ");
        let line = self.data.lines().find(|line| line.starts_with(&start));
        line.map_or(String::new(), |line| line[start.len()..].to_owned())
    }
}

#[derive(Clone)]
pub struct SmtpSink {
    pub port: u16,
    pub ca_pem: String,
    mails: Arc<Mutex<Vec<Mail>>>,
    /// What to answer to the next recipients instead of 250.
    recipient_replies: Arc<Mutex<VecDeque<&'static str>>>,
    /// While closed, mails are kept but not confirmed.
    gate: Arc<watch::Sender<bool>>,
    count: Arc<watch::Sender<usize>>,
    tls: Option<TlsAcceptor>,
}

impl SmtpSink {
    pub async fn start(kernel: &Kernel, has_tls: bool) -> SmtpSink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let sink = SmtpSink {
            port: listener.local_addr().unwrap().port(),
            ca_pem: made.cert.pem(),
            mails: Arc::default(),
            recipient_replies: Arc::default(),
            gate: Arc::new(watch::channel(true).0),
            count: Arc::new(watch::channel(0).0),
            tls: has_tls.then(|| TlsAcceptor::from(Arc::new(config))),
        };
        let (inner, kernel_inner) = (sink.clone(), kernel.clone());
        drop(kernel::task::spawn(kernel, "smtp-sink", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sink = inner.clone();
                drop(kernel::task::spawn(
                    &kernel_inner,
                    "smtp-sink-connection",
                    async move {
                        sink.serve(stream).await;
                    },
                ));
            }
        }));
        sink
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }

    pub fn set_open(&self, is_open: bool) {
        self.gate.send_replace(is_open);
    }

    /// Waits until `n` mails have come.
    pub async fn wait_for(&self, n: usize) {
        let mut count = self.count.subscribe();
        let seen = tokio::time::timeout(Duration::from_secs(20), count.wait_for(|count| *count >= n)).await;
        assert!(seen.is_ok(), "only {} of {n} mails came", self.mails().len());
    }

    pub fn refuse_recipient(&self, reply: &'static str) {
        self.recipient_replies.lock().unwrap().push_back(reply);
    }

    async fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 sink ESMTP\r\n").await.unwrap();
        let offer = if self.tls.is_some() {
            "250-STARTTLS\r\n"
        } else {
            ""
        };
        if self.talk(&mut stream, offer, false).await
            && let Some(tls) = &self.tls
        {
            let Ok(encrypted) = tls.accept(stream.into_inner()).await else {
                return;
            };
            self.talk(&mut BufReader::new(encrypted), "", true).await;
        }
    }

    /// True when the client wants TLS now.
    async fn talk<S>(&self, stream: &mut S, offer: &str, is_encrypted: bool) -> bool
    where
        S: AsyncBufReadExt + AsyncWrite + AsyncRead + Unpin,
    {
        let mut mail = Mail {
            is_encrypted,
            ..Mail::default()
        };
        let mut line = String::new();
        loop {
            line.clear();
            if !matches!(stream.read_line(&mut line).await, Ok(n) if n > 0) {
                return false;
            }
            let verb = line.split([' ', ':', '\r']).next().unwrap().to_uppercase();
            let reply = match verb.as_str() {
                "EHLO" => {
                    mail.ehlo = line.trim()[5..].to_owned();
                    format!("250-sink\r\n{offer}250-AUTH PLAIN\r\n250 8BITMIME\r\n")
                }
                "STARTTLS" => {
                    stream.write_all(b"220 go\r\n").await.unwrap();
                    return true;
                }
                "AUTH" => {
                    mail.auth = line.trim().rsplit(' ').next().unwrap().to_owned();
                    "235 ok\r\n".into()
                }
                "MAIL" => {
                    mail.from = line.trim().to_owned();
                    "250 ok\r\n".into()
                }
                "RCPT" => {
                    mail.to = line.trim().to_owned();
                    let reply = self.recipient_replies.lock().unwrap().pop_front();
                    let is_qualified = mail.ehlo.contains('.') || mail.ehlo.starts_with('[');
                    let refused = "504 5.5.2 Helo command rejected: need fully-qualified hostname";
                    let reply = reply.or((!is_qualified).then_some(refused));
                    format!("{}\r\n", reply.unwrap_or("250 ok"))
                }
                "DATA" => {
                    stream.write_all(b"354 go\r\n").await.unwrap();
                    mail.data = read_data(stream).await;
                    self.mails.lock().unwrap().push(mail.clone());
                    self.count.send_modify(|count| *count += 1);
                    let _ = self.gate.subscribe().wait_for(|is_open| *is_open).await;
                    "250 kept\r\n".into()
                }
                "QUIT" => {
                    let _ = stream.write_all(b"221 bye\r\n").await;
                    return false;
                }
                _ => "250 ok\r\n".into(),
            };
            if stream.write_all(reply.as_bytes()).await.is_err() {
                return false;
            }
        }
    }
}

async fn read_data<S: AsyncBufReadExt + Unpin>(stream: &mut S) -> String {
    let mut data = String::new();
    loop {
        let start = data.len();
        if !matches!(stream.read_line(&mut data).await, Ok(n) if n > 0) || &data[start..] == ".\r\n" {
            data.truncate(start);
            return data;
        }
    }
}
