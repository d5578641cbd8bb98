//! E-mail by SMTP. The Message-ID is the message's own, so that a mail program shows a repetition once; messages about one thing
//! refer to one invented first message and so form a conversation.
//!
//! Flow: connect, greet, protect, sign in, name sender and recipient, each bounded by `mail_step` → hand over the message → wait
//! for the server's word, which may take ten minutes (RFC 5321, 4.5.3.2.6). What is handed over and not answered has an unknown
//! outcome.

use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use kernel::secret::sha256_hex;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::{Address, Message};

use super::{Letter, chain, misconfigured, permanent, temporary, unknown};
use crate::decide::Outcome;
use crate::model::{ChannelConfig, ChannelSecrets, SmtpSecurity};

/// What is left to the goodbye; the message is the server's by then.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);

pub async fn send(
    config: &ChannelConfig,
    secrets: &ChannelSecrets,
    letter: &Letter<'_>,
) -> Result<(), Outcome> {
    let ChannelConfig::Email { host, port, from, .. } = config else {
        return Err(permanent("not an e-mail channel"));
    };
    let message = message(from, letter)?;
    let envelope = message.envelope();
    let server = format!("{host}:{port}");
    let step = letter.patience.mail_step;
    let refused = |error: &Error| misconfigured(format!("{server}: {}", chain(error)));
    let mut connection = within(step, &server, open(config, secrets, letter), &refused).await?;
    let mail = mail_from(&connection, envelope.from().cloned(), envelope.to())?;
    within(step, &server, connection.command(mail), &refused).await?;
    // What is wrong with this recipient or this message says nothing of the channel, unless our own name is.
    let refused = |error: &Error| {
        let reason = format!("{server}: {}", chain(error));
        let is_about_name = reason.to_lowercase().contains("helo");
        if is_about_name {
            misconfigured(reason)
        } else {
            permanent(reason)
        }
    };
    for address in envelope.to() {
        let recipient = Rcpt::new(address.clone(), Vec::new());
        within(step, &server, connection.command(recipient), &refused).await?;
    }
    within(step, &server, connection.command(Data), &refused).await?;
    letter.handed_over.store(true, Ordering::SeqCst);
    hand_over(&mut connection, &message.formatted(), &server, letter).await?;
    // Whatever becomes of the goodbye, the message is delivered.
    let _ = tokio::time::timeout(QUIT_TIMEOUT, connection.quit()).await;
    Ok(())
}

/// One step before the message is handed over: without an answer it can be tried again. `refused` judges a permanent refusal.
async fn within<T>(
    limit: Duration,
    server: &str,
    step: impl Future<Output = Result<T, Error>>,
    refused: &(dyn Fn(&Error) -> Outcome + Sync),
) -> Result<T, Outcome> {
    match tokio::time::timeout(limit, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if error.is_permanent() || error.is_client() => Err(refused(&error)),
        Ok(Err(error)) => Err(temporary(format!("{server}: {}", chain(&error)))),
        Err(_) => Err(temporary(format!(
            "{server}: no answer within {} s; check address and firewall",
            limit.as_secs()
        ))),
    }
}

async fn hand_over(
    connection: &mut AsyncSmtpConnection,
    message: &[u8],
    server: &str,
    letter: &Letter<'_>,
) -> Result<(), Outcome> {
    let limit = letter.patience.mail_end;
    match tokio::time::timeout(limit, connection.message(message)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error.is_permanent() => Err(permanent(format!("{server}: {}", chain(&error)))),
        Ok(Err(error)) if error.is_transient() => Err(temporary(format!("{server}: {}", chain(&error)))),
        Ok(Err(error)) => Err(unknown(format!(
            "{server} got the whole message and did not confirm it: {}",
            chain(&error)
        ))),
        Err(_) => Err(unknown(format!(
            "{server} got the whole message and did not confirm it within {} min",
            limit.as_secs() / 60
        ))),
    }
}

/// A connection that is ready to take messages.
async fn open(
    config: &ChannelConfig,
    secrets: &ChannelSecrets,
    letter: &Letter<'_>,
) -> Result<AsyncSmtpConnection, Error> {
    let ChannelConfig::Email {
        host,
        port,
        security,
        username,
        ehlo_name,
        ca_pem,
        ..
    } = config
    else {
        return AsyncSmtpConnection::connect_tokio1(("", 0), None, &ClientId::default(), None, None).await;
    };
    let own = ehlo_name.as_deref().or(letter.ehlo_name).map(str::to_owned);
    let name = match own {
        Some(name) => name,
        None => own_address(host, *port).await,
    };
    let name = ClientId::Domain(name);
    let tls = || tls(host, ca_pem.as_deref());
    let wrapper = (*security == SmtpSecurity::Tls).then(tls).transpose()?;
    let server = (host.as_str(), *port);
    let mut connection = AsyncSmtpConnection::connect_tokio1(server, None, &name, wrapper, None).await?;
    if *security == SmtpSecurity::Starttls {
        connection.starttls(tls()?, &name).await?;
    }
    if let Some(username) = username {
        let password = secrets.password.clone().unwrap_or_default();
        let credentials = Credentials::new(username.clone(), password);
        connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
    }
    Ok(connection)
}

fn mail_from(
    connection: &AsyncSmtpConnection,
    from: Option<Address>,
    to: &[Address],
) -> Result<Mail, Outcome> {
    let is_ascii = from.iter().chain(to).all(|address| {
        let text: &str = address.as_ref();
        text.is_ascii()
    });
    let mut parameters = Vec::new();
    if !is_ascii {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(permanent("the mail server takes only addresses in plain ASCII"));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    Ok(Mail::new(from, parameters))
}

/// The name for EHLO that a host of a public address gives: a name with a dot, or an address literal (RFC 5321, 4.1.3).
pub fn ehlo_name(host: &str) -> Option<String> {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() || address.is_unspecified() => None,
        Ok(address) => Some(literal(address)),
        Err(_) if host.trim_matches('.').contains('.') => Some(host.trim_matches('.').to_owned()),
        Err(_) => None,
    }
}

fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

/// The literal of the address that this machine reaches the server from. Connecting a datagram socket sends nothing.
async fn own_address(host: &str, port: u16) -> String {
    let loopback = IpAddr::from([127, 0, 0, 1]);
    for any in ["0.0.0.0:0", "[::]:0"] {
        let Ok(socket) = tokio::net::UdpSocket::bind(any).await else {
            continue;
        };
        if socket.connect((host, port)).await.is_ok()
            && let Ok(own) = socket.local_addr()
        {
            return literal(own.ip());
        }
    }
    literal(loopback)
}

fn tls(host: &str, ca_pem: Option<&str>) -> Result<TlsParameters, Error> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(pem) = ca_pem {
        builder = builder.add_root_certificate(Certificate::from_pem(pem.as_bytes())?);
    }
    builder.build()
}

fn message(from: &str, letter: &Letter<'_>) -> Result<Message, Outcome> {
    let mailbox = |text: &str| {
        text.parse::<Mailbox>()
            .map_err(|error| permanent(format!("\"{text}\" is not an e-mail address: {error}")))
    };
    let at = u64::try_from(letter.created_at.as_second()).unwrap_or_default();
    let mut builder = Message::builder()
        .from(mailbox(from)?)
        .to(mailbox(letter.target)?)
        .subject(letter.words.title.clone())
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(at))
        .message_id(Some(format!("<{}@{}>", letter.id, letter.domain)))
        // RFC 3834: keeps out-of-office replies away.
        .raw_header(raw("Auto-Submitted", "auto-generated"))
        .raw_header(raw("X-Mainstay-Severity", letter.page.severity.as_str()))
        .raw_header(raw("X-Mainstay-Kind", letter.page.kind.as_str()));
    if let Some(path) = &letter.page.url_path {
        let thread: String = sha256_hex(path.as_bytes()).chars().take(32).collect();
        let first = format!("<{thread}@{}>", letter.domain);
        builder = builder.in_reply_to(first.clone()).references(first);
    }
    let plain = SinglePart::builder()
        .header(ContentType::TEXT_PLAIN)
        .body(letter.words.text.clone());
    let html = SinglePart::builder()
        .header(ContentType::TEXT_HTML)
        .body(html(letter));
    builder
        .multipart(MultiPart::alternative().singlepart(plain).singlepart(html))
        .map_err(|error| permanent(format!("the message cannot be made: {error}")))
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The same words, with the address as a link.
fn html(letter: &Letter<'_>) -> String {
    let mut text = escape(&letter.words.text);
    if let Some(url) = letter.url {
        let url = escape(url);
        text = text.replace(&url, &format!("<a href=\"{url}\">{url}</a>"));
    }
    format!(
        "<!doctype html><html><body><div style=\"font-family:sans-serif;white-space:pre-wrap\">{text}</div></body></html>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ehlo_names_a_host_with_a_dot_or_an_address() {
        for (host, name) in [
            ("ops.example.org", Some("ops.example.org")),
            ("192.0.2.7", Some("[192.0.2.7]")),
            ("[2001:db8::1]", Some("[IPv6:2001:db8::1]")),
            ("vm", None),
            ("localhost", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(ehlo_name(host).as_deref(), name, "{host}");
        }
    }
}
